"""The JAX rule against the engine: values, gradients, and every transformation people wrap it in."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from jax.test_util import check_grads

from tests.strategies import factor_nets, world_nets
from tests.worldnets.inference.test_exact import evidence_codes, impossible_case
from tests.worldnets.inference.test_gradient import mixed_rows, random_cotangents, table_list
from worldnets import read_net
from worldnets.errors import EvidenceError, QueryError
from worldnets.inference import UNOBSERVED, Inference, simulate
from worldnets.inference.differentiable import beliefs_function, log_tables
from worldnets.inference.gradient import vjp
from worldnets.net import WorldNet
from worldnets.public_nets import public_nets


def weighted(function, cotangents, weights):
    """A linear function of beliefs and log evidence, skipping impossible rows: its gradient is a `vjp`."""

    def value(tables, codes):
        beliefs, log_evidence = function(tables, codes)
        kept = jnp.where(log_evidence > -jnp.inf, log_evidence, 0.0)
        return sum((beliefs[v] * cotangents[v]).sum() for v in beliefs) + (kept * weights).sum()

    return value


@settings(max_examples=8)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_values_and_gradients_of_any_net_are_the_engines(data, seed):
    net = data.draw(st.one_of(world_nets(max_joint=500, max_variables=5), factor_nets(max_variables=4)))
    codes = data.draw(evidence_codes(net, rows=3))
    engine = Inference(net)
    cotangents, weights = random_cotangents(net, len(codes), seed)
    expected, truth = table_list(net, vjp(engine, codes, cotangents, weights)), engine.query(codes)
    with jax.enable_x64(True):
        function = beliefs_function(engine)
        beliefs, log_evidence = function(log_tables(net), codes)
        found = jax.grad(weighted(function, cotangents, weights))(log_tables(net), codes)
    np.testing.assert_allclose(log_evidence, truth.log_evidence, rtol=1e-9, atol=1e-9)
    for v in net.variables:
        assert beliefs[v].dtype == np.float64
        np.testing.assert_allclose(beliefs[v], truth[v], atol=1e-9)
    for mine, theirs in zip(table_list(net, found), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_compiled_gradients_are_doubles_in_whatever_thread_jax_calls_back():
    net, codes = mixed_rows("alarm", 64)
    engine = Inference(net)
    cotangents, weights = random_cotangents(net, len(codes), 1)
    expected = vjp(engine, codes, cotangents, weights)
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(weighted(beliefs_function(engine), cotangents, weights)))
        tables = {v: jnp.asarray(table) for v, table in log_tables(net).items()}
        for _ in range(3):  # from the second call on JAX dispatches without Python, asynchronously
            found = gradient(tables, jnp.asarray(codes))
            for v in net.variables:
                np.testing.assert_allclose(found[v], expected[v], atol=1e-9)


def test_outside_of_a_double_precision_scope_results_are_single_and_no_flag_is_touched():
    net, codes = mixed_rows("alarm", 8)
    assert not jax.config.jax_enable_x64
    beliefs, log_evidence = beliefs_function(net, ["HR"])(log_tables(net), codes)
    truth = Inference(net).query(codes)
    assert beliefs["HR"].dtype == log_evidence.dtype == np.float32
    assert list(beliefs) == ["HR"]
    np.testing.assert_allclose(beliefs["HR"], truth["HR"], atol=1e-6)
    np.testing.assert_allclose(log_evidence, truth.log_evidence, rtol=1e-6)
    assert not jax.config.jax_enable_x64


def other_nets(net, count):
    """Nets of the same structure with tables of their own (and the same zeros)."""
    random = np.random.default_rng(2)
    nets = []
    for _ in range(count):
        cpts = {v: net.cpt(v) * random.random(net.cpt(v).shape) for v in net.variables}
        nets.append(WorldNet(net.states, net.parent_sets, {v: t / t.sum(-1, keepdims=True) for v, t in cpts.items()}))
    return nets


def test_tables_and_evidence_can_be_mapped_over():
    net, codes = mixed_rows("asia", 12)
    cotangents, weights = random_cotangents(net, 12, 3)
    nets = other_nets(net, 3)
    stacked = {v: np.stack([log_tables(one)[v] for one in nets]) for v in net.variables}
    with jax.enable_x64(True):
        gradient = jax.grad(weighted(beliefs_function(net), cotangents, weights))
        seeds = jax.jit(jax.vmap(gradient, in_axes=(0, None)))(stacked, codes)
        beliefs, _ = jax.vmap(jax.vmap(beliefs_function(net), (None, 0)), (0, None))(stacked, codes.reshape(2, 6, -1))
    for i, one in enumerate(nets):
        expected = vjp(Inference(one), codes, cotangents, weights)
        for v in net.variables:
            np.testing.assert_allclose(seeds[v][i], expected[v], atol=1e-9)
            np.testing.assert_allclose(beliefs[v][i].reshape(12, -1), Inference(one).query(codes)[v], atol=1e-9)


def test_a_scan_of_gradient_steps_on_logits_learns_the_tables():
    truth = WorldNet({"a": (0, 1), "b": (0, 1)}, {"b": ("a",)}, {"a": [0.2, 0.8], "b": [[0.9, 0.1], [0.3, 0.7]]})
    codes = simulate(truth, 400, seed=4)
    codes[::3, 0] = UNOBSERVED
    function = beliefs_function(truth, [])

    def loss(logits):
        _, log_evidence = function({v: jax.nn.log_softmax(x) for v, x in logits.items()}, codes)
        return -log_evidence.mean()

    def step(logits, _):
        value, gradients = jax.value_and_grad(loss)(logits)
        return {v: logits[v] - 2.0 * gradients[v] for v in logits}, value

    start = {"a": jnp.zeros(2), "b": jnp.zeros((2, 2))}
    learned, losses = jax.jit(lambda logits: jax.lax.scan(step, logits, length=200))(start)
    assert (np.diff(losses) < 1e-5).all()
    best = -Inference(truth).log_evidence(codes).mean()
    assert losses[-1] < best  # the data's own optimum is at least as good as the truth
    np.testing.assert_allclose(np.exp(jax.nn.log_softmax(learned["a"])), truth.cpt("a"), atol=0.06)
    np.testing.assert_allclose(np.exp(jax.nn.log_softmax(learned["b"])), truth.cpt("b"), atol=0.1)


def test_tables_need_not_be_normalised_and_gradients_agree_with_finite_differences():
    net, codes = mixed_rows("asia", 6, share=0.5)
    random = np.random.default_rng(5)
    with jax.enable_x64(True):
        tables = {v: jnp.asarray(random.normal(size=net.cpt(v).shape) * 3 + 40) for v in net.variables}
        cotangents, weights = random_cotangents(net, 6, 6)
        value = weighted(beliefs_function(net), cotangents, weights)
        # Entries that are zero in the net have been given values here: the structure must follow.
        check_grads(lambda t: value(t, codes), (tables,), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


def test_zeros_follow_the_tables_and_have_gradient_zero():
    net, _ = impossible_case()
    function = beliefs_function(net)
    codes = np.array([[UNOBSERVED, 0], [UNOBSERVED, 1]], np.int16)

    def value(tables):
        beliefs, log_evidence = function(tables, codes)
        return beliefs["a"][:, 0].sum() + log_evidence[0]

    assert not np.asarray(function(log_tables(net), codes)[0]["a"])[1].any()
    gradients = jax.grad(value)(log_tables(net))
    assert gradients["a"][1] == gradients["b"][0, 1] == 0.0
    assert np.isfinite(gradients["a"]).all()
    opened = {**log_tables(net), "a": np.log([0.5, 0.5])}
    np.testing.assert_allclose(function(opened, codes)[0]["a"][1], [0.0, 1.0])
    np.testing.assert_allclose(function(opened, codes)[1], np.log([0.75, 0.25]), rtol=1e-6)
    np.testing.assert_allclose(function(log_tables(net), codes)[1], [0.0, -np.inf])  # and back


def test_tables_that_are_no_numbers_give_no_numbers():
    net, _ = impossible_case()
    tables = {**log_tables(net), "a": np.array([np.nan, 0.0])}
    codes = np.full((2, 2), UNOBSERVED, np.int16)
    beliefs, log_evidence = beliefs_function(net)(tables, codes)
    assert np.isnan(beliefs["b"]).all()
    assert np.isnan(log_evidence).all()
    gradients = jax.grad(lambda t: beliefs_function(net)(t, codes)[0]["b"][0, 0])(tables)
    assert np.isnan(gradients["b"]).all()


def test_large_tables_and_many_rows_cross_over():
    net = read_net(public_nets()["mildew"])  # 547,158 entries
    codes = simulate(net, 300, seed=7)
    with jax.enable_x64(True):
        function = jax.jit(lambda tables: beliefs_function(net, [])(tables, codes)[1].sum())
        value, gradients = jax.value_and_grad(function)(log_tables(net))
    assert value == pytest.approx(Inference(net).log_evidence(codes).sum())
    assert sum(np.asarray(g).sum() for g in gradients.values()) == pytest.approx(300 * len(net.variables))


def test_mistakes_are_named_when_the_function_is_traced_and_when_it_runs():
    net, _ = impossible_case()
    function, tables = beliefs_function(net), log_tables(net)
    codes = np.zeros((1, 2), np.int16)
    with pytest.raises(QueryError, match="unknown variable"):
        beliefs_function(net, ["c"])
    with pytest.raises(QueryError, match="one text"):
        beliefs_function(net, "a")
    with pytest.raises(QueryError, match="no table"):
        function({"a": tables["a"]}, codes)
    with pytest.raises(QueryError, match="wrong shape"):
        jax.jit(function)({**tables, "b": np.zeros(2)}, codes)
    with pytest.raises(QueryError, match="no family"):
        function({**tables, "c": np.zeros(2)}, codes)
    with pytest.raises(EvidenceError, match=r"\[rows, 2\]"):
        function(tables, np.zeros((1, 3), np.int16))
    with pytest.raises(Exception, match="no state"):
        jax.block_until_ready(function(tables, np.full((1, 2), 5, np.int16)))
