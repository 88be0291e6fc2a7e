"""Dataset folders, nets, episodes and videos of strangers: refused in one clear error, never obeyed."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hostile_runs import changed, refusal
from tests.mutations import BIF, mutated
from worldnets import load_dataset, read_net
from worldnets.archive import array_of, members_of, read_archive, write_archive
from worldnets.episode_stream import EpisodeWriter, holds_episodes, read_episodes
from worldnets.episode_tables import read_table
from worldnets.episodes import ClipLayout
from worldnets.errors import DatasetError, FormatError, WorldnetsError

NET = """\
network n { }
variable a { type discrete [ 2 ] { x, y }; }
variable b { type discrete [ 2 ] { x, y }; }
probability ( a ) { table 0.5, 0.5; }
probability ( b | a ) { (x) 0.9, 0.1; (y) 0.2, 0.8; }
"""
DESCRIPTION = """\
[dataset]
name = "d"
title = "t"
net = "net.bif"

[roles]
evidence = ["a"]
targets = ["b"]
ladder = [["a"]]

[citation]
text = "somewhere"
"""
EPISODES = """\
[dataset]
name = "e"
episodes = "clips.csv"

[episodes]
form = "wide"
latents = ["digit"]
quantise = { cell = 2 }
missing = "drop"
frames = 2
stride = 1
seed = 0
validation = 0.2
test = 0.2

[roles]
context = 1
questions = ["digit"]
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in" / "d"
    made.mkdir(parents=True)
    (made / "net.bif").write_text(NET)
    (made / "dataset.toml").write_text(DESCRIPTION)
    return made


def test_a_folder_that_is_a_link_itself_is_read(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert load_dataset(tmp_path / "link").net.variables == ("a", "b")


@pytest.mark.parametrize("where", ["../secret.bif", "/etc/passwd", "x/../../secret.bif", "C:\\x", "net.bif\x00", "."])
def test_a_net_named_outside_the_folder_is_refused(folder, where):
    (folder.parent / "secret.bif").write_text(NET)
    (folder / "dataset.toml").write_text(DESCRIPTION.replace('"net.bif"', json.dumps(where)))
    with pytest.raises(DatasetError, match="Mend"):
        load_dataset(folder)


@pytest.mark.parametrize("what", ["net.bif", "dataset.toml"])
@pytest.mark.parametrize("to", ["/dev/zero", "../../secret", "folder outside"])
def test_a_link_out_of_the_folder_is_refused(folder, tmp_path, what, to):
    (tmp_path / "secret").write_text(NET)
    (folder / what).unlink()
    if to == "folder outside":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / what).write_text(NET)
        (folder / "sub").symlink_to(tmp_path / "elsewhere")
        (folder / "dataset.toml").write_text(DESCRIPTION.replace("net.bif", f"sub/{what}"))
    else:
        (folder / what).symlink_to(to)
    with pytest.raises(DatasetError, match=r"outside the dataset folder|has no dataset\.toml"):
        load_dataset(folder)


@pytest.mark.parametrize("what", ["net.bif", "dataset.toml", "clips.csv", "clips.parquet"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, what):
    (folder / "dataset.toml").write_text(EPISODES.replace("clips.csv", what) if "clips" in what else DESCRIPTION)
    (folder / what).unlink(missing_ok=True)
    os.mkfifo(folder / what)
    with pytest.raises(DatasetError, match="Mend"):
        load_dataset(folder)


@pytest.mark.parametrize("reader", [read_net, read_table, read_episodes, lambda path: read_archive(path, "x", 1)])
@pytest.mark.parametrize("ending", [".bif", ".csv", ".parquet", ".npz", ".bif.gz", ".csv.gz"])
def test_no_reader_waits_for_a_pipe_or_reads_a_device(tmp_path, reader, ending):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"zero{ending}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(WorldnetsError, match=f"{name}{ending}.*Mend"):
            reader(tmp_path / f"{name}{ending}")


def test_a_file_larger_than_its_limit_is_refused_before_it_is_read(tmp_path):
    for name, reader, constant in (
        ("huge.bif", read_net, "FILE_LIMIT"),
        ("huge.csv", read_table, "TABLE_LIMIT"),
        ("huge.npz", lambda path: read_archive(path, "x", 1), "ARCHIVE_LIMIT"),
    ):
        with open(tmp_path / name, "wb") as stream:
            stream.truncate(1 << 40)  # a hole: no byte of it is on the disk
        with pytest.raises(WorldnetsError, match=f"{name}.*raise .*{constant}"):
            reader(tmp_path / name)


def test_packed_files_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("worldnets.episode_tables.TABLE_LIMIT", 1 << 20)
    monkeypatch.setattr("worldnets.formats.reading.UNPACKED_LIMIT", 1 << 20)
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * (1 << 20))
    assert len(bomb) < 1 << 14
    for name, reader in (("bomb.csv.gz", read_table), ("bomb.bif.gz", read_net)):
        (tmp_path / name).write_bytes(bomb)
        with pytest.raises(WorldnetsError, match=f"{name}.*raise worldnets"):
            reader(tmp_path / name)


