"""The transmission probe: edits that lie where they should, message passing follows them exactly, deaf heads do not."""

from dataclasses import replace

import numpy as np
import pytest

from probes.catalogue.transmission import TransmissionProbe, depths_at
from probes.measurement import unpack
from probes.organisms.transmission import TARGET, Planted, plants
from probes.registry import names, probe
from probes.transmission.edits import Sampling, certain, editable, edited, moral_distances
from probes.transmission.measured import scaled
from probes.transmission.verdict import Settings
from probes.validity import validate
from tests.stored import stored
from worldnets import Inference, WorldNet, load_dataset, train
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training

SMALL = Sampling(clips=128, groups=8, edits=3, depths=3)


def chain():
    """y → z → a → x, and a bystander."""
    bit, flip = ("no", "yes"), [[0.8, 0.2], [0.3, 0.7]]
    parents = {"z": ("y",), "a": ("z",), "x": ("a",)}
    cpts = {"y": [0.4, 0.6], "z": flip, "a": flip, "x": flip, "other": [0.5, 0.5]}
    return WorldNet(dict.fromkeys(["y", "z", "a", "x", "other"], bit), parents, cpts)


def test_the_probe_is_found_by_name():
    assert "transmission" in names()
    assert probe("transmission").name == "transmission"


def test_depth_is_distance_in_the_moral_graph():
    assert moral_distances(chain(), ["y"]) == {"y": 0, "z": 1, "a": 2, "x": 3}
    asia = load_dataset("asia").net
    found = moral_distances(asia, ["lung"])
    assert found["tub"] == 1  # married by their child
    assert found["asia"] == 2


def test_only_tables_that_the_posterior_depends_on_are_edited():
    assert editable(chain(), ["y"], ["x"]) == {0: ("y",), 1: ("z",), 2: ("a",), 3: ("x",)}
    assert editable(chain(), ["y"], ["z"]) == {0: ("y",), 1: ("z",)}  # what is behind the evidence says nothing
    assert editable(chain(), ["y"], ["other"]) == {0: ("y",)}  # nothing below the target is seen


def test_heads_on_beliefs_are_edited_only_where_their_beliefs_carry_it():
    assert editable(chain(), ["y"], ["x"], given=["z"]) == {2: ("a",), 3: ("x",)}
    assert editable(chain(), ["y"], ["x"], given=["a"]) == {3: ("x",)}
    assert editable(chain(), ["y"], ["x"], given=["other"]) == {}


def test_nodes_without_chance_block_like_evidence():
    bit = ("no", "yes")
    net = WorldNet({"c": bit, "d": bit, "y": bit}, {"d": ("c",), "y": ("d",)},
                   {"c": [0, 1], "d": [[1, 0], [0, 1]], "y": [[0.9, 0.1], [0.2, 0.8]]})  # fmt: skip
    assert certain(net) == ("c", "d")
    assert editable(net, ["y"], []) == {0: ("y",)}


def test_an_edit_mixes_one_table_with_a_random_one_and_is_the_same_every_time():
    net = chain()
    one, again, other = (edited(net, "a", draw, Sampling(strength=0.25)) for draw in (0, 0, 1))
    assert np.array_equal(one.net.cpt("a"), again.net.cpt("a"))
    assert not np.array_equal(one.net.cpt("a"), other.net.cpt("a"))
    drawn = (one.net.cpt("a") - 0.75 * net.cpt("a")) / 0.25
    assert (drawn >= -1e-12).all()
    np.testing.assert_allclose(drawn.sum(-1), 1)
    for v in ("y", "z", "x", "other"):
        assert np.array_equal(one.net.cpt(v), net.cpt(v))


def test_a_table_taken_to_matter_does_and_one_left_out_does_not():
    asia = load_dataset("asia")
    net, evidence = asia.net, asia.task("question").evidence
    codes = np.full((40, len(net.variables)), -1, dtype=np.int16)
    columns = [net.index[v] for v in evidence]
    codes[:, columns] = asia.simulate(40, seed=1)[:, columns]
    before = Inference(net).query(codes, ["lung"])["lung"]
    matter = {v for nodes in editable(net, ["lung"], evidence).values() for v in nodes}
    for v in net.variables:
        after = Inference(edited(net, v, 0, Sampling()).net).query(codes, ["lung"])["lung"]
        assert (np.abs(after - before).max() > 1e-6) == (v in matter), v


