"""The compiled kernels and the plain NumPy walk are the same arithmetic: their results agree to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import world_nets
from worldnets.inference import UNOBSERVED, kernels, walk
from worldnets.inference.limits import LIMITS
from worldnets.inference.plan import make_plan
from worldnets.net import WorldNet


def both(net, codes, dtype, always=()):
    outputs = tuple((v,) for v in net.variables)
    sometimes = [v for v in net.variables if v not in always]
    plan = make_plan(net, always, sometimes, outputs, np.dtype(dtype).type)
    by_variable = np.ascontiguousarray(codes.T)
    beliefs = np.empty((plan.wiring.output_start[-1], len(codes)), dtype)
    log_evidence = np.empty(len(codes))
    kernels.posteriors(plan.wiring, by_variable, 0, len(codes), 8, LIMITS[dtype], beliefs, log_evidence)
    return (beliefs, log_evidence), walk.posteriors(plan.wiring, by_variable, LIMITS[dtype])


@settings(max_examples=80)
@given(st.data(), st.sampled_from(["float64", "float32"]))
def test_kernels_and_walk_agree_bit_for_bit(data, dtype):
    net = data.draw(world_nets(max_joint=20_000))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codes = random.integers(0, net.cardinalities, size=(11, len(net.variables))).astype(np.int16)
    codes[random.random(codes.shape) < 0.6] = UNOBSERVED
    some = data.draw(st.lists(st.sampled_from(net.variables), unique=True))
    for v in some:
        codes[:, net.index[v]] = random.integers(0, len(net.states[v]), size=len(codes))
    (beliefs, log_evidence), (walked, walked_log) = both(net, codes, dtype, some)
    assert (beliefs == walked).all()
    assert (log_evidence == walked_log).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_they_agree_where_cliques_are_rescaled(dtype):
    names = [f"leaf{i}" for i in range(600)]
    noise = np.array([[0.97, 0.03], [0.01, 0.99]])
    net = WorldNet(
        {"coin": (0, 1), **dict.fromkeys(names, (0, 1))},
        dict.fromkeys(names, ("coin",)),
        {"coin": [0.5, 0.5], **dict.fromkeys(names, noise)},
    )
    codes = np.random.default_rng(0).integers(-1, 2, size=(9, 601)).astype(np.int16)
    (beliefs, log_evidence), (walked, walked_log) = both(net, codes, dtype)
    assert np.isfinite(log_evidence).all()
    assert (beliefs == walked).all()
    assert (log_evidence == walked_log).all()
