"""What the readers share: the bytes of a file, tokens that know their line, and the draft of a net."""

from __future__ import annotations

import errno
import gzip
import io
import math
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import FormatError, NetError, WorldnetsError, did_you_mean
from worldnets.files import read_whole
from worldnets.net import WorldNet

#: Bytes of the largest file that is read, and bytes a .gz file may grow to: a few kilobytes can unpack to any size.
#: Assign other numbers to read larger ones that you trust.
FILE_LIMIT = 2**30
UNPACKED_LIMIT = 2**27
_GZIP_MAGIC = b"\x1f\x8b"
UNLISTED_LIMIT = 2**24  # table cells that a file may ask for without listing them (defaults): 128 MiB


@dataclass(frozen=True)
class Source:
    """The bytes of one file and the name that errors give it."""

    file: str
    data: bytes

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Source:
        """Read a file whole, unpacking `.gz`.

        Raises:
            FormatError: a missing or unreadable file, a folder, a broken or exploding archive.
        """
        file = os.fsdecode(path)
        mend = "give the path of a net file"
        try:
            data = read_whole(file, FILE_LIMIT)
        except FileNotFoundError:
            raise FormatError("cannot read", file=file, found="no such file", mend=mend) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            number = getattr(error, "errno", None)
            mend = mend if number == errno.EINVAL else "check path and permissions"
            mend = "raise worldnets.formats.reading.FILE_LIMIT if it is a net" if number == errno.EFBIG else mend
            raise FormatError("cannot read", file=file, found=reason, mend=mend) from None
        if file.lower().endswith(".gz"):
            return cls(file, _unpacked(file, data))
        if data.startswith(_GZIP_MAGIC):
            mend = "add .gz to its name, or unpack it"
            raise FormatError("a gzip archive without the ending .gz", file=file, mend=mend)
        return cls(file, data)

    @property
    def stem(self) -> str:
        """The file's name without folder and endings: the name of a net that does not name itself."""
        return Path(self.file).name.split(".")[0]

    def text(self, may_be_empty: bool = False) -> str:
        """The bytes as UTF-8, without a byte order mark; line ends stay as they are.

        Raises:
            FormatError: bytes that are not UTF-8, or nothing but white space.
        """
        try:
            text = self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FormatError(
                "the text is not UTF-8",
                file=self.file,
                line=self.data.count(b"\n", 0, error.start) + 1,
                found=f"byte 0x{self.data[error.start]:02x} at offset {error.start}",
                mend="save the file as UTF-8",
            ) from None
        if not may_be_empty and not text.strip():
            raise FormatError("the file is empty", file=self.file, mend="give a file with a net in it")
        return text


def _unpacked(file: str, packed: bytes) -> bytes:
    # The last four bytes of an honest archive are its length: a bomb is seen before it is unpacked. One that lies is
    # stopped at the limit.
    length = int.from_bytes(packed[-4:], "little")
    data = b""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(2**16)
            if len(data) < 2**16 or length <= UNPACKED_LIMIT:
                data += stream.read(UNPACKED_LIMIT + 1 - len(data))
                length = len(data)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        mend = "fetch the archive again, or drop .gz from the name if it is not one"
        raise FormatError("the gzip archive is broken", file=file, found=str(error), mend=mend) from None
    if length > UNPACKED_LIMIT:
        found, expected = f"{length} bytes", f"at most {UNPACKED_LIMIT}"
        mend = "unpack it first, if it is a net, or raise worldnets.formats.reading.UNPACKED_LIMIT"
        raise FormatError("the archive unpacks to too much", file=file, found=found, expected=expected, mend=mend)
    return data


