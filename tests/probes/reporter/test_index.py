"""The translation index: 0 and 1 on the references, weights of mixtures, and areas under curves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.organisms.reporter import between, mixed, named, normalised, world_rows
from probes.regression import RungRegression
from probes.reporter.index import Index, auroc, divergence, floored, pseudo_values, together, told_apart
from probes.reporter.rows import DIRECT, HIDDEN, HUMAN, PRIOR
from worldnets.errors import ProbeError


def index_of(*answers):
    rows = world_rows()
    weight, fit = Index(rows).of(np.stack([normalised(answer(rows)) for answer in answers]))
    return weight.value, fit.value


@settings(max_examples=25, deadline=None)
@given(st.floats(0.02, 0.98))
def test_a_mixture_in_logarithms_has_its_weight_and_nothing_left(weight):
    found, fit = index_of(between(weight))
    assert found[0] == pytest.approx(weight, abs=1e-9)
    assert fit[0] == pytest.approx(1.0, abs=1e-9)


def test_the_references_stand_at_the_ends_and_others_are_not_on_the_line():
    weight, fit = index_of(named(DIRECT), named(HUMAN), named(PRIOR), named(HIDDEN), mixed(0.5))
    np.testing.assert_allclose(weight[:2], [1, 0], atol=1e-3)  # the floor is put on what was floored before
    np.testing.assert_allclose(fit[:2], 1, atol=1e-4)
    assert fit[2] <= 0.02  # the prior does not look at the clip
    assert fit[3] < 0.1
    assert 0.3 < weight[4] < 0.5
    assert fit[4] > 0.75


def test_the_best_constant_answer_has_no_fit_and_no_constant_has_more():
    rows = world_rows()
    odds = np.linspace(-4, 4, 161)
    constants = np.stack([np.broadcast_to(normalised(np.array([0.0, x])), rows.direct.shape) for x in odds])
    fit = Index(rows).of(constants)[1].value
    assert fit.max() == pytest.approx(0.0, abs=2e-3)


def test_the_index_is_the_rung_regression_of_two_rungs():
    rows, answer = world_rows(), normalised(mixed(0.3)(world_rows()))
    kept = rows.apart
    ladder = np.exp(np.stack([floored(rows.human[kept], rows.floor), floored(rows.direct[kept], rows.floor)]))
    unfloored = RungRegression(rows.shares[0][kept], ladder, np.array([1.0])).weights(
        floored(np.exp(answer[kept]), rows.floor)
    )[0]
    # The rung regression weights outcomes by the floored references, the index by the references as they are.
    assert Index(rows).of(answer[None])[0].value[0] == pytest.approx(unfloored[0], abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12))
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows):
    score, positive, negative = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if not (positive.sum() and negative.sum()):
        with pytest.raises(ProbeError, match="one class only"):
            auroc(score, positive, negative)
        return
    order = np.sign(score[:, None] - score[None, :])
    pairs = positive[:, None] * negative[None, :]
    assert auroc(score, positive, negative) == pytest.approx((pairs * (order + 1) / 2).sum() / pairs.sum())


def test_one_class_only_says_which_is_missing():
    with pytest.raises(ProbeError, match=r"one class only.*no negative clip.*both kinds"):
        auroc(np.arange(3.0), np.ones(3), np.zeros(3))


def test_direct_translators_tell_tampered_clips_apart_and_simulators_hardly():
    rows = world_rows()
    log_q = np.log(np.stack([rows.direct, rows.human, rows.references[PRIOR]]))
    direct, human, prior = told_apart(rows, log_q, rows.tampered).value
    assert direct > human + 0.15
    assert prior == 0.5


def test_divergence_from_a_reference_is_zero_for_itself():
    rows = world_rows()
    assert divergence(rows, DIRECT, np.log(rows.direct)[None]).value[0] == pytest.approx(0, abs=1e-12)
    assert divergence(rows, DIRECT, np.log(rows.human)[None]).value[0] > 0.1  # each row is more than .1 nats apart


def test_groups_of_clips_move_what_depends_on_them_and_not_what_lies_on_the_line():
    rows = world_rows()
    drawn = np.random.default_rng(0).multinomial(300, rows.shares[0], size=12)
    sampled = replace(rows, shares=drawn / drawn.sum(1, keepdims=True))
    log_q = np.stack([normalised(answer(rows)) for answer in (between(0.4), mixed(0.5))])
    weight, _ = Index(sampled).of(log_q)
    assert weight.groups.shape == (12, 2)
    np.testing.assert_allclose(weight.groups.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(weight.groups[:, 0], 0, atol=1e-9)
    error = weight.groups[:, 1].std(ddof=1) / np.sqrt(12)
    exact = Index(rows).of(log_q)[0].value[1]
    assert 0 < error < 0.05
    assert abs(weight.value[1] - exact) < 4 * error


def test_an_ensemble_is_the_mean_answer_and_diverged_members_take_no_part():
    log_q = np.log(np.array([[[0.2, 0.8]], [[0.6, 0.4]], [[np.nan, np.nan]]]))
    np.testing.assert_allclose(np.exp(together(log_q)), [[0.4, 0.6]])
    found = pseudo_values(lambda one: np.exp(one[0, :1]), log_q, 1)
    np.testing.assert_allclose(found[:2, 0], [0.2, 0.6])  # of a mean, pseudo-values are the values
    assert np.isnan(found[2]).all()
