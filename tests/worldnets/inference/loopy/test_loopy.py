"""Loopy message passing against exact inference on trees, and against plain loops on graphs with loops."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.worldnets.inference.loopy.oracle import (
    ising,
    moral_distances,
    plain_rounds,
    random_loopy_net,
    random_tree,
    side_by_side,
)
from worldnets.errors import EvidenceError, ImpossibleEvidenceError, QueryError
from worldnets.inference import UNOBSERVED, Inference, LoopyInference, simulate
from worldnets.net import Factor, FactorNet, WorldNet
from worldnets.public_nets import public_nets

TREES, ROWS = 60, 8


@pytest.fixture(scope="module")
def forest():
    """Sixty random polytrees side by side, some tables deterministic or extreme, and evidence that can happen."""
    random = np.random.default_rng(0)
    net, names = side_by_side([random_tree(random, int(random.integers(1, 10))) for _ in range(TREES)])
    codes = simulate(net, ROWS, seed=1)
    codes[random.random(codes.shape) < random.random((ROWS, 1))] = UNOBSERVED
    return net, names, codes, moral_distances(net)


@pytest.fixture(scope="module")
def engine(forest):
    return LoopyInference(forest[0])


def nothing(net, rows=1):
    return np.full((rows, len(net.variables)), UNOBSERVED, dtype=np.int16)


def complete_graph(n, coupling, seed=0):
    random = np.random.default_rng(seed)
    states = {f"v{i}": (-1, 1) for i in range(n)}
    factors = [Factor((v,), np.exp(0.3 * random.normal() * np.array([-1.0, 1.0]))) for v in states]
    table = np.exp(coupling * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    return FactorNet(states, tuple(factors + [Factor(pair, table) for pair in itertools.combinations(states, 2)]), "K")


def test_on_trees_beliefs_are_exact_after_as_many_rounds_as_the_moral_diameter(forest, engine):
    net, _, codes, far = forest
    diameter = int(far[far < 10**6].max())
    found, exact = engine.query(codes, rounds=diameter), Inference(net).query(codes)
    np.testing.assert_allclose(found.table, exact.table, atol=1e-9)
    assert found.start_converged.all()
    settled = engine.query(codes, rounds=diameter + 1)
    assert settled.converged.all()
    assert (settled.residuals[-1] < 1e-9).all()


def test_on_trees_the_bethe_free_energy_of_settled_messages_is_minus_log_evidence(forest, engine):
    net, _, codes, far = forest
    rounds = int(far[far < 10**6].max()) + 1
    found, exact = engine.query(codes, rounds=rounds), Inference(net).query(codes)
    np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.bethe[-1], -exact.log_evidence, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_after_r_rounds_on_a_tree_a_belief_is_the_posterior_given_evidence_within_moral_distance_r(
    forest, engine, rounds
):
    net, _, codes, far = forest
    found, exact = engine.query(codes, rounds=rounds), Inference(net)
    near = np.where((far <= rounds)[None], codes[:, None], UNOBSERVED).astype(np.int16)  # [rows, target, variables]
    truth = exact.query(near.reshape(-1, codes.shape[1]))
    for v, i in net.index.items():
        np.testing.assert_allclose(found[v], truth[v].reshape(ROWS, len(far), -1)[:, i], atol=1e-9)
    if rounds == 1:  # the claim has teeth: what is known at distance 1 differs from what is known at 0 and in the end
        assert np.abs(found.table - engine.query(codes, rounds=0).table).max() > 0.1
        assert np.abs(found.table - exact.query(codes).table).max() > 0.1


def test_a_uniform_start_lacks_the_claim_about_distance_but_ends_at_the_same_beliefs(forest, engine):
    net, _, codes, far = forest
    diameter = int(far[far < 10**6].max()) + 1
    uniform = engine.query(codes, rounds=diameter, start="uniform")
    np.testing.assert_allclose(uniform.table, Inference(net).query(codes).table, atol=1e-9)
    early = engine.query(codes, rounds=1, start="uniform"), engine.query(codes, rounds=1)
    assert np.abs(early[0].table - early[1].table).max() > 0.1


def test_rows_shown_to_be_impossible_are_flagged_and_leave_the_others_alone(forest, engine):
    net, _, codes, _ = forest
    exact = Inference(net)
    codes, random = codes.copy(), np.random.default_rng(5)
    bad = random.integers(0, net.cardinalities, codes.shape).astype(np.int16)
    codes[1::2] = bad[1::2]
    truth, found = exact.query(codes), engine.query(codes, rounds=20)
    assert (~truth.possible[1::2]).any()
    assert (found.possible == truth.possible).all()
    assert not found.table[~truth.possible].any()
    assert (found.log_evidence[~truth.possible] == -np.inf).all()
    assert (found.bethe[-1][~truth.possible] == np.inf).all()
    assert not found.converged[~truth.possible].any()
    np.testing.assert_allclose(found.table[truth.possible], truth.table[truth.possible], atol=1e-9)
    for values in (found.residuals, found.bethe, found.table, found.log_evidence, found.pending):
        assert not np.isnan(values).any()
    with pytest.raises(ImpossibleEvidenceError):
        engine.query(codes, rounds=20, on_impossible="raise")


@pytest.mark.parametrize(
    ("seed", "settings"),
    [(0, {}), (1, {"damping": 0.4}), (2, {"reweighting": "random-forests"}), (3, {"schedule": "residual"})],
)
def test_on_loopy_graphs_beliefs_and_free_energy_equal_plain_loops_over_dictionaries(seed, settings):
    net = random_loopy_net(np.random.default_rng(seed))
    codes = nothing(net, 3)
    codes[1, 0] = codes[2, 3] = 0
    weights = np.random.default_rng(seed + 10).random((3, len(net.states["v1"]))) + 0.1
    engine = LoopyInference(net, **settings)
    rounds = 80 if settings.get("schedule") == "residual" else 6
    found = engine.query(codes, rounds=rounds, likelihood={"v1": weights}, start="uniform")
    again = engine.query(
        codes, rounds=rounds, likelihood={"v1": weights}, start="uniform", free_energy="last", variables=["v1"]
    )
    for i, row in enumerate(codes):
        beliefs, energies = plain_rounds(
            net,
            row,
            80 if settings.get("schedule") == "residual" else 6,
            damping=settings.get("damping", 0.0),
            rho=engine.reweighting,
            local={"v1": weights[i]},
        )
        # Both schedules share their fixed points, only the way there differs.
        if settings.get("schedule") == "residual":
            assert found.converged[i]
            np.testing.assert_allclose(found.bethe[-1, i], energies[-1], atol=1e-8)
        else:
            np.testing.assert_allclose(found.bethe[:, i], energies[1:], atol=1e-9)
        for v in net.variables:
            np.testing.assert_allclose(found[v][i], beliefs[-1][v], atol=1e-9)
        np.testing.assert_allclose(again["v1"][i], beliefs[-1]["v1"], atol=1e-9)
    np.testing.assert_allclose(again.log_evidence, -found.bethe[-1])


def test_the_prior_start_on_loops_is_the_fixed_point_plain_loops_iterate_to():
    net = random_loopy_net(np.random.default_rng(4))
    codes = nothing(net, 2)
    codes[0, 2] = 0
    found = LoopyInference(net).query(codes, rounds=1)
    for i, row in enumerate(codes):
        beliefs, energies = plain_rounds(net, row, 1, start="prior")
        np.testing.assert_allclose(found.bethe[0, i], energies[1], atol=1e-9)
        for v in net.variables:
            np.testing.assert_allclose(found[v][i], beliefs[1][v], atol=1e-9)
    assert found.residuals[0, 1] < 1e-10  # without evidence nothing moves


def test_in_a_bayes_net_with_loops_the_no_evidence_start_settles_and_parents_hear_nothing():
    from worldnets import read_net

    net = read_net(public_nets()["asia"])
    found = LoopyInference(net).query(nothing(net), rounds=1)
    assert found.start_converged.all()
    assert found.residuals.max() < 1e-12
    assert LoopyInference(net).query(nothing(net), rounds=1500).converged.all()  # more than the start may take
    assert found.log_evidence[0] == pytest.approx(0.0, abs=1e-12)


def test_a_case_that_does_not_converge_is_reported_and_damping_mends_it():
    # Five spins, each pulling away from every other: frustrated, strong enough that plain messages oscillate for good.
    net = complete_graph(5, -1.0)
    plain = LoopyInference(net).query(nothing(net), rounds=400, start="uniform")
    assert not plain.converged[0]
    assert plain.residuals[-1, 0] > 0.5
    assert "0 of 1 converged" in repr(plain)
    damped = LoopyInference(net, damping=0.5).query(nothing(net), rounds=400, start="uniform")
    assert damped.converged[0]
    exact = Inference(net).query(nothing(net))
    assert np.abs(damped.table - exact.table).max() < 0.1 < np.abs(plain.table - exact.table).max()
    assert not LoopyInference(net).query(nothing(net), rounds=2).start_converged[0]


@pytest.mark.parametrize("coupling", [-1.0, 0.6])
def test_the_settled_reweighted_estimate_is_an_upper_bound_of_log_z(coupling):
    net = complete_graph(5, coupling)
    exact = Inference(net).log_evidence(nothing(net))[0]
    found = LoopyInference(net, reweighting="uniform-spanning-trees").query(nothing(net), rounds=600, start="uniform")
    assert found.converged[0]
    assert found.log_evidence[0] > exact
    # Forests drawn at random bound it too, less symmetrically.
    drawn = LoopyInference(net, reweighting="random-forests").query(nothing(net), rounds=600, start="uniform")
    assert drawn.log_evidence[0] > exact or not drawn.converged[0]


def test_the_residual_schedule_is_exact_on_trees_and_settles_in_fewer_rounds(forest, engine):
    net, _, codes, _ = forest
    found, exact = LoopyInference(net, schedule="residual").query(codes, rounds=3), Inference(net).query(codes)
    assert not engine.query(codes, rounds=3).converged.all()
    np.testing.assert_allclose(found.table, exact.table, atol=1e-9)
    np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-9, atol=1e-9)
    assert found.converged.all()


def test_interventions_equal_the_cut_net_row_by_row():
    random = np.random.default_rng(7)
    net, names = side_by_side([random_tree(random, 7, kinds=("dense", "zeros")) for _ in range(3)])
    codes = simulate(net, 6, seed=2)
    codes[random.random(codes.shape) < 0.7] = UNOBSERVED
    first, second = (max(group, key=lambda v: len(net.parents(v))) for group in names[:2])
    codes[:, [net.index[first], net.index[second]]] = UNOBSERVED
    labels = [net.states[second][i % len(net.states[second])] for i in range(6)]
    labels[3] = None
    do = {first: net.states[first][0], second: labels}
    found = LoopyInference(net).query(codes, rounds=12, do=do)
    for i in range(6):
        cut = net.do({first: do[first], **({second: labels[i]} if labels[i] is not None else {})})
        exact = Inference(cut).query(codes[i : i + 1])
        assert found.possible[i] == exact.possible[0]
        for v in net.variables:
            np.testing.assert_allclose(found[v][i], exact[v][0], atol=1e-9)
        np.testing.assert_allclose(found.log_evidence[i], exact.log_evidence[0], atol=1e-9)
    against = codes.copy()
    against[0, net.index[first]] = len(net.states[first]) - 1
    if len(net.states[first]) > 1:
        with pytest.raises(EvidenceError, match="contradicts the intervention"):
            LoopyInference(net).query(against, rounds=12, do=do)


def test_a_row_without_a_label_to_set_keeps_its_evidence_and_its_tables():
    net = naive_bayes(1, 1.0)
    codes = nothing(net, 3)
    codes[:, net.index["class"]] = [0, 1, -1]
    codes[:, net.index["a0"]] = [-1, 1, 1]
    found = LoopyInference(net).query(codes, rounds=6, do={"class": [0, None, np.nan]})
    exact = Inference(net).query(codes)
    np.testing.assert_allclose(found.table[1:], exact.table[1:], atol=1e-12)
    np.testing.assert_allclose(found.log_evidence, [0.0, *exact.log_evidence[1:]], atol=1e-12)


@pytest.mark.parametrize("schedule", ["synchronous", "residual"])
def test_soft_evidence_of_any_scale_has_the_log_evidence_of_the_exact_engine(schedule):
    net = naive_bayes(2, 1.0)
    soft = {"a0": np.array([[1e-250, 3e-250], [0.0, 0.0], [2.0, 0.0]]), "copy": [1e-200, 1e-201]}
    found = LoopyInference(net, schedule=schedule).query(None, rounds=8, likelihood=soft, do={"b1": 1})
    exact = Inference(net).query(None, likelihood=soft, do={"b1": 1})
    assert found.possible.tolist() == exact.possible.tolist() == [True, False, True]
    np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-12)
    np.testing.assert_allclose(found.table, exact.table, atol=1e-12)
    np.testing.assert_allclose(found.bethe[-1], -exact.log_evidence, rtol=1e-12)
    assert (found.bethe[:, 1] == np.inf).all()


def naive_bayes(features, tilt):
    """A class, a copy of it, and observed features of either that pull against each other by `tilt` nats each."""
    p = 1 / (1 + np.exp(-tilt))
    states = {"class": (0, 1), "copy": (0, 1)} | {f"{side}{i}": (0, 1) for side in "ab" for i in range(features)}
    parents = {"copy": ("class",)} | {
        f"{s}{i}": ("class" if s == "a" else "copy",) for s in "ab" for i in range(features)
    }
    cpts = {"class": [0.5, 0.5], "copy": np.eye(2)}
    cpts |= {v: [[p, 1 - p], [1 - p, p]] for v in parents if v != "copy"}
    return WorldNet(states, parents, cpts, "naive Bayes")


def test_thousands_of_observations_that_contradict_each_other_neither_underflow_nor_count_as_impossible():
    features, tilt = 1000, 2.0
    net = naive_bayes(features, tilt)
    codes = nothing(net, 2)
    for v, i in net.index.items():
        if v[0] == "a":
            codes[:, i] = 0
        elif v[0] == "b":
            codes[:, i] = 1  # e^-2000 against the class that the a's say
    codes[:, net.index["b0"]] = 0
    codes[1, net.index["b1"]] = 0
    found = LoopyInference(net).query(codes, rounds=4)
    # The log odds are tilt × (features for class 0 − features for class 1).
    for row, surplus in enumerate((2, 4)):
        odds = 1 / (1 + np.exp(-tilt * surplus))
        np.testing.assert_allclose(found["copy"][row], [odds, 1 - odds], atol=1e-9)
    same, weaker = np.log(1 / (1 + np.exp(-tilt))), np.log(1 / (1 + np.exp(tilt)))
    agree, disagree = features + 1, features - 1
    expected = np.log(0.5) + np.logaddexp(agree * same + disagree * weaker, disagree * same + agree * weaker)
    assert found.log_evidence[0] == pytest.approx(expected, rel=1e-9)
    assert found.possible.all()


def test_float32_agrees_to_single_precision(forest):
    net, _, codes, _ = forest
    found = LoopyInference(net, dtype="float32").query(codes, rounds=12)
    assert found.table.dtype == np.float32
    np.testing.assert_allclose(found.table, Inference(net).query(codes).table, atol=2e-4)


def test_nets_without_factors_without_rows_and_with_single_states_are_served():
    bare = FactorNet({"a": (0, 1, 2), "b": (0,)}, (), "bare")
    found = LoopyInference(bare).query(nothing(bare, 2), rounds=3)
    np.testing.assert_allclose(found["a"], 1 / 3)
    np.testing.assert_allclose(found.log_evidence, np.log(3))
    assert found.converged.all()
    assert LoopyInference(bare).query(nothing(bare, 0)).table.shape == (0, 4)
    nowhere = FactorNet({"a": (0, 1)}, (Factor(("a",), np.zeros(2)), Factor((), np.asarray(1.0))), "Z = 0")
    assert not LoopyInference(nowhere).query(nothing(nowhere)).possible.any()
    empty_scope = FactorNet({"a": (0, 1)}, (Factor((), np.asarray(0.0)),), "Z = 0")
    assert LoopyInference(empty_scope).query(nothing(empty_scope)).log_evidence[0] == -np.inf


def test_evidence_as_labels_keeps_its_index_and_reports_only_what_was_asked_for(forest, engine):
    net = forest[0]
    v = net.variables[0]
    frame = pd.DataFrame({v: [net.states[v][0], None]}, index=["x", "y"])
    found = engine.query(frame, variables=[v], rounds=1)
    assert found.to_pandas().index.tolist() == ["x", "y"]
    assert found.variables == (v,)
    assert found[v][0].argmax() == 0
    with pytest.raises(QueryError):
        found[net.variables[1]]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda net: LoopyInference(net, dtype="float16"), QueryError, "number type"),
        (lambda net: LoopyInference(net, schedule="random"), QueryError, "schedule"),
        (lambda net: LoopyInference(net, damping=1.0), QueryError, "damping"),
        (lambda net: LoopyInference(net, damping=float("nan")), QueryError, "damping"),
        (lambda net: LoopyInference(net).query(nothing(net), rounds=-1), QueryError, "rounds"),
        (lambda net: LoopyInference(net).query(nothing(net), rounds=2.5), QueryError, "rounds"),
        (lambda net: LoopyInference(net).query(nothing(net), start="zero"), QueryError, "start"),
        (lambda net: LoopyInference(net).query(nothing(net), tolerance=-1.0), QueryError, "tolerance"),
        (lambda net: LoopyInference(net).query(nothing(net), free_energy="never"), QueryError, "free_energy"),
        (lambda net: LoopyInference(net).query(nothing(net), variables="s0_0"), QueryError, "one text"),
        (lambda net: LoopyInference(net).query(nothing(net), variables=["q"]), QueryError, "unknown variable"),
        (lambda net: LoopyInference(net).query(nothing(net), likelihood={"s0_0": [1.0]}), EvidenceError, "shape"),
        (
            lambda net: LoopyInference(net).query(nothing(net), likelihood={"s0_0": [1.0, -1.0]}),
            EvidenceError,
            "negative",
        ),
        (
            lambda net: LoopyInference(net).query(nothing(net), likelihood={"q": [1.0]}),
            EvidenceError,
            "unknown variable",
        ),
        (lambda net: LoopyInference(net).query(nothing(net), do={"s0_0": 1}), EvidenceError, "no arrows"),
        (lambda net: LoopyInference(net).history(nothing(net, 2)), QueryError, "one row"),
        (lambda net: LoopyInference(net).unrolled(3, space="log"), QueryError, "space"),
        (lambda net: LoopyInference(net, schedule="residual").unrolled(3), QueryError, "synchronous"),
    ],
)
def test_bad_requests_are_refused_with_what_to_do(call, error, match):
    with pytest.raises(error, match=match):
        call(ising(2, 0.5, 0.1))


def test_interventions_on_unknown_labels_or_of_the_wrong_length_are_refused():
    net = naive_bayes(1, 1.0)
    engine = LoopyInference(net)
    for given, match in (
        ({"class": 7}, "unknown state"),
        ({"class": [0, 1, 1]}, "another length"),
        ({"class": None}, "unknown state"),
        ({"class": [7, 0]}, "unknown"),
    ):
        with pytest.raises(EvidenceError, match=match):
            engine.query(nothing(net, 2), do=given)


def test_the_program_does_not_grow_with_the_net():
    import jax

    from worldnets import read_net
    from worldnets.inference.loopy.graph import MOST_GROUPS

    def equations(net):
        engine = LoopyInference(net)
        tables, local = engine.log_tables, engine.log_local(nothing(net))
        with jax.enable_x64(True):
            return count(jax.make_jaxpr(engine.unrolled(5, space="probability"))(tables, local).jaxpr)

    def count(program):
        inner = [p.jaxpr for e in program.eqns for p in e.params.values() if hasattr(p, "jaxpr")]
        return len(program.eqns) + sum(map(count, inner))

    assert equations(ising(8, 0.5, 0.1)) == equations(ising(16, 0.5, 0.1))
    for name in ("munin", "andes"):
        net = read_net(public_nets()[name])
        graph, arities = LoopyInference(net).graph, {len(scope) for scope, _ in net.factors}
        assert len(graph.wiring.factors) <= max(MOST_GROUPS, len(arities))
        assert len(graph.wiring.variables) <= MOST_GROUPS


def test_no_global_setting_changes_and_jax_is_loaded_only_by_the_first_query():
    code = """
