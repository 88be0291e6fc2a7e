"""Intervals cover, tests keep their level, and the exact methods are the textbook's."""

import numpy as np
import pytest
from scipy import stats

from probes import statistics as st
from worldnets.errors import ProbeError


def test_the_t_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=8)
    low, high = stats.t.interval(0.95, 7, values.mean(), values.std(ddof=1) / np.sqrt(8))
    mine = st.t_interval(values)
    assert (mine.low, mine.high) == (pytest.approx(low), pytest.approx(high))
    assert (mine.kind, mine.level, mine.n) == ("t", 0.95, 8)


def test_one_seed_has_an_infinite_interval_and_proves_nothing():
    one = st.over_seeds(np.array([0.5]))
    assert one.interval().high == np.inf
    assert float(one.p_above(0.0)) == float(one.p_within(1.0)) == 1.0


def test_seeds_that_agree_exactly_prove_everything():
    same = st.over_seeds(np.full(8, 0.5))
    assert float(same.p_above(0.4)) == 0.0
    assert float(same.p_above(0.5)) == 1.0
    assert float(same.p_within(0.6)) == 0.0


def test_a_p_value_is_below_alpha_exactly_when_the_interval_excludes_the_value():
    random = np.random.default_rng(0)
    for _ in range(200):
        e = st.over_seeds(random.normal(0.1, 0.1, size=6))
        low, high = e.limits(0.95)
        assert (e.p_above(0.0) <= 0.05) == (low >= 0)
        assert (e.p_below(0.2) <= 0.05) == (high <= 0.2)
        low, high = e.limits(0.90)
        assert (e.p_within(0.2) <= 0.05) == (low >= -0.2 and high <= 0.2)


@pytest.mark.parametrize(
    ("seed_sd", "clip_sd", "joint_sd"), [(0.05, 0.05, 0.0), (0.02, 0.1, 0.05), (0.1, 0.0, 0.05), (0.0, 0.1, 0.0)]
)
def test_the_interval_for_seeds_that_share_clips_covers_at_its_level(seed_sd, clip_sd, joint_sd):
    random, n, groups, repeats = np.random.default_rng(1), 8, 16, 2000
    seeds = seed_sd * random.normal(size=(repeats, n))
    clips = clip_sd * random.normal(size=(groups, repeats, 1)) * np.sqrt(groups) / 4
    cells = seeds + clips + joint_sd * random.normal(size=(groups, repeats, n))
    values = cells.mean(0)
    low, high = st.over_seeds(values, cells - values).limits(0.95)
    assert 0.935 <= np.mean((low <= 0) & (high >= 0)) <= 0.99
    if clip_sd > 2 * seed_sd:
        low, high = st.over_seeds(values).limits(0.95)
        assert np.mean((low <= 0) & (high >= 0)) < 0.6


def test_the_binomial_interval_is_the_published_one():
    # Clopper & Pearson 1934: 8 of 8 -> lower limit 0.025^(1/8)
    interval = st.binomial_interval(8, 8)
    assert (interval.low, interval.high) == (pytest.approx(0.025 ** (1 / 8)), 1.0)
    with pytest.raises(ProbeError):
        st.binomial_interval(9, 8)


def test_the_power_of_the_equivalence_test_is_the_designs_table():
    power = [st.equivalence_power(sd, 8, 0.1) for sd in (0.02, 0.05, 0.07, 0.10)]
    np.testing.assert_allclose(power, [1.0, 1.0, 0.95, 0.63], atol=0.02)


def test_equivalence_keeps_its_level_at_the_margin():
    random = np.random.default_rng(0)
    e = st.over_seeds(random.normal(0.1, 0.05, size=(4000, 8)))
    assert np.mean(e.p_within(0.1) <= 0.05) == pytest.approx(0.05, abs=0.012)
    assert st.equivalent([0.01, -0.01, 0.0, 0.0], 0.1)[0]


def test_holm_rejects_step_by_step():
    assert st.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {"a": True, "b": False, "c": False, "d": True}
    assert st.holm([0.02, 0.02, np.nan]) == {0: False, 1: False, 2: False}
    assert st.holm([0.01, 0.02, 0.04]) == {0: True, 1: True, 2: True}


def test_as_many_seeds_as_said_do_decide_with_the_stated_power():
    n = st.seeds_needed(0.05, 0.1)
    random = np.random.default_rng(0)
    low, _ = st.over_seeds(random.normal(0.05, 0.1, size=(4000, n))).limits(0.95)
    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.03)
    assert st.seeds_needed(0.0, 0.1) is None


def test_normal_noise_does_not_look_like_two_clusters_and_two_clusters_do():
    random = np.random.default_rng(0)
    for sd in (0.05, 0.1, 0.2, 0.4, 1.0):  # efficiency; the default spread of seeds is .05
        fired = [st.two_clusters(x, 0.2) is not None for x in random.normal(0, sd, size=(1000, 8))]
        assert np.mean(fired) < 0.03, sd
    split = st.two_clusters([0.02, 0.9, 0.05, 0.95, 0.0, 0.91, 0.03, 0.97], 0.2)
    np.testing.assert_array_equal(split, [False, True] * 4)
    assert st.two_clusters([0.0, 0.0, 0.0, 0.9], 0.2) is None  # one seed is no cluster