def test_a_parquet_file_of_a_few_bytes_per_million_rows_is_refused_by_what_it_unpacks_to(tmp_path, monkeypatch):
    monkeypatch.setattr("worldnets.episode_tables.TABLE_LIMIT", 1 << 24)
    rows = pa.array(np.zeros(1 << 21, dtype=np.int64))
    pq.write_table(pa.table({"a_1": rows}), tmp_path / "rows.parquet")
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1 << 10, dtype=np.int32)), ["x" * (1 << 16)])
    pq.write_table(pa.table({"a_1": long.cast(pa.string())}), tmp_path / "texts.parquet")
    for name in ("rows", "texts"):
        assert (tmp_path / f"{name}.parquet").stat().st_size < 1 << 18
        with pytest.raises(DatasetError, match=r"a table too large.*raise worldnets\.episode_tables\.TABLE_LIMIT"):
            read_table(tmp_path / f"{name}.parquet")


def test_a_table_whose_texts_are_short_is_read_though_its_dictionary_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr("worldnets.episode_tables.TABLE_LIMIT", 1 << 22)
    frame = pd.DataFrame({"a_1": [f"label {i}" for i in range(20_000)]})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), frame)


@pytest.mark.parametrize("seed", range(20))
def test_a_description_with_anything_in_it_is_a_dataset_or_one_error_that_names_it(folder, seed):
    import tomllib

    from probes.suite import _assignments

    random = Random(seed)
    text = random.choice((DESCRIPTION, EPISODES))
    rows = np.random.default_rng(seed).integers(0, 9, (40, 4))
    (folder / "clips.csv").write_text("cell_1,cell_2,cell_3,digit\n" + "\n".join(",".join(map(str, r)) for r in rows))
    if seed % 2:
        content = mutated(random, text.encode())
    else:
        tables = changed(random, tomllib.loads(text))
        try:
            content = "\n".join(_assignments(tables)).encode("utf-8", "surrogatepass")
        except (AttributeError, RecursionError, WorldnetsError):
            content = str(tables).encode("utf-8", "replace")
    (folder / "dataset.toml").write_bytes(content)
    said = refusal(lambda: load_dataset(folder))
    assert not said or (str(folder) in said and "Mend" in said)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "9" * 5000,
        "a = " + "[" * 5000 + "]" * 5000,
        "a." * 100_000 + "a = 1",
        "[" + "'a' . " * 100_000 + "a]",
        "[dataset]\nname = '''\x1b[2J'''\n",
        "\ufeff\x00",
    ],
)
def test_numbers_without_end_and_nesting_without_end_are_refused(folder, text):
    (folder / "dataset.toml").write_text(text)
    with pytest.raises(DatasetError, match=r"dataset\.toml.*Mend") as caught:
        load_dataset(folder)
    assert "\x1b" not in str(caught.value)


def test_parameters_that_no_builder_can_work_with_are_an_error_that_shows_the_defaults():
    for value in (None, "x", [1], {}, 10**30, -1):
        with pytest.raises(WorldnetsError, match="Mend"):
            load_dataset("asia", parameters={"ladder": value})


