"""What a world-model looks like from outside, and how that changes with its tables."""

import numpy as np
import pytest

from worldnets import Inference, WorldNet, load_dataset
from worldnets.errors import LearningError
from worldnets.inference.sampling import simulate
from worldnets.learning.appearance import MOST_PAIRS, appearance_of
from worldnets.learning.model_class import ModelClass, with_states


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=3)


@pytest.fixture(scope="module")
def appearance(vault):
    return appearance_of(vault, vault.roles["observed"], clips=4)


@pytest.fixture(scope="module")
def model(vault):
    model_class = ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])
    logits = np.random.default_rng(0).normal(size=len(model_class))
    return model_class, logits, net_at(model_class, logits)


def net_at(model_class, logits):
    return model_class.net_of(model_class.entries(model_class.probabilities(logits)))


def test_samples_are_seen_by_what_their_frequencies_tend_to(appearance, model):
    net, events = model[2], appearance.events
    codes = simulate(net, 200_000, 5)
    frequency = [(codes[:, row >= 0] == row[row >= 0]).all(axis=1).mean() for row in events]
    np.testing.assert_allclose(appearance.of(net)[: len(events)], frequency, atol=0.006)


def test_single_observables_and_pairs_up_to_one_frame_apart_are_seen(appearance, vault):
    frames = vault.world.frames
    expected = sum(map(len, frames)) + 3 * 3 + 2 * 9  # singles, pairs within three frames, pairs across
    assert len(appearance.events) == expected
    assert "pixel1_1=bright, sensor_2=released" in appearance.labels
    assert not any("_1" in label and "_3" in label for label in appearance.labels[:expected])


def test_beliefs_are_the_posteriors_on_different_clips(appearance, vault, model):
    beliefs = Inference(model[2]).query(appearance.clips)
    assert len(np.unique(appearance.clips, axis=0)) == 4
    label = appearance.labels.index("diamond_2=gone | clip 3")
    assert appearance.of(model[2])[label] == pytest.approx(beliefs["diamond_2"][2, 1], abs=1e-12)
    assert set(appearance.believed) == {*vault.task("continuation").latents, "pixel1_3", "pixel2_3"}


def test_features_have_the_gradient_of_finite_differences(appearance, model):
    model_class, logits, net = model
    rng = np.random.default_rng(1)
    cotangents = rng.normal(size=len(appearance))
    slopes = model_class.every.entries(appearance.look(net)[1](cotangents))
    found = model_class.gradient(model_class.probabilities(logits), slopes)
    for k in rng.choice(len(logits), 40, replace=False):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[k] += sign * 1e-5
            values.append(cotangents @ appearance.of(net_at(model_class, moved)))
        assert found[k] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_what_is_not_looked_at_may_differ_and_the_rest_may_not(appearance, vault):
    appearance.of(with_states(vault.net, {"robber_1": 4}))
    for counts in ({"robber_2": 4}, {"sensor_1": 3}):
        with pytest.raises(LearningError, match="a node of another kind"):
            appearance.of(with_states(vault.net, counts))


def test_variables_may_stand_in_another_order(appearance, vault):
    net = vault.net
    turned = WorldNet({v: net.states[v] for v in reversed(net.variables)}, net.parent_sets, net.cpts)
    np.testing.assert_allclose(appearance.of(turned), appearance.of(net), atol=1e-12)


def test_in_a_world_without_time_any_two_observables_are_a_pair():
    dataset = load_dataset("alarm")
    observables = dataset.roles["observed"]
    seen = appearance_of(dataset, observables, clips=3)
    assert ((seen.events >= 0).sum(axis=1) == 2).any()
    scopes = {tuple(np.flatnonzero(row >= 0)) for row in seen.events}
    assert len(scopes) <= len(observables) + min(MOST_PAIRS, len(observables) * (len(observables) - 1) // 2)
    assert np.isfinite(seen.of(dataset.net)).all()


def test_without_observables_there_is_nothing_to_see(vault):
    with pytest.raises(LearningError, match="nothing is to be seen"):
        appearance_of(vault, ())
