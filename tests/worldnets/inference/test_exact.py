"""Exact queries against enumeration: beliefs, joints, log evidence, samples, impossible rows, threads."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import factor_nets, joint, world_nets
from worldnets import read_net
from worldnets.errors import CapacityError, EvidenceError, ImpossibleEvidenceError, QueryError
from worldnets.inference import UNOBSERVED, Inference, decode, simulate
from worldnets.net import FactorNet, WorldNet
from worldnets.public_nets import public_nets

PUBLIC = ("alarm", "child", "insurance", "hailfinder")


@st.composite
def evidence_codes(draw, net, rows=5):
    """Codes with a random share observed, alike in all rows or not; states are free, so some rows are impossible."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = random.integers(0, net.cardinalities, size=(rows, len(net.variables))).astype(np.int16)
    share, alike = draw(st.sampled_from((0.0, 0.3, 0.7, 1.0))), draw(st.booleans())
    hidden = random.random((1 if alike else rows, len(net.variables))) > share
    codes[np.broadcast_to(hidden, codes.shape)] = UNOBSERVED
    return codes


def conditioned(table, row):
    """The joint table with every cell that contradicts the row set to zero."""
    table = table.copy()
    for axis, code in enumerate(row):
        if code != UNOBSERVED:
            others = np.arange(table.shape[axis]) != code
            table[(slice(None),) * axis + (others,)] = 0.0
    return table


def check_against_enumeration(net, codes, dtype, tolerance):
    beliefs = Inference(net, dtype=dtype).query(codes)
    table = joint(net)
    for i, row in enumerate(codes):
        restricted = conditioned(table, row)
        total = restricted.sum()
        if total == 0:
            assert not beliefs.possible[i]
            assert beliefs.log_evidence[i] == -np.inf
            assert not beliefs.table[i].any()
            continue
        assert beliefs.log_evidence[i] == pytest.approx(math.log(total), abs=tolerance * 10, rel=tolerance * 10)
        for axis, v in enumerate(net.variables):
            marginal = restricted.sum(axis=tuple(a for a in range(table.ndim) if a != axis)) / total
            np.testing.assert_allclose(beliefs[v][i], marginal, atol=tolerance)


@settings(max_examples=150)
@given(st.data())
def test_beliefs_and_log_evidence_equal_enumeration_on_any_net(data):
    net = data.draw(world_nets(max_joint=20_000))
    check_against_enumeration(net, data.draw(evidence_codes(net)), "float64", 1e-9)


@settings(max_examples=40)
@given(st.data())
def test_beliefs_of_factor_nets_equal_enumeration_and_log_evidence_is_log_z(data):
    net = data.draw(factor_nets())
    check_against_enumeration(net, data.draw(evidence_codes(net)), "float64", 1e-9)


@settings(max_examples=30)
@given(st.data())
def test_float32_agrees_to_single_precision(data):
    net = data.draw(world_nets(max_joint=5_000))
    check_against_enumeration(net, data.draw(evidence_codes(net)), "float32", 2e-5)


@settings(max_examples=60)
@given(st.data())
def test_joint_posteriors_equal_enumeration_in_the_order_asked_for(data):
    net = data.draw(world_nets(max_joint=5_000))
    codes = data.draw(evidence_codes(net, rows=3))
    some = data.draw(st.lists(st.sampled_from(net.variables), min_size=1, max_size=4, unique=True))
    found = Inference(net).joint(codes, some)
    axes = [net.index[v] for v in some]
    for i, row in enumerate(codes):
        restricted = conditioned(joint(net), row)
        total = restricted.sum()
        expected = restricted.sum(axis=tuple(a for a in range(restricted.ndim) if a not in axes))
        expected = np.transpose(expected, np.argsort(np.argsort(axes)))
        np.testing.assert_allclose(found[i], expected / total if total else expected, atol=1e-9)


