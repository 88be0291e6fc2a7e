"""Expectation–maximisation: each step against enumeration, planted models found again, updates that go on."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import world_nets
from tests.worldnets.learning.oracle import brute_bits, brute_step, latent_class, observed
from worldnets.errors import EvidenceError, LearningError, NetError
from worldnets.formats import read_net
from worldnets.inference import simulate
from worldnets.learning import Rows, dirichlet, expectation_maximisation, held_out_bits, maximum_likelihood
from worldnets.learning.expectation_maximisation import LEAST
from worldnets.net import WorldNet
from worldnets.public_nets import public_net


@st.composite
def incomplete(draw, rows=12):
    """A net, and rows drawn from it with some columns never shown and some entries missing."""
    net = draw(world_nets(max_variables=5, max_cardinality=3))
    seed = draw(st.integers(0, 2**20))
    random = np.random.default_rng(seed)
    codes = np.array(simulate(net, rows, seed))
    codes[random.random(codes.shape) < draw(st.sampled_from((0.0, 0.1, 0.5)))] = -1
    shown = [i for i in range(codes.shape[1]) if draw(st.booleans()) and (codes[:, i] >= 0).any()]
    kept = [i for i in range(codes.shape[1]) if i in shown or len(net.states[net.variables[i]]) < 2]
    codes[:, [i for i in kept if i not in shown]] = 0
    if not kept:
        kept = [0]
        codes[:, 0] = 0
    weights = random.choice([0.5, 1.0, 3.0], rows)
    return net, Rows({net.variables[i]: net.states[net.variables[i]] for i in kept}, codes[:, kept], weights)


def random_start(net, seed):
    random = np.random.default_rng(seed)
    tables = {v: random.dirichlet(np.ones(t.shape[-1]), t.shape[:-1] or None) for v, t in net.cpts.items()}
    return WorldNet(net.states, net.parent_sets, tables)


@settings(max_examples=40)
@given(incomplete(), st.integers(0, 2**20), st.sampled_from([0.0, 0.7]))
def test_a_step_is_that_of_enumeration_and_bits_are_those_of_the_rows(case, seed, prior):
    net, rows = case
    start, codes = random_start(net, seed), rows.codes_in(net)
    found = expectation_maximisation(rows, net, start=start, restarts=0, iterations=1, tolerance=0, pseudocount=prior)
    # Families that every row shows are counted at once, whatever the start says: so they are by enumeration.
    expected = brute_step(start, codes, rows.weights, prior)
    for v in net.variables:
        np.testing.assert_allclose(found.net.cpt(v), expected[v], rtol=1e-7, atol=1e-9)
    bits = rows.weights @ brute_bits(found.net, codes) / rows.total
    assert found.bits == pytest.approx(bits, abs=1e-8)


@settings(max_examples=25)
@given(incomplete(), st.sampled_from([{}, {"pseudocount": 0.5}, {"equivalent_sample_size": 2.0}]))
def test_bits_never_rise_and_the_best_run_is_kept(case, prior):
    net, rows = case
    found = expectation_maximisation(rows, net, restarts=3, iterations=30, **prior)
    for run in found.history:
        assert (np.diff(run.bits) <= 1e-9 * np.abs(run.bits[:-1]) + 1e-12).all()
    assert found.history[found.kept].bits[-1] == min(run.bits[-1] for run in found.history)


def test_complete_rows_are_counted_and_nothing_is_iterated():
    net = latent_class(0, variables=3)
    rows = Rows(net.states, simulate(net, 200, 1))
    for option in ({}, {"pseudocount": 0.5}):
        found = expectation_maximisation(rows, net, **option)
        counted = dirichlet(rows, net, pseudocount=option.get("pseudocount", 0))
        for v in net.variables:
            np.testing.assert_array_equal(found.net.cpt(v), counted.net.cpt(v))
        assert found.bits == pytest.approx(counted.bits, rel=1e-12)
        assert [run.steps for run in found.history] == [0]
        assert found.history[0].converged


def test_weights_count_as_repeated_rows():
    net = latent_class(3, classes=2, variables=4)
    rows = observed(net, 50, 0)
    times = np.arange(50) % 3
    repeated = rows.take(np.repeat(np.arange(50), times))
    weighted = Rows(rows.states, rows.codes, times)
    one, other = (expectation_maximisation(some, net, restarts=2) for some in (repeated, weighted))
    np.testing.assert_allclose(one.net.cpt("x0"), other.net.cpt("x0"), rtol=1e-9)
    assert one.bits == pytest.approx(other.bits, rel=1e-12)


def test_the_result_depends_on_the_seed_and_not_on_threads():
    net = latent_class(4)
    rows = observed(net, 500, 0)
    runs = [expectation_maximisation(rows, net, restarts=3, seed=s, threads=t) for s, t in ((0, 1), (0, 2), (1, 2))]
    for one, other in zip(runs[0].history, runs[1].history, strict=True):
        np.testing.assert_array_equal(one.bits, other.bits)
    assert runs[2].history[0].bits[0] != runs[0].history[0].bits[0]
    longer = expectation_maximisation(rows, net, restarts=5, seed=0)
    np.testing.assert_array_equal(longer.history[2].bits, runs[0].history[2].bits)


def recovered(seed, rows=20_000, restarts=5):
    net = latent_class(seed)
    test = observed(net, 5_000, 2 * seed + 1)
    found = expectation_maximisation(observed(net, rows, 2 * seed), net, restarts=restarts, seed=seed, held_out=test)
    return found.held_out.bits - held_out_bits(net, test).bits


def test_planted_latent_class_models_are_found_in_at_least_18_of_20_seeds():
    assert sum(abs(recovered(seed)) < 0.01 for seed in range(100, 120)) >= 18


def test_entries_missing_at_random_cost_little():
    net = read_net(public_net("asia"))
    codes = np.array(simulate(net, 10_000, 0))
    codes[np.random.default_rng(0).random(codes.shape) < 0.2] = -1
    test = Rows(net.states, simulate(net, 20_000, 1))
    found = expectation_maximisation(Rows(net.states, codes), net, restarts=1, pseudocount=0.5, held_out=test)
    assert found.history[0].converged
    assert found.held_out.bits - held_out_bits(net, test).bits < 0.01


def test_latents_get_numbered_or_named_states_and_may_be_asked_about():
    net = latent_class(0, classes=2, variables=3)
    rows = observed(net, 300, 0)
    arrows = dict.fromkeys(rows.variables, ("kind",))
    numbered = expectation_maximisation(rows, arrows, {"kind": 2}, restarts=1)
    assert numbered.net.states["kind"] == (0, 1)
    named = expectation_maximisation(rows, arrows, {"kind": ["day", "night"]}, restarts=1)
    assert named.net.states["kind"] == ("day", "night")
    np.testing.assert_array_equal(named.net.cpt("x0"), numbered.net.cpt("x0"))
    assert named.net.variables == (*rows.variables, "kind")


def test_runs_stop_when_little_is_left_and_say_when_they_did_not():
    net = latent_class(5)
    rows = observed(net, 2_000, 0)
    found = expectation_maximisation(rows, net, restarts=1, tolerance=1e-3)
    limit = expectation_maximisation(rows, net, restarts=1, tolerance=1e-9, iterations=5000)
    assert found.history[0].converged
    assert limit.history[0].converged
    assert found.history[0].steps < limit.history[0].steps
    assert 0 <= found.bits - limit.bits < 3e-3
    cut = expectation_maximisation(rows, net, restarts=1, iterations=3)
    assert not cut.history[0].converged
    assert cut.history[0].steps == 3
    assert "not converged" in repr(cut.history[0])


def test_the_likelihood_is_that_of_pgmpys_em_from_the_same_tables():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.models import DiscreteBayesianNetwork
        from pgmpy.parameter_estimator import DiscreteEM

        net = latent_class(6, classes=2, variables=3, states=2)
        start, table = random_start(net, 1), observed(net, 200, 0).to_pandas().astype(str)
        model = DiscreteBayesianNetwork([("class", v) for v in table.columns], latents={"class"})
        tables = {cpd.variable: cpd for cpd in start.to_pgmpy().get_cpds()}
        options = {"latent_card": {"class": 2}, "init_cpds": tables, "max_iter": 7, "atol": 0.0}
        theirs = DiscreteEM(**options, show_progress=False).fit(model, table).parameters_
    ours = expectation_maximisation(table, net, start=start, restarts=0, iterations=7, tolerance=0)
    for cpd in theirs:
        mine = np.moveaxis(ours.net.cpt(cpd.variable), -1, 0)
        np.testing.assert_allclose(np.asarray(cpd.values), mine, rtol=1e-8)


def test_an_update_of_complete_rows_gives_what_counting_gives():
    net = latent_class(0, variables=3)
    rows = Rows(net.states, simulate(net, 200, 1))
    found = expectation_maximisation(rows.take(slice(0, 120)), net).update(rows.take(slice(120, 200)))
    counted = maximum_likelihood(rows, net)
    for v in net.variables:
        np.testing.assert_array_equal(found.net.cpt(v), counted.net.cpt(v))
    assert found.rows == 200
    assert found.bits == pytest.approx(counted.bits, rel=1e-12)


@settings(max_examples=25)
@given(incomplete(), st.integers(3, 11), st.sampled_from([0.0, 0.5]))
def test_bits_after_updates_are_an_upper_limit_of_the_bits_of_all_rows(case, cut, prior):
    net, rows = case
    first, more = rows.take(slice(0, cut)), rows.take(slice(cut, 12))
    shown = {v for i, v in enumerate(rows.variables) if (first.codes[:, i] >= 0).any()}
    if shown != set(rows.variables):
        return
    found = expectation_maximisation(first, net, restarts=2, iterations=40, pseudocount=prior).update(more)
    bits = rows.weights @ brute_bits(found.net, rows.codes_in(net)) / rows.total
    assert np.isfinite(bits)
    assert found.bits >= bits - 1e-8
    assert found.rows == rows.total
    assert (np.diff(found.history[-1].bits) <= 1e-9 * np.abs(found.history[-1].bits[:-1]) + 1e-12).all()


def test_updates_come_nearer_to_the_truth_without_beginning_again():
    net = latent_class(7)
    rows, test = observed(net, 20_000, 0), observed(net, 20_000, 1)
    found = expectation_maximisation(rows.take(slice(0, 1000)), net, restarts=5, held_out=test)
    gaps = [found.held_out.bits]
    for first in range(1000, 20_000, 1000):
        found = found.update(rows.take(slice(first, first + 1000)))
        gaps.append(found.held_out.bits)
    truth, whole = held_out_bits(net, test).bits, expectation_maximisation(rows, net, restarts=5, held_out=test)
    assert gaps[0] - truth > 3 * (gaps[-1] - truth)
    assert gaps[-1] - whole.held_out.bits < 0.005
    assert len(found.history) == 5 + 19
    assert found.kept == len(found.history) - 1


def test_an_update_may_show_states_that_had_probability_zero_and_latents_themselves():
    net = latent_class(0, classes=2, variables=3)
    first = observed(net, 100, 0)
    first = first.take(first.codes[:, 0] != 2)
    assert (expectation_maximisation(first, net).net.cpt("x0")[:, 2] == 0).all()
    learned = expectation_maximisation(first, net)
    after = learned.update(observed(net, 100, 1))
    assert (after.net.cpt("x0")[:, 2] > 0).all()
    told = learned.update(Rows(net.states, simulate(net, 100, 2)))
    assert told.rows == learned.rows + 100
    assert not told.measured_on(Rows(net.states, simulate(net, 100, 2))).held_out.infinite


def test_never_counted_distributions_are_uniform():
    net = WorldNet(
        {"h": (0, 1), "a": (0, 1, 2), "b": (0, 1)},
        {"a": ("h",), "b": ("h", "a")},
        {"h": [0.5, 0.5], "a": [[0.5, 0.5, 0], [0.1, 0.9, 0]], "b": np.full((2, 3, 2), 0.5)},
    )
    found = expectation_maximisation(observed(net, 100, 0, hidden=("h",)), net, restarts=2)
    np.testing.assert_array_equal(found.net.cpt("b")[:, 2], np.full((2, 2), 0.5))


TABLE = pd.DataFrame({"a": ["x", "y", "x"], "b": ["u", None, "v"]})
BAD = [
    ({"latents": {"h": 1}}, "node 'h': a latent variable that cannot vary; found 1"),
    ({"latents": {"h": 0}}, "node 'h': a latent variable that cannot vary; found 0"),
    ({"latents": {"h": 4}}, "node 'h': a latent variable with more states than there are rows; found 4"),
    ({"latents": {"a": 2}}, "node 'a': a latent variable with a column"),
    ({"structure": {"b": ["h"]}}, "without a column; found 'h'.*latents="),
    ({"restarts": 0}, "nothing to start from"),
    ({"restarts": -1}, "restarts must be a whole number"),
    ({"seed": 1.5}, "seed must be a whole number"),
    ({"iterations": -1}, "iterations must be a whole number"),
    ({"tolerance": np.nan}, "tolerance must be a number"),
    ({"pseudocount": -1}, "pseudocount must be a finite number"),
    ({"data": TABLE[:1]}, "all missing|too few rows"),
    ({"data": TABLE[:0]}, "no rows"),
    ({"data": TABLE.assign(b=None)}, "node 'b': a column all missing.*latents="),
    ({"weights": [1, 2]}, "weights of the wrong shape"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_learned_is_refused(options, message):
    with pytest.raises(LearningError, match=message) as caught:
        expectation_maximisation(**{"data": TABLE, "structure": {"b": ["a"]}, **options})
    assert caught.value.mend


def test_a_cycle_and_a_label_that_is_no_state_are_refused():
    with pytest.raises(NetError, match="cycle"):
        expectation_maximisation(TABLE, {"a": ["h"], "h": ["b"], "b": ["a"]}, {"h": 2})
    with pytest.raises(EvidenceError, match="unknown state; found 'v'"):
        expectation_maximisation(TABLE, {}, states={"b": ["u"]})


def test_starts_that_do_not_fit_or_forbid_a_row_are_refused():
    net = latent_class(0, classes=2, variables=2)
    rows = observed(net, 20, 0)
    for other in (
        latent_class(0, classes=3, variables=2),
        WorldNet(
            net.states, {"x0": ("x1",)}, {"class": [0.5, 0.5], "x1": [0.2, 0.3, 0.5], "x0": np.full((3, 3), 1 / 3)}
        ),
    ):
        with pytest.raises(LearningError, match="a start of another structure"):
            expectation_maximisation(rows, net, start=other)
    never = WorldNet(net.states, net.parent_sets, {**net.cpts, "x0": [[1, 0, 0], [1, 0, 0]]})
    row = int(np.flatnonzero(rows.codes[:, 0] != 0)[0])
    with pytest.raises(LearningError, match="impossible under the net to start from") as caught:
        expectation_maximisation(rows, net, start=never)
    assert caught.value.row is not None
    assert rows.codes[caught.value.row, 0] != 0
    assert row >= 0


def test_more_states_than_there_are_different_rows_are_no_trouble():
    rows = Rows({"a": (0, 1)}, [[0], [0], [1], [1], [1]])
    found = expectation_maximisation(rows, {"a": ["h"]}, {"h": 4}, restarts=2)
    np.testing.assert_allclose(found.net.cpt("h") @ found.net.cpt("a"), [0.4, 0.6], atol=1e-6)


def test_no_run_stops_at_the_saddle_where_all_latent_states_are_alike():
    random = np.random.default_rng(4)
    states = {"h1": (0, 1), "h2": (0, 1), "h3": (0, 1), "x1": (0, 1, 2), "x2": (0, 1, 2), "x3": (0, 1, 2)}
    parents = {"h2": ["h1"], "h3": ["h2"], "x1": ["h1"], "x2": ["h2"], "x3": ["h3"]}
    moves, shows = random.dirichlet([1, 1], 2), random.dirichlet([1, 1, 1], 2)
    tables = {"h1": [0.5, 0.5], "h2": moves, "h3": moves, "x1": shows, "x2": shows, "x3": shows}
    net = WorldNet(states, parents, tables)
    rows = simulate(net, 2000, 0)
    seen = {v: rows[:, net.index[v]] for v in ("x1", "x2", "x3")}
    learned = expectation_maximisation(pd.DataFrame(seen), net, restarts=6, seed=1)
    for run in learned.history:
        assert run.steps >= LEAST - 1 or run.bits[-2] - run.bits[-1] < 1e-14
    assert np.ptp([run.bits[-1] for run in learned.history]) < 0.01