def test_log_odds_are_centred_and_bounded():
    log_q = np.log(np.array([[0.5, 0.5], [1.0, 1e-12]]))
    found = scaled(log_q, "log-odds")
    np.testing.assert_allclose(found.sum(-1), 0, atol=1e-12)
    assert found[1, 0] == pytest.approx(-np.log(1e-6) / 2)
    np.testing.assert_allclose(scaled(log_q, "probability"), np.exp(log_q))


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("transmission", 25, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.92
    assert all(share.high >= 0.93 for share in score.coverage.values())


@pytest.fixture(scope="module")
def asia():
    return load_dataset("asia")


@pytest.mark.parametrize("scale", ["probability", "log-odds"])
def test_message_passing_itself_has_slope_1_at_every_depth(asia, scale):
    trace = train(asia, "inference", "question", seeds=2, steps=2, checkpoints=[0, 2])
    found = TransmissionProbe(replace(SMALL, scale=scale)).run(trace)
    assert {v.name for v in found.verdicts.values()} == {"runs-through-the-world-model"}
    for name in ("slope", "R²", "agreement"):
        assert found.named(name)
        assert all(f.value.estimate == pytest.approx(1.0, abs=1e-9) for f in found.named(name))


@pytest.fixture(scope="module")
def trace():
    vault = load_dataset("vault", frames=3)
    return train(vault, "mlp", inputs="beliefs", seeds=2, steps=400, batch=64, learning_rate=0.01, checkpoints=[0, 400],
                 head_options={"width": 16})  # fmt: skip


@pytest.fixture(scope="module")
def cell(trace):
    return TransmissionProbe(SMALL).measure(trace)


def test_a_trained_head_on_beliefs_follows_edits_that_an_untrained_one_does_not(cell):
    (m,) = unpack(cell, "transmission")
    first, last = depths_at(m, 0), depths_at(m, 1)
    assert [one.depth for one in last] == m.world["depths"].tolist()
    assert min(m.world["depths"]) >= 2  # the target's own table, and what makes it, are in no belief about the present
    trained, untrained = (np.mean([one.slopes.mean() for one in ends]) for ends in (last, first))
    assert trained > untrained + 0.25  # 400 steps bring it less than half of the way; the whole way is the study's


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(trace, cell):
    calls = []
    again = TransmissionProbe(SMALL).measure(trace, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    transmission = TransmissionProbe(SMALL)
    apart = [transmission.of_seeds(cell, [1]), transmission.of_seeds(cell, [0])]
    whole = transmission.conclude([cell])
    assert all(f.value.low <= f.value.high for f in whole)
    for other in (transmission.conclude([stored(cell)]), transmission.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()


def test_a_head_that_no_edit_reaches_gets_a_verdict_of_its_own():
    found = TransmissionProbe().conclude([Planted({}).cell(0)])
    assert found.verdict.name == "nothing-to-transmit"
    assert not found.named("slope")


def test_diverged_seeds_are_left_out_and_settings_decide():
    cell = Planted({1: 1.0, 2: 1.0}, 0.1, 0.02, 0.04, 0.04).cell(0)
    cell["arrays"]["0.numbers.slopes"][-1, 2] = np.nan
    found = TransmissionProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds) == ("runs-through-the-world-model", 7)
    assert found.last("slope", TARGET).value.n == 7
    strict = TransmissionProbe().conclude([cell], Settings(delta=0.001))
    assert strict.verdict.name == "inconclusive"


def test_heads_on_raw_evidence_cannot_be_edited_and_say_so(asia):
    with pytest.raises(ProbeError, match='inputs="beliefs"'):
        TransmissionProbe().check(plan_training(asia, "mlp", "question"))
    with pytest.raises(ProbeError, match="unknown scale"):
        TransmissionProbe(replace(SMALL, scale="bits")).check(plan_training(asia, "inference", "question"))


def test_a_world_model_without_the_target_is_refused(asia):
    task = asia.task("question")
    shown = {v: asia.net.states[v] for v in (*task.evidence, *task.latents)}
    poor = WorldNet(shown, {}, {v: np.full(len(states), 1 / len(states)) for v, states in shown.items()})
    trace = train(asia, "linear", "question", inputs="beliefs", world_model=poor, seeds=1, steps=2, checkpoints=[0, 2])
    with pytest.raises(ProbeError, match="lacks the target"):
        TransmissionProbe(SMALL).measure(trace)
