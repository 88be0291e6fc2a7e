"""The path probe: heads that came to one end by different ways."""

import json
from dataclasses import replace

import numpy as np
import pytest

import probes
import worldnets as wn
from probes.catalogue.path import PathProbe, Sampling
from probes.measurement import joined, pack, unpack
from probes.organisms.path import Ways, a_run, plants, population
from probes.path.barrier import barriers
from probes.path.clips import Clips
from probes.path.discovery import discover
from probes.path.matching import assignment, matched
from probes.path.measured import pseudo_values
from probes.path.verdict import Contrasts, Settings, verdict
from worldnets.errors import ProbeError
from worldnets.growth import Growth
from worldnets.heads.base import build_head
from worldnets.heads.inputs import EvidenceInputs
from worldnets.learning import by_radius


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=3, pixels=1)


@pytest.fixture(scope="module")
def grown(dataset):
    growth = by_radius(dataset, "continuation")
    request = {"seeds": 4, "steps": 60, "batch": 32, "checkpoints": [0, 30, 60], "learning_rate": 0.01}
    trace = wn.train(dataset, "mlp", "continuation", world_model=growth, head_options={"width": 8}, **request)
    probe = probes.probe("path")
    return trace, probe.measure(trace)


def test_a_grown_run_is_measured_beside_its_companions_and_survives_a_file(grown, tmp_path):
    trace, cell = grown
    (m,) = unpack(cell, "path")
    growth = trace.inputs.growth
    assert m.plain["stages"] == [stage.name for stage in growth.stages]
    for role in ("grown", "fresh", "short", "reversed"):
        assert m.numbers[f"captured, {role}"].shape == (3, 4, len(m.world["information"]))
    first = PathProbe().conclude([cell])
    np.savez(tmp_path / "cell.npz", **cell["arrays"])
    with np.load(tmp_path / "cell.npz") as arrays:
        again = {"metadata": json.loads(json.dumps(cell["metadata"])), "arrays": dict(arrays)}
    second = PathProbe().conclude([again])
    assert [finding.to_dict() for finding in first] == [finding.to_dict() for finding in second]
    assert first.verdict == second.verdict
    names = {finding.name for finding in first}
    assert {"grown less reversed", "grown less fresh", "grown less short", "divergence beyond seeds"} <= names
    assert {"barrier, grown and fresh, matched", "barrier, between seeds, matched"} <= names


def test_the_fresh_companion_is_the_head_that_never_saw_an_earlier_stage(grown, dataset):
    _, cell = grown
    (m,) = unpack(cell, "path")
    plain = wn.train(
        dataset, "mlp", "continuation", head_options={"width": 8}, seeds=4, steps=60, batch=32,
        checkpoints=[0, 30, 60], learning_rate=0.01,
    )  # fmt: skip
    depth = probes.probe("depth").measure(plain)
    np.testing.assert_array_equal(m.numbers["captured, fresh"], depth["arrays"]["0.pie.captured"])


def test_the_verdict_changes_neither_with_the_order_of_cells_nor_with_seeds_left_out(grown):
    _, cell = grown
    probe = PathProbe()
    (m,) = unpack(cell, "path")
    parts = [pack([m.taken(columns)], "path", 1) for columns in ([2, 0], [3, 1])]
    one, other = probe.conclude(parts), probe.conclude(parts[::-1])
    assert one.verdict == other.verdict
    assert joined([unpack(part, "path")[0] for part in parts]).seeds == (0, 1, 2, 3)
    assert probe.of_seeds(cell, {0, 1, 2})["metadata"]["seeds"] == [0, 1, 2]
    assert probe.conclude([probe.of_seeds(cell, {0, 1, 2})]).verdict.seeds == 3


def test_matching_undoes_any_order_and_sign_of_hidden_units(dataset):
    task = dataset.task("continuation")
    view = EvidenceInputs(dataset.net, task, dataset.world.frames)
    features = view.features(dataset.simulate(64, seed=1))
    weight = np.full(64, 1 / 64)
    random = np.random.default_rng(0)
    for kind, options in (("mlp", {"width": 6, "activation": "tanh"}), ("mlp", {"width": 6}), ("gru", {"width": 5})):
        head = build_head(kind, np.random.default_rng(3), view, 4, options)
        other = build_head(kind, np.random.default_rng(4), view, 4, options)
        turned = matched(other, head, kind, features, weight)  # another order: that of the other head
        answers = [np.stack([np.asarray(one(row)) for row in features[:5]]) for one in (head, turned)]
        np.testing.assert_allclose(*answers, atol=1e-5)
        back = matched(head, turned, kind, features, weight)
        first = head.layers[0].weight if kind == "mlp" else head.recurrent if hasattr(head, "recurrent") else None
        if first is not None:
            np.testing.assert_allclose(np.asarray(back.layers[0].weight), np.asarray(first), atol=1e-6)
    order = random.permutation(5)
    units = random.standard_normal((64, 5))
    found, sign = assignment(units, -units[:, order], weight, signs=True)
    np.testing.assert_array_equal(order[found], np.arange(5))
    assert np.all(sign == -1)


def test_there_is_no_barrier_between_linear_heads_for_their_loss_is_convex(dataset):
    trace = wn.train(dataset, "linear", "continuation", seeds=3, steps=20, batch=16, checkpoints=[0, 20])
    reference = probes.ladder.references(dataset, trace.task, probes.ladder.Sampling()).get(
        trace.task.ladders[trace.task.targets[0].name], trace.task.targets[0].name
    )
    clips, features = Clips.of(reference), trace.inputs.features(reference.inputs)
    plain, best = barriers(trace, trace, [(0, 1), (1, 2)], trace.task.targets[0].name, clips, features)
    np.testing.assert_allclose(plain, 0.0, atol=1e-6)
    np.testing.assert_array_equal(plain, best)