def stored(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def npy(header, data=b""):
    text = repr(header).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def test_members_are_stored_each_once_and_no_larger_than_the_archive():
    assert members_of(stored([("../../x", b"1"), ("/etc/passwd", b"2")])) == {"../../x": b"1", "/etc/passwd": b"2"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"0" * (1 << 20))
    with pytest.raises(ValueError, match="packed"):
        members_of(packed.getvalue())
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = stored([("x", b"1"), ("x", b"2")])
    with pytest.raises(ValueError, match="one name"):
        members_of(twice)


def test_members_that_share_their_bytes_are_refused():
    content = bytearray(stored([("a", b"0" * 1000), ("b", b"")]))
    end = content.rindex(b"PK\x05\x06")
    first = content.index(b"PK\x01\x02")
    entry = bytes(content[first : first + 46 + 1])
    many = b"".join(entry[:46] + bytes([65 + i]) for i in range(20))
    tail = bytearray(content[end:])
    tail[8:10] = tail[10:12] = (20).to_bytes(2, "little")
    tail[12:16] = len(many).to_bytes(4, "little")
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        members_of(bytes(content[:first]) + many + bytes(tail))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"\x80\x04."), "numbers, truth values or text"),
        (npy({"descr": "<f8", "fortran_order": False, "shape": (10**12,)}, b"\0" * 8), "bytes in a file"),
        (npy({"descr": "<f8", "fortran_order": False, "shape": (-1,)}, b"\0" * 8), "bytes in a file"),
        (npy({"descr": "<U0", "fortran_order": False, "shape": (10**15,)}), "bytes in a file"),
        (npy({"descr": "<f8", "fortran_order": False, "shape": (2,)}, b"\0" * 24), "bytes in a file"),
        (npy({"descr": [("a", "<f8")], "fortran_order": False, "shape": (1,)}, b"\0" * 8), "numbers, truth values"),
        (npy({"descr": "<c8", "fortran_order": False, "shape": (1,)}, b"\0" * 8), "numbers, truth values"),
        (npy({"descr": "|b1", "fortran_order": False, "shape": (1,)}, b"\x02"), "neither true nor false"),
        (npy({"descr": "<U1", "fortran_order": False, "shape": (1,)}, b"\xff\xff\xff\x7f"), "text that is none"),
        (npy({"descr": ">U1", "fortran_order": False, "shape": (1,)}, b"\x00\x00\xd8\x00"), "text that is none"),
        (b"\x93NUMPY\x07\x00", "version"),
        (b"\x80\x04\x95pickle", "magic string"),
    ],
)
def test_an_array_has_the_bytes_that_its_header_says_and_is_never_unpickled(content, said):
    with pytest.raises(ValueError, match=said):
        array_of(content)


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.arange(6.0).reshape(2, 3).T, np.array("x"), np.array([True])])
def test_sound_arrays_come_back(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    found = array_of(stream.getvalue())
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize("seed", range(20))
def test_an_archive_with_anything_in_it_is_read_or_refused(tmp_path, seed):
    path = write_archive(tmp_path / "a.npz", "k", 1, {"note": "x"}, {"v": np.arange(5.0), "w": np.array(["a", "bc"])})
    path.write_bytes(mutated(Random(seed), path.read_bytes()))
    said = refusal(lambda: read_archive(path, "k", 1))
    assert not said or ("a.npz" in said and "Mend" in said)


@pytest.mark.parametrize("seed", range(20))
def test_an_episodes_file_with_anything_in_it_is_read_or_refused(tmp_path, seed):
    path, random = tmp_path / "e.parquet", Random(seed)
    layout = ClipLayout({"cell": ("dark", "bright")}, 3, {})
    with EpisodeWriter(path, layout, sources=True) as writer:
        writer.write(np.random.default_rng(0).integers(0, 2, (40, 3)), np.arange(40) // 2)
    if seed % 2:
        path.write_bytes(mutated(random, path.read_bytes()))
    else:
        table = pq.read_table(path)
        page = json.loads(pq.ParquetFile(path).metadata.metadata[b"worldnets.episodes"])
        said = json.dumps(changed(random, page)).encode()
        pq.write_table(table.replace_schema_metadata({b"worldnets.episodes": said}), path)
    said = refusal(lambda: holds_episodes(path) and read_episodes(path))
    assert not said or ("e.parquet" in said and "Mend" in said)


def test_a_playlist_that_calls_itself_a_video_opens_no_other_file(tmp_path):
    av = pytest.importorskip("av")
    from tests.videos import blinking, write
    from worldnets.video import read_video

    write(tmp_path / "other.avi", blinking(4)[1])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.avi\n")
    with av.open(str(tmp_path / "list.mp4")) as container:  # what FFmpeg does when it is let
        assert len(list(container.decode(video=0))) == 4
    with pytest.raises(DatasetError, match=r"list\.mp4: not a readable video.*names other files"):
        read_video(tmp_path / "list.mp4")


def test_a_video_named_like_an_address_is_a_file(tmp_path, monkeypatch):
    pytest.importorskip("av")
    from tests.videos import blinking, write
    from worldnets.video import read_video

    write(tmp_path / "a.avi", blinking(4)[1])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        read_video("concat:a.avi|a.avi")
    os.mkfifo("pipe.avi")
    with pytest.raises(DatasetError, match="no ordinary file"):
        read_video("pipe.avi")


def test_a_video_whose_frames_are_larger_than_the_limit_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("av")
    from tests.videos import blinking, write
    from worldnets.video import read_video

    write(tmp_path / "a.avi", blinking(4)[1])
    monkeypatch.setattr("worldnets.video.PIXELS_LIMIT", 100)
    with pytest.raises(DatasetError, match="not a readable video"):
        read_video(tmp_path / "a.avi")


@pytest.mark.parametrize("seed", range(10))
def test_a_net_inside_a_folder_with_anything_in_it_is_read_or_refused(folder, seed):
    (folder / "net.bif").write_bytes(mutated(Random(seed), BIF.encode()))
    said = refusal(lambda: load_dataset(folder))
    assert not said or "Mend" in said


def test_an_entity_that_would_read_a_file_or_grow_without_end_is_refused(tmp_path):
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    for body in ('<!ENTITY x SYSTEM "file:///etc/passwd">', f'<!ENTITY l0 "ha">{laughs}'):
        for ending in (".xml", ".xdsl"):
            path = tmp_path / f"n{ending}"
            path.write_text(f'<?xml version="1.0"?><!DOCTYPE BIF [{body}]><BIF>&x;&l11;</BIF>')
            with pytest.raises(FormatError, match="entity"):
                read_net(path)
