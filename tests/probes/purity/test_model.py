"""Numbers of one world-model, against sums over whole joint tables."""

import numpy as np
import pytest
from hypothesis import given, settings

from probes.organisms.world_models import blurred, random_tables, relabelled, small_truth, small_vault
from probes.purity.measured import about, joined, measure_models, of_seeds, pack, taken, unpack
from probes.purity.model import measure_model
from probes.purity.truth import Sampling, truth
from tests.probes.purity.worlds import divergence, marginal, size, worlds
from worldnets.errors import ProbeError
from worldnets.inference import Inference

QUIET = Sampling(losses=())


@given(worlds())
@settings(max_examples=40)
def test_the_divergence_is_that_of_the_joint_tables(world):
    dataset, model = world
    found = truth(dataset, model, QUIET)
    numbers = measure_model(found, model)
    p, q = marginal(dataset.net, found.observed), marginal(model, found.observed)
    assert numbers.divergence == pytest.approx(divergence(p, q), abs=1e-8)
    assert numbers.floored == ((p > 0) & (q < 1e-12 * p)).sum()
    assert numbers.floored_share == pytest.approx(p[(p > 0) & (q < 1e-12 * p)].sum(), abs=1e-12)


@given(worlds())
@settings(max_examples=40)
def test_information_in_a_readout_never_exceeds_what_can_be_known(world):
    dataset, model = world
    found = truth(dataset, model, QUIET)
    for net in (model, dataset.net):
        numbers = measure_model(found, net)
        for i, kind in enumerate(found.latents):
            # Beliefs below a millionth count as one: so much may be said too much.
            assert numbers.recovered[i] <= found.information[kind] + 1e-5
            assert numbers.relabelled[i] <= found.information[kind] + 1e-5
            if net is dataset.net:
                assert numbers.recovered[i] == pytest.approx(found.information[kind], abs=1e-5)


@given(worlds())
@settings(max_examples=40)
def test_errors_of_do_are_those_of_the_truncated_factorisation(world):
    dataset, model = world
    found = truth(dataset, model, QUIET)
    numbers = measure_model(found, model)
    place = 0
    for asked in found.interventions:
        labels = numbers.labels[list(found.latents).index(asked.kind)].astype(int)
        for state in asked.states:
            then = dataset.net.do({asked.node: dataset.net.states[asked.node][state]})
            said = model.do({asked.node: model.states[asked.node][labels[state]]})
            wanted = sum(divergence(marginal(then, [e]), marginal(said, [e])) for e in asked.effects)
            still = sum(divergence(marginal(then, [e]), marginal(dataset.net, [e])) for e in asked.effects)
            assert numbers.error[place] == pytest.approx(wanted, abs=1e-8)
            assert asked.effect[asked.states.index(state)] == pytest.approx(still, abs=1e-8)
            place += 1
    assert place == len(numbers.error)


def test_the_world_itself_lacks_nothing():
    found = small_truth()
    numbers = measure_model(found, small_vault().net)
    assert numbers.divergence == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(numbers.recovered, [found.information[kind] for kind in found.latents], atol=1e-9)
    np.testing.assert_allclose(numbers.error, 0, atol=1e-12)
    np.testing.assert_allclose(numbers.variation, 0, atol=1e-12)
    np.testing.assert_allclose(numbers.losses, [loss.least for loss in found.losses], atol=1e-9)


def test_other_labels_change_nothing_and_one_relabelling_serves_all_frames_and_do():
    found, net = small_truth(), small_vault().net
    plain = measure_model(found, blurred(net, 0.02))
    other = measure_model(found, relabelled(blurred(net, 0.02), np.random.default_rng(3)))
    for name in ("divergence", "recovered", "relabelled", "error", "variation"):
        np.testing.assert_allclose(getattr(other, name), getattr(plain, name), atol=1e-6)
    assert not np.array_equal(plain.labels, other.labels)


