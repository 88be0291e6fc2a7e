"""Descent in NumPy."""

import jax
import numpy as np
import optax
import pytest

from worldnets.errors import TrainingError
from worldnets.learning.descent import Moments, descend


@pytest.mark.parametrize(("name", "rate"), [("adam", 3e-3), ("adam", 0.5), ("sgd", 0.05)])
def test_updates_are_those_of_optax(name, rate):
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(40, 7)) * 10.0 ** rng.integers(-9, 3, size=7)
    mine, moments = rng.normal(size=7), Moments.none(7)
    with jax.enable_x64(True):
        theirs, rule = jax.numpy.asarray(mine), getattr(optax, name)(rate)
        state = rule.init(theirs)
        for gradient in gradients:
            mine, moments = descend(name, rate, mine, gradient, moments)
            updates, state = rule.update(jax.numpy.asarray(gradient), state, theirs)
            theirs = optax.apply_updates(theirs, updates)
        np.testing.assert_allclose(mine, np.asarray(theirs), rtol=1e-12)
    assert moments.updates == 40


def test_another_optimizer_is_refused():
    with pytest.raises(TrainingError, match="adam or sgd; found lion"):
        descend("lion", 0.1, np.zeros(1), np.zeros(1), Moments.none(1))
