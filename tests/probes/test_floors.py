"""The floors probe: what is decodable, beyond what, and whether it is used; each on planted cases and a real trace."""

from dataclasses import replace

import numpy as np
import pytest

from probes.catalogue.floors import FloorsProbe, gains
from probes.floors.ablation import changes, normals, whitened
from probes.floors.decoding import Evaluation, Sampling, evaluation
from probes.floors.verdict import Settings
from probes.measurement import unpack
from probes.organisms.floors import LATENT, Planted, plants
from probes.registry import names, probe
from probes.sources import DatasetSource
from probes.validity import validate
from tests.stored import stored
from worldnets import load_dataset, train
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training

SMALL = Sampling(clips=256, groups=8, folds=3, draws=4)


def planted_evaluation(rows=600, seed=0):
    """A belief of two states, half of which the exact answer gives away; 12 features of evidence."""
    random = np.random.default_rng(seed)
    evidence = random.standard_normal((rows, 12))
    known, deep = evidence[:, 0], np.tanh(evidence[:, 1] * evidence[:, 2])
    belief = 0.5 + 0.15 * np.tanh(known) + 0.15 * deep
    answer = 1 / (1 + np.exp(-known))
    shares = np.zeros((8, rows))
    shares[np.arange(rows) % 8, np.arange(rows)] = 8 / rows
    both = lambda p: np.stack([1 - p, p], axis=1)
    return (
        Evaluation(
            np.zeros((rows, 1), np.int16), shares, random.permutation(rows) % 4, 4, Sampling().penalties,
            {"z": both(belief)}, evidence, np.concatenate([both(answer), np.log(both(answer))], axis=1), both(answer),
        ),
        known,
        deep,
    )  # fmt: skip


def test_the_probe_is_found_by_name():
    assert "floors" in names()
    assert probe("floors").name == "floors"


def test_r2_is_that_of_held_out_evidence():
    known, _, deep = planted_evaluation()
    r2 = lambda features: 1 - known.residuals(features, ["z"]).mean()
    assert r2(known.beliefs["z"]) == pytest.approx(1.0, abs=1e-4)
    assert r2(np.random.default_rng(1).standard_normal((600, 60))) < 0.05  # 60 features of noise fit what they saw
    assert r2(np.zeros((600, 3))) == pytest.approx(0.0, abs=0.02)
    assert 0.3 < r2(known.readout) < 0.7
    assert r2(np.stack([deep, known.history[:, 0]], axis=1)) > 0.95
    assert np.isnan(known.residuals(np.full((600, 2), np.nan), ["z"])).all()


def test_r2_does_not_depend_on_units_or_on_other_latents():
    known, _, deep = planted_evaluation()
    features = np.stack([deep, known.history[:, 0], known.history[:, 3]], axis=1)
    scaled = features * [1e-3, 50.0, 1.0] + [5.0, 0.0, -2.0]
    np.testing.assert_allclose(known.residuals(features, ["z"]), known.residuals(scaled, ["z"]), rtol=1e-6)
    two = replace(known, beliefs={**known.beliefs, "w": known.answer})
    np.testing.assert_allclose(two.residuals(features, ["w", "z"])[1], known.residuals(features, ["z"])[0], rtol=1e-9)


def test_without_its_space_no_linear_readout_finds_a_belief_and_everything_else_stays():
    known, shallow, deep = planted_evaluation()
    mixing = np.random.default_rng(3).standard_normal((3, 9))
    activations = np.stack([deep, shallow, known.history[:, 5]], axis=1) @ mixing
    white = whitened(activations, known.weight)
    assert white.back.shape == (3, 9)
    np.testing.assert_allclose(white.whole @ white.back + white.mean, activations, atol=1e-8)
    space = white.space_of(known.beliefs["z"], known.weight)
    assert space.shape == (3, 1)
    without = white.without(activations, space)
    centred = known.beliefs["z"] - known.weight @ known.beliefs["z"]
    np.testing.assert_allclose((without * known.weight[:, None]).T @ centred, 0, atol=1e-10)
    assert known.residuals(without, ["z"]).mean() > 0.95
    assert np.linalg.matrix_rank(activations - without, tol=1e-8) == 1
    np.testing.assert_allclose(known.weight @ without, white.mean, atol=1e-12)


def test_random_spaces_are_the_same_for_every_head_of_that_many_units():
    first, again, other = normals(5, 2, 3, 7), normals(5, 2, 3, 7), normals(6, 2, 3, 7)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert other[0].shape == (6, 2)
    white = whitened(np.random.default_rng(0).standard_normal((50, 5)), np.full(50, 0.02))
    space = white.random_space(first[0])
    np.testing.assert_allclose(space.T @ space, np.eye(2), atol=1e-12)


