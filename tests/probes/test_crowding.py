"""The crowding probe from trace to verdict: the twin, own bits of all deep evidence together, pull, and what is
refused.
"""

from dataclasses import replace

import numpy as np
import pytest

import worldnets as wn
from probes.catalogue.crowding import CrowdingProbe, Sampling, conclude_target, deep_pull, starved_seeds
from probes.crowding.measured import DEEP, Puller, Split, split_ladder
from probes.crowding.verdict import Settings
from probes.enumerated import EnumeratedReference
from probes.ladder import Sampling as OfReferences
from probes.ladder import references
from probes.measurement import unpack
from probes.organisms.crowding import SPLIT, Heads, constant, cue_world
from probes.registry import names, probe
from probes.sources import TableSource
from tests.stored import stored
from worldnets.errors import ProbeError, UnknownNameError
from worldnets.training import retrained
from worldnets.training_plan import plan_training

SMALL = {"noise": 1}


@pytest.fixture(scope="module")
def trace():
    dataset = wn.load_dataset("cue_parity", **SMALL)
    return wn.train(dataset, "mlp", "question", seeds=3, steps=40, checkpoints=[0, 10, 27, 40])


@pytest.fixture(scope="module")
def cell(trace):
    return CrowdingProbe().measure(trace)


def test_the_probe_is_found_by_name():
    assert "crowding" in names()
    assert probe("crowding").name == "crowding"
    with pytest.raises(UnknownNameError, match="crowding"):
        probe("crowdin")


def test_what_is_measured_is_the_run_and_the_run_that_redrawing_by_hand_gives(trace, cell):
    (measured,) = unpack(cell, "crowding")
    dataset = trace.dataset
    twin = retrained(trace, dataset=dataset.with_redrawn(["cue"]))
    for prefix, run in (("", trace), ("twin ", twin)):
        known = references(run.dataset, run.task, OfReferences())
        reference = known.get(run.task.ladders["answer"], "answer")
        predict = run.predictor(reference.inputs)
        pies = [reference.measure(predict(checkpoint, "answer")) for checkpoint in range(4)]
        np.testing.assert_array_equal(measured.numbers[f"{prefix}own"], np.stack([pie.own for pie in pies]))
        np.testing.assert_array_equal(measured.numbers[f"{prefix}reliance"], np.stack([pie.reliance for pie in pies]))
        np.testing.assert_array_equal(measured.world[f"{prefix}ceiling"], reference.about.own_ceiling)


def test_the_same_trace_gives_the_same_bits_and_progress_counts_both_runs(trace, cell):
    calls = []
    again = CrowdingProbe().measure(trace, lambda done, total: calls.append((done, total)))
    assert calls == [(i, 8) for i in range(1, 9)]
    assert again["metadata"] == cell["metadata"]
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(again["arrays"][name], array)


def test_a_cell_that_was_stored_concludes_the_same(cell):
    fresh, back = (CrowdingProbe().conclude([one]) for one in (cell, stored(cell)))
    assert [f.to_dict() for f in fresh] == [f.to_dict() for f in back]
    assert fresh.verdict == back.verdict


def test_neither_the_order_of_cells_nor_their_number_changes_a_conclusion(cell):
    crowding = CrowdingProbe()
    one, two = crowding.of_seeds(cell, {0, 2}), crowding.of_seeds(cell, {1})
    whole = crowding.conclude([cell])
    for cells in ([one, two], [two, one]):
        parted = crowding.conclude(cells)
        assert [f.to_dict() for f in parted] == [f.to_dict() for f in whole]
        assert parted.verdict == whole.verdict


def test_every_finding_has_an_interval_or_is_exact(cell):
    for finding in CrowdingProbe().conclude([cell]):
        value = finding.value
        assert value.kind == "exact" or value.low <= value.estimate <= value.high


def test_deep_own_bits_are_those_of_all_deep_rungs_together():
    # Two deep rungs that say the same: each alone has little of its own, together they have all there is.
    world = np.zeros((2, 2, 2, 2))
    for s, d, y in np.ndindex(2, 2, 2):
        world[s, d, d, y] = cue_world()[s, d, y]
    apart = EnumeratedReference(world)
    together = EnumeratedReference(world.reshape(2, 4, 2))
    np.testing.assert_allclose(
        together.about.own_ceiling[DEEP], EnumeratedReference(cue_world()).about.own_ceiling[DEEP]
    )
    assert apart.about.information[2] == pytest.approx(0, abs=1e-12)