class Tokens:
    """The words and marks of a text, with the line of each found again only when an error needs it.

    Args:
        pattern: what a token is, to the regular expression engine.
        marks: the same for a text without quotation marks: these stand alone, `,` and white space separate. Splitting
            is several times faster than matching, and the large files are large for their numbers.
    """

    def __init__(self, source: Source, text: str, pattern: re.Pattern[str], marks: str | None = None) -> None:
        self.source, self.text, self.pattern = source, text, pattern
        if marks is None or '"' in text:
            self.words: list[str] = pattern.findall(text)
        else:
            for mark in marks:
                text = text.replace(mark, f" {mark} ")
            self.words = (text.replace(",", " ") if marks else text).split()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> str:
        """Token `i`; a text that ends before it is an error, not an IndexError."""
        if i >= len(self.words):
            raise self.error(i, "the file ends too early", mend="the file was cut off: fetch or export it again")
        return self.words[i]

    def line(self, i: int) -> int:
        """Line of token `i`, counted from 1; the last line for one past the end."""
        for k, match in enumerate(self.pattern.finditer(self.text)):
            if k == i:
                return self.text.count("\n", 0, match.start()) + 1
        return self.text.rstrip().count("\n") + 1

    def error(self, i: int, what: str, kind: type[WorldnetsError] = FormatError, **parts: Any) -> WorldnetsError:
        """An error at token `i`."""
        return kind(what, file=self.source.file, line=self.line(i), **parts)

    def expect(self, i: int, *marks: str, node: str | None = None) -> int:
        """The index after the given marks, which must stand at `i`."""
        for k, mark in enumerate(marks, start=i):
            if self[k] != mark:
                where = "" if node is None else f" of {node!r}"
                mend = f"put {mark!r} here; it may be missing just before"
                raise self.error(k, f"bad syntax{where}", found=shown(self[k]), expected=repr(mark), mend=mend)
        return i + len(marks)

    def find(self, mark: str, i: int, node: str | None = None) -> int:
        """Index of the next `mark` from `i` on."""
        try:
            return self.words.index(mark, i)
        except ValueError:
            mend = f"close it with {mark!r}; if the file was cut off, fetch or export it again"
            raise self.error(
                len(self), f"the file ends where {mark!r} was still to come", node=node, expected=repr(mark), mend=mend
            ) from None

    def numbers(self, first: int, end: int, node: str | None = None) -> NDArray[np.float64]:
        """Tokens `first` to `end` (exclusive) as numbers."""
        values = as_numbers(self.words[first:end])
        if isinstance(values, int):
            at = first + values
            mend = "write probabilities as decimal numbers; a ';' or '}' may be missing just before"
            raise self.error(at, "not a number", node=node, found=shown(self.words[at]), mend=mend)
        return values

    def count(self, i: int, what: str, limit: int | None = None, node: str | None = None) -> int:
        """Token `i` as a whole number from 0 to `limit`."""
        word = self[i]
        if not (word.isascii() and word.isdigit() and len(word) <= 18):
            mend = "write a whole number"
            raise self.error(i, f"{what} is not a whole number", node=node, found=shown(word), mend=mend)
        if limit is not None and int(word) > limit:
            mend = "correct the number, or fetch the file again if it was cut off"
            raise self.error(i, f"{what} is too large", node=node, found=word, expected=f"at most {limit}", mend=mend)
        return int(word)


def as_numbers(words: Sequence[str]) -> NDArray[np.float64] | int:
    """Words as numbers, correctly rounded, or the index of the first word that is none."""
    joined = "".join(words)
    if joined.isascii() and "_" not in joined:  # float() takes 1_000 and digits of other scripts
        try:
            return np.array(list(map(float, words)), dtype=np.float64)
        except ValueError:
            pass
    for i, word in enumerate(words):
        try:
            float(word)
        except ValueError:
            return i
        if "_" in word or not word.isascii():
            return i
    return 0


def numbers_in(text: str) -> NDArray[np.float64] | None:
    """The numbers of a text that is nothing but numbers between white space, correctly rounded, or None.

    NumPy reads them several times faster than `as_numbers` does word by word, but takes more than a list of numbers:
    it stops at what it cannot read and sees two numbers in "0.5.5". Counting the words finds out.
    """
    if not text.isascii():
        return None
    data = text.encode("ascii")
    full = np.frombuffer(data, dtype=np.uint8) > ord(" ")
    words = np.count_nonzero(full[1:] > full[:-1]) + bool(full[:1].any())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "string or file could not be read to its end"
        try:
            values = np.fromstring(text, dtype=np.float64, sep=" ")
        except ValueError:  # what a later NumPy makes of that warning
            return None
    return values if len(values) == words else None


def shown(word: str, width: int = 60) -> str:
    """A token as an error shows it: quoted, and never a whole megabyte."""
    return repr(word if len(word) <= width else word[:width] + "…")