import sys, numpy as np, worldnets.inference as wi
from worldnets.net import WorldNet
net = WorldNet({"a": (0, 1)}, {}, {"a": [0.5, 0.5]})
engine = wi.LoopyInference(net)
assert not {"jax", "numba", "pandas", "matplotlib"} & set(sys.modules), sorted(sys.modules)
engine.query(np.zeros((1, 1), dtype=np.int16))
import jax
assert not jax.config.jax_enable_x64
assert jax.numpy.ones(1).dtype == np.float32
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_multiply_adds_are_the_formula_on_a_chain_counted_by_hand():
    states = dict.fromkeys("abc", (0, 1, 2))
    table = np.ones((3, 3))
    net = FactorNet(states, (Factor(("a", "b"), table), Factor(("b", "c"), table)), "chain")
    # Two tables: 9 multiplications and 9 additions for each of two messages, and for both a multiplication and an
    # addition per state to normalise. b hears two messages: 3·1·3 products, 3 for the belief. a and c hear one, but are
    # grouped with b and padded: the same again.
    of_table = 2 * (9 + 9) + 2 * (3 + 3)
    of_variable = 3 * 1 * 3 + 3
    one_round = 2 * of_table + 3 * of_variable
    engine = LoopyInference(net)
    assert engine.round_multiply_adds == one_round
    assert engine.query(nothing(net, 2), rounds=7).multiply_adds.tolist() == [7 * one_round] * 2
    # One message at a time: four edges, each with its variable's products and the two tables around it.
    residual = LoopyInference(net, schedule="residual")
    assert residual.round_multiply_adds == 4 * (of_variable + 2 * of_table)
