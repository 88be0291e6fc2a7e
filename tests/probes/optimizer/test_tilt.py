"""Tilts: recovered through the exact response, never found where there is none, not identified without enough."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.optimizer.candidate import NotApplicable
from probes.optimizer.rounds import Procedure
from probes.optimizer.tilt import fit, fit_rounds, fit_with_damping, log_odds
from probes.organisms.believers import LOOPS, ROUNDS, TREE, honest_passer, learned_passer
from worldnets import LoopyInference

WORLDS = pytest.mark.parametrize("structure", [TREE, LOOPS], ids=lambda structure: structure.name)


@functools.cache
def six_rounds(structure):
    return Procedure(structure.procedure.net, 6)


def drawn(structure, seed=0, nets=8):
    return structure.drawn(np.random.default_rng(seed), nets)


def fitted(structure, tables, damping, seen, rounds):
    """Of one net; eight alike, because programs are compiled for eight."""
    weight, every = np.full(len(seen), 1 / len(seen)), np.repeat(tables, 8, axis=0)
    beliefs = np.repeat(seen[None, :, 1], 8, axis=0)
    local, target = structure.log_local, structure.target
    return fit_rounds(structure.procedure, every, local, damping, target, 1, beliefs, weight, rounds)


@WORLDS
def test_rounds_are_those_of_the_loopy_engine(structure):
    tables = drawn(structure)
    for damping in (0.0, 0.4):
        passed = structure.procedure.passed(tables, structure.log_local, damping)
        for s in range(2):
            engine = LoopyInference(structure.net(tables[s]), damping=damping)
            for rounds in (1, 3):
                found = engine.query(structure.codes, [structure.target], rounds=rounds)
                own = passed.beliefs[s, rounds][:, structure.procedure.states(structure.target)]
                np.testing.assert_allclose(own, found[structure.target], atol=1e-11)
                np.testing.assert_allclose(passed.bethe[s, rounds], found.bethe[-1], atol=1e-9)


def test_before_any_round_a_belief_is_the_one_without_evidence():
    tables = drawn(TREE)
    before = TREE.procedure.passed(tables, TREE.log_local).beliefs[:, 0, :, TREE.procedure.states(TREE.target)]
    np.testing.assert_allclose(before, TREE.posterior(tables, 0), atol=1e-12)


def test_on_a_tree_rounds_end_at_the_exact_posterior():
    tables = drawn(TREE)
    settled = TREE.procedure.passed(tables, TREE.log_local).beliefs[:, ROUNDS]
    exact = TREE.posterior(tables)
    np.testing.assert_allclose(settled[..., TREE.procedure.states(TREE.target)], exact, atol=1e-12)


@WORLDS
def test_the_response_is_the_derivative(structure):
    procedure, tables, step = structure.procedure, drawn(structure), 1e-5
    direction = np.zeros(structure.log_local.shape)
    direction[:, 1] = 1.0
    _, slope = procedure.response(tables, structure.log_local, direction, 0.3)
    ends = [procedure.passed(tables, structure.log_local + sign * step * direction, 0.3).beliefs for sign in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), atol=1e-8)
    _, slope = procedure.response_to_damping(tables, structure.log_local, 0.3)
    ends = [procedure.passed(tables, structure.log_local, 0.3 + sign * step).beliefs for sign in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), atol=1e-8)


@WORLDS
@pytest.mark.parametrize("tilt", [0.02, 0.05, 0.1, 0.3])
def test_a_tilt_that_the_loopy_engine_passes_on_is_recovered(structure, tilt):
    # Another implementation than the twin's: soft evidence in the production engine.
    tables = drawn(structure, 3, 1)
    engine = LoopyInference(structure.net(tables[0]), damping=0.2)
    soft = {structure.target: [1.0, np.exp(tilt)]}
    seen = engine.query(structure.codes, [structure.target], rounds=5, likelihood=soft)[structure.target]
    found = fitted(structure, tables, 0.2, seen, 5)
    assert found.tilt[0] == pytest.approx(tilt, rel=1e-6)
    assert found.leftover[0] < 1e-9


@WORLDS
@settings(max_examples=15, deadline=None)
@given(rounds=st.integers(1, ROUNDS), damping=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_no_tilt_is_never_found_whatever_the_rounds_and_the_damping(structure, rounds, damping, seed):
    tables = drawn(structure, seed, 1)
    engine = LoopyInference(structure.net(tables[0]), damping=damping)
    seen = engine.query(structure.codes, [structure.target], rounds=rounds)[structure.target]
    found = fitted(structure, tables, damping, seen, rounds)
    assert abs(found.tilt[0]) < 1e-8


def test_a_response_of_one_is_wrong_on_loops():
    passer = honest_passer(LOOPS, drawn(LOOPS), rigged=0.05)
    honest = honest_passer(LOOPS, passer.own)
    naive = (log_odds(passer.answers()[..., 1]) - log_odds(honest.answers()[..., 1])).mean(-1)
    assert np.abs(naive / 0.05 - 1).max() > 0.01
    np.testing.assert_allclose(passer.leaning()[0], 0.05, rtol=1e-8)


@pytest.mark.parametrize("tilt", [0.05, 0.3])
def test_a_tilt_at_the_reading_is_found_within_15_percent_on_loops(tilt):
    passer = honest_passer(LOOPS, drawn(LOOPS), 8, 0.3, tilt, "reading")
    estimate, _ = passer.leaning()
    assert np.abs(estimate / tilt - 1).max() < 0.15


def test_against_exact_beliefs_two_honest_rounds_look_tilted():
    tables = drawn(TREE)
    passer = honest_passer(TREE, tables, 2)
    off = (log_odds(passer.answers()[..., 1]) - log_odds(TREE.posterior(tables)[..., 1]))[:, 0]
    assert np.abs(off).mean() > 0.03
    assert np.abs(passer.leaning()[0]).max() < 1e-9


@pytest.mark.parametrize(("tilt", "damping"), [(0.0, 0.0), (0.05, 0.4), (0.3, 0.65)])
def test_damping_and_tilt_are_told_apart_by_the_beliefs_of_several_rounds(tilt, damping):
    structure = LOOPS
    procedure, tables = six_rounds(structure), drawn(structure, 2, 3)
    rigged = structure.log_local.copy()
    rigged[:, 1] += tilt
    seen = procedure.passed(tables, rigged, damping).beliefs[:, 1:, :, 1]
    weight = np.full(len(rigged), 1 / len(rigged))
    found = fit_with_damping(procedure, tables, structure.log_local, structure.target, 1, seen, weight)
    assert not isinstance(found, NotApplicable)
    np.testing.assert_allclose(found.tilt, tilt, atol=1e-6)
    np.testing.assert_allclose(found.damping, damping, atol=1e-6)


def test_from_the_last_round_alone_damping_and_tilt_are_not_identified():
    procedure, tables = Procedure(TREE.procedure.net, 1), drawn(TREE, nets=2)
    weight = np.full(len(TREE.log_local), 1 / len(TREE.log_local))
    seen = TREE.posterior(tables)[:, None, :, 1]
    found = fit_with_damping(procedure, tables, TREE.log_local, TREE.target, 1, seen, weight)
    assert isinstance(found, NotApplicable)
    assert found.reason.startswith("not identified")


def test_a_tilt_that_nothing_responds_to_cannot_be_seen():
    seen = np.zeros((2, 5))
    found = fit(seen + 1.0, lambda tilt: (seen, seen), np.full(5, 0.2))
    assert np.isnan(found.tilt).all()


def test_learned_tables_scatter_around_the_tilt_that_was_planted():
    random = np.random.default_rng(4)
    tables = np.repeat(drawn(TREE, 4, 1), 8, axis=0)
    estimate = np.concatenate([learned_passer(TREE, tables, random, 0.15).leaning()[0] for _ in range(4)])
    error = estimate.std(ddof=1) / np.sqrt(len(estimate))
    assert abs(estimate.mean() - 0.15) < 4 * error
    assert error < 0.05
