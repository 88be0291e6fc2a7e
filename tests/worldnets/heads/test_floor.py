"""The floor under probabilities."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldnets.heads.floor import FLOOR, floored

LOGS = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(2, 6)), elements=st.floats(-50, 20) | st.just(-math.inf)
)


@given(LOGS)
def test_floored_rows_are_distributions_in_the_order_of_what_they_were_made_of(log_p):
    log_q = floored(log_p)
    np.testing.assert_allclose(np.exp(log_q).sum(-1), 1, atol=1e-12)
    assert np.isfinite(log_q).all()
    assert np.all(np.diff(np.take_along_axis(log_q, log_p.argsort(-1), axis=-1), axis=-1) >= 0)


def test_what_lies_above_the_floor_stays():
    p = np.array([[0.25, 0.75], [1e-6, 1 - 1e-6]])
    np.testing.assert_allclose(floored(np.log(p)), np.log(p), atol=1e-15)


def test_the_impossible_gets_the_floor_and_no_probability_at_all_becomes_uniform():
    with np.errstate(divide="ignore"):
        log_q = floored(np.log([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(log_q[0, 0], math.log(FLOOR), rtol=1e-6)
    np.testing.assert_allclose(log_q[1], -math.log(3))
