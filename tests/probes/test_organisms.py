"""The six organisms of the depth probe, and populations of heads that meet a margin exactly."""

import numpy as np
import pytest

from probes.organisms import names, organism
from probes.organisms.base import Noise
from probes.organisms.depth import LOUD, USUAL, planted
from probes.organisms.mixtures import hidden_chain
from probes.organisms.populations import Population, Runs, of_course

WORLD = hidden_chain()


def test_there_are_the_six_organisms():
    assert {name: organism(name).verdict for name in names()} == {
        "always_shallow": "stagnating",
        "deepening": "deepening",
        "frozen_half_way": "stagnating",
        "untrained": "untrained",
        "perfect": "deep-throughout",
        "deep_then_forgotten": "regressing",
    }


def test_an_untrained_head_is_never_called_deep():
    for field in (0.0, 0.2, 0.5, 1.0):
        population = planted("untrained", Noise(0.05, field=field))
        for repeat in range(10):
            assert "deep" not in Runs(lambda own=population: [own])(repeat).verdict


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


def test_a_population_meets_its_course_exactly_whatever_the_noise():
    for noise in (USUAL, LOUD, Noise(0.05, checkpoint=0.15)):
        steps = np.array([0, 500, 1000])
        made = of_course(WORLD, lambda progress: 0.2 + 0.7 * progress, noise=noise, size=50, steps=steps)
        efficiency = made.pie.efficiency(WORLD.about, [2, 3, 4])
        np.testing.assert_allclose(efficiency.mean(1), [0.2, 0.55, 0.9], atol=1e-9)
        assert efficiency.std(1).min() > 0.01
    whole = of_course(WORLD, lambda progress: 0.1 + 0.0 * progress, whole=True, size=50).pie
    np.testing.assert_allclose(whole.efficiency(WORLD.about, [1, 2, 3, 4]).mean(1), 0.1, atol=1e-9)


def test_runs_on_clips_scatter_around_the_population_and_clips_are_shared_by_its_seeds():
    noiseless = of_course(WORLD, lambda progress: 0.6 + 0.0 * progress, noise=Noise(0.0), size=2)
    runs = Runs(lambda: [noiseless], clips=512)
    ends = np.array([runs.curves(repeat).deep[-1] for repeat in range(40)])
    np.testing.assert_allclose(ends, ends[:, :1].repeat(8, 1), atol=1e-12)  # the same heads on the same clips
    assert ends[:, 0].std() > 0.01
    assert ends[:, 0].mean() == pytest.approx(0.6, abs=0.03)


def test_a_repeat_is_a_function_of_its_seed():
    runs = Runs(lambda: [planted("perfect", USUAL)], clips=512, known=True)
    assert runs(3) == runs(3)
    assert runs(3) != runs(4)


def test_a_population_is_measured_by_columns_as_the_whole_is():
    heads = planted("frozen_half_way", USUAL)
    few = Population(WORLD, heads.log_q[:, [5, 1]], heads.steps)
    pie, _ = heads.measured(np.array([5, 1]), None)
    np.testing.assert_allclose(pie.captured, few.pie.captured, atol=1e-12)
    counts = np.random.default_rng(0).multinomial(32, WORLD.weight, size=16)
    taken, about = heads.measured(np.array([5, 1]), counts)
    np.testing.assert_allclose(
        taken.captured_groups, WORLD.measure_on_clips(few.log_q, counts).captured_groups, atol=1e-12
    )
    assert about.clips == 512
