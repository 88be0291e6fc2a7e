"""Fitted estimators as arrays: everything comes back, shared memory too."""

import copy
import math

import numpy as np
import pytest

from worldnets.heads.estimator_state import ALIASES, estimator_arrays, with_arrays


class Holder:
    """Stands for an object inside an estimator, such as an optimizer."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Estimator(Holder):
    """Constructor parameter `alpha`; all else is learned."""

    def get_params(self, deep=True):
        return {"alpha": self.alpha}


def fitted(seed):
    random = np.random.default_rng(seed)
    weight = random.standard_normal((2, 3))
    generator = np.random.RandomState(seed)
    generator.standard_normal(seed)
    return Estimator(
        alpha=seed,
        weight=weight,
        nested=Holder(parameters=[weight, random.standard_normal(3)], steps=seed, name="adam"),
        table={"b": random.standard_normal(1), "a": np.float32(seed)},
        curve=[0.1 * seed] * (seed + 1),
        random=generator,
        best=math.inf,
        going=bool(seed % 2),
        nothing=None,
    )


def test_arrays_put_into_another_estimator_make_it_this_one():
    arrays = estimator_arrays(fitted(3))
    back = with_arrays(fitted(4), arrays)
    again = estimator_arrays(back)
    assert set(arrays) == set(again)
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    assert (back.nested.steps, back.going, back.best, back.table["a"]) == (3, True, math.inf, 3.0)
    assert isinstance(back.nested.steps, int)
    assert back.alpha == 4  # the constructor's, not learned
    assert np.array_equal(back.random.standard_normal(5), fitted(3).random.standard_normal(5))


def test_arrays_are_copies_and_the_estimator_they_are_put_into_stays_as_it_was():
    one, other = fitted(3), fitted(4)
    arrays = estimator_arrays(one)
    before = copy.deepcopy(estimator_arrays(other))
    back = with_arrays(other, arrays)
    back.weight += 1
    one.weight += 1
    assert np.array_equal(arrays["weight"], fitted(3).weight)
    assert all(np.array_equal(before[name], array) for name, array in estimator_arrays(other).items())


def test_shared_memory_is_shared_again_and_memory_apart_stays_apart():
    shared, apart = fitted(3), fitted(4)
    apart.nested.parameters[0] = apart.weight.copy()
    back = with_arrays(apart, estimator_arrays(shared))
    back.nested.parameters[0][:] = 7
    assert np.all(back.weight == 7)
    back = with_arrays(shared, estimator_arrays(apart))
    back.nested.parameters[0][:] = 7
    assert not np.any(back.weight == 7)


def test_a_view_of_another_shape_shares_its_memory_again():
    one, other = fitted(3), fitted(4)
    one.flat, other.flat = one.weight.reshape(1, -1), other.weight.reshape(1, -1).copy()
    back = with_arrays(other, estimator_arrays(one))
    back.flat[:] = 7
    assert np.all(back.weight == 7)


def test_what_a_trace_keeps_is_finite_where_it_is_not_nan():
    one = fitted(3)
    one.weight[0, 0], one.weight[1, 1] = -math.inf, math.nan
    arrays = estimator_arrays(one)
    assert np.isfinite(arrays["best"])
    assert np.isnan(arrays["weight"]).sum() == 1
    assert np.array_equal(with_arrays(fitted(4), arrays).weight, one.weight, equal_nan=True)


@pytest.mark.parametrize("change", ["shape", "missing", "aliases"])
def test_arrays_of_another_estimator_are_refused_by_name(change):
    arrays = estimator_arrays(fitted(3))
    if change == "shape":
        arrays["weight"] = np.zeros((3, 2))
    elif change == "missing":
        del arrays["nested.steps"]
    else:
        arrays[ALIASES] = arrays[ALIASES][1:]
    name = {"shape": "weight", "missing": "nested.steps", "aliases": "aliases"}[change]
    with pytest.raises(ValueError, match=f"another shape: {name}"):
        with_arrays(fitted(3), arrays)
