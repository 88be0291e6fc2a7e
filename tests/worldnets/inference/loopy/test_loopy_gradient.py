"""Unrolled message passing as a differentiable function of the tables."""

import numpy as np
import pytest

from worldnets.errors import QueryError
from worldnets.inference import UNOBSERVED, LoopyInference
from worldnets.net import Factor, FactorNet

ROUNDS = 4


@pytest.fixture(scope="module")
def net():
    """A loop of three pairs and a table over three variables, with zeros: small, as gradients take long to compile."""
    random = np.random.default_rng(11)
    states = {"a": (0, 1), "b": (0, 1), "c": (0, 1), "d": (0, 1)}
    table = random.random((2, 2, 2)) + 0.1
    table[0, 1, 0] = table[1, 1, 1] = 0.0
    pairs = [Factor(pair, random.random((2, 2)) + 0.1) for pair in (("a", "b"), ("b", "c"), ("c", "a"))]
    return FactorNet(states, (*pairs, Factor(("d", "a", "b"), table), Factor((), np.asarray(3.0))), "small")


def evidence(net, rows=3):
    codes = np.full((rows, len(net.variables)), UNOBSERVED, dtype=np.int16)
    codes[1, 0] = codes[2, 1] = 0
    return codes


@pytest.mark.parametrize(
    ("space", "damping", "start_rounds"), [("probability", 0.0, 3), ("probability", 0.2, 0), ("logarithm", 0.0, 0)]
)
def test_gradients_equal_central_differences_and_are_zero_at_zeros_of_tables(net, space, damping, start_rounds):
    import jax

    engine = LoopyInference(net, damping=damping)
    propagate = engine.unrolled(ROUNDS, start_rounds=start_rounds, space=space)
    tables, local = engine.log_tables, engine.log_local(evidence(net))
    random = np.random.default_rng(0)
    target = random.random((3, local.shape[1]))

    def loss(log_tables, log_local):
        beliefs, bethe, _ = propagate(log_tables, log_local)
        return (target * beliefs).sum() + (bethe**2).sum()

    with jax.enable_x64(True):
        compiled = jax.jit(loss)
        gradient = np.asarray(jax.jit(jax.grad(loss))(tables, local))
        assert np.isfinite(gradient).all()
        assert (gradient[tables == -np.inf] == 0).all()
        assert (tables == -np.inf).any()
        step = 1e-5
        for i in np.flatnonzero(tables > -np.inf):
            moved = np.zeros_like(tables)
            moved[i] = step
            slope = (compiled(tables + moved, local) - compiled(tables - moved, local)) / (2 * step)
            assert gradient[i] == pytest.approx(float(slope), abs=1e-6)


def test_it_returns_what_queries_return_and_maps_over_tables(net):
    import jax

    engine = LoopyInference(net)
    codes = evidence(net)
    tables, local = engine.log_tables, engine.log_local(codes)
    with jax.enable_x64(True):
        propagate = jax.jit(engine.unrolled(ROUNDS))
        beliefs, bethe, changes = propagate(tables, local)
        found = engine.query(codes, rounds=ROUNDS, start="uniform")
        np.testing.assert_allclose(beliefs, found.table, atol=1e-12)
        np.testing.assert_allclose(bethe, -found.log_evidence, atol=1e-10)
        np.testing.assert_allclose(changes, found.residuals, atol=1e-12)
        tilted = np.stack([tables, tables * 0.5])
        both = jax.vmap(propagate, in_axes=(0, None))(tilted, local)[0]
        np.testing.assert_allclose(both[0], beliefs, atol=1e-12)
        np.testing.assert_allclose(both[1], propagate(tilted[1], local)[0], atol=1e-12)


def test_arrays_of_the_wrong_shape_are_refused(net):
    engine = LoopyInference(net)
    with pytest.raises(QueryError, match="wrong shape"):
        engine.unrolled(2)(engine.log_tables[1:], engine.log_local(evidence(net)))
