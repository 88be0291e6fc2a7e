"""The fingerprint probe: names are those scikit-learn would give, rows are what they are said to be, organisms hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from probes.catalogue.fingerprint import FingerprintProbe, crossing_of
from probes.fingerprint.naming import (
    between,
    components,
    correlation,
    enough,
    gain,
    gains,
    likeness,
    named,
    named_by,
    names,
    products,
    same_choice,
)
from probes.fingerprint.symbols import Sampling, crossed, evidence_columns, shown, unseen
from probes.fingerprint.verdict import Settings, verdict
from probes.measurement import unpack
from probes.organisms.fingerprint import TARGET, Planted, plants
from probes.registry import names as probe_names
from probes.registry import probe
from probes.validity import validate
from tests.stored import stored
from worldnets import load_dataset, train
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training

SMALL = Sampling(orders=2, rows=12)


def answers(seed, initialisations=5, orders=3, width=7, size=0.5):
    random = np.random.default_rng(seed)
    own = random.standard_normal((initialisations, 1, width))
    return np.sqrt(size) * own + np.sqrt(1 - size) * random.standard_normal((initialisations, orders, width))


def test_the_probe_is_found_by_name():
    assert "fingerprint" in probe_names()
    assert probe("fingerprint").name == "fingerprint"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(3, 4))
def test_names_are_those_of_the_nearest_centroid_of_scikit_learn(seed, initialisations, orders):
    responses = answers(seed, initialisations, orders)
    found = named(products(responses), names(initialisations, orders, 0))[0]
    assert np.array_equal(found, named_by(responses, NearestCentroid()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_a_permutation_of_names_is_a_permutation_of_runs_within_data_orders(seed):
    responses = answers(seed)
    given_names = names(5, 3, 6, seed)
    found = named(products(responses), given_names)
    pairs = same_choice(np.round(responses))
    for b, chosen in enumerate(given_names):
        moved = np.stack([responses[chosen[o], o] for o in range(3)], axis=1)
        again = named(products(moved), names(5, 3, 0))[0]
        assert again.sum() == pytest.approx(found[b].sum())
        assert gains(pairs, given_names)[b] == pytest.approx(gain(between(same_choice(np.round(moved)))))


def test_runs_that_answer_alike_get_the_names_of_all():
    found = named(products(np.zeros((4, 3, 5))), names(4, 3, 2))
    np.testing.assert_allclose(found, 0.25)


def test_what_a_data_order_does_to_all_runs_names_nothing():
    responses = answers(3)
    shifted = responses + 100 * np.random.default_rng(1).standard_normal((1, 3, 7))
    np.testing.assert_allclose(products(shifted), products(responses), atol=1e-6)


def test_variance_components_are_those_of_a_crossing():
    random = np.random.default_rng(0)
    shape = (60, 40, 20)
    own, order = random.standard_normal((60, 1, 20)), random.standard_normal((1, 40, 20))
    found = components(np.sqrt(0.3) * own + np.sqrt(0.5) * order + np.sqrt(0.2) * random.standard_normal(shape))
    np.testing.assert_allclose(found, [0.3, 0.5, 0.2], atol=0.04)
    assert np.isnan(components(np.ones((3, 2, 4)))).all()


def test_the_gain_is_the_share_of_strangers_disagreement_that_is_gone():
    choices = np.zeros((3, 2, 4))
    choices[1], choices[2] = 1, [[0, 0, 1, 1], [0, 0, 1, 1]]
    means = between(same_choice(choices))
    np.testing.assert_allclose(means, [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]])
    assert gain(means) == pytest.approx(1.0)
    assert np.isnan(gain(np.ones((3, 3))))


def test_correlation_over_pairs_is_the_plain_one():
    responses, other = answers(5), answers(6)
    one, two = likeness(responses), likeness(other)
    pairs = [(i, o, j, p) for i in range(5) for j in range(5) for o in range(3) for p in range(3) if o != p]
    x, y = ([matrix[pair] for pair in pairs] for matrix in (one, two))
    assert float(correlation(one, two).mean) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_few_runs_have_too_few_permutations():
    assert not enough(2, 2, 0.05)
    assert enough(8, 2, 0.05)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("fingerprint", 25, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.84
    assert all(share.high >= 0.93 for share in score.coverage.values())


@pytest.fixture(scope="module")
def trace():
    vault = load_dataset("vault", frames=5)
    return train(vault, "mlp", "question", seeds=3, steps=60, batch=16, checkpoints=[0, 60], head_options={"width": 8})


@pytest.fixture(scope="module")
def runs(trace):
    return crossed(trace, SMALL)


@pytest.fixture(scope="module")
def cell(trace):
    return FingerprintProbe(SMALL).measure(trace)


def test_a_crossing_gives_every_initialisation_every_data_order(runs, trace):
    assert [run.plan.data_order for run in runs] == [0, 1]
    for run in runs:
        assert run.seeds == trace.seeds
        assert np.array_equal(run.plan.clips(0, 9, 0), run.plan.clips(2, 9, 0))
    weights = [run.parameters.layers[0].weight for run in runs]
    assert np.array_equal(weights[0][0], weights[1][0])  # before training
    assert not np.array_equal(weights[0][1], weights[1][1])


def test_combinations_were_seen_by_no_run_and_their_symbols_by_all(runs):
    rows = shown(runs, SMALL)
    plan = runs[0].plan
    columns = evidence_columns(plan)
    trained = [run.plan.clips(0, run.last * plan.batch, 0)[:, columns] for run in runs]
    held = {tuple(row) for part in trained for row in part.tolist()}
    new = np.concatenate([rows.novel, rows.others])[:, columns]
    assert len({tuple(row) for row in new.tolist()}) == len(new) == 24
    assert not held & {tuple(row) for row in new.tolist()}
    for part in trained:
        for column in range(len(columns)):
            assert set(new[:, column].tolist()) <= set(part[:, column].tolist())
    assert rows.surprise[1] > rows.surprise[0]  # off the distribution
    changed = (rows.seen != rows.reserved).any(0)
    assert changed.sum() == 1
    assert plan.dataset.net.variables[int(np.flatnonzero(changed)[0])] == rows.symbol


def test_before_training_every_run_is_named_and_all_variance_is_the_initialisations(cell):
    found = FingerprintProbe().conclude([cell])
    for kind in ("never-seen combinations", "clips of the world", "the reserved symbol"):
        first = next(f for f in found.named(f"named, {kind}") if f.step == 0)
        share = next(f for f in found.named(f"share of initialisation, {kind}") if f.step == 0)
        assert first.value.estimate == 1.0
        assert share.value.estimate == pytest.approx(1.0)
        assert found.last(f"share of initialisation, {kind}", "diamond").value.estimate < 1.0


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(trace, cell):
    calls = []
    again = FingerprintProbe(SMALL).measure(trace, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    fingerprint = FingerprintProbe(SMALL)
    apart = [fingerprint.of_seeds(cell, [2]), fingerprint.of_seeds(cell, [0, 1])]
    whole = fingerprint.conclude([cell])
    assert all(f.value.low <= f.value.high for f in whole)
    for other in (fingerprint.conclude([stored(cell)]), fingerprint.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()


def test_diverged_runs_take_their_initialisation_with_them():
    cell = Planted(0.5, gain=0.4).cell(0)
    cell["arrays"]["0.numbers.novel"][-1, 2, 1] = np.nan
    found = FingerprintProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("named-and-predicts", 7, 1)
    cell["arrays"]["0.numbers.novel"][-1, 1:, 1] = np.nan
    with pytest.raises(ProbeError, match="one initialisation only"):
        FingerprintProbe().conclude([cell])


def test_the_verdict_hardly_depends_on_which_permutations_were_drawn():
    (m,) = unpack(Planted(0.3, gain=0.3).cell(1), "fingerprint")
    crossing = crossing_of(m, -1)
    assert len({verdict(crossing, Settings(seed=seed), TARGET).name for seed in range(20)}) == 1


def test_a_crossing_without_a_reserved_symbol_has_two_conditions(trace):
    cell = FingerprintProbe(replace(SMALL, reserved=False)).measure(trace)
    found = FingerprintProbe().conclude([cell])
    assert not found.named("named, the reserved symbol")
    assert found.named("named, never-seen combinations")


def test_bad_requests_are_refused_with_what_to_do_instead(trace):
    vault = trace.dataset
    with pytest.raises(ProbeError, match="one run per initialisation"):
        FingerprintProbe(Sampling(orders=1)).check(trace.plan)
    with pytest.raises(ProbeError, match="not given symbols"):
        FingerprintProbe().check(plan_training(vault, "mlp", "question", inputs="beliefs"))
    with pytest.raises(ProbeError, match="one data order"):
        FingerprintProbe().check(plan_training(vault, "mlp", "question", data_order=1))
    each = plan_training(load_dataset("chains", frames=4), "gru", "continuation_each_step")
    with pytest.raises(ProbeError, match="has no reserved symbol"):
        FingerprintProbe().check(each)
    FingerprintProbe(Sampling(reserved=False)).check(each)
    with pytest.raises(ProbeError, match="one order"):
        FingerprintProbe().check(plan_training(load_dataset("digits"), "mlp"))
    with pytest.raises(ProbeError, match="one initialisation only"):
        FingerprintProbe(SMALL).measure(train(vault, "linear", "question", seeds=1, steps=2, checkpoints=[0, 2]))


def test_a_world_all_of_whose_combinations_were_seen_leaves_nothing_to_ask():
    tiny = load_dataset("cue_parity", bits=2, noise=0)
    trace = train(tiny, "linear", "question", seeds=2, steps=40, checkpoints=[0, 40])
    with pytest.raises(ProbeError, match="never-seen combination"):
        unseen([trace], 8, 0)
