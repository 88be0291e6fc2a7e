"""The order probe: references, mixtures and verdicts, on planted heads and a real trace."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import wrap
from probes.catalogue.order import OrderProbe, course_of
from probes.design import sampled_design
from probes.enumerated import enumerated
from probes.measurement import unpack
from probes.order.mixture import fitted
from probes.order.references import Sampling, comparison
from probes.order.tree import tree_posterior
from probes.order.verdict import Settings
from probes.organisms.order import (
    FULL,
    LAST,
    MARGINALS,
    ON_THE_WAY,
    RUNGS,
    TARGET,
    Planted,
    layered,
    layered_source,
    plants,
)
from probes.registry import names, probe
from probes.sampled import SampledReference
from probes.sources import TableSource
from probes.validity import validate
from tests.stored import stored
from worldnets import load_dataset, train
from worldnets.errors import ProbeError

ORDER = OrderProbe()


def weights_of(mixture, part=None):
    """Weights of a mixture of the layered world's references and controls."""
    part = layered()[1].inside if part is None else part
    q = np.tensordot(np.atleast_2d(mixture), part.predictors, axes=1)
    handicap = np.array([0.0] * 4 + [0.01 * np.log(2)] * 2)
    return fitted(np.log(q), part.predictors, part.weight, handicap, part.group)


def test_the_probe_is_found_by_name():
    assert "order" in names()
    assert probe("order").name == "order"


def test_pure_predictors_get_all_of_the_weight_and_silly_ones_nothing():
    found = weights_of(np.eye(6)[:4])
    assert (np.diag(found.weights[:, :4]) >= 0.95).all()
    assert (found.weights[:, 4:] <= 0.05).all()
    assert found.left.max() < 1e-6


def test_a_silly_head_is_recognised():
    found = weights_of(np.eye(6)[4:])
    assert (np.diag(found.weights[:, 4:]) >= 0.95).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda parts: sum(parts) > 0.1))
def test_planted_mixtures_are_recovered(parts):
    planted = np.array([*parts, 0, 0]) / sum(parts)
    found = weights_of(planted)
    np.testing.assert_allclose(found.weights[0], planted, atol=0.05)
    assert found.weights[0].sum() == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_no_other_weights_come_nearer_than_the_fit(seed):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(3), (4, 6))
    q = random.dirichlet(np.ones(3), (2, 6))
    weight = random.dirichlet(np.ones(6))
    found = fitted(np.log(q), p, weight)
    assert (found.gap <= 1e-9).all()
    others = random.dirichlet(np.ones(4) * 0.5, 200)
    mixed = np.tensordot(others, p, axes=1)
    left = (weight @ (q[:, None] * np.log2(q[:, None] / mixed)).sum(-1)[..., None])[..., 0]
    assert (left >= found.left[:, None] - 1e-9).all()


def test_a_uniform_marginal_is_no_mixture_with_permuted_answers():
    exact = np.array([[0.9, 0.1], [0.1, 0.9]])
    p = np.stack([np.full((2, 2), 0.5), exact, exact[:, ::-1]])
    found = fitted(np.log(np.full((1, 2, 2), 0.5)), p, np.full(2, 0.5), np.array([0, 0, 0.01 * np.log(2)]))
    np.testing.assert_allclose(found.weights[0], [1, 0, 0], atol=1e-6)


def test_the_influence_of_a_group_is_the_change_of_the_fit_when_it_weighs_more():
    random = np.random.default_rng(3)
    p, q = random.dirichlet(np.ones(2), (3, 40)), random.dirichlet(np.ones(2) * 4, (1, 40))
    q = 0.3 * p[:1] + 0.3 * p[1:2] + 0.4 * (0.5 * p[2:] + 0.5 * q)
    group = np.arange(40) // 10
    weight = np.full(40, 1 / 40)
    found = fitted(np.log(q), p, weight, group=group)
    np.testing.assert_allclose(found.weight_groups.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.weight_groups.sum(-1), 0, atol=1e-6)
    np.testing.assert_allclose(found.left_groups.mean(0), found.left, atol=1e-12)
    step = 1e-3  # weight moved towards group 0
    moved = fitted(np.log(q), p, (1 - step) * weight + step * np.where(group == 0, 0.1, 0.0))
    np.testing.assert_allclose((moved.weights - found.weights) / step, found.weight_groups[0], atol=0.02)


def test_heads_do_not_depend_on_those_fitted_beside_them_and_diverged_ones_are_nan():
    part = layered()[1].inside
    log_q = np.log(np.tensordot(np.eye(6)[:2] * 0.5 + 0.5 / 6, part.predictors, axes=1))
    both = fitted(np.concatenate([log_q, np.full_like(log_q[:1], np.nan)]), part.predictors, part.weight)
    np.testing.assert_allclose(both.weights[:2], fitted(log_q, part.predictors, part.weight).weights, atol=1e-6)
    assert np.isnan(both.weights[2]).all()
    assert np.isnan(both.left[2])


