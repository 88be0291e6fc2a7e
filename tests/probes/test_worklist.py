"""Cells as a list that makes them when they are looked at, and the work items they are handed out in."""

from dataclasses import asdict, replace

import pytest

from probes.cells import parse_shard
from probes.worklist import LARGEST, batches, cells_of, shard_of
from tests.fake_cells import conditions, go, store


def test_a_list_of_cells_is_a_sequence_like_any_other():
    lines = conditions(seeds=16)
    lines[1] = replace(lines[1], seeds=24)
    cells = cells_of(lines)
    expected = [line.cells[n] for n in range(3) for line in lines if n < line.count]
    assert list(cells) == expected
    assert [asdict(cell) for cell in cells] == [asdict(cell) for cell in expected]
    assert (len(cells), cells[0], cells[-1]) == (9, expected[0], expected[-1])
    assert list(cells[2:7:2]) == expected[2:7:2]
    assert list(reversed(cells)) == expected[::-1]
    assert expected[3] in cells
    assert not cells_of([])
    with pytest.raises(IndexError):
        cells[9]


def test_a_million_cells_are_eight_bytes_each_and_made_when_they_are_looked_at():
    (line,) = conditions(seeds=8_000_000)[:1]
    cells = cells_of([line])
    assert len(cells) == 1_000_000
    assert cells.line.nbytes + cells.number.nbytes == 8_000_000
    assert cells[-1].group == 999_999
    part = shard_of(cells, parse_shard("7/1000"))
    assert [len(part), part[0].group, part[-1].group] == [1000, 6, 999_006]
    assert len(batches(cells, 2)) == 62_500


@pytest.mark.parametrize("jobs", [1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [8, 80, 320, 1000])
def test_work_items_hold_every_cell_once_and_jobs_get_equal_shares(jobs, seeds):
    cells = cells_of(conditions(seeds=seeds))
    items = batches(cells, jobs)
    assert sorted(cell.name for item in items for cell in item) == sorted(cell.name for cell in cells)
    assert max(map(len, items)) <= LARGEST
    for item in items:
        assert len({cell.kin for cell in item}) == 1
    for kin in {cell.kin for cell in cells}:
        sizes = [len(item) for item in items if item[0].kin == kin]
        assert max(sizes) - min(sizes) <= 1
        share = max(1, min(LARGEST, -(-len(cells) // jobs)))
        if sum(sizes) > share * jobs:
            assert len(sizes) % jobs == 0


def test_cells_of_one_training_stand_side_by_side():
    lines = conditions(seeds=24)
    lines += [replace(line, probe={"name": "early", "version": 1, "measure": {}}) for line in lines]
    items = batches(cells_of(lines), 1)
    order = [cell.training for item in items for cell in item]
    assert order[::2] == order[1::2]
    assert len(set(order)) == len(order) // 2


def test_a_cell_that_stands_under_two_titles_is_measured_once_and_both_are_done(tmp_path, fake):
    lines = conditions(seeds=8)
    twice = [*lines, *(replace(line, title=f"again/{line.title}", label="again") for line in lines)]
    run, cells = store(tmp_path / "run"), cells_of(twice)
    outcome = go(run, cells)
    assert (outcome.done, outcome.failed, outcome.missing, outcome.complete) == (8, 0, 0, True)
    assert len(fake()) == 4