@dataclass
class Draft:
    """What a file says so far; `net` checks that it makes sense and says on which line it does not.

    `lines` maps a node to where it was last spoken of: a line, or a token index if `tokens` is given.
    """

    source: Source
    tokens: Tokens | None = None
    states: dict[str, list[str]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    unlisted: int = 0
    _codes: dict[str, dict[str, int]] = field(default_factory=dict)

    def error(self, kind: type[WorldnetsError], what: str, node: str, **parts: Any) -> WorldnetsError:
        """An error about a node, on the line where the file speaks of it."""
        return kind(what, file=self.source.file, line=self._line(node), node=node, **parts)

    def _line(self, node: Any) -> int | None:
        place = self.places.get(node) if isinstance(node, str) else None
        return place if place is None or self.tokens is None else self.tokens.line(place)

    def declare(self, node: str, states: Iterable[str], place: int) -> None:
        """A variable and its states."""
        labels = list(states)
        twice = node in self.states
        self.places[node] = place
        if twice:
            raise self.error(NetError, "a variable is declared twice", node, mend="declare it once")
        if not node:
            raise self.error(FormatError, "a variable without a name", node, mend="name it")
        if not labels:
            raise self.error(NetError, "a variable without states", node, mend="give at least one state")
        if len(set(labels)) != len(labels):
            seen = set[str]()
            again = next(label for label in labels if label in seen or seen.add(label))  # type: ignore[func-returns-value]
            raise self.error(NetError, "duplicate states", node, found=repr(again), mend="name each state once")
        self.states[node] = labels

    def define(self, node: str, parents: Iterable[str], place: int) -> None:
        """Whose table follows, and given which parents."""
        self.places[node] = place
        if node in self.parents:
            raise self.error(NetError, "a variable has two tables", node, mend="keep one of them")
        self.parents[node] = list(parents)

    def shape(self, node: str) -> tuple[int, ...]:
        """Shape [*parent states, states] of a node's table, as Python numbers: nothing is allocated."""
        if node not in self.states:
            mend = f"declare it, or {did_you_mean(node, self.states)}"
            raise self.error(NetError, "a table for a variable that is not declared", node, mend=mend)
        for parent in self.parents[node]:
            if parent not in self.states:
                mend = f"declare {parent!r} or {did_you_mean(parent, self.states)}"
                what = "a parent is missing from the net"
                raise self.error(NetError, what, node, found=repr(parent), mend=mend)
        family = (*self.parents[node], node)
        if len(set(family)) != len(family):
            what = "a variable stands twice in one table"
            raise self.error(NetError, what, node, found=list(family), mend="name each parent once")
        if len(family) > 64:
            mend = "split the node: arrays have at most 64 axes"
            raise self.error(
                NetError, "too many parents", node, found=len(family) - 1, expected="at most 63", mend=mend
            )
        return tuple(len(self.states[v]) for v in family)

    def codes(self, node: str) -> dict[str, int]:
        """Position of each state of a node; the same object each time, as many tables may share a parent."""
        if node not in self._codes:
            self._codes[node] = {label: i for i, label in enumerate(self.states[node])}
        return self._codes[node]

    def check_count(self, node: str, found: int, what: str = "the table has the wrong number of entries") -> None:
        """The file lists as many numbers as the node's family has cells."""
        shape = self.shape(node)
        if found != math.prod(shape):
            expected = " × ".join(map(str, shape)) + (f" = {math.prod(shape)}" if len(shape) > 1 else "")
            mend = "list one number for each state of the variable under each combination of its parents' states"
            raise self.error(NetError, what, node, found=found, expected=expected, mend=mend)

    def allow_unlisted(self, node: str, cells: int) -> None:
        """Refuse tables that a short file blows up by defaults."""
        self.unlisted += cells
        if self.unlisted > UNLISTED_LIMIT:
            what = "defaults stand for too many table cells"
            expected = f"at most {UNLISTED_LIMIT} in one file"
            mend = "give the node fewer parents, or list the rows"
            raise self.error(NetError, what, node, found=self.unlisted, expected=expected, mend=mend)

    def net(self, name: str = "") -> WorldNet:
        """The finished net, in the order of declaration.

        Raises:
            NetError: naming file, line, node and row.
        """
        if not self.states:
            raise FormatError("no variables", file=self.source.file, mend="give a file with a net in it")
        for node in self.states:
            if node not in self.tables:
                mend = "give every variable a table; if the file was cut off, fetch or export it again"
                raise self.error(NetError, "no probability table", node, mend=mend)
        try:
            return WorldNet(self.states, self.parents, self.tables, name or self.source.stem)
        except NetError as error:
            raise error.at(file=self.source.file, line=self._line(error.node)) from None