def test_clips_scatter_around_the_exact_numbers_as_their_groups_say():
    net = blurred(small_vault().net, 0.1)
    exact = measure_model(small_truth(QUIET), net)
    inside = []
    for seed in range(20):
        sampled = measure_model(small_truth(Sampling(method="sample", clips=512, seed=seed, losses=())), net)
        assert sampled.divergence == pytest.approx(sampled.divergence_groups.mean())
        np.testing.assert_allclose(sampled.recovered, sampled.recovered_groups.mean(0))
        error = sampled.divergence_groups.std(ddof=1) / 4
        inside.append(abs(sampled.divergence - exact.divergence) < 2.13 * error)
    assert np.mean(inside) >= 0.8


def test_what_a_world_model_holds_impossible_is_floored_counted_and_leaves_its_prior_beliefs():
    net = small_vault().net
    tables = {v: np.asarray(net.cpt(v)) for v in net.variables}
    tables["sensor_1"] = np.tile([1.0, 0.0], (*tables["sensor_1"].shape[:-1], 1))
    model = type(net)(net.states, net.parent_sets, tables)
    found = small_truth(QUIET)
    numbers = measure_model(found, model)
    assert numbers.floored == 32
    p, q = (np.exp(Inference(one).log_evidence(found.rows)) for one in (net, model))
    assert numbers.floored_share == pytest.approx(p[found.rows[:, net.index["sensor_1"]] == 1].sum())
    assert numbers.divergence == pytest.approx(divergence(p, q))
    assert np.isfinite(numbers.recovered).all()


def test_the_rows_cover_every_configuration_once():
    found = small_truth(QUIET)
    assert len(np.unique(found.rows, axis=0)) == len(found.rows) == size(small_vault().net, found.observed)
    log_evidence = Inference(small_vault().net).log_evidence(found.rows)
    np.testing.assert_allclose(log_evidence, found.log_truth)


def measured(seeds, steps=(0, 10), sampling=QUIET):
    random, net = np.random.default_rng(0), small_vault().net
    nets = {seed: (random_tables(net, random), blurred(net, 0.01 * seed)) for seed in range(16)}
    return measure_models(small_truth(sampling), seeds, steps, lambda checkpoint, seed: nets[seed][checkpoint])


@pytest.mark.parametrize("sampling", [QUIET, Sampling(method="sample", clips=64, groups=4, losses=("likelihood",))])
def test_a_cell_reads_back_equal_and_its_groups_of_seeds_join_in_any_order(sampling):
    whole = measured(range(4), sampling=sampling)
    parts = [unpack(pack(measured(seeds, sampling=sampling), 1)) for seeds in ((2, 3), (0, 1))]
    again = joined(parts)
    assert again.seeds == (0, 1, 2, 3)
    for name, value in vars(whole.numbers).items():
        other = getattr(again.numbers, name)
        assert (value is None) == (other is None)
        if value is not None:
            np.testing.assert_array_equal(value, other)
    one = unpack(of_seeds(pack(whole, 1), {3}))
    assert one.seeds == (3,)
    np.testing.assert_array_equal(one.numbers.recovered, taken(whole, [3]).numbers.recovered)
    assert about(small_truth(sampling)).kinds == one.about.kinds


def test_cells_that_do_not_belong_together_are_refused():
    one = measured((0, 1))
    with pytest.raises(ProbeError, match="measured twice"):
        joined([one, one])
    with pytest.raises(ProbeError, match="different runs"):
        joined([one, measured((2, 3), steps=(0, 20))])
    with pytest.raises(ProbeError, match="not a cell"):
        unpack({"metadata": {"probe": "depth", "format": 1}, "arrays": {}})
    with pytest.raises(ProbeError, match="every seed diverged"):
        measure_models(small_truth(QUIET), (0,), (0,), lambda checkpoint, seed: None)


def test_a_diverged_seed_is_nan_from_there_on():
    net = small_vault().net
    found = measure_models(
        small_truth(QUIET), (0, 1), (0, 5), lambda checkpoint, seed: None if checkpoint == seed == 1 else net
    )
    assert np.isfinite(found.numbers.divergence).tolist() == [[True, True], [True, False]]
    assert np.isnan(found.numbers.recovered[1, 1]).all()
