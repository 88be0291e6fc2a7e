"""The judge of world-models."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from worldnets import load_dataset
from worldnets.errors import LearningError
from worldnets.learning.corruption import NONE, Damager, gallery
from worldnets.learning.model_class import ModelClass
from worldnets.learning.scorer import auroc, train_scorer


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=3)


@pytest.fixture(scope="module")
def judge(vault):
    return train_scorer(vault, vault.roles["observed"], specimens=80, clips=6)


def test_it_tells_good_world_models_from_corrupted_ones_it_never_saw(vault, judge):
    assert judge.auroc > 0.9
    assert len(judge.held_out["score"]) == 40
    model_class = ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])
    fresh = gallery(vault, model_class, vault.roles["observed"], 40, seed=77)
    scores = np.array([judge.score(one.net) for one in fresh])
    good = np.array([one.damage == NONE for one in fresh])
    assert auroc(scores[good], scores[~good]) > 0.9


def test_its_held_out_figures_are_those_of_its_table(judge):
    table = judge.to_pandas()
    good = table.damage == NONE
    assert judge.auroc == pytest.approx(roc_auc_score(good, table.score))
    for kind, found in judge.auroc_by_damage.items():
        part = table[good | (table.damage == kind)]
        assert found == pytest.approx(roc_auc_score(part.damage == NONE, part.score))
    assert repr(judge).startswith("Scorer(")
    assert f"AUROC {judge.auroc:.3f} on 40 held-out" in repr(judge)


def test_more_damage_scores_lower(vault, judge):
    model_class = ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])
    damager = Damager.of(vault, model_class, vault.roles["observed"])
    truth = model_class.tables_of(vault.net)
    scores = [
        np.mean([judge.score(damager.damaged(truth, "noise", g, np.random.default_rng(s))) for s in range(5)])
        for g in (0.0, 0.2, 0.8)
    ]
    assert scores[0] > scores[1] > scores[2]


def test_ties_count_half():
    assert auroc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875


def test_the_gradient_of_the_score_is_that_of_finite_differences(vault, judge):
    model_class = ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])
    rng = np.random.default_rng(0)
    logits = rng.normal(size=len(model_class))
    net = lambda vector: model_class.net_of(model_class.entries(model_class.probabilities(vector)))
    score, slopes = judge.score_and_gradient(net(logits))
    assert score == pytest.approx(judge.score(net(logits)), abs=1e-12)
    found = model_class.gradient(model_class.probabilities(logits), model_class.every.entries(slopes))
    for k in rng.choice(len(logits), 30, replace=False):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[k] += sign * 1e-5
            values.append(judge.score(net(moved)))
        assert found[k] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_the_same_request_gives_the_same_judge(vault):
    one, other = (train_scorer(vault, vault.roles["observed"], specimens=8, clips=2) for _ in range(2))
    assert one.score(vault.net) == other.score(vault.net)
    assert train_scorer(vault, vault.roles["observed"], specimens=8, clips=2, seed=1).score(vault.net) != one.score(
        vault.net
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"specimens": 4}, "specimens is no whole number ≥ 8"),
        ({"clips": 0}, "clips is no whole number ≥ 1"),
        ({"hidden": 1.5}, "hidden is no whole number ≥ 1"),
        ({"decay": -1}, "decay is no number ≥ 0"),
    ],
)
def test_options_out_of_range_are_refused(vault, option, said):
    with pytest.raises(LearningError, match=said):
        train_scorer(vault, vault.roles["observed"], **option)
