"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest

from worldnets.errors import StoreError
from worldnets.files import read_whole, write_atomically, writing_atomically


def test_text_and_bytes_arrive_as_they_are(tmp_path):
    assert write_atomically(tmp_path / "a.txt", "é\r\n") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n".encode()
    write_atomically(tmp_path / "a.txt", b"\x00")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("content", ["\ud800", "text"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, content):
    path = tmp_path / "a.txt"
    path.write_text("old")
    if content == "text":

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError) as caught:
        write_atomically(path, content)
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.txt", "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["missing/a.txt", ".", "nul\0.txt"])
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path, name):
    with pytest.raises(StoreError, match="Mend: check that the folder exists"):
        write_atomically(tmp_path / name, "x")


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    real = tmp_path / "real.txt"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.txt").symlink_to(real)
    write_atomically(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_that_is_not_followed_is_replaced_and_what_it_points_to_is_left_alone(tmp_path, folder):
    real = tmp_path / "real"
    real.mkdir() if folder else real.write_text("old")
    (tmp_path / "link.txt").symlink_to(real)
    write_atomically(tmp_path / "link.txt", "new", follow_links=False)
    assert not (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "link.txt").read_text() == "new"
    assert list(real.iterdir()) == [] if folder else real.read_text() == "old"


def test_a_stream_becomes_the_file_at_its_end_and_not_before(tmp_path):
    path = tmp_path / "a.txt"
    with writing_atomically(path) as stream:
        stream.write(b"one ")
        assert not path.exists()
        stream.write(b"two")
    assert path.read_bytes() == b"one two"
    with contextlib.suppress(KeyError), writing_atomically(path) as stream:
        stream.write(b"three")
        raise KeyError
    assert path.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_read_up_to_its_limit_and_not_beyond(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"12345")
    assert read_whole(tmp_path / "a.txt", 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, more than 4") as caught:
        read_whole(tmp_path / "a.txt", 4)
    assert caught.value.errno == errno.EFBIG


def test_a_file_larger_than_any_memory_is_refused_at_once(tmp_path):
    with open(tmp_path / "sparse", "wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(OSError, match="more than 1,000"):
        read_whole(tmp_path / "sparse", 1000)


@pytest.mark.parametrize(
    ("made", "said"),
    [("pipe", "no ordinary file"), ("folder", "a folder"), ("/dev/zero", "no ordinary file"), ("none", "No such file")],
)
def test_what_is_no_ordinary_file_is_refused_without_waiting(tmp_path, made, said):
    path = tmp_path / made
    if made == "pipe":
        os.mkfifo(path)
    elif made == "folder":
        path.mkdir()
    elif made.startswith("/"):
        path = tmp_path / "device"
        path.symlink_to(made)
    with pytest.raises(OSError, match=said):
        read_whole(path, 1000)


def test_a_link_is_read_or_refused_as_asked(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1")
    (tmp_path / "link").symlink_to("a.txt")
    assert read_whole(tmp_path / "link", 9) == b"1"
    with pytest.raises(OSError, match="a link"):
        read_whole(tmp_path / "link", 9, follow_links=False)