def test_several_deep_rungs_become_one_and_pull_keeps_them_all():
    dataset = wn.load_dataset("vault", frames=4, pixels=1, context=3)
    trace = wn.train(dataset, "linear", "question", seeds=2, steps=4, checkpoints=[0, 4])
    (first, *_) = unpack(CrowdingProbe().measure(trace), "crowding")
    rungs = first.plain["rungs"]
    assert len(rungs) > 2
    assert first.numbers["own"].shape == (2, 2, 2)
    assert first.numbers["pull"].shape == (2, 2, len(rungs))


def test_targets_with_the_same_shallow_evidence_share_a_twin(monkeypatch):
    import worldnets.training as training

    trained = []
    real = training.retrained
    monkeypatch.setattr(training, "retrained", lambda *given, **changes: trained.append(1) or real(*given, **changes))
    dataset = wn.load_dataset("vault", frames=4, pixels=1, context=3)
    trace = wn.train(dataset, "linear", "continuation", seeds=2, steps=4, checkpoints=[0, 4])
    found = CrowdingProbe().run(trace)
    known = references(dataset, trace.task, OfReferences())
    cuts = [split_ladder(known, trace.task.ladders[t.name], t.name, Sampling()) for t in trace.task.targets]
    assert len(trained) == len({frozenset(cut.shallow) for cut in cuts if cut.deep})
    assert set(found.verdicts) == {target.name for target in trace.task.targets}


def test_a_sampled_reference_says_what_enumeration_says_within_its_error(trace, cell):
    sampled = CrowdingProbe(Sampling(method="sample", clips=256, candidates=2048, pool=1024, holders=64, groups=8))
    drawn = sampled.measure(trace)
    (found,), (exact,) = unpack(drawn, "crowding"), unpack(cell, "crowding")
    for name in ("pull", "twin pull", "own", "twin own"):
        error = found.grouped[name].std(0, ddof=1) / np.sqrt(len(found.grouped[name]))
        assert np.all(np.abs(found.numbers[name] - exact.numbers[name]) < 5 * error + 0.02), name
    assert sampled.conclude([drawn]).last("crowding", "answer").value.kind == "t, seeds and clips"


def test_pull_is_the_slope_of_the_loss_towards_the_rung_and_vanishes_for_the_exact_predictor():
    table = cue_world(0.9, 0.8)
    reference = EnumeratedReference(table, SPLIT.rungs)
    puller = Puller(reference, TableSource(table, ("s", "d")), SPLIT, "y")
    q = np.log(np.random.default_rng(0).dirichlet([2, 2], (3, 4)))
    small = 1e-5
    moved = q[None] + small * puller.increments[:, None]  # a step along log2 p_k/p_(k−1), rung by rung
    moved = moved - np.log(np.exp(moved).sum(-1, keepdims=True))
    slope = -((reference.weight[:, None] * reference.ladder[-1]) * (moved - q)).sum((-1, -2)) / small
    np.testing.assert_allclose(puller(q)[0], -slope.T, atol=1e-4)
    np.testing.assert_allclose(puller(np.log(reference.ladder[-1])[None])[0], 0, atol=1e-12)


def test_pull_of_every_rung_of_a_longer_ladder_sums_to_that_of_two():
    dataset = wn.load_dataset("cue_parity", **SMALL)
    task = dataset.task("question")
    known = references(dataset, task, OfReferences())
    rungs = (("cue",), ("bit_1",), ("bit_2", "bit_3"), ("noise_1",))
    long = Split(rungs, 1)
    reference = known.get((long.shallow, long.deep), "answer")
    q = np.log(np.random.default_rng(0).dirichlet([2, 2], (2, len(reference.inputs))))
    fine = Puller(reference, known.source, long, "answer")(q)[0]
    coarse = Puller(reference, known.source, Split((long.shallow, long.deep), 1), "answer")(q)[0]
    np.testing.assert_allclose(fine[:, 1:].sum(-1), coarse[:, 1], atol=1e-12)
    np.testing.assert_allclose(fine[:, 1], 0, atol=1e-12)  # one bit of a parity says nothing
    np.testing.assert_allclose(fine[:, 3], 0, atol=1e-12)  # nor does noise


def test_starved_is_a_pull_that_halved_before_half_was_learned():
    pull = np.array([[1.0, 1.0, 1.0], [0.4, 0.9, 0.4], [0.4, 0.1, 0.1]])
    share = np.array([[0.0, 0.0, 0.0], [0.1, 0.4, 0.6], [0.1, 0.9, 0.9]])
    assert starved_seeds(pull, share, 0.5).tolist() == [True, False, False]


