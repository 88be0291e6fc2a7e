"""Cells packed together: the same cells in fewer files, whatever cuts the packing off."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest

from probes import packs
from probes.cell_files import CellFiles
from probes.packs import Pack, pack_names
from probes.store import Store
from probes.worklist import cells_of
from tests import fake_cells
from tests.fake_cells import conditions, content, go, store
from worldnets.errors import StoreError

HERE = os.path.dirname(fake_cells.__file__)
SEEDS = 400
MEASURED = {"values": np.arange(6.0).reshape(2, 3), "names": ["a", "b"]}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No waiting for the disk: what a test removes a second later need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda handle: None)
        made = store(tmp_path_factory.mktemp("runs") / "run")
        for cell in cells_of(conditions(seeds=SEEDS)):
            made.write(cell, {**MEASURED, "group": cell.group})
    return made


@pytest.fixture
def run(made_once, tmp_path):
    """A run of finished cells, all of them, and the bytes that each holds."""
    shutil.copytree(made_once.path, tmp_path / "run")
    made, cells = Store.open(tmp_path / "run"), cells_of(conditions(seeds=SEEDS))
    return made, cells, {cell.key: made.content(cell) for cell in cells}


def loose(run):
    return list((run.path / "cells").glob("*/*.*"))


def test_packed_cells_are_read_as_loose_ones_and_to_the_same_bytes(run):
    made, cells, before = run
    assert len(loose(made)) == 2 * len(cells) == 400
    done = made.pack()
    assert (done.cells, done.packed, done.damaged) == (len(cells), len(cells), ())
    assert not loose(made)
    assert done.packs == len(pack_names(made.path / "cells")) == len({key[:2] for key in before})
    fresh = Store.open(made.path)
    for read in (made, fresh):
        assert {cell.key: read.content(cell) for cell in cells} == before
        assert read.read(cells[-1])["group"] == cells[-1].group
        assert all(read.has(cell) for cell in cells)
        assert not read.missing(cells)
    other = cells_of(conditions(seeds=SEEDS + 8))
    assert [cell.group for cell in fresh.missing(other)] == [50] * 4


def test_a_pack_is_a_zip_archive_that_other_programs_read(run):
    made, _, before = run
    made.pack()
    place = made.path / "cells"
    for name in pack_names(place):
        with zipfile.ZipFile(place / name) as archive:
            assert archive.testzip() is None
            *members, last = archive.namelist()
            assert last == "index"
            keys = sorted({member.partition(".")[0] for member in members})
            assert keys == Pack(place / name).keys()
            for key in keys:
                assert (archive.read(f"{key}.json"), archive.read(f"{key}.npz")) == before[key]


def test_the_same_cells_make_the_same_packs_and_packing_again_changes_nothing(run, tmp_path):
    made, cells, _ = run
    made.pack()
    other = store(tmp_path / "other")
    for cell in reversed(cells):
        other.write(cell, made.read(cell))
    other.pack()
    assert content(made) == content(other)
    again = made.pack()
    assert (again.packed, again.cells) == (0, len(cells))
    assert content(made) == content(other)


def test_small_packs_are_packed_together_with_what_came_later(run):
    made, cells, before = run
    made.pack()
    more = [cell for cell in cells_of(conditions(seeds=2 * SEEDS)) if cell.key not in before]
    for cell in more:
        made.write(cell, MEASURED)
    done = made.pack()
    assert (done.cells, done.packed) == (len(cells) + len(more), len(more))
    assert done.packs == len({name[:2] for name in pack_names(made.path / "cells")}) == done.packs
    assert all(made.content(cell) == before[cell.key] for cell in cells)


def test_a_folder_with_more_cells_than_a_pack_holds_gets_several(run, monkeypatch):
    made, cells, before = run
    monkeypatch.setattr(packs, "LARGEST", 2)
    done = made.pack()
    assert done.cells == len(cells)
    assert max(len(Pack(made.path / "cells" / name)) for name in pack_names(made.path / "cells")) == 2
    assert not loose(made)
    assert {cell.key: made.content(cell) for cell in cells} == before


def test_a_damaged_cell_is_named_and_left_and_the_others_are_packed(run):
    made, cells, before = run
    place = made.files.place(cells[0].key, ".npz")
    place.write_bytes(b"no arrays")
    done = made.pack()
    assert done.damaged == (cells[0].key,)
    assert {path.name for path in loose(made)} == {place.name, place.with_suffix(".json").name}
    assert all(made.content(cell) == before[cell.key] for cell in cells[1:])
    with pytest.raises(StoreError, match="damaged cell"):
        made.read(cells[0])


@pytest.mark.parametrize("cut", [lambda b: b"", lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b + b"x"])
def test_a_damaged_pack_is_a_store_error_that_names_it(run, cut):
    made, cells, _ = run
    made.pack()
    (name,) = {name for name in pack_names(made.path / "cells") if name[:2] == cells[0].key[:2]}
    place = made.path / "cells" / name
    place.write_bytes(cut(place.read_bytes()))
    with pytest.raises(StoreError, match="pack"):
        made.read(cells[0])


def test_an_index_that_points_elsewhere_is_noticed(run):
    made, cells, _ = run
    made.pack()
    (name,) = {name for name in pack_names(made.path / "cells") if name[:2] == cells[0].key[:2]}
    place = made.path / "cells" / name
    whole = place.read_bytes()
    line = whole.index(cells[0].key.encode() + b" ") + 64
    for wrong in (
        b" 9999999999 9999999999",
        b" 0000000000 0000000010",
        b" -000000001 0000000010",
        b" xxxxxxxxxx 0000000010",
    ):
        place.write_bytes(whole[:line] + wrong + whole[line + len(wrong) :])
        with pytest.raises(StoreError, match=cells[0].key):
            made.read(cells[0])


def test_two_do_not_pack_at_once(run):
    import filelock

    made, *_ = run
    with filelock.FileLock(made.path / "log" / "pack.lock"), pytest.raises(StoreError, match="by another process"):
        made.pack()
    assert made.pack().packed


def test_packing_that_is_killed_anywhere_loses_nothing_and_goes_on_to_the_same_packs(run, tmp_path):
    made, cells, before = run
    whole = store(tmp_path / "whole")
    for cell in cells:
        whole.write(cell, made.read(cell))
    whole.pack()
    script = f"""
        import os, sys
        from probes import packs
        from probes.store import Store
        calls = int(sys.argv[1])
        def counted(function):
            def called(*arguments, **more):
                global calls
                calls -= 1
                if calls == 0:
                    os.kill(os.getpid(), 9)
                return function(*arguments, **more)
            return called
        os.replace, os.fsync = counted(os.replace), counted(lambda handle: None)
        packs.Path.unlink = counted(packs.Path.unlink)
        Store.open({str(made.path)!r}).pack()
    """
    # Before one of the calls after which the disk is another: before a pack is written, has its name, or is waited for,
    # before a first file is removed, between the two of a cell, and somewhere in the middle.
    for calls in (1, 2, 3, 4, 5, 150):
        killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(calls)], check=False)
        assert killed.returncode == -9
        assert not made.missing(cells)
        assert {cell.key: Store.open(made.path).content(cell) for cell in cells} == before
    made.pack()
    assert content(made) == content(whole)
    assert not list(made.path.rglob("*.tmp"))


def test_a_run_goes_on_while_it_is_packed_and_measures_nothing_twice(tmp_path, fake):
    cells, run = cells_of(conditions(seeds=32, sleep=0.05)), store(tmp_path / "run")
    script = f"""
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {HERE!r}]
        from probes.worklist import cells_of
        from fake_cells import conditions, go, store
        sys.exit(not go(store({str(run.path)!r}), cells_of(conditions(seeds=32, sleep=0.05))).complete)
    """
    runner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    packed = 0
    while runner.poll() is None:
        packed += run.pack().packed
        time.sleep(0.05)
    assert runner.wait() == 0
    assert packed
    run.pack()
    assert go(run, cells).reused == len(cells)
    assert sorted(fake()) == sorted(cell.name for cell in cells)
    alone = store(tmp_path / "alone")
    assert go(alone, cells, jobs=2).complete
    assert {cell.key: run.content(cell) for cell in cells} == {cell.key: alone.content(cell) for cell in cells}


def test_keys_are_found_among_those_of_one_bucket_and_half_a_cell_is_none(tmp_path):
    files = CellFiles(tmp_path)
    keys = [f"ab{number:062x}" for number in range(300)]
    (tmp_path / "ab").mkdir()
    for key in keys:
        for ending in (".json", ".npz"):
            files.place(key, ending).touch()
    files.place(keys[7], ".npz").unlink()
    from probes.cell_files import Keys

    found = Keys(files)
    assert len(found) == 299
    assert [key in found for key in (keys[0], keys[7], keys[299], f"ab{300:062x}", "cd" * 32)] == [
        True, False, True, False, False,
    ]  # fmt: skip
    assert not files.has(keys[7])
