"""Ladders by name: windows of frames, graph distance, and what rounds of messages can have used."""

import numpy as np
import pytest

import worldnets as wn
from worldnets.errors import DatasetError
from worldnets.inference import Inference
from worldnets.inference.loopy import LoopyInference
from worldnets.ladders import LADDERS, ladder, message_round_ladder, window_ladder
from worldnets.roles import distance_ladder

FLIP = [[0.8, 0.2], [0.3, 0.7]]


def tree():
    """root → a, b; a → a_seen, c; c → c_seen, d; d → d_seen; b → b_seen."""
    arrows = {"a": "root", "b": "root", "a_seen": "a", "c": "a", "c_seen": "c", "d": "c", "d_seen": "d", "b_seen": "b"}
    names = ("root", *arrows)
    tables = {v: FLIP if v in arrows else [0.4, 0.6] for v in names}
    parents = {v: (arrows[v],) if v in arrows else () for v in names}
    return wn.WorldNet(dict.fromkeys(names, ("no", "yes")), parents, tables)


def shown(net, names):
    codes = np.full((2, len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in names]] = np.array([[0], [1]])
    return codes


def test_on_a_tree_a_belief_after_r_rounds_is_the_posterior_given_the_rungs_of_r_rounds():
    net = tree()
    evidence = ("a_seen", "b_seen", "c_seen", "d_seen")
    rungs = message_round_ladder(net, evidence, ("root",))
    assert rungs == (("a_seen", "b_seen"), ("c_seen",), ("d_seen",))
    for k, rounds in enumerate((2, 3, 4), 1):  # nothing is one round away
        within = [v for rung in rungs[:k] for v in rung]
        loopy = LoopyInference(net).query(shown(net, evidence), ["root"], rounds=rounds)["root"]
        exact = Inference(net).joint(shown(net, within), ("root",))
        np.testing.assert_allclose(np.asarray(loopy), exact, atol=1e-6)


def test_messages_stop_at_what_was_observed_and_distance_does_not():
    net = tree()
    evidence = ("a", "c_seen", "b_seen")
    assert message_round_ladder(net, evidence, ("root",)) == (("a",), ("b_seen",), ("c_seen",))
    assert distance_ladder(net, evidence, ("root",)) == (("a",), ("b_seen",), ("c_seen",))
    evidence = ("a", "c", "b_seen")
    assert message_round_ladder(net, evidence, ("root",)) == (("a",), ("b_seen",), ("c",))
    assert distance_ladder(net, evidence, ("root",)) == (("a",), ("c", "b_seen"))


def test_what_no_round_brings_adds_nothing():
    net = tree()
    *_, last = message_round_ladder(net, ("a", "c_seen", "d_seen", "b_seen"), ("root",))
    assert last == ("c_seen", "d_seen")
    rest = Inference(net).joint(shown(net, ("a", "b_seen")), ("root",))
    everything = Inference(net).joint(shown(net, ("a", "b_seen", *last)), ("root",))
    np.testing.assert_allclose(everything, rest, atol=1e-12)


def test_a_window_goes_back_frame_by_frame_and_keeps_what_has_no_frame_for_last():
    frames = (("x_1", "y_1"), ("x_2",), ("x_3", "y_3"))
    assert window_ladder(frames, ("x_1", "x_3", "y_3", "known")) == (("x_3", "y_3"), ("x_1",), ("known",))
    with pytest.raises(DatasetError, match="without frames"):
        window_ladder((), ("a",), "alarm")


@pytest.mark.parametrize("kind", LADDERS)
@pytest.mark.parametrize("objective", ["continuation", "question"])
def test_every_ladder_of_a_clip_has_all_its_evidence_once(kind, objective):
    dataset = wn.load_dataset("vault", frames=4)
    task = dataset.task(objective)
    for target in task.targets:
        rungs = ladder(dataset, task, target, kind)
        assert sorted(v for rung in rungs for v in rung) == sorted(task.evidence)
        assert all(rungs)
        if kind == "window":
            assert rungs == task.ladders[target.name]


def test_a_twin_has_the_ladder_of_its_base():
    dataset = wn.load_dataset("vault", frames=4)
    twin = dataset.with_redrawn([dataset.task("continuation").evidence[-1]])
    for kind in LADDERS:
        found = [
            ladder(one, one.task("continuation"), one.task("continuation").targets[0], kind) for one in (dataset, twin)
        ]
        assert found[0] == found[1]


def test_an_unknown_ladder_is_refused_with_the_nearest_name():
    dataset = wn.load_dataset("vault", frames=3)
    task = dataset.task("continuation")
    with pytest.raises(DatasetError, match="window"):
        ladder(dataset, task, task.targets[0], "windows")
