"""A head on a world-model that grows deepens with it, and no sooner: measured with the depth probe."""

import numpy as np
import pytest

import probes
import worldnets as wn
from probes.measured import unpack
from worldnets.learning.growth import by_radius

CHECKPOINTS = [0, 199, 200, 399, 400, 600]


@pytest.fixture(scope="module")
def measured():
    """A head grown by radius on the vault, three rungs of frames, and one that was on the end all the time."""
    dataset = wn.load_dataset("vault", frames=4)
    growth = by_radius(dataset, "continuation")
    found = {}
    for name, one in (("grown", growth), ("fresh", growth.fresh()), ("reversed", growth.reversed())):
        trace = wn.train(
            dataset, "mlp", "continuation", inputs="beliefs", world_model=one, seeds=2, steps=600, batch=64,
            checkpoints=CHECKPOINTS, learning_rate=0.01,
        )  # fmt: skip
        probe = probes.probe("depth")
        cell = probe.measure(trace)
        found[name] = (unpack(cell)[0], probe.conclude([cell]))
    return found


def test_a_head_grown_by_radius_deepens_stage_by_stage_and_no_sooner(measured):
    grown, _ = measured["grown"]
    captured = grown.pie.captured.mean(axis=1)  # [checkpoints, rungs]
    information = grown.about.information
    for checkpoint, sees in ((0, 1), (1, 1), (3, 2)):  # a checkpoint at the change itself has the new inputs
        assert np.abs(captured[checkpoint, sees:]).max() < 1e-9
    assert captured[1, 0] > 0.8 * information[0]
    assert captured[3, 1] > 0.7 * information[1]
    assert captured[5, 2] > 0.7 * information[2]


def test_the_world_models_own_curve_follows_the_stages(measured):
    grown, conclusion = measured["grown"]
    about = grown.about.information
    for checkpoint, sees in enumerate((1, 1, 2, 2, 3, 3)):
        np.testing.assert_allclose(grown.model[checkpoint, :sees], about[:sees], atol=1e-9)
        np.testing.assert_allclose(grown.model[checkpoint, sees:], 0.0, atol=1e-9)
    curve = {f.step: f.value.estimate for f in conclusion.findings if f.name == "efficiency, world-model"}
    assert list(curve) == CHECKPOINTS
    assert np.all(np.diff(list(curve.values())) >= -1e-9)
    assert curve[0] < 0.5
    assert curve[600] == pytest.approx(1.0)


def test_fresh_and_reversed_heads_meet_the_deep_rung_earlier(measured):
    for name in ("fresh", "reversed"):
        other, _ = measured[name]
        captured = other.pie.captured.mean(axis=1)
        assert captured[1, 2] > 0.1 * other.about.information[2]
