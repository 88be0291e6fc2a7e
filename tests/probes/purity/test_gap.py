"""The proxy gap: matched where it can be, and not comparable where it cannot."""

from dataclasses import replace

import numpy as np
import pytest

import probes
from probes.organisms.world_models import blurred, relabelled, renamed, small_truth, small_vault
from probes.purity.gap import _at
from probes.purity.measured import measure_models, pack
from probes.purity.truth import Sampling
from worldnets.errors import ProbeError

SAMPLING = Sampling(losses=("likelihood", "question"))
NET = small_vault().net
SWAPPED = {a: b for t in (1, 2, 3) for a, b in ((f"door_{t}", f"tampering_{t}"), (f"tampering_{t}", f"door_{t}"))}


def run(blurs, change=lambda net: net, objective="likelihood", seeds=(0, 1, 2)):
    """World-models that come nearer step by step: W* blurred ever less, seeds a little apart."""
    return measure_models(
        small_truth(SAMPLING),
        seeds,
        range(len(blurs)),
        lambda checkpoint, seed: change(blurred(NET, blurs[checkpoint] * (1 + 0.02 * seed))),
        objective,
    )


def test_a_run_beside_itself_has_no_gap():
    one = run([0.9, 0.3, 0.1])
    found = probes.proxy_gap(one, pack(one, 1))
    assert found.comparable
    assert found.proxy == "likelihood"
    for interval in found.gap.values():
        assert interval.estimate == pytest.approx(0, abs=1e-12)


def test_two_runs_are_compared_at_the_loss_of_the_one_that_gets_less_far():
    far, near = run([0.9, 0.3, 0.02]), run([0.9, 0.3])
    found = probes.proxy_gap(near, far)
    assert found.loss.estimate == pytest.approx(near.numbers.losses[-1, :, 0].mean())
    for interval in found.gap.values():
        assert interval.estimate == pytest.approx(0, abs=1e-9)


def test_equal_losses_with_other_latents_are_a_gap_in_recovery_and_none_in_divergence():
    found = probes.proxy_gap(run([0.9, 0.05]), run([0.9, 0.05], lambda net: renamed(net, SWAPPED)))
    assert found.gap["divergence on observables"].estimate == pytest.approx(0, abs=1e-9)
    assert found.gap["latent recovery"].high < -0.1
    assert set(found.to_pandas()["run"]) == {"one", "other", "gap"}
    assert "likelihood" in repr(found)


def test_other_labels_are_no_gap():
    change = lambda net: relabelled(net, np.random.default_rng(1))
    found = probes.proxy_gap(run([0.9, 0.05]), run([0.9, 0.05], change))
    assert all(abs(interval.estimate) < 1e-6 for interval in found.gap.values())


def test_a_run_that_never_gets_below_the_surface_is_not_comparable():
    found = probes.proxy_gap(run([0.9, 0.05]), run([1.0, 0.95]))
    assert not found.comparable
    assert "never gets below" in found.reason
    assert found.gap == {}
    assert "not comparable" in repr(found)


def test_runs_for_different_proxies_are_matched_by_the_one_that_is_named():
    one, other = run([0.9, 0.1]), run([0.9, 0.1], objective="question")
    with pytest.raises(ProbeError, match="different proxies"):
        probes.proxy_gap(one, other)
    assert probes.proxy_gap(one, other, "question").proxy == "question"
    with pytest.raises(ProbeError, match="did you mean 'question'"):
        probes.proxy_gap(one, other, "questoin")


def test_only_seeds_in_common_that_did_not_diverge_are_paired():
    one, other = run([0.9, 0.1]), run([0.9, 0.1], seeds=(1, 2, 7))
    assert probes.proxy_gap(one, other).seeds == 2
    lost = one.numbers.divergence.copy()
    lost[-1, 1] = np.nan
    holed = replace(one, numbers=replace(one.numbers, divergence=lost))
    found = probes.proxy_gap(holed, other)
    assert (found.seeds, found.comparable) == (1, False)
    with pytest.raises(ProbeError, match="no seed in common"):
        probes.proxy_gap(one, run([0.9, 0.1], seeds=(8, 9)))


def test_between_checkpoints_numbers_are_interpolated_in_the_loss():
    loss, values = np.array([[4.0], [2.0], [1.0]]), np.array([[0.0], [1.0], [5.0]])
    assert _at(values, loss, np.array([3.0])) == 0.5
    assert _at(values, loss, np.array([1.0])) == 5.0
    assert _at(values, loss, np.array([9.0])) == 0.0
    assert _at(values, np.array([[np.inf], [2.0], [1.0]]), np.array([3.0])) == 1.0
