"""The ordered rule: each name from the shares it is meant for, with reasons, p and seeds needed."""

import json

import numpy as np
import pytest

from probes.finding import Verdict
from probes.purity.verdict import NAMES, Demand, Settings, verdict
from worldnets.errors import ProbeError

STEPS = np.array([0, 10, 100, 1000])
MARGINS = {"observables": 0.05, "latents": 0.1, "do()": 0.1}


def demand(part, end, name="", start=-1.0, spread=0.01, seeds=8, seed=0):
    random = np.random.default_rng([seed, len(name), list(MARGINS).index(part)])
    course = np.linspace(0, 1, len(STEPS))[:, None] * (np.asarray(end) - start) + start
    share = course + spread * random.normal(size=(len(STEPS), seeds))
    return Demand(part, name, share, margin=MARGINS[part])


def three(observables=0.99, latents=(0.97, 0.98), do=(0.96,), **more):
    return [
        demand("observables", observables, **more),
        *(demand("latents", end, f"kind {i}", **more) for i, end in enumerate(latents)),
        *(demand("do()", end, f"kind {i}", **more) for i, end in enumerate(do)),
    ]


@pytest.mark.parametrize(
    ("demands", "name"),
    [
        (three(), "pure"),
        (three(latents=(0.97, 0.5)), "observables-only"),
        (three(do=(0.1,)), "observables-only"),
        (three(observables=0.8), "impure"),
        (three(observables=0.95, latents=(0.97, 0.5)), "impure"),  # the observables are open, and it is not the world
        (three(observables=-1.0, latents=(-0.97, -0.97), do=(-0.97,)), "untrained"),
        (three(observables=-1.0, latents=(0.5, -0.97), do=(-0.97,)), "impure"),
        (three(observables=0.95), "inconclusive"),
        (three(spread=0.3), "inconclusive"),
        (three(seeds=1), "inconclusive"),
        ([], "nothing-to-model"),
    ],
)
def test_each_end_has_its_name(demands, name):
    found = verdict(STEPS, demands)
    assert found.name == name
    assert name in NAMES
    assert found.reasons
    if name not in ("inconclusive", "nothing-to-model"):
        assert found.p <= 0.05
        assert (found.seeds, found.diverged) == (8, 0)


def test_one_latent_of_many_that_is_missed_is_enough_and_is_named():
    found = verdict(STEPS, three(latents=(0.99, 0.98, 0.4, 0.99)))
    assert found.name == "observables-only"
    assert "kind 2 misses more than 0.1" in found.reasons[1]
    assert len(found.statements) == 2


def test_failure_of_one_of_many_is_tested_at_a_level_shared_by_all():
    # The same shortfall, just clear on its own, no longer is among twenty.
    noisy = [demand("latents", 0.86 + 0.04 * np.array([-1, 1] * 4), "noisy", spread=0.0)]
    fine = [demand("latents", 0.99, f"fine {i}") for i in range(19)]
    alone = verdict(STEPS, [demand("observables", 0.99), *noisy])
    among = verdict(STEPS, [demand("observables", 0.99), *noisy, *fine])
    assert (alone.name, among.name) == ("observables-only", "inconclusive")


def test_untrained_is_said_of_runs_that_begin_at_step_0_only():
    demands = three(observables=-1.0, latents=(-0.97, -0.97), do=(-0.97,))
    assert verdict(STEPS, demands).name == "untrained"
    assert verdict(STEPS + 1, demands).name == "impure"


def test_one_checkpoint_at_which_something_had_been_learned_is_enough_not_to_be_untrained():
    demands = three(observables=-1.0, latents=(-0.97, -0.97), do=(-0.97,))
    demands[1].share[2] = 0.6
    assert verdict(STEPS, demands).name == "impure"


def test_seeds_that_split_in_two_are_judged_apart():
    ends = np.array([0.98] * 5 + [0.2] * 3)
    both = three(latents=(0.98, ends))
    found = verdict(STEPS, both)
    assert found.name == "inconclusive"
    assert "split in two: 3 seeds" in found.reasons[1]
    assert sorted(found.clusters.values()) == [3, 5]
    assert found.at_ceiling.estimate == 5 / 8
    ends = np.array([0.6] * 5 + [0.1] * 3)
    joint = verdict(STEPS, three(latents=(0.98, ends)))
    assert joint.name == "observables-only"
    assert "split in two" in joint.reasons[-1]
    assert sum(joint.clusters.values()) == 8
    far = np.array([-0.2] * 5 + [-9.0] * 3)
    assert verdict(STEPS, three(latents=(0.98, far))).clusters == {}


def test_diverged_seeds_are_left_out_and_counted():
    demands = three()
    demands[0].share[2:, 3] = np.nan
    found = verdict(STEPS, demands)
    assert (found.name, found.seeds, found.diverged) == ("pure", 7, 1)
    assert "1 of 8 seeds diverged" in found.reasons[0]


def test_what_is_inconclusive_says_how_many_seeds_would_decide():
    found = verdict(STEPS, three(latents=(0.97, 0.93), spread=0.06))
    assert found.name == "inconclusive"
    assert found.seeds_needed > 8
    assert f"About {found.seeds_needed} seeds" in found.reasons[-1]


def test_the_clips_that_seeds_share_widen_the_intervals():
    plain = three(observables=0.965)
    phi = 0.1 * np.random.default_rng(0).normal(size=(16, 1, 1)) * np.ones((1, *plain[0].share.shape))
    shaken = [Demand("observables", "", plain[0].share, phi - phi.mean(0), 0.05), *plain[1:]]
    assert verdict(STEPS, plain).name == "pure"
    assert verdict(STEPS, shaken).name == "inconclusive"


def test_margins_are_those_of_the_settings_that_made_the_demands_and_stand_in_the_verdict():
    found = verdict(STEPS, three(), Settings(alpha=0.01))
    assert found.settings["alpha"] == 0.01
    assert found.statements[0].interval.level == 0.99


def test_a_verdict_survives_its_way_through_json():
    for demands in (three(), three(do=(0.1,)), three(spread=0.3)):
        found = verdict(STEPS, demands)
        again = Verdict.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert again.to_dict() == found.to_dict()


def test_shares_that_do_not_fit_are_refused():
    with pytest.raises(ProbeError, match="does not fit"):
        verdict(STEPS[:2], three())
