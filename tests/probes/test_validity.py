"""Counting planted answers: roles, limits, the page and the command; and a small count of every probe's organisms."""

import json

import pytest
from click.testing import CliRunner

from probes.cli import main
from probes.statistics import Interval, binomial_interval
from probes.validity import (
    PLANTS,
    Outcome,
    Plant,
    Tally,
    Work,
    chosen,
    count,
    plants,
    scored,
    to_pandas,
    validate,
    validate_all,
)
from probes.validity_page import counted, section, write
from worldnets.errors import ProbeError, UnknownNameError

SLOW = {"optimizer", "purity"}  # organisms that take seconds to make: their own tests count them
REPEATS = 12


def coin(name, role, claim, heads):
    """Says "deep" in the first `heads` of every hundred repeats; its interval holds the truth in the even ones."""

    def repeat(seed):
        low = 0.0 if seed % 2 == 0 else 0.6
        interval = Interval(0.5, low, 1.0, 0.95, "t", 8)
        return Outcome("deep" if seed % 100 < heads else "shallow", {"number": (interval, 0.5)})

    return Plant(name, "a coin", role, claim, repeat)


@pytest.fixture
def coins():
    known = (coin("often", "right", "deep", 99), coin("seldom", "null", ("deep", "deeper"), 4))
    with PLANTS.lent("coins", known):
        yield known


@pytest.mark.parametrize(
    ("probe", "plant"),
    [(probe, plant.name) for probe in PLANTS if probe not in SLOW for plant in plants(probe)],
)
def test_no_claim_and_no_coverage_of_a_plant_is_refuted_by_a_few_repeats(probe, plant):
    (score,) = validate(probe, REPEATS, only=[plant])
    assert score.refuted(0.99) == []


def test_every_plant_says_what_it_is():
    for own in chosen().values():
        for plant in own:
            assert plant.about
            assert plant.role in ("right", "null", "power")
            assert plant.name.isidentifier()


def test_shares_and_coverage_are_counted(coins):
    often, seldom = validate("coins", 1000)
    assert often.share == binomial_interval(990, 1000)
    assert often.others == {"shallow": 10}
    assert (often.holds, often.limit) == (True, 0.93)
    assert seldom.share == binomial_interval(40, 1000)
    assert (seldom.holds, seldom.limit) == (True, 0.07)
    assert often.coverage["number"] == binomial_interval(500, 1000)
    assert not often.covered("number")
    assert not often.passed
    assert often.found == "no"


def test_limits_count_not_estimates(coins):
    often, seldom = validate("coins", 30)
    assert often.share.estimate == 1.0
    assert not often.holds  # 30 of 30 may still be 88 %
    assert seldom.share.estimate == pytest.approx(4 / 30)
    assert not seldom.holds


def test_refuted_is_what_repeats_rule_out_not_what_they_leave_open():
    for role, right, refuted in (("right", 29, []), ("right", 20, ["claim"]), ("null", 3, []), ("null", 9, ["claim"])):
        tally = Tally({"deep": right, "shallow": 30 - right}, {}, {})
        score = scored(coin("one", role, "deep", 0), tally)
        assert score.refuted() == refuted
        assert score.found == ("no" if refuted else "open")
    covered = scored(coin("one", "right", "deep", 0), Tally({"deep": 400}, {"number": 320}, {"number": 400}))
    assert covered.refuted() == ["number"]


def test_tallies_add_up_to_that_of_all_repeats(coins):
    parts = [count(Work("coins", "often", first, 50)) for first in (0, 50, 100)]
    assert parts[0] + parts[1] + parts[2] == count(Work("coins", "often", 0, 150))


def test_counts_do_not_depend_on_the_number_of_jobs():
    names = ["copied", "two_seeds_shallow"]
    alone = validate("depth", 110, only=names)
    together = validate("depth", 110, only=names, jobs=2)
    assert [(score.share, score.others, score.coverage) for score in alone] == [
        (score.share, score.others, score.coverage) for score in together
    ]


def test_a_plant_that_takes_long_is_repeated_less_often():
    slow = Plant("slow", "takes long", "right", "deep", lambda seed: Outcome("deep"), most=5)
    with PLANTS.lent("slow", (slow,)):
        (score,) = validate("slow", 100)
    assert score.repeats == 5


