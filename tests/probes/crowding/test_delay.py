"""When half is reached, and how many times as late: censoring is said, never hidden."""

import math

import numpy as np
import pytest

from probes.crowding.delay import delay, reached

STEPS = np.array([0, 10, 100, 1000, 10000])


def curve(*values):
    return np.array(values, dtype=float)[:, None]


def test_a_crossing_lies_between_its_checkpoints_on_a_log_scale():
    found = reached(STEPS, curve(0, 0, 0, 1, 1))
    assert found.step[0] == pytest.approx(math.sqrt(100 * 1000))
    assert not found.never[0]
    assert not found.at_once[0]


def test_the_ratio_does_not_depend_on_how_fast_everything_goes():
    base, twin = np.repeat(curve(0, 0, 0, 0.2, 1), 4, axis=1), np.repeat(curve(0, 0.2, 1, 1, 1), 4, axis=1)
    found = delay(STEPS, base, twin)
    assert found.value.estimate == pytest.approx(100.0)
    assert found.value.low == pytest.approx(100.0)
    assert found.value.high == pytest.approx(100.0)


def test_the_interval_is_that_of_the_mean_logarithm():
    twin = np.repeat(curve(0, 0, 1, 1, 1), 3, axis=1)
    base = np.stack([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]], axis=1).astype(float)
    found = delay(STEPS, base, twin)
    ratios = np.array([100.0, 10.0, 100.0])
    assert found.value.estimate == pytest.approx(np.exp(np.log(ratios).mean()))
    assert found.value.low < 10
    assert found.value.high > 100


def test_a_base_that_never_gets_there_gives_a_lower_bound_without_an_upper_limit():
    base = np.stack([[0, 0, 0, 0, 0.4], [0, 0, 0, 0, 1]], axis=1).astype(float)
    twin = np.repeat(curve(0, 0, 1, 1, 1), 2, axis=1)
    found = delay(STEPS, base, twin)
    assert found.at_least
    assert math.isinf(found.value.high)
    assert "1 of 2" in found.note
    assert str(found).startswith("at least")


def test_a_twin_that_was_there_at_once_gives_a_lower_bound():
    found = delay(STEPS, np.repeat(curve(0, 0, 0, 1, 1), 2, axis=1), np.ones((5, 2)))
    assert found.at_least
    assert found.value.estimate > 100


@pytest.mark.parametrize(
    ("base", "twin", "words"),
    [
        ((0, 0, 0, 1, 1), (0, 0, 0, 0, 0.4), "twins do not reach"),
        ((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), "first checkpoint"),
    ],
)
def test_where_no_bound_holds_there_is_no_ratio(base, twin, words):
    found = delay(STEPS, np.repeat(curve(*base), 2, axis=1), np.repeat(curve(*twin), 2, axis=1))
    assert found.value is None
    assert words in str(found)
