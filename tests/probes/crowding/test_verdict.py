"""The rule of the crowding probe, one test for each of its clauses."""

import numpy as np
import pytest

from probes.crowding.verdict import NAMES, Runs, Settings, verdict
from worldnets.errors import ProbeError

STEPS = np.array([0, 20, 200, 1333, 2000])
LEARNED = np.array([0.0, 0.3, 1.0, 1.0, 1.0])


def runs(gap, seeds=8, noise=0.02, seed=0, **changes):
    random = np.random.default_rng(seed)
    spread = noise * random.standard_normal((2, len(STEPS), seeds))
    twin = np.repeat(LEARNED[:, None], seeds, axis=1) + spread[0]
    base = (LEARNED - np.asarray(gap))[:, None] + spread[1]
    return Runs(STEPS, base, twin, **{"ceilings": (0.5, 0.8), **changes})


def test_a_gap_at_the_end_is_crowded_out_and_says_by_how_much():
    found = verdict(runs([0, 0.3, 0.5, 0.5, 0.5]))
    assert found.name == "crowded-out"
    assert found.p < 0.05
    assert found.statements[0].interval.estimate == pytest.approx(0.5, abs=0.03)
    assert found.at_ceiling.estimate == 0.0


def test_a_gap_that_closed_is_delayed_and_says_the_ratio():
    found = verdict(runs([0, 0.3, 0.9, 0.2, 0.0]))
    assert found.name == "delayed"
    assert any("times as many steps" in reason for reason in found.reasons)


def test_no_gap_anywhere_is_not_crowded():
    assert verdict(runs([0, 0, 0, 0, 0])).name == "not-crowded"


def test_a_gap_before_one_percent_of_the_run_does_not_count():
    assert verdict(runs([0.9, 0, 0, 0, 0])).name == "not-crowded"


def test_a_base_that_has_more_than_its_twin_is_told_so_and_not_called_undecided():
    assert verdict(runs([0, 0, -0.4, -0.4, -0.4])).name == "deep-favoured"
    assert verdict(runs([0, -0.3, -0.4, 0.0, 0.0])).name == "hastened"


def test_a_low_ceiling_in_either_world_is_nothing_deep():
    for ceilings in ((0.04, 0.8), (0.8, 0.04)):
        assert verdict(runs([0, 0, 0, 0, 0], ceilings=ceilings)).name == "nothing-deep"


def test_where_the_twin_learns_nothing_either_nothing_is_said_of_crowding():
    nothing = np.zeros((5, 8)) + 0.01 * np.random.default_rng(0).standard_normal((5, 8))
    assert verdict(Runs(STEPS, nothing, nothing + 0.001, (0.5, 0.8))).name == "untrained"
    # Around a tenth it is neither shown to be nothing nor shown to be something: equal curves are no evidence then.
    barely = nothing * 4 + 0.09
    assert verdict(Runs(STEPS, barely, barely, (0.5, 0.8))).name == "inconclusive"


def test_own_bits_below_zero_in_both_are_said_to_be_misused():
    wrong = np.full((5, 8), -1.0) + 0.01 * np.random.default_rng(0).standard_normal((5, 8))
    found = verdict(Runs(STEPS, wrong, wrong, (0.5, 0.8)))
    assert found.name == "untrained"
    assert any("wrongly" in reason for reason in found.reasons)


def test_seeds_that_split_in_two_are_judged_apart():
    half = runs([0, 0.3, 0.9, 0.9, 0.9]), runs([0, 0.3, 0.9, 0.3, 0.0])
    mixed = np.where(np.arange(8) % 2, half[0].base, half[1].base)
    found = verdict(Runs(STEPS, mixed, half[0].twin, (0.5, 0.8)))
    assert found.name == "inconclusive"
    assert sum(found.clusters.values()) == 8
    assert {name.split(" ")[0] for name in found.clusters} == {"crowded-out", "delayed"}


def test_clusters_that_agree_give_their_verdict():
    half = runs([0, 0.3, 0.9, 0.9, 0.9]), runs([0, 0.3, 0.5, 0.5, 0.5])
    mixed = np.where(np.arange(8) % 2, half[0].base, half[1].base)
    found = verdict(Runs(STEPS, mixed, half[0].twin, (0.5, 0.8)))
    assert found.name == "crowded-out"
    assert len(found.clusters) == 2


def test_two_noisy_seeds_are_too_few_and_the_number_needed_is_said():
    found = verdict(runs([0, 0.1, 0.15, 0.15, 0.15], seeds=2, noise=0.05))
    assert found.name == "inconclusive"
    assert found.seeds_needed > 2


def test_one_seed_has_no_interval():
    assert verdict(runs([0, 0, 0, 0, 0], seeds=1)).name == "inconclusive"


def test_a_diverged_seed_of_either_run_is_left_out_and_counted():
    some = runs([0, 0.3, 0.5, 0.5, 0.5])
    some.base[2:, 0] = np.nan
    some.twin[3:, 1] = np.nan
    found = verdict(some)
    assert (found.name, found.seeds, found.diverged) == ("crowded-out", 6, 2)


def test_shared_clips_widen_the_interval():
    influence = 2.0 * np.random.default_rng(1).standard_normal((16, 1, 1)) * np.ones((16, 5, 8))
    influence -= influence.mean(0)
    exact = runs([0, 0.3, 0.2, 0.2, 0.2])
    clips = Runs(exact.steps, exact.base, exact.twin, exact.ceilings, influence, np.zeros_like(influence))
    assert verdict(exact).name == "crowded-out"
    assert verdict(clips).name == "inconclusive"


def test_the_order_of_seeds_changes_no_verdict_that_is_clear():
    some = runs([0, 0.3, 0.9, 0.2, 0.0])
    turned = Runs(STEPS, some.base[:, ::-1], some.twin[:, ::-1], some.ceilings)
    assert verdict(some).name == verdict(turned).name == "delayed"


def test_every_name_is_words_joined_by_hyphens():
    assert all(name.replace("-", "").isalpha() and name.islower() for name in NAMES)


def test_margins_are_compared_by_limits():
    assert verdict(runs([0, 0.3, 0.2, 0.2, 0.2]), Settings(delta=0.3, epsilon=0.3)).name == "not-crowded"


def test_curves_that_do_not_fit_are_refused():
    with pytest.raises(ProbeError, match="two checkpoints"):
        verdict(Runs(STEPS[:1], np.zeros((1, 2)), np.zeros((1, 2)), (1.0, 1.0)))
    with pytest.raises(ProbeError, match="twin's own bits"):
        verdict(Runs(STEPS, np.zeros((5, 2)), np.zeros((5, 3)), (1.0, 1.0)))