def test_progress_is_told_of_every_score(coins):
    told = []
    scores = validate("coins", 10, finished=lambda probe, score: told.append((probe, score)))
    assert told == [("coins", score) for score in scores]


def test_wrong_requests_are_refused_with_the_nearest_name(coins):
    with pytest.raises(UnknownNameError, match="coins"):
        validate("coin")
    with pytest.raises(ProbeError, match="seldom"):
        validate("coins", only=["seldum"])
    with pytest.raises(ProbeError, match="nothing to count"):
        validate("coins", 0)
    with PLANTS.lent("twins", (coins[0], coins[0])), pytest.raises(ProbeError, match="two organisms of one name"):
        plants("twins")


def test_scores_as_a_table(coins):
    table = to_pandas(validate("coins", 100))
    assert table["organism"].tolist() == ["often", "seldom"]
    assert table["share"].tolist() == [0.99, 0.04]
    assert table["claim"].tolist() == ["deep", "deep or deeper"]


def test_the_page_keeps_other_probes_sections_and_is_the_same_when_written_again(coins, tmp_path):
    page = tmp_path / "validity.md"
    write(page, {"zebra": validate("coins", 20)})
    write(page, validate_all(["coins"], 1000))
    text = page.read_text()
    assert text.index("## coins") < text.index("## zebra")
    assert "**often**: a coin | right | deep | 0.990 (≥ 0.982) | yes | shallow 10 |" in text
    assert "**seldom**: a coin | null | deep or deeper | 0.040 (≤ 0.054) | yes | shallow 960 |" in text
    assert "| often | number | 0.500 [0.469, 0.531] | **no** |" in text
    assert "1,000 repeats of each, seeds from 0 on" in text
    write(page, validate_all(["coins"], 1000))
    assert page.read_text() == text


def test_the_page_begins_with_what_its_sections_come_to(coins, tmp_path):
    page = tmp_path / "validity.md"
    write(page, validate_all(["coins"], 1000))
    (found,) = counted(page.read_text())
    assert (found.probe, found.planted, found.nulls, found.intervals, found.failing) == ("coins", 1, 1, 2, 2)
    assert (found.least_right, found.least_power, found.most_false) == (0.982, None, 0.054)
    row = "| [`coins`](#coins) | 1 | ≥ 0.982 | – | 1 | ≤ 0.054 | 2 | 2 |"
    assert page.read_text().partition("<!-- coins:begin -->")[0].rstrip().endswith(row)


def test_a_section_without_known_numbers_has_no_table_of_coverage():
    plain = Plant("plain", "says a | b", "power", "deep", lambda seed: Outcome("deep"))
    with PLANTS.lent("plain", (plain,)):
        text = section("plain", validate("plain", 100), 7)
    assert "95 % intervals that hold" not in text
    assert "a \\| b" in text
    assert "seeds from 7 on" in text


def call(*words):
    return CliRunner().invoke(main, ["validate", *map(str, words)])


def test_the_command_exits_by_what_holds(coins, tmp_path):
    good = Plant("good", "always deep", "right", "deep", lambda seed: Outcome("deep"))
    with PLANTS.lent("good", (good,)):
        answer = call("good", "-n", 200, "-j", 1)
        assert (answer.exit_code, "good/good: 1.000 deep" in answer.stderr) == (0, True)
        assert "1.000 (≥ 0.982)" in answer.stdout
        assert call("good", "-n", 20).exit_code == 1  # too few repeats to say
        assert "open" in call("good", "-n", 20).stdout
    answer = call("coins", "-n", 200, "-j", 1, "--json", "-o", tmp_path / "page.md")
    assert answer.exit_code == 1
    (often, seldom) = json.loads(answer.stdout)["coins"]
    assert (often["organism"], often["share"], seldom["instead"]) == ("often", 0.99, "shallow 192")
    assert often["coverage"]["number"]["holds"] is False
    assert "does not hold" in answer.stderr
    assert "## coins" in (tmp_path / "page.md").read_text()
    for words in (
        ("coin",),
        ("coins", "--only", "nobody"),
        ("coins", "-n", 0),
        ("coins", "--only", "often", "-o", "x"),
    ):
        assert call(*words).exit_code == 2