def test_the_tree_joins_the_target_to_its_cues_and_to_nothing_of_the_parity():
    source = layered_source()
    reference = enumerated(source, RUNGS, TARGET)
    y = np.array([0.4, 0.6])
    first, second = np.array([[0.75, 0.25], [0.3, 0.7]]), np.array([[0.7, 0.3], [0.15, 0.85]])
    x = reference.inputs
    expected = y * first[:, x[:, 0]].T * second[:, x[:, 1]].T
    expected /= expected.sum(1, keepdims=True)
    found = tree_posterior(source, ["x1", "x2", "x3", "x4"], TARGET)(x)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(tree_posterior(source, ["x1", "x2", "x3", "x4"], TARGET, True)(x), expected, atol=1e-9)


def test_a_tree_is_exact_where_the_world_is_one():
    see = np.array([[0.8, 0.2], [0.3, 0.7]])
    table = np.einsum("y,ya,ab->aby", [0.5, 0.5], see, see)  # b hangs on a, not on y
    source = TableSource(table)
    reference = enumerated(source, [["x1"], ["x2"]], "y")
    np.testing.assert_allclose(tree_posterior(source, ["x1", "x2"], "y")(reference.inputs), reference.ladder[-1])
    apart = tree_posterior(source, ["x1", "x2"], "y", star=True)(reference.inputs)
    assert np.abs(apart - reference.ladder[-1]).max() > 0.05


def test_references_that_are_one_predictor_stand_together():
    names = ("marginals", "last frame", "pairwise tree", "full")
    _, known = layered(0.5)
    assert known.groups == (("marginals",), ("last frame",), ("pairwise tree", "full"))
    assert known.close
    _, doubled = layered(0.85, (*names[:3], "rung 3", "full"))
    assert doubled.groups[-1] == ("rung 3", "full")


def test_a_reference_on_the_line_between_others_is_not_told_apart():
    source = layered_source()
    reference = enumerated(source, RUNGS, TARGET)
    full, prior = reference.ladder[-1], reference.ladder[0]
    position = {tuple(row): i for i, row in enumerate(reference.inputs.tolist())}

    def between(codes):
        at = [position[tuple(row)] for row in codes.tolist()]
        return 0.5 * full[at] + 0.5 * prior[at]

    given = {"marginals": "marginals", "between": between, "full": "full"}
    known = comparison(source, reference, TARGET, Sampling(), given)
    assert len(known.groups) == 2
    assert not known.close
    assert known.condition[0] == 1.0


def test_impossible_evidence_is_passed_over_and_counted():
    table = np.zeros((2, 2, 2))
    table[0, 0], table[1, 1] = [0.3, 0.1], [0.1, 0.3]
    table[0, 1] = [0.1, 0.1]
    source = TableSource(table)
    reference = enumerated(source, [["x1"], ["x2"]], "y")
    known = comparison(source, reference, "y", Sampling())
    assert known.skipped == pytest.approx(0.4 * 0.4)  # x1 = 1 and x2 = 0 never go together
    assert known.outside.weight.sum() == pytest.approx(1)
    np.testing.assert_allclose(known.outside.weight, np.array([0.6 * 0.4, 0.6 * 0.6, 0.4 * 0.6]) / 0.84)


