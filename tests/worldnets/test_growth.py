"""Stages and growths: shares of training steps, the three orders, the file form."""

import json

import numpy as np
import pytest

from worldnets.errors import TrainingError
from worldnets.growth import Growth, Stage, growth_digest, pack_growth, unpack_growth
from worldnets.net import WorldNet

SMALL = WorldNet({"a": (0, 1), "b": (0, 1)}, {"b": ("a",)}, {"a": [0.3, 0.7], "b": [[0.9, 0.1], [0.2, 0.8]]}, "small")
OTHER = SMALL.do({"a": 1})


def three(shares=(1, 2, 1)):
    names = ("first", "second", "third")
    return Growth(tuple(Stage(name, share, SMALL) for name, share in zip(names, shares, strict=True)))


def test_stages_begin_at_their_shares_of_the_steps():
    growth = three()
    assert growth.starts(400) == (0, 100, 300)
    assert growth.starts(10) == (0, 2, 8)
    assert growth.last_steps(400) == 100
    assert three((0.1, 0.1, 0.1)).starts(3) == (0, 1, 2)
    with pytest.raises(TrainingError, match="too few steps for the stages"):
        growth.starts(2)
    with pytest.raises(TrainingError, match="too few steps for the stages"):
        three((1, 1, 0.001)).starts(100)


def test_fresh_is_the_end_alone_and_reversed_goes_there_the_other_way():
    growth = three()
    assert growth.grown() is growth
    assert growth.fresh().stages[0].name == "third"
    assert growth.fresh().starts(7) == (0,)
    assert [stage.name for stage in growth.reversed().stages] == ["second", "first", "third"]
    assert growth.reversed().last_steps(400) == growth.last_steps(400)
    told = Growth(growth.stages, ("a",), deep_first=(Stage("deep", 3, OTHER),))
    assert [stage.name for stage in told.reversed().stages] == ["deep", "third"]
    assert told.reversed().variables == told.fresh().variables == ("a",)


def test_a_growth_comes_back_from_its_file_form_to_the_last_bit():
    growth = Growth((Stage("one", 0.5, SMALL, ("b",), 2), Stage("two", 1, OTHER), Stage("three", 2, SMALL, ())), ("a",))
    page, arrays = pack_growth(growth)
    assert len(page["world_models"]) == 2  # a net is kept once
    back = unpack_growth(json.loads(json.dumps(page)), arrays)
    assert growth_digest(back) == growth_digest(growth)
    assert back.stages[0].world_model is back.stages[2].world_model
    assert [stage.evidence for stage in back.stages] == [("b",), None, ()]
    assert [stage.rounds for stage in back.stages] == [2, None, None]
    assert back.variables == ("a",)


@pytest.mark.parametrize(
    "other",
    [
        Growth((Stage("one", 1, OTHER),)),
        Growth((Stage("one", 1, SMALL, ("a",)),)),
        Growth((Stage("one", 1, SMALL, None, 3),)),
        Growth((Stage("one", 1, SMALL),), ("a",)),
    ],
)
def test_whatever_beliefs_depend_on_is_in_the_digest(other):
    assert growth_digest(other) != growth_digest(Growth((Stage("one", 1, SMALL),)))


def test_a_growth_is_shown_as_a_table():
    growth = Growth((Stage("one", 1, SMALL, ("b",), 2), Stage("two", 3, OTHER)))
    table = growth.to_pandas()
    assert table.loc["one", ["share", "evidence", "rounds"]].tolist() == [0.25, "b", 2]
    assert table.loc["two", ["share", "evidence", "rounds"]].tolist() == [0.75, "all", "exact"]
    assert repr(growth) == "Growth(one → two)"
    assert growth.stage("two").world_model is OTHER


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Growth(()), "without stages"),
        (lambda: Growth((Stage("one", 1, SMALL), Stage("one", 1, SMALL))), "two stages of one name"),
        (lambda: Growth((Stage("one", 1, SMALL),), "a"), "variables is one text"),
        (lambda: Stage("one", 0, SMALL), "a share of the steps"),
        (lambda: Stage("one", float("nan"), SMALL), "a share of the steps"),
        (lambda: Stage("one", 1, "vault"), "without a world-model"),
        (lambda: Stage("one", 1, SMALL, "ab"), "the evidence is one text"),
        (lambda: Stage("one", 1, SMALL, ("a", "a")), "evidence named twice"),
        (lambda: Stage("one", 1, SMALL, None, -1), "rounds out of range"),
        (lambda: Stage("one", 1, SMALL, None, 2.0), "rounds out of range"),
        (lambda: three().stage("secnd"), "did you mean 'second'"),
    ],
)
def test_what_is_no_growth_is_refused(make, message):
    with pytest.raises(TrainingError, match=message):
        make()


def test_shares_may_be_any_positive_numbers():
    np.testing.assert_array_equal(three((10, 20, 10)).starts(400), three((0.25, 0.5, 0.25)).starts(400))
