"""Growths in plain words."""

import json

import pytest

import worldnets as wn
from worldnets.errors import TrainingError
from worldnets.growth import growth_digest
from worldnets.learning import GrowthPlan, by_radius
from worldnets.learning.growth_plan import merged, shown_rows


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=4)


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "radius"},
        {"kind": "radius", "order": "reversed", "stages": 2, "shares": [1, 3]},
        {"kind": "radius", "ladder": "distance", "order": "fresh"},
        {"kind": "rounds", "stages": 3},
        {"kind": "class", "rows": 200, "seed": 4},
    ],
)
def test_plain_settings_read_back_as_the_same_plan_and_build_the_same_growth(dataset, table):
    plan = GrowthPlan.of(table)
    again = GrowthPlan.of(json.loads(json.dumps(plan.settings)))
    assert again == plan
    growth, other = plan.build(dataset, "continuation"), again.build(dataset, "continuation")
    assert growth_digest(growth) == growth_digest(other)
    assert plan.label == f"{table['kind']}-{table.get('order', 'grown')}"


def test_orders_are_those_of_the_growth(dataset):
    names = lambda **table: [s.name for s in GrowthPlan.of(table).build(dataset, "continuation").stages]
    assert names(kind="radius") == ["radius 1", "radius 2", "radius 3"]
    assert names(kind="radius", order="fresh") == ["radius 3"]
    assert names(kind="radius", order="reversed") == ["deepest 1", "deepest 2", "radius 3"]
    assert names(kind="rounds", stages=4) == ["1 round", "2 rounds", "4 rounds", "exact"]
    assert names(kind="class", rows=200) == ["marginals", "tree", "full"]
    plain = by_radius(dataset, "continuation")
    assert growth_digest(GrowthPlan("radius").build(dataset, "continuation")) == growth_digest(plain)


def test_rungs_are_taken_together_evenly_and_all_of_them_once():
    ladder = tuple((f"v{k}",) for k in range(7))
    assert [len(rung) for rung in merged(ladder, 3)] == [2, 2, 3]
    assert [v for rung in merged(ladder, 4) for v in rung] == [f"v{k}" for k in range(7)]
    assert merged(ladder, None) == merged(ladder, 7) == ladder


def test_models_are_learned_from_what_training_shows_and_from_no_latent(dataset):
    rows = shown_rows(dataset, "continuation", 50, 0)
    assert set(rows.variables) == {v for frame in dataset.world.frames for v in frame}
    answers = {v for target in dataset.task("question").targets for v in target.variables}
    asked = shown_rows(dataset, "question", 50, 0)
    assert set(asked.variables) == set(rows.variables) | answers


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "no kind of growth"),
        ({"kind": "radios"}, "unknown kind.*did you mean 'radius'"),
        ({"kind": "radius", "order": "backwards"}, "unknown order"),
        ({"kind": "radius", "stage": 3}, "unknown option.*did you mean 'stages'"),
        ({"kind": "radius", "stages": 0}, "stages is no whole number"),
        ({"kind": "radius", "stages": True}, "stages is no whole number"),
        ({"kind": "radius", "stages": 9}, "more stages than the ladder has rungs"),
        ({"kind": "radius", "rows": 100}, "of kind 'radius' has no such option; found 'rows'"),
        ({"kind": "class", "stages": 3}, "of kind 'class' has no such option"),
        ({"kind": "radius", "shares": "1, 2"}, "shares are no list"),
        ({"kind": "radius", "shares": [1]}, "not as many shares"),
        ({"kind": "class", "latents": 1}, "latents is neither"),
    ],
)
def test_a_wrong_plan_is_refused(dataset, table, message):
    with pytest.raises(TrainingError, match=message):
        GrowthPlan.of(table).build(dataset, "continuation")
