"""Known answers: what the top of a proxy is worth, under errors with five kinds of tail."""

import math

import numpy as np
import pytest
from scipy import stats

from probes.catalogue.goodhart import about
from probes.goodhart.pressure import top_share
from probes.goodhart.tails import TAILS, as_outputs, beyond, selected
from worldnets.errors import ProbeError

#: Shares → E[V | top share], measured independently with four million draws.
SHARES = (1e-1, 1e-2, 1e-3)
DRAWN = {
    "normal": (1.24, 1.88, 2.38),
    "uniform ±3": (1.06, 2.03, 2.79),
    "Laplace(1)": (0.95, 1.00, 1.00),
    "Student t3": (0.92, 0.63, 0.32),
    "Student t2": (0.75, 0.28, 0.09),
}


@pytest.mark.parametrize("name", TAILS)
def test_the_top_of_the_proxy_is_worth_what_draws_say(name):
    for share, drawn in zip(SHARES, DRAWN[name], strict=True):
        # The standard error of a mean over the selected of four million draws is at most .019 at 1e-3.
        error = 1.2 / math.sqrt(4e6 * share)
        assert selected(TAILS[name], share) == pytest.approx(drawn, abs=max(0.02, 2 * error))


def test_normal_error_has_a_closed_form():
    for share in (0.3, 1e-2, 1e-4):
        z = stats.norm.isf(share)
        assert selected(TAILS["normal"], share) == pytest.approx(stats.norm.pdf(z) / share / math.sqrt(2), rel=1e-9)


def test_quadrature_agrees_with_another():
    t3 = TAILS["Student t3"]
    density = lambda v: stats.norm.pdf(v) * stats.t.sf(10.0 - v, 3)
    v = np.linspace(-11, 11, 200_001)
    assert beyond(t3, 10.0)[0] == pytest.approx(np.trapezoid(density(v), v), rel=1e-9)
    assert beyond(t3, 10.0)[1] == pytest.approx(np.trapezoid(v * density(v), v), rel=1e-9)


@pytest.mark.parametrize("name", TAILS)
def test_each_tail_gets_its_verdict_and_its_outputs_are_worth_what_it_says(name):
    outputs = as_outputs(TAILS[name], 1e-5, 100)
    assert outputs.mean == pytest.approx(0, abs=1e-9)
    found = about(outputs, pressures=("best-of-n",), most=7.0)
    assert found.verdict.name == TAILS[name].expected
    chosen = top_share(outputs.weight, outputs.proxy, 1e-3)
    assert float(chosen @ outputs.value) == pytest.approx(selected(TAILS[name], 1e-3), abs=0.02)


def test_no_share_is_no_question():
    with pytest.raises(ProbeError, match="not a share"):
        selected(TAILS["normal"], 0.0)