def test_a_sampled_world_gives_the_weights_of_the_enumerated_one():
    source = layered_source()
    reference = SampledReference(source, sampled_design(source, RUNGS, TARGET, 512, 2048, 4, 256, 32, 8, 8))
    known = comparison(source, reference, TARGET, Sampling())
    assert known.groups == layered()[1].groups
    planted = np.array([0.2, 0.1, 0.3, 0.4, 0, 0])
    for part in (known.inside, known.outside):
        found = weights_of(planted, part)
        np.testing.assert_allclose(found.weights[0], planted, atol=0.01)
        assert found.weight_groups.shape == (8, 1, 6)
        np.testing.assert_allclose(part.weight.sum(), 1)
    np.testing.assert_allclose(known.inside.offer[0], layered()[1].inside.offer[0], rtol=0.1)
    np.testing.assert_allclose(known.outside.offer[0], layered()[1].outside.offer[0], rtol=0.15)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("order", 12, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.25
    else:
        assert score.share.estimate >= 0.91
    assert all(share.high >= 0.93 for share in score.coverage.values())


def test_a_world_whose_richest_reference_is_no_richer_but_by_condition_is_not_identified():
    course = course_of(unpack(Planted().cell(0), "order")[0])
    from probes.order.verdict import verdict

    merged = replace(course, names=("marginals", "between = full"), merged=2, close=False)
    assert verdict(merged, Settings(), TARGET).name == "not-identified"
    assert verdict(replace(merged, close=True), Settings(), TARGET).name == "nothing-deep"


def test_when_out_of_distribution_does_not_count_the_order_does():
    cell = Planted(outside=LAST).cell(0)
    found = ORDER.conclude([cell])
    assert found.verdict.name == "other-out-of-distribution"
    assert any("would be in-order" in reason for reason in found.verdict.reasons)
    assert ORDER.conclude([cell], Settings(out_of_distribution=False)).verdict.name == "in-order"


def test_dominance_is_dated():
    found = ORDER.conclude([Planted((MARGINALS, LAST, FULL, FULL)).cell(0)])
    assert found.last("first dominates, full", TARGET).value.estimate == 100
    assert found.last("dominates, pairwise tree", TARGET).value.estimate == 0
    assert not found.named("first dominates, pairwise tree")
    assert found.plotted.names[0] == "weight, marginals"


def test_one_seed_and_diverged_seeds():
    assert ORDER.conclude([Planted(seeds=1).cell(0)]).verdict.name == "inconclusive"
    cell = Planted((*ON_THE_WAY, FULL)).cell(0)
    for name in list(cell["arrays"]):
        if ".numbers." in name:
            cell["arrays"][name][-1, 3] = np.nan
    verdict = ORDER.conclude([cell]).verdict
    assert (verdict.name, verdict.seeds, verdict.diverged) == ("in-order", 7, 1)


@functools.cache
def trace():
    world = load_dataset("cue_parity", bits=2, noise=2)
    return train(world, "mlp", "question", seeds=3, steps=20, batch=32, checkpoints=[0, 20], head_options={"width": 6})


@functools.cache
def cell():
    return ORDER.measure(trace())


def test_a_trace_is_measured_the_same_twice_and_progress_is_told():
    calls = []
    again = ORDER.measure(trace(), lambda done, total: calls.append((done, total)))
    for name, array in cell()["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same_and_every_finding_has_an_interval():
    apart = [ORDER.of_seeds(cell(), [2]), ORDER.of_seeds(cell(), [0, 1])]
    whole = ORDER.conclude([cell()])
    for other in (ORDER.conclude([stored(cell())]), ORDER.conclude(apart), ORDER.conclude(apart[::-1])):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()
    assert whole.to_pandas()[["low", "high"]].notna().to_numpy().all()


def test_the_exact_posterior_from_elsewhere_is_full_throughout_and_functions_are_references():
    from worldnets.inference import Inference

    dataset = load_dataset("cue_parity", bits=2, noise=2)
    task = dataset.task(dataset.objectives[0])
    engine = Inference(dataset.net)
    columns = [dataset.net.index[v] for v in task.evidence]

    def exact(codes):
        rows = np.full((len(codes), len(dataset.net.variables)), -1, np.int16)
        rows[:, columns] = codes
        belief = engine.joint(rows, task.targets[0].variables).reshape(len(rows), -1)
        return belief / belief.sum(1, keepdims=True)

    wrapped = wrap([exact, exact, exact], dataset, takes="codes")
    found = ORDER.run(wrapped)
    assert found.last("weight of the richest", task.targets[0].name).value.low >= 0.95
    assert found.verdict.name in ("full-throughout", "nothing-deep")

    cue = list(task.ladders[task.targets[0].name][0])
    flat = lambda frame: np.full((len(frame), 2), 0.5)
    own = OrderProbe(references={"flat": flat, "cue": cue, "exact": "full"})
    found = own.run(wrapped)
    assert found.last("weight, exact", task.targets[0].name).value.low >= 0.95
    with pytest.raises(ProbeError, match="wrong shape"):
        OrderProbe(references={"bad": lambda frame: np.ones((1, 1)), "exact": "full"}).run(wrapped)


def test_bad_references_are_refused_before_training():
    plan = trace().plan
    for references, message in (
        (("full",), "too few references"),
        (("marginals", "ful"), "unknown reference"),
        (("marginals", "rung 99"), "no such rung"),
    ):
        with pytest.raises(ProbeError, match=message):
            OrderProbe(Sampling(references)).check(plan)
    with pytest.raises(ProbeError, match="unknown evidence"):
        OrderProbe(references={"mine": ["nothing"], "full": "full"}).check(plan)
    with pytest.raises(ProbeError, match="unknown kind of independence"):
        Sampling(independent="rung")
    with pytest.raises(ProbeError, match="not a tolerance"):
        Sampling(least_apart=0)
    with pytest.raises(ProbeError, match="do not fit"):
        fitted(np.zeros((1, 2, 2)), np.ones((2, 3, 2)), np.ones(3))
    with pytest.raises(ProbeError, match="without support"):
        fitted(np.zeros((1, 1, 2)), np.array([[[1.0, 0.0]], [[0.5, 0.5]]]), np.ones(1))
