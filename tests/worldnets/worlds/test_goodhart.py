"""Four ways in which a labeller is wrong about outputs, each as a net."""

import numpy as np
import pytest

from worldnets import Inference, check_dataset, load_dataset
from worldnets.errors import DatasetError
from worldnets.worlds.goodhart import KINDS


def good(net, on, parts=8, do=None, **seen):
    """W(good | those parts on, the others off), and what else is seen."""
    row = {f"part_{i}": "on" if i in on else "off" for i in range(1, parts + 1)} | seen
    row = {v: state for v, state in row.items() if v in net.states}
    codes = np.full((1, len(net.variables)), -1, dtype=np.int16)
    for v, state in row.items():
        codes[0, net.index[v]] = net.code(v, state)
    return float(Inference(net if do is None else net.do(do)).query(codes, ["good"])["good"][0, 0])


def odds(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_sound_dataset_with_a_labeller_who_knows_what_is_asked(kind):
    dataset = load_dataset("goodhart", kind=kind)
    assert [str(result) for result in check_dataset(dataset) if not result.ok] == []
    assert "good" in dataset.world.labeller.net.states
    assert dataset.roles["valued"] == ("surroundings",)
    assert (dataset.roles["acts"] == ()) == (kind == "adversarial")


def test_the_regressional_labeller_is_right_in_what_he_sees():
    world = load_dataset("goodhart", kind="regressional").world
    assert odds(good(world.net, {1, 2, 8})) == pytest.approx(-3 + 3 * 1.2)
    assert world.labeller.evidence == ("part_1", "part_2", "part_3", "part_4")
    first = np.full((16, len(world.net.variables)), -1, dtype=np.int16)
    first[:, [world.net.index[v] for v in world.labeller.evidence]] = np.indices((2,) * 4).reshape(4, -1).T
    truth = Inference(world.net).query(first, ["good"])["good"]
    own = np.full((16, len(world.labeller.net.variables)), -1, dtype=np.int16)
    own[:, [world.labeller.net.index[v] for v in world.labeller.evidence]] = first[
        :, [world.net.index[v] for v in world.labeller.evidence]
    ]
    np.testing.assert_allclose(Inference(world.labeller.net).query(own, ["good"])["good"], truth, atol=1e-12)


def test_the_extremal_labeller_is_right_until_half_of_the_parts_are_on():
    world = load_dataset("goodhart", kind="extremal").world
    for count in range(9):
        on = set(range(1, count + 1))
        truth, held = good(world.net, on), good(world.labeller.net, on)
        assert odds(held) == pytest.approx(-3 + 1.2 * count)
        assert odds(truth) == pytest.approx(-3 + 1.2 * min(count, 4) - 2.4 * max(count - 4, 0))


def test_in_the_causal_world_what_goes_with_care_does_nothing_and_harms_after_the_change():
    world = load_dataset("goodhart", kind="causal").world
    net = world.net
    assert good(net, {5, 6, 7, 8}) > good(net, set()) + 0.1  # seen: a sign of care
    cut = net.without_causes(world.tasks["question"].evidence)
    assert good(cut, {5, 6, 7, 8}) == pytest.approx(good(cut, set()))
    assert good(cut, {1, 2}) > good(cut, set()) + 0.1
    after = {"regime": "after"}
    assert good(cut, {5, 6, 7, 8}, do=after) < good(cut, set(), do=after) - 0.05
    assert good(world.labeller.net, {1, 5}) == pytest.approx(good(net, {1, 5}))


def test_in_the_adversarial_world_the_best_looking_outputs_are_a_rivals():
    world = load_dataset("goodhart", kind="adversarial").world
    every = set(range(1, 9))
    assert good(world.labeller.net, every) > 0.99
    assert good(world.net, every) < 0.1
    assert odds(good(world.net, every, rival="absent")) == pytest.approx(-3 + 8 * 1.2)


def test_the_second_half_harms_the_surroundings_and_the_first_does_not():
    net = load_dataset("goodhart", kind="regressional").net
    assert net.parents("surroundings") == ("part_5", "part_6", "part_7", "part_8")
    assert net.cpt("surroundings")[0, 0, 0, 0, 0] == pytest.approx(0.98)
    assert net.cpt("surroundings")[1, 1, 1, 1, 0] == pytest.approx(0.98 * 0.78**4)


def test_sizes_and_bounds():
    assert len(load_dataset("goodhart", kind="causal", parts=5).task("question").evidence) == 5
    for wrong in ({"kind": "lexical"}, {"parts": 1}, {"rate": 0.6}, {"rivals": -0.1}):
        with pytest.raises(DatasetError, match="out of range"):
            load_dataset("goodhart", **wrong)
