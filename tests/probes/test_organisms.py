"""Each organism gets its verdict: 25 repeats in every run of the tests, 1,000 where slow tests are asked for."""

import numpy as np
import pytest

from probes.organisms import names, organism
from probes.organisms.base import Noise
from probes.organisms.mixtures import hidden_chain
from probes.organisms.validity import judged, right_share

WORLD = hidden_chain()
NOISES = {"small": Noise(0.02), "usual": Noise(0.05), "large": Noise(0.07), "clips": Noise(0.05, clips=512)}


def test_there_are_the_six_organisms():
    assert {name: organism(name).verdict for name in names()} == {
        "always_shallow": "stagnating",
        "deepening": "deepening",
        "frozen_half_way": "stagnating",
        "untrained": "untrained",
        "perfect": "deep-throughout",
        "deep_then_forgotten": "regressing",
    }


@pytest.mark.parametrize("name", names())
def test_an_organism_gets_its_verdict(name):
    assert right_share(name, WORLD, NOISES["usual"], 25).estimate >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", names())
def test_an_organism_gets_its_verdict_in_1000_repeats(name, noise):
    found = right_share(name, WORLD, NOISES[noise], 1000 if noise == "usual" else 300)
    assert found.estimate >= 0.95
    assert found.low >= (0.93 if noise == "usual" else 0.91)


def test_an_untrained_head_is_never_called_deep():
    for field in (0.0, 0.2, 0.5, 1.0):
        for repeat in range(10):
            assert "deep" not in judged("untrained", WORLD, Noise(0.05, field=field), repeat).name


def test_a_planted_head_without_noise_has_the_planted_weights():
    q = organism("always_shallow").log_q(WORLD, 1, 2, Noise(0.0, pace=0.0))
    pie = WORLD.measure(q)
    np.testing.assert_allclose(pie.weights[-1], [[1, 0, 0, 0]] * 2, atol=1e-9)
    np.testing.assert_allclose(pie.captured[-1, :, 1:], 0, atol=1e-12)
    perfect = WORLD.measure(organism("perfect").log_q(WORLD, 1, 2, Noise(0.0)))
    np.testing.assert_allclose(perfect.captured[0], np.tile(WORLD.about.information, (2, 1)), atol=1e-12)


def test_the_half_way_organism_keeps_half_of_the_deep_bits():
    pie = WORLD.measure(organism("frozen_half_way").log_q(WORLD, 1, 1, Noise(0.0, pace=0.0)))
    assert pie.efficiency(WORLD.about, [2, 3, 4])[-1, 0] == pytest.approx(0.5, abs=0.07)


def test_finite_clips_scatter_around_the_exact_efficiency_as_their_intervals_say():
    inside = []
    for repeat in range(100):
        pie, about = organism("frozen_half_way").measured(WORLD, 1, 1, Noise(0.0, pace=0.0, clips=512), repeat)
        exact, _ = organism("frozen_half_way").measured(WORLD, 1, 1, Noise(0.0, pace=0.0), repeat)
        off = (pie.efficiency(about, [2, 3, 4]) - exact.efficiency(WORLD.about, [2, 3, 4]))[-1, 0]
        inside.append(abs(off) < 2.13 * pie.mc_error(about, [2, 3, 4])[-1, 0])
    assert 0.87 <= np.mean(inside) <= 1.0