def test_the_change_of_an_answer_is_its_divergence_in_bits():
    q, other = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    found = changes(q, [q, other], np.eye(2))
    np.testing.assert_allclose(found[0], 0, atol=1e-15)
    np.testing.assert_allclose(found[1], [0.5 * np.log2(2) + 0.5 * np.log2(0.5 / 0.75), 0], atol=1e-12)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("floors", 25, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.92
    assert all(share.high >= 0.93 for share in score.coverage.values())


def test_gains_are_over_the_best_floor_of_each_seed():
    (m,) = unpack(Planted(0.5, 0.5, 0.0, clips=0.0).cell(0), "floors")
    floor, gain, influence = gains(m, Settings())
    np.testing.assert_allclose(floor, 0.2)
    np.testing.assert_allclose(gain[-1], 0.5)
    np.testing.assert_allclose(influence[:, -1], 0, atol=1e-12)
    ends = {**m.ends, "untrained groups": np.full((8, 16), 0.05)}  # an untrained head better than the exact answer
    _, gain, _ = gains(replace(m, ends=ends), Settings())
    assert (gain[-1] < 0).all()


def test_seeds_that_diverged_are_left_out():
    cell = Planted(0.6, 0.5).cell(0)
    for name in ("residual", "effect", "random", "everything", "loss added"):
        cell["arrays"][f"0.numbers.{name}"][-1, 3] = np.nan
    found = FloorsProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("decodable-and-used", 7, 1)
    assert found.last("gain", LATENT).value.n == 7


@pytest.fixture(scope="module")
def trace():
    vault = load_dataset("vault", frames=3)
    return train(vault, "mlp", seeds=2, steps=30, batch=32, checkpoints=[0, 30], head_options={"width": 6})


@pytest.fixture(scope="module")
def cell(trace):
    return FloorsProbe(SMALL).measure(trace)


def test_a_trace_is_measured_the_same_twice_and_step_0_is_never_above_its_floors(trace, cell):
    calls = []
    again = FloorsProbe(SMALL).measure(trace, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert calls == [(1, 2), (2, 2)]
    for m in unpack(cell, "floors"):
        _, gain, _ = gains(m, Settings())
        assert (gain[0] <= 1e-12).all()
        np.testing.assert_array_equal(m.numbers["residual"][0], m.ends["untrained"])
        assert m.world["ceiling"].mean() < 1e-3


def test_there_is_one_verdict_for_each_latent_and_every_finding_has_an_interval(trace, cell):
    found = FloorsProbe(SMALL).conclude([cell])
    assert tuple(found.verdicts) == trace.task.latents
    frame = found.to_pandas()
    assert {"R²", "R², raw evidence", "R², exact answer", "R², untrained head", "gain", "excess effect"} <= set(
        frame.name
    )
    assert frame[["low", "high"]].notna().to_numpy().all()


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    floors = FloorsProbe(SMALL)
    apart = [floors.of_seeds(cell, [1]), floors.of_seeds(cell, [0])]
    whole = floors.conclude([cell])
    for other in (floors.conclude([stored(cell)]), floors.conclude(apart), floors.conclude(apart[::-1])):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert {z: v.to_dict() for z, v in other.verdicts.items()} == {
            z: v.to_dict() for z, v in whole.verdicts.items()
        }


def test_a_trace_without_checkpoint_0_has_the_same_untrained_floor(trace, cell):
    late = train(trace.dataset, "mlp", seeds=2, steps=30, batch=32, checkpoints=[30], head_options={"width": 6})
    other = FloorsProbe(SMALL).measure(late)
    np.testing.assert_array_equal(other["arrays"]["0.ends.untrained"], cell["arrays"]["0.ends.untrained"])


def test_what_cannot_be_measured_is_refused_before_training():
    vault = load_dataset("vault", frames=3)
    with pytest.raises(ProbeError, match="shows no activations"):
        FloorsProbe().check(plan_training(vault, "inference"))
    with pytest.raises(ProbeError, match="no one set of messages"):
        FloorsProbe().check(plan_training(vault, "message_passing", head_options={"halting": True}))
    task = replace(vault.task("question"), latents=())
    source = DatasetSource(vault, vault.task("question"))
    with pytest.raises(ProbeError, match="no latents"):
        evaluation(vault, task, source, SMALL)
    with pytest.raises(ProbeError, match="too few clips"):
        evaluation(vault, vault.task("question"), source, Sampling(groups=1))
    few = load_dataset("cue_parity", bits=1, noise=0)
    with pytest.raises(ProbeError, match="too little evidence"):
        evaluation(few, few.task("question"), DatasetSource(few, few.task("question")), SMALL)


def test_mess3_linear_floors_are_the_published_ones():
    """Known answer A: .966 from the whole history, 1.000 from the exact next-token distribution."""
    mess3 = load_dataset("mess3")
    task = mess3.task("continuation")
    known = evaluation(mess3, task, DatasetSource(mess3, task), Sampling())
    r2 = {name: 1 - known.residuals(getattr(known, name), task.latents).mean() for name in ("history", "readout")}
    assert r2["history"] == pytest.approx(0.966, abs=0.006)
    assert r2["readout"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.slow
def test_an_untrained_network_on_mess3_is_nearly_decodable_and_is_not_called_so():
    mess3 = load_dataset("mess3")
    trace = train(mess3, "gru", seeds=4, steps=100, batch=64, checkpoints=[0, 100])
    found = FloorsProbe().run(trace)
    first = next(f for f in found.named("R²") if f.step == 0)
    assert 0.96 < first.value.estimate < 0.99
    assert all(f.value.high <= 0.1 for f in found.named("gain") if f.step == 0)
    assert found.verdict.name == "floors-at-ceiling"