@settings(max_examples=80)
@given(st.data(), st.sampled_from(["float64", "float32"]))
def test_the_most_probable_state_is_the_largest_cell_that_agrees_with_the_evidence(data, dtype):
    net = data.draw(st.one_of(world_nets(max_joint=5_000), factor_nets()))
    codes = data.draw(evidence_codes(net))
    found = Inference(net, dtype=dtype).map(codes)
    table = joint(net)
    for i, row in enumerate(codes):
        largest = conditioned(table, row).max()
        if largest == 0:
            assert not found.possible[i]
            assert (found.codes[i] == UNOBSERVED).all()
            continue
        assert (found.codes[i][row != UNOBSERVED] == row[row != UNOBSERVED]).all()
        precision = 1e-9 if dtype == "float64" else 1e-4
        assert table[tuple(found.codes[i])] == pytest.approx(largest, rel=precision)
        assert found.log_probability[i] == pytest.approx(math.log(largest), rel=precision, abs=precision)


def test_the_most_probable_state_comes_as_labels_with_the_evidences_index():
    net, evidence = impossible_case()
    found = Inference(net).map(evidence)
    assert found.states.loc["first"].tolist() == ["x", "x"]
    assert found.states.loc["second"].isna().all()
    assert found.log_probability.tolist() == [0.0, -np.inf, 0.0]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_nets_agree_with_variable_elimination_by_pgmpy(name):
    from pgmpy.inference import VariableElimination

    net = read_net(public_nets()[name])
    codes = simulate(net, 3, seed=1)
    codes[np.random.default_rng(2).random(codes.shape) > 0.3] = UNOBSERVED
    beliefs = Inference(net).query(codes)
    oracle = VariableElimination(net.to_pgmpy())
    for i, row in enumerate(codes):
        observed = {v: net.states[v][c] for v, c in zip(net.variables, row, strict=True) if c != UNOBSERVED}
        hidden = [v for v in net.variables if v not in observed]
        for v in hidden[:: max(1, len(hidden) // 8)]:
            factor = oracle.query([v], evidence=observed, show_progress=False)
            expected = [factor.get_value(**{v: label}) for label in net.states[v]]
            np.testing.assert_allclose(beliefs[v][i], expected, atol=1e-9)
        for v, label in observed.items():
            assert beliefs[v][i][net.code(v, label)] == 1.0


def alarm_rows(rows=300):
    net = read_net(public_nets()["alarm"])
    codes = simulate(net, rows, seed=3)
    codes[np.random.default_rng(4).random(codes.shape) > 0.3] = UNOBSERVED
    return net, codes


def test_a_row_has_the_same_bits_for_any_threads_and_any_company():
    net, codes = alarm_rows()
    everywhere = Inference(net, threads=1).query(codes)
    threaded = Inference(net, threads=2).query(codes)
    assert (everywhere.table == threaded.table).all()
    # The same plan (all columns observed somewhere), other neighbours, another place in the chunk.
    shifted = Inference(net, threads=1).query(codes[::-1].copy())
    assert (everywhere.table == shifted.table[::-1]).all()
    assert (everywhere.log_evidence == shifted.log_evidence[::-1]).all()


def test_asking_for_fewer_variables_drops_barren_ones_and_changes_no_belief():
    net, codes = alarm_rows(40)
    codes[:, net.index["BP"]] = UNOBSERVED
    engine = Inference(net)
    everything = engine.query(codes)
    some = engine.query(codes, variables=["HYPOVOLEMIA", "CVP"])
    np.testing.assert_allclose(some["CVP"], everything["CVP"], atol=1e-12)
    np.testing.assert_allclose(some.log_evidence, everything.log_evidence, atol=1e-12)
    barren = engine.query(np.full((1, len(net.variables)), UNOBSERVED, np.int16), variables=["HYPOVOLEMIA"])
    np.testing.assert_allclose(barren["HYPOVOLEMIA"][0], net.cpt("HYPOVOLEMIA"), atol=1e-15)
    assert engine.plan.variables == ("HYPOVOLEMIA",)


def noisy_star(leaves):
    """A fair coin seen through thousands of noisy leaves: products of messages underflow unless they are rescaled."""
    names = [f"leaf{i}" for i in range(leaves)]
    noise = np.array([[0.9, 0.1], [0.1, 0.9]])
    return WorldNet(
        {"coin": (0, 1), **dict.fromkeys(names, (0, 1))},
        dict.fromkeys(names, ("coin",)),
        {"coin": [0.5, 0.5], **dict.fromkeys(names, noise)},
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_thousands_of_contradicting_observations_neither_underflow_nor_become_impossible(dtype):
    net = noisy_star(2000)
    codes = np.full((1, 2001), UNOBSERVED, dtype=np.int16)
    codes[0, 1:] = np.arange(2000) % 2  # a thousand votes each way
    codes[0, 1:3] = 1
    beliefs = Inference(net, dtype=dtype).query(codes)
    ones = int(codes[0, 1:].sum())
    odds = (2 * ones - 2000) * math.log(9)
    assert beliefs.possible[0]
    assert beliefs["coin"][0, 1] == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-4)
    log_each = [ones * math.log(p) + (2000 - ones) * math.log(1 - p) for p in (0.1, 0.9)]
    assert beliefs.log_evidence[0] == pytest.approx(np.logaddexp(*log_each) + math.log(0.5), rel=1e-6)


def test_samples_follow_the_posterior_and_agree_with_the_evidence():
    net, codes = alarm_rows(4)
    engine = Inference(net)
    draws = 20_000
    samples = engine.sample_codes(codes, draws, seed=5)
    beliefs = engine.query(codes)
    observed = codes != UNOBSERVED
    assert (samples[np.broadcast_to(observed[:, None], samples.shape)].reshape(-1) >= 0).all()
    assert (np.where(observed[:, None], samples, codes[:, None]) == codes[:, None]).all()
    for v in net.variables:
        for i in range(len(codes)):
            share = np.bincount(samples[i, :, net.index[v]], minlength=len(net.states[v])) / draws
            expected = beliefs[v][i]
            # Six standard errors of each share: one false alarm in some ten million.
            assert (np.abs(share - expected) <= 6 * np.sqrt(expected * (1 - expected) / draws) + 1e-12).all()


def test_pairs_of_samples_follow_the_joint_posterior():
    net, codes = alarm_rows(2)
    engine = Inference(net)
    draws = 20_000
    samples = engine.sample_codes(codes, draws, seed=6)
    pair = ("INTUBATION", "VENTLUNG")
    expected = engine.joint(codes, pair)
    for i in range(len(codes)):
        share = np.zeros(expected.shape[1:])
        np.add.at(share, tuple(samples[i, :, net.index[v]] for v in pair), 1 / draws)
        assert (np.abs(share - expected[i]) <= 6 * np.sqrt(expected[i] * (1 - expected[i]) / draws) + 1e-12).all()


def test_a_draw_depends_only_on_the_seed_its_row_and_its_number():
    net, codes = alarm_rows(100)
    few = Inference(net, threads=1).sample_codes(codes, 3, seed=7)
    many = Inference(net, threads=2).sample_codes(codes, 8, seed=7)
    assert (few == many[:, :3]).all()
    assert (few[:10] == Inference(net).sample_codes(codes[:10], 3, seed=7)).all()
    assert (few != Inference(net).sample_codes(codes, 3, seed=8)).any()


def impossible_case():
    net = WorldNet({"a": ("x", "y"), "b": ("x", "y")}, {"b": ("a",)}, {"a": [1.0, 0.0], "b": [[1.0, 0.0], [0.5, 0.5]]})
    return net, pd.DataFrame({"b": ["x", "y", None]}, index=["first", "second", "third"])


def test_an_impossible_row_is_flagged_and_leaves_the_others_alone():
    net, evidence = impossible_case()
    beliefs = Inference(net).query(evidence)
    assert beliefs.possible.tolist() == [True, False, True]
    assert beliefs.log_evidence.tolist() == [0.0, -np.inf, 0.0]
    assert beliefs["a"].tolist() == [[1, 0], [0, 0], [1, 0]]
    assert (Inference(net).sample_codes(np.array([[-1, 1]], np.int16), 2) == -1).all()


def test_an_impossible_row_raises_when_asked_to_and_names_the_row():
    net, evidence = impossible_case()
    with pytest.raises(ImpossibleEvidenceError, match="second"):
        Inference(net).query(evidence, on_impossible="raise")
    with pytest.raises(ImpossibleEvidenceError, match="second"):
        Inference(net).sample(evidence, draws=2)


def test_a_question_that_was_not_asked_has_no_answer():
    net, evidence = impossible_case()
    beliefs = Inference(net).query(evidence, variables=["a"])
    assert beliefs.variables == ("a",)
    with pytest.raises(QueryError, match="not queried"):
        beliefs["b"]
    for wrong in (["c"], "a"):
        with pytest.raises(QueryError, match="Mend"):
            Inference(net).query(evidence, variables=wrong)
    with pytest.raises(QueryError, match="distinct"):
        Inference(net).joint(evidence, ["a", "a"])


def test_observed_variables_are_one_hot_and_the_frame_keeps_its_index():
    net, evidence = impossible_case()
    beliefs = Inference(net).query(evidence)
    assert beliefs["b"][0].tolist() == [1.0, 0.0]
    frame = beliefs.to_pandas()
    assert frame.index.tolist() == ["first", "second", "third"]
    assert frame.loc["first", ("a", "x")] == 1.0


def test_no_rows_give_no_rows():
    net, evidence = impossible_case()
    beliefs = Inference(net).query(evidence.iloc[:0])
    assert beliefs["a"].shape == (0, 2)


def test_a_query_that_cannot_fit_is_refused_before_it_allocates():
    n = 40
    grid = {f"x{i}": tuple(range(10)) for i in range(n)}
    net = FactorNet(grid, tuple(((f"x{i}", f"x{j}"), np.ones((10, 10))) for i in range(n) for j in range(i)))
    with pytest.raises(CapacityError, match="loopy"):
        Inference(net).query(np.full((1, n), UNOBSERVED, np.int16))


@pytest.mark.parametrize(
    ("codes", "match"),
    [
        (np.zeros((2, 3), np.int16), r"\[rows, 2\]"),
        (np.array([[0, 2]], np.int16), "no state"),
        (np.array([[-2, 0]], np.int16), "no state"),
        (np.zeros((1, 2)), "code array"),
    ],
)
def test_codes_of_the_wrong_shape_or_range_are_refused(codes, match):
    net, _ = impossible_case()
    with pytest.raises(EvidenceError, match=match):
        Inference(net).query(codes)


def test_the_plan_reports_its_costs():
    net, codes = alarm_rows(1)
    engine = Inference(net)
    assert engine.plan.full_cells <= 1038  # what published triangulations of alarm by min-fill find
    assert f"{engine.plan.full_cells:,}" in repr(engine.plan)
    assert "multiply-adds" in repr(engine.plan)
    whole = engine.plan.multiply_adds
    engine.query(codes)
    assert set(engine.plan.sliced) == {v for v, c in zip(net.variables, codes[0], strict=True) if c != UNOBSERVED}
    assert engine.plan.multiply_adds < whole / 2  # observed nodes are cut out of the graph


def test_decoded_samples_are_labels():
    net, evidence = impossible_case()
    frame = Inference(net).sample(evidence.iloc[[0]], draws=3)
    assert frame.index.names == ["row", "draw"]
    assert frame["a"].tolist() == ["x"] * 3
    assert decode(net, np.array([[0, -1]], np.int16)).isna().to_numpy().tolist() == [[False, True]]


def test_factors_whose_product_overflows_are_no_trouble():
    # A chain of couplings of e^300: Z is far beyond the largest double.
    n = 12
    coupling = np.exp([[300.0, 0.0], [0.0, 299.0]])
    net = FactorNet(
        {f"x{i}": (0, 1) for i in range(n)}, tuple(((f"x{i}", f"x{i + 1}"), coupling) for i in range(n - 1))
    )
    log_z = 300.0 * (n - 1) + math.log1p(math.exp(-(n - 1)))
    few, many = (np.full((rows, n), UNOBSERVED, np.int16) for rows in (1, 40))
    for codes in (few, many):
        beliefs = Inference(net).query(codes)
        np.testing.assert_allclose(beliefs.log_evidence, log_z, rtol=1e-14)
        np.testing.assert_allclose(beliefs["x3"][:, 1], 1 / (1 + math.exp(n - 1)), rtol=1e-9)
    assert Inference(net).expected_counts(few)[0][0, 0] == pytest.approx(1 / (1 + math.exp(1 - n)), rel=1e-9)
