from dataclasses import asdict, replace

import pytest

from probes.cells import Cell
from probes.organism import Organism, organisms
from probes.pool import run_cells
from probes.report import render
from probes.results import Results
from probes.runner import plan
from probes.store import Store
from probes.suite import load_suite, read_suite
from probes.validity import plants, validate
from probes.worker import work
from tests.tiny_suite import tiny_suite
from worldnets.errors import StoreError, SuiteError, UnknownNameError

REPEATS = 3
SUITE = tiny_suite() + f"\n[organisms]\ncomplexity = {REPEATS}\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of which the organisms are counted, and the conditions are still to do."""
    planned = plan(read_suite(SUITE))
    store = Store.create(tmp_path_factory.mktemp("runs") / "run", planned.suite, planned.conditions, planned.organisms)
    chosen = plan(planned.suite, only="organisms/*").cells
    assert len(chosen) == len(plants("complexity"))
    assert all(error is None for _, error, _ in work(str(store.path), [asdict(cell) for cell in chosen]))
    return store


def test_every_plant_of_the_probe_is_a_cell_beside_those_of_the_conditions():
    planned = plan(read_suite(SUITE))
    assert [organism.name for organism in planned.organisms] == [plant.name for plant in plants("complexity")]
    assert len(planned.cells) == len(planned.conditions) + len(planned.organisms)
    assert len({cell.key for cell in planned.cells}) == len(planned.cells)


def test_counts_of_a_run_are_those_of_validate(run):
    counted = Results(Store.open(run.path)).scores["complexity"]
    alone = validate("complexity", repeats=REPEATS)
    assert [(score.plant.name, score.share, score.others) for score in counted] == [
        (score.plant.name, score.share, score.others) for score in alone
    ]


def test_a_second_call_counts_nothing_again(run):
    chosen = plan(read_suite(SUITE), only="organisms/*").cells
    outcome = run_cells(run, chosen, 1)
    assert (outcome.done, outcome.reused) == (0, len(chosen))


def test_the_report_has_a_line_for_each_organism_and_says_what_it_is(run):
    page = render(Results(run))
    assert "What the probes say of planted organisms" in page
    for plant in plants("complexity"):
        assert f'<th scope="row">{plant.name} ' in page
    assert "planted organisms" not in render(Results(without_organisms(run)))


def without_organisms(run):
    return Store(run.path, run.manifest, run.suite, run.conditions)


def test_an_organism_that_was_not_counted_is_among_the_missing_cells(tmp_path):
    planned = plan(read_suite(SUITE))
    store = Store.create(tmp_path / "run", planned.suite, planned.conditions, planned.organisms)
    missing = Results(store).failures
    assert planned.organisms[0].cells[0].name in set(missing["cell"])
    assert len(missing) == len(planned.cells)
    assert Results(store).scores == {"complexity": []}


def test_what_determines_the_counts_is_in_the_key_and_nothing_else():
    one = Organism({"name": "depth", "version": 3}, "deep", "all of the pie", 100)
    for changed in (
        replace(one, repeats=101),
        replace(one, about="half of the pie"),
        replace(one, name="shallow"),
        replace(one, probe={"name": "depth", "version": 4}),
    ):
        assert changed.cells[0].key != one.cells[0].key
    assert Cell(one.identity, "another title", {}).key == one.cells[0].key


def test_a_run_directory_of_other_organisms_is_refused(run, tmp_path):
    planned = plan(read_suite(SUITE))
    renamed = tuple(replace(one, about=one.about + ", changed") for one in planned.organisms)
    with pytest.raises(StoreError, match="made with other cells; found organisms/complexity"):
        Store.create(run.path, planned.suite, planned.conditions, renamed)
    more = read_suite(SUITE.replace(f"complexity = {REPEATS}", "complexity = 4"))
    with pytest.raises(StoreError, match=r"another suite; found organisms\.complexity = 4"):
        Store.create(run.path, more, planned.conditions, organisms(more))


def test_an_organism_that_the_probe_no_longer_has_is_named(run):
    gone = Organism({"name": "complexity", "version": 1}, "gone", "", 3)
    with pytest.raises(StoreError, match=r"organisms/complexity/gone.*an organism that is no longer there"):
        gone.score({"verdicts": {}, "held": {}, "asked": {}})


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("complexitty = 3", UnknownNameError, "did you mean 'complexity'"),
        ("complexity = 0", SuiteError, r"organisms\.complexity: input should be greater than or equal to 1; found 0"),
        ('complexity = "3"', SuiteError, r"organisms\.complexity"),
        ("complexity = 2.5", SuiteError, r"organisms\.complexity"),
    ],
)
def test_organisms_that_cannot_be_counted_are_refused_before_anything_runs(line, error, message):
    with pytest.raises(error, match=message):
        plan(read_suite(SUITE.replace(f"complexity = {REPEATS}", line)))


def test_a_suite_without_organisms_says_nothing_of_them_and_one_with_them_comes_back_equal():
    assert "organisms" not in read_suite(tiny_suite()).to_toml()
    suite = load_suite("high_end")
    assert read_suite(suite.to_toml()) == suite
    assert set(suite.organisms) == {"optimizer", "derivation", "priors", "complexity"}
