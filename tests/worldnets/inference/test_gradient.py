"""Gradients against central differences of enumerated nets; family marginals and expected counts; EM."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import factor_nets, joint, random_table, world_nets
from tests.worldnets.inference.test_exact import conditioned, evidence_codes, impossible_case, noisy_star
from worldnets import read_net
from worldnets.errors import CapacityError, EvidenceError, NetError, QueryError
from worldnets.inference import UNOBSERVED, Inference, family_walk, simulate
from worldnets.inference.evidence import observe
from worldnets.inference.gradient import expected_counts, family_marginals, on_simplex, reestimate, vjp
from worldnets.net import Factor, FactorNet, WorldNet
from worldnets.public_nets import public_nets

STEP = 1e-4


def table_list(net, tables):
    return [tables[v] for v in net.variables] if isinstance(net, WorldNet) else tables


def random_cotangents(net, rows, seed):
    random = np.random.default_rng(seed)
    beliefs = {v: random.normal(size=(rows, len(net.states[v]))) for v in net.variables}
    return beliefs, random.normal(size=rows)


def differences(net, row, cotangents, weight):
    """Central differences in every log-entry of Σ g·b + h·ln Z for one row, by enumeration; None if impossible."""
    table = conditioned(joint(net), row)
    if not table.any():
        return None
    slope = np.zeros(table.shape)
    for axis, v in enumerate(net.variables):
        slope = slope + cotangents[v].reshape([-1 if a == axis else 1 for a in range(table.ndim)])
    found = []
    for scope, entries in net.factors:
        axes = tuple(net.index[v] for v in scope)
        others = tuple(a for a in range(table.ndim) if a not in axes)
        order = np.argsort(np.argsort(axes))
        share = np.transpose(table.sum(axis=others), order).reshape(entries.shape)
        sloped = np.transpose((table * slope).sum(axis=others), order).reshape(entries.shape)

        def value(step, share=share, sloped=sloped):
            total = table.sum() + math.expm1(step) * share
            return ((table * slope).sum() + math.expm1(step) * sloped) / total + weight * np.log(total)

        found.append((value(STEP) - value(-STEP)) / (2 * STEP))
    return found


def check_against_differences(net, codes, seed, tolerance=1e-6, **options):
    cotangents, weights = random_cotangents(net, len(codes), seed)
    found = table_list(net, vjp(Inference(net, **options), codes, cotangents, weights, per_row=True))
    total = table_list(net, vjp(Inference(net, **options), codes, cotangents, weights))
    for i, row in enumerate(codes):
        expected = differences(net, row, {v: g[i] for v, g in cotangents.items()}, weights[i])
        for f in range(len(net.factors)):
            np.testing.assert_allclose(found[f][i], 0.0 if expected is None else expected[f], atol=tolerance)
    for rows, summed in zip(found, total, strict=True):
        np.testing.assert_allclose(rows.sum(axis=0), summed, atol=tolerance)


@settings(max_examples=120)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_gradients_equal_central_differences_on_any_net(data, seed):
    net = data.draw(st.one_of(world_nets(max_joint=5_000), factor_nets()))
    check_against_differences(net, data.draw(evidence_codes(net)), seed)


@settings(max_examples=20)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_gradients_in_single_precision_agree_to_single_precision(data, seed):
    net = data.draw(world_nets(max_joint=2_000))
    check_against_differences(net, data.draw(evidence_codes(net)), seed, tolerance=1e-3, dtype="float32")


@settings(max_examples=20)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_a_likelihood_is_an_observed_child_that_says_so(data, seed):
    net = data.draw(world_nets(max_joint=500, max_variables=5, max_cardinality=3))
    codes = data.draw(evidence_codes(net, rows=3))
    random = np.random.default_rng(seed)
    soft = net.variables[seed % len(net.variables)]
    likelihood = random.random((3, len(net.states[soft]))) * (random.random((3, len(net.states[soft]))) < 0.8)
    # The same as hard evidence: one child per row, whose first state has the probabilities of that row's likelihood.
    children = [f"seen {i}" for i in range(3)]
    cpts = {child: np.stack([row, 1 - row], axis=-1) for child, row in zip(children, likelihood, strict=True)}
    larger = WorldNet(
        {**net.states, **dict.fromkeys(children, (0, 1))},
        {**net.parent_sets, **dict.fromkeys(children, (soft,))},
        {**net.cpts, **cpts},
    )
    hard = np.concatenate([codes, np.where(np.eye(3) > 0, 0, UNOBSERVED)], axis=1).astype(np.int16)
    cotangents, weights = random_cotangents(net, 3, seed)
    found = vjp(Inference(net), codes, cotangents, weights, likelihood={soft: likelihood}, per_row=True)
    expected = vjp(Inference(larger), hard, cotangents, weights, per_row=True)
    for v in net.variables:
        np.testing.assert_allclose(found[v], expected[v], atol=1e-9)
    counts = expected_counts(Inference(net), codes, likelihood={soft: likelihood})
    np.testing.assert_allclose(counts.log_evidence, Inference(larger).log_evidence(hard), rtol=1e-9, atol=1e-9)


@settings(max_examples=20)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_interventions_give_the_gradients_of_the_net_after_them_and_none_for_what_is_set(data, seed):
    net = data.draw(world_nets(max_joint=500, max_variables=5, max_cardinality=3))
    v = net.variables[seed % len(net.variables)]
    codes = data.draw(evidence_codes(net, rows=3))
    codes[:, net.index[v]] = UNOBSERVED
    cotangents, weights = random_cotangents(net, 3, seed)
    label = net.states[v][seed % len(net.states[v])]
    found = vjp(Inference(net), codes, cotangents, weights, do={v: label})
    expected = vjp(Inference(net.do({v: label})), codes, cotangents, weights)
    assert found[v].shape == net.cpt(v).shape
    assert not found[v].any()
    for u in net.variables:
        if u != v:
            np.testing.assert_allclose(found[u], expected[u], atol=1e-9)
    other = WorldNet(
        net.states,
        net.parent_sets,
        {u: random_table(np.random.default_rng(seed), net.cpt(u).shape, "dense") for u in net.variables},
    )
    counts = expected_counts(Inference(net), codes, do={v: label}, net=other)
    direct = expected_counts(Inference(other), codes, do={v: label})
    np.testing.assert_allclose(counts.log_evidence, direct.log_evidence, rtol=1e-9, atol=1e-9)
    for u in net.variables:
        np.testing.assert_allclose(counts[u], direct[u], atol=1e-9)


def mixed_rows(name, rows, share=0.3):
    net = read_net(public_nets()[name])
    codes = simulate(net, rows, seed=1)
    codes[np.random.default_rng(2).random(codes.shape) > share] = UNOBSERVED
    return net, codes


@pytest.mark.parametrize("name", ["alarm", "hailfinder", "win95pts"])
def test_gradients_of_public_nets_equal_differences_of_the_engine_in_a_random_direction(name):
    net, codes = mixed_rows(name, 5)
    cotangents, weights = random_cotangents(net, len(codes), 3)
    gradients = vjp(Inference(net), codes, cotangents, weights)
    random = np.random.default_rng(4)
    direction = {v: random.normal(size=net.cpt(v).shape) for v in net.variables}

    def value(step):
        factors = [Factor((*net.parents(v), v), net.cpt(v) * np.exp(step * direction[v])) for v in net.variables]
        beliefs = Inference(FactorNet(net.states, tuple(factors))).query(codes)
        return sum((beliefs[v] * cotangents[v]).sum() for v in net.variables) + weights @ beliefs.log_evidence

    along = sum((gradients[v] * direction[v]).sum() for v in net.variables)
    assert along == pytest.approx((value(STEP) - value(-STEP)) / (2 * STEP), abs=1e-6)


@settings(max_examples=40)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_a_plan_for_each_mask_and_one_plan_with_indicators_give_the_same_gradients(data, seed):
    net = data.draw(st.one_of(world_nets(max_joint=2_000), factor_nets()))
    codes = data.draw(evidence_codes(net))
    cotangents, weights = random_cotangents(net, len(codes), seed)
    together = table_list(net, vjp(Inference(net), codes, cotangents, weights))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family_walk, "PLANNING_COST", -1e9)
        engine = Inference(net)
        assert len(family_walk.parts(engine, observe(net, codes))) == len({tuple(row) for row in codes == UNOBSERVED})
        apart = table_list(net, vjp(engine, codes, cotangents, weights))
        rows = table_list(net, vjp(engine, codes, cotangents, weights, per_row=True))
    single = table_list(net, vjp(Inference(net), codes, cotangents, weights, per_row=True))
    for one, other, each, alone in zip(together, apart, rows, single, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
        np.testing.assert_allclose(each, alone, atol=1e-9)


def test_a_net_that_fits_only_with_its_evidence_cut_out_is_answered_mask_by_mask():
    n = 12
    pairs = [(f"x{i}", f"x{j}") for i in range(n) for j in range(i)]
    random = np.random.default_rng(0)
    net = FactorNet({f"x{i}": tuple(range(6)) for i in range(n)}, tuple((p, random.random((6, 6))) for p in pairs))
    codes = random.integers(6, size=(2, n)).astype(np.int16)
    codes[0, :3] = codes[1, 5:8] = UNOBSERVED
    engine = Inference(net, memory_limit=2**28)
    with pytest.raises(CapacityError, match="loopy"):
        expected_counts(engine, np.full((1, n), UNOBSERVED, np.int16))
    counts = expected_counts(engine, codes)
    for table in counts.tables:
        assert table.sum() == pytest.approx(2.0)


def test_gradients_have_the_same_bits_for_any_number_of_threads():
    net, codes = mixed_rows("alarm", 700)
    cotangents, weights = random_cotangents(net, len(codes), 5)
    one, two, three = (vjp(Inference(net, threads=t), codes, cotangents, weights) for t in (1, 2, 3))
    for v in net.variables:
        assert (one[v] == two[v]).all()
        assert (one[v] == three[v]).all()


def test_a_rows_gradient_has_the_same_bits_in_any_company():
    net, codes = mixed_rows("alarm", 150)
    cotangents, weights = random_cotangents(net, len(codes), 6)
    engine = Inference(net)
    straight = vjp(engine, codes, cotangents, weights, per_row=True)
    turned = {v: g[::-1] for v, g in cotangents.items()}
    backwards = vjp(engine, codes[::-1].copy(), turned, weights[::-1], per_row=True)
    for v in net.variables:
        assert (straight[v] == backwards[v][::-1]).all()


@settings(max_examples=60)
@given(st.data())
def test_family_marginals_equal_enumeration_and_vanish_away_from_the_evidence(data):
    net = data.draw(st.one_of(world_nets(max_joint=5_000), factor_nets()))
    codes = data.draw(evidence_codes(net))
    found = table_list(net, family_marginals(Inference(net), codes))
    for i, row in enumerate(codes):
        table = conditioned(joint(net), row)
        total = table.sum()
        for f, (scope, _) in enumerate(net.factors):
            axes = [net.index[v] for v in scope]
            expected = table.sum(axis=tuple(a for a in range(table.ndim) if a not in axes)) / (total or 1.0)
            np.testing.assert_allclose(found[f][i], np.transpose(expected, np.argsort(np.argsort(axes))), atol=1e-9)


def test_thousands_of_contradicting_observations_leave_gradients_exact():
    leaves = 1000
    net = noisy_star(leaves)
    codes = np.full((2, leaves + 1), UNOBSERVED, dtype=np.int16)
    codes[0, 1:] = np.arange(leaves) % 2
    cotangent = np.array([[0.0, 1.0], [0.0, 1.0]])
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-4)):
        found = vjp(Inference(net, dtype=dtype), codes, {"coin": cotangent}, per_row=True)
        # Row 0 is even odds: ∂b1/∂ln W(coin) = ∓b0·b1, and each leaf's observed column says the same.
        np.testing.assert_allclose(found["coin"], [[-0.25, 0.25]] * 2, atol=tolerance)
        np.testing.assert_allclose(found["leaf0"][0], [[-0.25, 0.0], [0.25, 0.0]], atol=tolerance)
        np.testing.assert_allclose(found["leaf1"][0], [[0.0, -0.25], [0.0, 0.25]], atol=tolerance)
        # Unobserved leaves share the coin's gradient out by their probabilities.
        np.testing.assert_allclose(found["leaf7"][1], [[-0.225, -0.025], [0.025, 0.225]], atol=tolerance)


def test_entries_that_are_zero_and_rows_that_cannot_happen_have_gradient_zero():
    net, evidence = impossible_case()
    cotangents, weights = random_cotangents(net, 3, 7)
    found = vjp(Inference(net), evidence, cotangents, weights, per_row=True)
    for v in net.variables:
        assert not found[v][:, net.cpt(v) == 0].any()
        assert not found[v][1].any()
    assert found["a"][0].tolist() == pytest.approx([weights[0], 0.0])


def test_infinite_cotangents_where_nothing_can_change_do_no_harm():
    net, evidence = impossible_case()
    log_losses = {"a": np.array([[1.0, 0.0], [np.inf, np.nan], [1.0, 0.0]]), "b": np.full((3, 2), np.inf)}
    log_losses["b"][2] = 0.0  # rows 0 and 1 observe b
    found = vjp(Inference(net), evidence, log_losses, np.array([1.0, np.inf, 1.0]))
    assert np.isfinite(found["a"]).all()
    assert np.isfinite(found["b"]).all()


def test_gradients_on_the_simplex_are_those_of_softmax_logits_and_barren_tables_have_none():
    random = np.random.default_rng(8)
    states = {"a": (0, 1, 2), "b": (0, 1), "c": (0, 1)}
    parents = {"b": ("a",), "c": ("b",)}
    logits = {v: random.normal(size=[len(states[p]) for p in (*parents.get(v, ()), v)]) for v in states}
    evidence = np.array([[-1, 1, -1], [2, -1, -1]], np.int16)  # nothing observed below c
    cotangents = {"a": random.normal(size=(2, 3)), "b": random.normal(size=(2, 2))}

    def softmax(values):
        weights = np.exp(values - values.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def net_of(values):
        return WorldNet(states, parents, {v: softmax(x) for v, x in values.items()})

    def value(values):
        beliefs = Inference(net_of(values)).query(evidence)
        return sum((beliefs[v] * g).sum() for v, g in cotangents.items()) + beliefs.log_evidence.sum()

    net = net_of(logits)
    raw = vjp(Inference(net), evidence, cotangents, np.ones(2))
    found = on_simplex(net, raw)
    for v in states:
        for entry in np.ndindex(logits[v].shape):
            up, down = ({u: x.copy() for u, x in logits.items()} for _ in range(2))
            up[v][entry] += STEP
            down[v][entry] -= STEP
            assert found[v][entry] == pytest.approx((value(up) - value(down)) / (2 * STEP), abs=1e-7)
    assert np.abs(raw["c"]).max() > 0.1
    np.testing.assert_allclose(found["c"], 0.0, atol=1e-12)


def counted(net, codes, weights):
    """Plain counting of complete rows."""
    tables = {v: np.zeros(net.cpt(v).shape) for v in net.variables}
    for row, weight in zip(codes, weights, strict=True):
        for v in net.variables:
            tables[v][tuple(row[net.index[u]] for u in (*net.parents(v), v))] += weight
    return tables


def test_expected_counts_of_complete_rows_are_counts():
    net = read_net(public_nets()["alarm"])
    codes = simulate(net, 300, seed=9)
    weights = np.random.default_rng(10).random(300)
    found = expected_counts(Inference(net), codes, weights)
    expected = counted(net, codes, weights)
    for v in net.variables:
        np.testing.assert_allclose(found[v], expected[v], atol=1e-9)
    np.testing.assert_allclose(expected_counts(Inference(net), codes)["HR"], counted(net, codes, [1] * 300)["HR"])


def test_expected_counts_are_the_gradient_of_the_log_likelihood_and_skip_impossible_rows():
    net, codes = mixed_rows("alarm", 40)
    engine = Inference(net)
    counts = expected_counts(engine, codes)
    gradient = vjp(engine, codes, None, np.ones(40))
    for v in net.variables:
        assert counts[v].sum() == pytest.approx(40)
        np.testing.assert_allclose(counts[v], gradient[v], atol=1e-12)
    np.testing.assert_allclose(counts.log_evidence, engine.log_evidence(codes), atol=1e-9)
    small, evidence = impossible_case()
    some = expected_counts(Inference(small), evidence)
    assert some.possible.tolist() == [True, False, True]
    assert some["a"].tolist() == [2.0, 0.0]
    assert "1 impossible" in repr(some)


@settings(max_examples=15)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_every_step_of_em_raises_the_likelihood(data, seed):
    truth = data.draw(world_nets(max_joint=2_000))
    codes = simulate(truth, 60, seed=seed % 1000)
    codes[np.random.default_rng(seed).random(codes.shape) < 0.4] = UNOBSERVED
    random = np.random.default_rng(seed)
    start = {v: random_table(random, truth.cpt(v).shape, "dense") for v in truth.variables}
    net = WorldNet(truth.states, truth.parent_sets, start)
    engine, likelihoods = Inference(net), []
    for _ in range(6):
        counts = expected_counts(engine, codes, net=net)
        likelihoods.append(counts.log_evidence.sum())
        assert likelihoods[-1] == pytest.approx(Inference(net).log_evidence(codes).sum())
        slope = max(np.abs(g).max() for g in on_simplex(net, counts.tables).values())
        net = reestimate(net, counts)
    gains = np.diff(likelihoods)
    assert (gains >= -1e-9).all()
    assert gains[0] > 0 or slope < 1e-6  # it stands still only at a stationary point


def test_reestimating_from_complete_rows_gives_the_shares_and_keeps_what_was_never_seen():
    net = WorldNet({"a": ("x", "y"), "b": ("x", "y")}, {"b": ("a",)}, {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.3, 0.7]]})
    frame = pd.DataFrame({"a": ["x"] * 4, "b": ["x", "x", "x", "y"]})
    counts = expected_counts(Inference(net), frame)
    fitted = reestimate(net, counts)
    np.testing.assert_allclose(fitted.cpt("a"), [1.0, 0.0])
    np.testing.assert_allclose(fitted.cpt("b"), [[0.75, 0.25], [0.3, 0.7]])
    np.testing.assert_allclose(reestimate(net, counts, pseudocount=1.0).cpt("b"), [[4 / 6, 2 / 6], [0.5, 0.5]])
    with pytest.raises(EvidenceError, match="negative"):
        reestimate(net, expected_counts(Inference(net), frame, [-1.0] * 4))


def test_no_rows_have_zero_gradient():
    net, evidence = impossible_case()
    assert not vjp(Inference(net), evidence.iloc[:0], {"a": np.zeros((0, 2))})["b"].any()
    assert family_marginals(Inference(net), evidence.iloc[:0])["b"].shape == (0, 2, 2)


def test_wrong_cotangents_weights_and_families_are_refused():
    net, evidence = impossible_case()
    engine = Inference(net)
    with pytest.raises(QueryError, match="wrong shape"):
        vjp(engine, evidence, {"a": np.zeros((3, 3))})
    with pytest.raises(QueryError, match="unknown variable"):
        vjp(engine, evidence, {"c": np.zeros((3, 2))})
    with pytest.raises(EvidenceError, match="one number per row"):
        vjp(engine, evidence, None, np.zeros(2))
    with pytest.raises(EvidenceError, match="one number per row"):
        expected_counts(engine, evidence, np.zeros((3, 1)))
    with pytest.raises(EvidenceError, match="row 1"):
        expected_counts(engine, evidence, [1.0, np.nan, 1.0])
    with pytest.raises(NetError, match="another structure"):
        vjp(engine, evidence, net=WorldNet({"a": ("x", "y")}, {}, {"a": [0.5, 0.5]}))
    with pytest.raises(NetError, match="another structure"):
        expected_counts(engine, evidence, net=WorldNet(net.states, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]}))
    with pytest.raises(QueryError, match="no such family"):
        expected_counts(engine, evidence)["c"]


def test_family_tables_of_all_rows_that_do_not_fit_are_refused_but_their_sum_is_not():
    net = read_net(public_nets()["alarm"])
    codes = np.full((2000, len(net.variables)), UNOBSERVED, np.int16)
    engine = Inference(net, memory_limit=2**20)
    with pytest.raises(CapacityError, match="expected_counts"):
        family_marginals(engine, codes)
    assert expected_counts(engine, codes)["HR"].sum() == pytest.approx(2000)
