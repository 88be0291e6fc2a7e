"""The benchmark of seeds compares equal work and says what was reached."""

import numpy as np
import pytest

STEPS = 20


@pytest.fixture
def seeds(benchmark, monkeypatch):
    module = benchmark("seeds")
    monkeypatch.setattr(module, "SEEDS", 8)
    monkeypatch.setattr(module, "PEER_SEEDS", 2)
    return module


def test_all_contestants_train_on_the_same_clips_and_ours_end_in_the_same_place(seeds):
    plan = seeds.planned()
    together, alone = seeds.trained(plan, STEPS, 8), seeds.trained(plan, STEPS, 1)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    with seeds.clips_at_hand(plan, STEPS, 8):
        assert np.array_equal(seeds.trained(plan, STEPS, 8), together)
    features, outcomes = seeds.peer_rows(plan, STEPS)
    for seed in range(seeds.PEER_SEEDS):
        clips = plan.clips(seed, STEPS * plan.batch, 0)
        assert np.array_equal(features[seed].reshape(len(clips), -1), plan.inputs.features(clips))
        assert np.array_equal(outcomes[seed].reshape(-1), plan.examples(clips).outcomes[:, 0])


def test_scikit_learn_learns_on_these_rows(seeds):
    plan = seeds.planned()
    losses = seeds.scikit_learn_losses(plan, seeds.peer_rows(plan, 60))
    assert losses.shape == (60, seeds.PEER_SEEDS)
    assert np.all(losses[-10:].mean(0) < 0.6 * losses[0])


def test_a_python_without_pytorch_is_named_as_missing(seeds, tmp_path, monkeypatch):
    plan = seeds.planned()
    rows = seeds.peer_rows(plan, STEPS)
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    for python in (silent, tmp_path / "absent"):
        monkeypatch.setenv("WORLDNETS_TORCH", str(python))
        with pytest.raises(ModuleNotFoundError):
            seeds.Torch(plan, rows, tmp_path)


def test_times_of_trainings_that_end_elsewhere_are_not_compared(seeds):
    assert "0.01" in seeds.agreed("peer", 0.51, 0.5, 0.05)
    for found in (0.6, float("nan")):
        with pytest.raises(SystemExit, match=r"peer: a mean loss of .* nothing to compare"):
            seeds.agreed("peer", found, 0.5, 0.05)


def test_the_report_says_what_was_reached_with_clips_at_hand_and_made(seeds):
    names = ("worldnets, side by side", "worldnets, one by one")
    wall = {names[0]: [1.0, 2.0], f"{names[0]}, clips made": [2.0, 4.0], names[1]: [2.0, 4.0]}
    wall |= {f"{names[1]}, clips made": [2.5, 5.0], "clips": [1.0, 1.0], "scikit-learn": [9.0, 18.0]}
    times = seeds.Times(wall, {name: [1.0, 1.0] for name in (*names, "scikit-learn")})
    text = seeds.report(times, 100, 2, ["scikit-learn 0.01"], None)
    assert "at most 0.6 of one by one. With clips at hand 0.50, with clips made 0.80: not reached" in text
    assert "5× scikit-learn's loop. With clips at hand 9.0×, with clips made 4.9×: not reached" in text
    assert "PyTorch was not measured" in text