def test_pairs_of_seeds_average_to_their_mean_and_use_only_seeds_that_are_there():
    random = np.random.default_rng(1)
    between = random.random((8, 8))
    between = (between + between.T) / 2
    values = pseudo_values(between, tuple(range(8)))
    assert values.mean() == pytest.approx(between[~np.eye(8, dtype=bool)].mean())
    kept = [0, 2, 5]
    some = pseudo_values(between[kept], (0, 2, 5))
    assert some.mean() == pytest.approx(np.mean([between[0, 2], between[0, 5], between[2, 5]]))
    assert np.isnan(pseudo_values(between[:2], (0, 1))).all()


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role != "null"], ids=lambda plant: plant.name)
def test_every_verdict_is_found_where_it_was_planted(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(4)]
    assert sum(outcome in plant.claims for outcome in outcomes) >= 3, outcomes


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role == "null"], ids=lambda plant: plant.name)
def test_what_was_not_planted_is_hardly_ever_claimed(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(8)]
    assert sum(outcome in plant.claims for outcome in outcomes) <= 2, outcomes


def test_a_run_through_clips_carries_their_variance_into_the_verdict():
    whole = population(Ways({"grown": 0.9, "fresh": 0.9, "short": 0.9, "reversed": 0.3}))
    members = np.arange(8)
    exact, seen = a_run(whole, members), a_run(whole, members, np.random.default_rng(0))
    assert not exact.grouped
    assert seen.grouped["captured, grown"].shape == (16, 1, 8, 4)
    from probes.catalogue.path import conclude_target

    book, _ = conclude_target(seen, Settings())
    kinds = {finding.value.kind for finding in book.findings if finding.name == "grown less reversed"}
    assert kinds == {"t, seeds and clips"}


def test_without_another_order_the_rule_goes_by_fresh_heads_alone():
    ones = np.linspace(-0.01, 0.01, 8)
    contrasts = Contrasts(0.2, np.full(8, 0.9), None, ones, ones, ones)
    assert verdict(contrasts, Settings()).name == "path-independent"
    assert verdict(replace(contrasts, total=ones + 0.3, last=ones + 0.4), Settings()).name == "path-dependent"
    # Deeper than those with fewer steps on the end, as deep as those with as many: nothing but budget.
    assert verdict(replace(contrasts, last=ones + 0.4), Settings()).name == "path-independent"


def test_bad_requests_are_refused(dataset):
    plain = {"seeds": 2, "steps": 6, "batch": 8, "checkpoints": [0, 6]}
    with pytest.raises(ProbeError, match="cannot be trained on what grows"):
        probes.probe("path").measure(wn.train(dataset, "world_model", "continuation", **plain))
    linear = wn.train(dataset, "linear", "continuation", **plain)
    with pytest.raises(wn.WorldnetsError, match="unknown kind"):
        PathProbe(Sampling(kind="radios")).measure(linear)
    with pytest.raises(wn.WorldnetsError, match="raw evidence passes no messages"):
        PathProbe(Sampling(kind="rounds")).measure(linear)
    early = wn.train(dataset, "linear", "continuation", **{**plain, "checkpoints": [0, 4]})
    with pytest.raises(ProbeError, match="the end of the run was not kept"):
        probes.probe("path").measure(early)
    with pytest.raises(ProbeError, match="nothing was measured"):
        probes.probe("path").conclude([])


def test_a_head_whose_units_cannot_be_matched_has_no_barrier_and_the_cell_says_so(dataset):
    trace = wn.train(dataset, "scikit_learn", "continuation", seeds=3, steps=6, batch=8, checkpoints=[0, 6])
    cell = probes.probe("path").measure(trace)
    assert "not known" in cell["metadata"]["targets"][0]["plain"]["matching"]
    assert not any(finding.name.startswith("barrier") for finding in probes.probe("path").conclude([cell]))


def test_a_saved_growth_knows_its_other_order(dataset):
    from worldnets.growth import growth_digest, pack_growth, unpack_growth

    growth = by_radius(dataset, "continuation")
    again = unpack_growth(*pack_growth(growth))
    assert growth_digest(again.reversed()) == growth_digest(growth.reversed())
    assert isinstance(again, Growth)


def test_the_same_data_in_another_order_of_discovery_are_compared_on_the_same_clips(dataset):
    found = discover(dataset, "continuation", rows=200, seeds=[0, 1], beginnings=("marginals", "dense"), clips=300)
    assert found.divergence.shape == found.arrows.shape == (2, 2)
    np.testing.assert_array_equal(np.diagonal(found.apart, axis1=1, axis2=2), 0.0)
    np.testing.assert_array_equal(found.apart, found.apart.transpose(0, 2, 1))
    for data in range(2):
        same = {frozenset((v, p)) for v in found.ends[data][0].variables for p in found.ends[data][0].parents(v)}
        assert len(same) == found.arrows[data, 0]
    names = {finding.name for finding in found.findings()}
    assert "divergence, from dense less from marginals" in names
    with pytest.raises(ProbeError, match="did you mean 'tree'"):
        discover(dataset, "continuation", beginnings=("marginals", "tre"))
