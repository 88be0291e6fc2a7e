"""The ordered rule: each name from the curves it is meant for, in order, with reasons, p and seeds needed."""

import json

import numpy as np
import pytest

from probes.finding import Verdict
from probes.verdict import NAMES, Curves, Settings, split, verdict
from worldnets.errors import ProbeError

STEPS = np.array([0, 10, 20, 100, 400, 800, 1333, 2000])
PIE = np.array([0.3, 0.1, 0.1])


def curves(deep, shallow=(0.0, 0.8, 0.95, 1, 1, 1, 1, 1), spread=0.02, seeds=8, seed=0, pie=PIE, **more):
    """Curves with the given means and normal spread over seeds."""
    random = np.random.default_rng(seed)
    deep = np.asarray(deep, dtype=float)
    if deep.ndim == 1:
        deep = deep[:, None] + spread * random.normal(size=(len(STEPS), seeds))
    shallow = np.asarray(shallow, dtype=float)[:, None] + 0 * deep
    k0 = split(pie, Settings())
    part = pie[:k0].sum() / pie.sum()
    return Curves(STEPS, deep, shallow, part * shallow + (1 - part) * deep, pie, k0, **more)


CASES = {
    "stagnating": [0, 0, 0, 0.1, 0.3, 0.4, 0.4, 0.4],
    "delayed": [0, 0, 0, 0, 0, 0.1, 0.3, 0.6],
    "deepening": [0, 0, 0, 0.2, 0.6, 0.8, 0.95, 0.98],
    "deep-throughout": [0, 0.3, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97],
    "deep-with-shallow": [0, 0.8, 0.87, 0.88, 0.96, 0.97, 0.97, 0.97],
    "regressing": [0, 0, 0.5, 0.95, 0.95, 0.9, 0.5, 0.3],
}


@pytest.mark.parametrize("name", CASES)
def test_each_course_of_training_has_its_name(name):
    found = verdict(curves(CASES[name], spread=0.01))
    assert found.name == name
    assert name in NAMES
    assert found.p <= 0.05
    assert found.reasons


def test_fading_is_a_fall_too_small_to_be_a_regression():
    random = np.random.default_rng(1)
    deep = np.tile(np.array([0, 0, 0.1, 0.3, 0.4, 0.5, 0.5, 0.5])[:, None], 16)
    deep[-1] -= 0.09 + 0.03 * random.normal(size=16)
    found = verdict(curves(deep), Settings())
    assert found.name == "fading"


def test_nothing_deep_comes_before_everything():
    pie = np.array([0.5, 0.02, 0.02])
    found = verdict(curves([0] * 8, pie=pie))
    assert found.name == "nothing-deep"
    assert "0.040 bits" in found.reasons[0]
    assert np.isnan(found.p)


def test_an_untrained_head_is_untrained_however_deep_its_noise():
    found = verdict(curves([-0.3] * 8, shallow=[-0.2] * 8, spread=0.1))
    assert found.name == "untrained"
    assert found.p <= 0.05


def test_one_checkpoint_that_learned_something_is_enough_not_to_be_untrained():
    found = verdict(curves([0] * 8, shallow=[0, 0, 0, 1, 0, 0, 0, 0]))
    assert found.name != "untrained"


def test_seeds_that_split_in_two_are_described_apart():
    both = np.zeros((8, 8))
    both[3:, ::2] = 0.97
    both += 0.01 * np.random.default_rng(0).normal(size=both.shape)
    found = verdict(curves(both))
    assert found.name == "inconclusive"
    assert "split in two: 4 seeds" in found.reasons[0]
    assert list(found.clusters.values()) == [4, 4]
    assert found.at_ceiling.estimate == 0.5


def test_two_clusters_with_one_verdict_have_that_verdict():
    both = np.zeros((8, 8))
    both[3:, ::2] = 0.5
    both += 0.01 * np.random.default_rng(0).normal(size=both.shape)
    found = verdict(curves(both))
    assert found.name == "stagnating"
    assert "split in two" in found.reasons[0]


def test_too_few_or_too_noisy_seeds_are_inconclusive_and_told_how_many_would_do():
    noisy = curves([0, 0, 0, 0.1, 0.5, 0.7, 0.7, 0.7], spread=0.25, seeds=5, seed=3)
    found = verdict(noisy)
    assert found.name == "inconclusive"
    assert found.seeds_needed > 5
    assert verdict(curves(CASES["stagnating"], seeds=1)).name == "inconclusive"


def test_seeds_that_diverged_are_left_out_and_counted():
    c = curves(CASES["stagnating"], seeds=8)
    c.deep[3:, 2] = c.total[3:, 2] = np.nan
    found = verdict(c)
    assert (found.name, found.seeds, found.diverged) == ("stagnating", 7, 1)
    assert "1 of 8 seeds diverged" in found.reasons[0]


def test_the_clips_that_seeds_share_widen_the_intervals():
    c = curves([0, 0, 0, 0.2, 0.6, 0.8, 0.93, 0.93], spread=0.01)
    phi = 0.3 * np.random.default_rng(0).normal(size=(16, 1, 1)) * np.ones((1, *c.deep.shape))
    phi -= phi.mean(0)
    shaken = Curves(**{**c.__dict__, "deep_influence": phi, "total_influence": phi})
    assert verdict(c).name == "deepening"
    assert verdict(shaken).name == "inconclusive"


def test_the_ceiling_can_be_lower_than_one():
    found = verdict(curves(CASES["stagnating"], ceiling=0.42, ceiling_kind="world-model"))
    assert found.name == "deepening"
    assert found.ceiling_kind == "world-model"


def test_a_verdict_survives_its_way_through_json():
    for name in ("stagnating", "deepening"):
        found = verdict(curves(CASES[name], spread=0.01), target="door")
        again = Verdict.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert again.to_dict() == found.to_dict()
        assert (again.name, again.target, again.seeds) == (found.name, "door", 8)


def test_the_order_of_the_seeds_in_a_half_does_not_matter_for_a_steady_curve():
    c = curves(CASES["deepening"], spread=0.01)
    assert verdict(c.of(np.ones(8, bool))).to_dict() == verdict(c).to_dict()


def test_curves_that_do_not_fit_are_refused():
    c = curves(CASES["deepening"])
    with pytest.raises(ProbeError, match="does not fit"):
        verdict(Curves(**{**c.__dict__, "shallow": c.shallow[:3]}))
    with pytest.raises(ProbeError, match="rising order"):
        verdict(Curves(**{**c.__dict__, "steps": STEPS[::-1]}))
    with pytest.raises(ProbeError, match="no such split"):
        split(PIE, Settings(shallow_rungs=3))