def test_a_crowded_organism_starves_and_its_twin_does_not():
    measured = Heads(lambda t: (np.minimum(1, t / 0.01), 0 * t), lambda t: (0 * t, np.minimum(1, t / 0.1))).measured(
        np.random.default_rng(0)
    )
    assert starved_seeds(deep_pull(measured), measured.numbers["own"][..., DEEP], 0.2).all()
    findings, verdict = conclude_target(measured, Settings())
    assert verdict.name == "crowded-out"
    assert any("starves" in reason for reason in verdict.reasons)
    assert {"starved", "delay", "reached half", "reached half, twin"} <= {f.name for f in findings}


def test_a_ladder_of_one_rung_has_nothing_deep_and_trains_no_twin(monkeypatch, trace):
    import worldnets.training as training

    monkeypatch.setattr(training, "retrained", None)
    whole = CrowdingProbe(ladders={"answer": [trace.task.evidence]})
    assert whole.run(trace).verdict.name == "nothing-deep"


def test_a_world_whose_deep_evidence_says_nothing_is_nothing_deep():
    dataset = wn.load_dataset("cue_parity", deep_strength=0.5, noise=0)
    found = CrowdingProbe().run(wn.train(dataset, "linear", "question", seeds=2, steps=2, checkpoints=[0, 2]))
    assert found.verdict.name == "nothing-deep"
    assert not found.named("own share")
    assert found.named("own bits, deep")


def test_a_seed_that_diverged_is_left_out(cell):
    (measured,) = unpack(cell, "crowding")
    lost = {name: array.copy() for name, array in measured.numbers.items()}
    for name in lost:
        if name.startswith("twin"):
            lost[name][2:, 1] = np.nan
    findings, verdict = conclude_target(replace(measured, numbers=lost), Settings())
    assert (verdict.seeds, verdict.diverged) == (2, 1)
    assert all(f.value.n in (0, 2) for f in findings)


def test_all_seeds_lost_is_an_error(cell):
    (measured,) = unpack(cell, "crowding")
    lost = {name: np.full_like(array, np.nan) for name, array in measured.numbers.items()}
    with pytest.raises(ProbeError, match="every seed diverged"):
        conclude_target(replace(measured, numbers=lost), Settings())


def test_a_twin_is_refused_before_anything_is_trained():
    dataset = wn.load_dataset("cue_parity", **SMALL).with_redrawn(["cue"])
    with pytest.raises(ProbeError, match="a twin has no twin"):
        CrowdingProbe().check(plan_training(dataset, "linear", "question"))


def test_a_head_on_another_world_model_is_refused_and_one_on_the_worlds_own_beliefs_is_not():
    dataset = wn.load_dataset("vault", frames=3, pixels=1)
    copy = wn.WorldNet(dataset.net.states, dataset.net.parent_sets, dataset.net.cpts, "another")
    CrowdingProbe().check(plan_training(dataset, "linear", "question", inputs="beliefs"))
    with pytest.raises(ProbeError, match="world-model of its own"):
        CrowdingProbe().check(plan_training(dataset, "linear", "question", inputs="beliefs", world_model=copy))


def test_a_split_that_leaves_a_side_empty_is_refused(trace):
    with pytest.raises(ProbeError, match="no such split"):
        CrowdingProbe(Sampling(shallow_rungs=2)).measure(trace)


def test_a_ladder_that_is_none_is_refused(trace):
    with pytest.raises(ProbeError, match="unknown evidence"):
        CrowdingProbe(ladders={"answer": [["cue"], ["bit_9"]]}).measure(trace)


def test_no_cell_and_cells_of_other_probes_are_refused(cell):
    with pytest.raises(ProbeError, match="nothing was measured"):
        CrowdingProbe().conclude([])
    with pytest.raises(ProbeError, match="not a cell of this probe"):
        CrowdingProbe().conclude([{**cell, "metadata": {**cell["metadata"], "probe": "depth"}}])


def test_two_seeds_of_the_exact_predictor_in_a_redundant_world_are_not_crowded():
    heads = Heads(constant(1, 1), constant(1, 1), "redundant", seeds=2, noise=0.0)
    assert conclude_target(heads.measured(np.random.default_rng(0)), Settings())[1].name == "not-crowded"


def test_it_is_shown_by_its_headlines_and_pictures(cell):
    presentation = CrowdingProbe().presentation
    found = CrowdingProbe().conclude([cell])
    row = presentation.headlines(found, "answer")
    assert {"crowding", "own_share", "own_share_twin"} <= set(row)
    from probes.crowding.verdict import NAMES

    assert set(presentation.signs) == set(NAMES)
    named = {finding.name for finding in found}
    assert all(set(picture.names) <= named for picture in presentation.pictures)
