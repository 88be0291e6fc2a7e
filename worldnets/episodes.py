"""Episodes: finite real clips, where no one knows the net they come from.

All clips of a set have one *layout*: the same kinds of node in each of so many frames, and latents whose labels are
known (the digit that is shown). A *source* is what a clip was cut from (a video, an image, a person): clips of one
source may share frames, so a source is wholly in one of the three parts train, validation and test.

`Episodes` holds clips in memory; `worldnets.episode_stream` reads them from a file that may be larger than memory.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import DatasetError, EvidenceError
from worldnets.net import FactorNet, Label
from worldnets.permutation import key_of, permuted
from worldnets.temporal import frame_name

if TYPE_CHECKING:
    import pandas as pd

Codes = NDArray[np.int16]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
LEAST_SOURCES = 3  # one for each part
_SPLIT, _ORDER = 1, 2  # tags: a seed is used for several things


@dataclass(frozen=True)
class ClipLayout:
    """What every clip of a set consists of.

    Args:
        kinds: the states of each kind of observed node; every frame has one of each.
        length: frames of a clip, T ≥ 2.
        latents: the states of each latent whose label is known.

    Raises:
        DatasetError: fewer than two frames, no kind, two nodes of one name, names that are no texts, a label that a
            file could not hold.
        NetError: states that no net could have.
    """

    kinds: Mapping[str, tuple[Label, ...]]
    length: int
    latents: Mapping[str, tuple[Label, ...]]

    def __post_init__(self) -> None:
        if self.length < 2:
            mend = "give clips of two frames or more: the next frame is what there is to predict"
            found = "no frames" if self.length < 1 else "one frame"
            raise DatasetError("clips too short to be continued", found=found, expected="at least 2 frames", mend=mend)
        if not self.kinds:
            raise DatasetError("frames with nothing in them", mend="give at least one kind of observed node")
        for field in ("kinds", "latents"):
            given = {name: tuple(map(_plain_label, labels)) for name, labels in getattr(self, field).items()}
            object.__setattr__(self, field, MappingProxyType(given))
        names = [*self.latents, *(v for frame in self.frames for v in frame)]
        for name in names:
            if not isinstance(name, str) or not name:
                raise DatasetError("a node's name is no text", found=repr(name), mend="name it with a text")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError("two nodes of one name", found=repr(twice), mend="rename the latent")
        FactorNet(self.states, ())

    def __repr__(self) -> str:
        labels = f", latents {', '.join(self.latents)}" if self.latents else ""
        return f"ClipLayout({self.length} frames of {', '.join(self.kinds)}{labels})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [("every frame", name, labels) for name, labels in self.kinds.items()]
        rows += [("latent", name, labels) for name, labels in self.latents.items()]
        return card(f"ClipLayout of {self.length} frames", None, table(("where", "node", "states"), rows))

    @functools.cached_property
    def frames(self) -> tuple[tuple[str, ...], ...]:
        """The observed nodes of each frame, in time order; named `frame_name(kind, t)`, t from 1."""
        return tuple(tuple(frame_name(kind, t) for kind in self.kinds) for t in range(1, self.length + 1))

    @functools.cached_property
    def states(self) -> Mapping[str, tuple[Label, ...]]:
        """States of every node, in the order of the columns: latents, then frame after frame."""
        states = dict(self.latents)
        for frame in self.frames:
            states |= dict(zip(frame, self.kinds.values(), strict=True))
        return MappingProxyType(states)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.states)

    @functools.cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each column."""
        return np.array([len(labels) for labels in self.states.values()], dtype=np.int64)

    @functools.cached_property
    def space(self) -> FactorNet:
        """The columns as variables, for decoding and encoding tables of labels."""
        return FactorNet(self.states, ())

    def checked(self, codes: ArrayLike) -> Codes:
        """Codes of clips, int16 [clips, columns].

        Raises:
            DatasetError: another shape or type, an entry that is missing or no state.
        """
        array = np.asarray(codes)
        if array.ndim != 2 or array.shape[1] != len(self.states) or array.dtype.kind not in "iu":
            raise DatasetError(
                "not the codes of such clips",
                found=f"{array.dtype} {list(array.shape)}",
                expected=f"integers [clips, {len(self.states)}]",
                mend="one column per latent, then one per node, frame after frame",
            )
        if array.size and (array.min() < 0 or (array.max(axis=0) >= self.cardinalities).any()):
            row, column = (int(i) for i in np.argwhere((array < 0) | (array >= self.cardinalities))[0])
            node = self.variables[column]
            expected = f"0 to {len(self.states[node]) - 1}"
            mend = "clips are complete; codes are positions among the node's states"
            raise DatasetError(
                "a code that is no state",
                node=node,
                row=row,
                found=int(array[row, column]),
                expected=expected,
                mend=mend,
            )
        checked = np.array(array, dtype=np.int16, order="C")
        checked.setflags(write=False)
        return checked

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "kinds": {kind: list(labels) for kind, labels in self.kinds.items()},
            "length": self.length,
            "latents": {latent: list(labels) for latent, labels in self.latents.items()},
        }

    @classmethod
    def from_json(cls, page: Mapping[str, Any]) -> ClipLayout:
        """The inverse of `to_json`."""
        kinds = {kind: tuple(labels) for kind, labels in page["kinds"].items()}
        return cls(kinds, int(page["length"]), {z: tuple(labels) for z, labels in page["latents"].items()})

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not travel between processes
        return type(self), (dict(self.kinds), self.length, dict(self.latents))


@dataclass(frozen=True)
class Split:
    """Which sources are for training, which for choosing a model, which for judging it: a function of the seed.

    The sources are put into a random order; the first round(test · sources) are test, the next validation, the rest
    train, at least one each.

    Args:
        seed: of the order.
        validation, test: shares of the sources.

    Raises:
        DatasetError: shares that leave nothing to train on, a seed that is no whole number ≥ 0.
    """

    seed: int = 0
    validation: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or not 0 <= self.seed < 1 << 63:
            mend = "give a whole number ≥ 0"
            raise DatasetError("the seed of a split", found=repr(self.seed), mend=mend)
        for share in (self.validation, self.test):
            if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share < 1:
                mend = "such as validation=0.15, test=0.15"
                raise DatasetError("a share of the sources", found=repr(share), expected="between 0 and 1", mend=mend)
        if self.validation + self.test >= 1:
            found = f"validation {self.validation:g} + test {self.test:g}"
            raise DatasetError("nothing is left to train on", found=found, expected="less than 1", mend="lower them")

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))

    def part_of(self, sources: ArrayLike, count: int) -> NDArray[np.int8]:
        """The part of each source, as a position in `PARTS`.

        Args:
            sources: 0 … count − 1, [n].
            count: how many sources there are.

        Raises:
            DatasetError: fewer than three sources.
        """
        if count < LEAST_SOURCES:
            mend = "give more episodes, or cut a long one into segments that share no frame"
            raise DatasetError(
                "too few sources to train, choose and judge on",
                found=count,
                expected=f"at least {LEAST_SOURCES}",
                mend=mend,
            )
        test = min(max(1, round(self.test * count)), count - 2)
        validation = min(max(1, round(self.validation * count)), count - test - 1)
        place = permuted(sources, count, key_of(int(self.seed), _SPLIT))
        return np.select([place < test, place < test + validation], [2, 1], 0).astype(np.int8)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"seed": int(self.seed), "validation": self.validation, "test": self.test}


class Taken(NamedTuple):
    """Some clips: codes [clips, columns], and the source of each [clips]."""

    codes: Codes
    sources: NDArray[np.int64]


class RealClips(Protocol):
    """Real clips, in memory or in a file: what a dataset without a net of its own rests on."""

    @property
    def layout(self) -> ClipLayout:
        """What every clip consists of."""
        ...

    @property
    def split(self) -> Split:
        """Which sources are for what."""
        ...

    @property
    def digest(self) -> str:
        """Hash of all that determines what is drawn; 64 hex digits."""
        ...

    def count(self, part: Part) -> int:
        """Clips of a part."""
        ...

    def draw(self, rows: int, seed: int, first: int = 0, part: Part = "train") -> Codes:
        """Clips first … first + rows − 1 of the seed's endless order of the part: [rows, columns].

        Row r is a function of (seed, r). Each clip of the part comes once before any comes again (an *epoch*), in
        another order each time.
        """
        ...

    def take(self, part: Part, most: int | None = None) -> Taken:
        """All clips of a part, or so many of them drawn without replacement, always the same."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Episodes:
    """Clips in memory.

    Args:
        layout: what every clip consists of.
        codes: int16 [clips, columns], positions among the states; complete.
        sources: [clips], whole numbers ≥ 0: what each clip was cut from; by default each clip is a source of its own.
        split: which sources are for what.
        left_out: episodes of the data that were too short to be cut a clip from.

    Raises:
        DatasetError: no clips, codes or sources of the wrong shape, fewer than three sources.
    """

    layout: ClipLayout
    codes: Codes
    sources: NDArray[np.int64]
    split: Split
    left_out: int

    def __init__(
        self,
        layout: ClipLayout,
        codes: ArrayLike,
        sources: ArrayLike | None = None,
        split: Split | None = None,
        left_out: int = 0,
    ) -> None:
        put = functools.partial(object.__setattr__, self)
        put("layout", layout)
        put("codes", layout.checked(codes))
        if not len(self.codes):
            raise DatasetError("no clips", mend="give at least three, each of a source of its own")
        put("sources", _numbered(sources, len(self.codes)))
        put("split", split or Split())
        put("left_out", left_out)
        _ = self.parts  # refuses too few sources

    @functools.cached_property
    def source_count(self) -> int:
        """How many sources there are."""
        return int(self.sources.max()) + 1

    @functools.cached_property
    def parts(self) -> NDArray[np.int8]:
        """The part of each clip, as a position in `PARTS`."""
        return self.split.part_of(self.sources, self.source_count)

    @functools.cached_property
    def _places(self) -> tuple[NDArray[np.intp], ...]:
        return tuple(np.flatnonzero(self.parts == i) for i in range(len(PARTS)))

    @property
    def states(self) -> Mapping[str, tuple[Label, ...]]:
        """States of every column."""
        return self.layout.states

    @property
    def frames(self) -> tuple[tuple[str, ...], ...]:
        """The observed nodes of each frame."""
        return self.layout.frames

    @property
    def latents(self) -> tuple[str, ...]:
        """Latents whose labels are known."""
        return tuple(self.layout.latents)

    def count(self, part: Part) -> int:
        """Clips of a part."""
        return len(self._places[part_number(part)])

    def draw(self, rows: int, seed: int, first: int = 0, part: Part = "train") -> Codes:
        """Clips of the seed's endless order of a part, as `RealClips.draw` says."""
        return self.codes[self._drawn(rows, seed, first, part)]

    def _drawn(self, rows: int, seed: int, first: int, part: Part) -> NDArray[np.intp]:
        check_rows(rows, seed, first)
        places = self._places[part_number(part)]
        row = np.arange(first, first + rows, dtype=np.int64)
        keys = key_of(seed, _ORDER, part_number(part), row // len(places)) if rows else np.zeros(0, np.uint64)
        return places[permuted(row % len(places), len(places), keys)]

    def take(self, part: Part, most: int | None = None) -> Taken:
        """All clips of a part in their order, or so many of them drawn without replacement."""
        places = self._places[part_number(part)]
        if most is not None and most < len(places):
            places = self._drawn(most, 0, 0, part)
        return Taken(self.codes[places], self.sources[places])

    @functools.cached_property
    def digest(self) -> str:
        """Hash of layout, codes, sources and split; 64 hex digits."""
        page = [self.layout.to_json(), self.split.to_json()]
        digest = hashlib.sha256(json.dumps(page).encode())
        digest.update(np.ascontiguousarray(self.codes, dtype="<i2").tobytes())
        digest.update(np.ascontiguousarray(self.sources, dtype="<i8").tobytes())
        return digest.hexdigest()

    def to_pandas(self) -> pd.DataFrame:
        """One row per clip, labels; first its source and its part."""
        import pandas as pd

        from worldnets.inference.evidence import decode

        labels = decode(self.layout.space, self.codes)
        labels.insert(0, "part", pd.Series(pd.Categorical.from_codes(self.parts.tolist(), categories=pd.Index(PARTS))))
        labels.insert(0, "source", self.sources)
        return labels

    def __len__(self) -> int:
        return len(self.codes)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layout, self.codes, self.sources, self.split, self.left_out)

    def __repr__(self) -> str:
        return f"Episodes({said(self.layout, [self.count(part) for part in PARTS], self.source_count)}" + (
            f", {self.left_out} episodes too short and left out)" if self.left_out else ")"
        )

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import ROWS_SHOWN, card, frame, note
        from worldnets.inference.evidence import decode

        labels = decode(self.layout.space, self.codes[:ROWS_SHOWN])
        labels.insert(0, "source", self.sources[:ROWS_SHOWN])
        more = note(f"{len(self) - len(labels):,} more clips: .to_pandas() has all") if len(self) > len(labels) else ""
        return card(repr(self), None, frame(labels), more)


def said(layout: ClipLayout, counts: Sequence[int], sources: int) -> str:
    """The middle of a representation."""
    frames = f"{layout.length} frames of {len(layout.kinds)} nodes"
    labels = f" and {', '.join(layout.latents)}" if layout.latents else ""
    parts = ", ".join(f"{part} {count}" for part, count in zip(PARTS, counts, strict=True))
    return f"{sum(counts)} clips of {frames}{labels}, {sources} sources; {parts}"


def part_number(part: str) -> int:
    """Position of a part in `PARTS`.

    Raises:
        DatasetError: another name.
    """
    if part not in PARTS:
        raise DatasetError("no such part of the clips", found=repr(part), expected=", ".join(PARTS), mend="name one")
    return PARTS.index(part)


def check_rows(rows: int, seed: int, first: int) -> None:
    """Raise `EvidenceError` for numbers that no draw could have, as `simulate` does."""
    if rows < 0 or seed < 0 or first < 0:
        raise EvidenceError("rows, seed and first must not be negative", found=(rows, seed, first), mend="use ≥ 0")


def _numbered(sources: ArrayLike | None, clips: int) -> NDArray[np.int64]:
    """Sources as numbers without gaps, in ascending order of what was given."""
    if sources is None:
        numbers = np.arange(clips, dtype=np.int64)
    else:
        given = np.asarray(sources)
        if given.shape != (clips,) or given.dtype.kind not in "iu":
            found = f"{given.dtype} {list(given.shape)}"
            raise DatasetError(
                "not one source for each clip", found=found, expected=f"integers [{clips}]", mend="number them"
            )
        numbers = np.unique(given, return_inverse=True)[1].reshape(-1).astype(np.int64)
    numbers.setflags(write=False)
    return numbers


def _plain_label(label: Any) -> Label:
    value = label.item() if isinstance(label, np.generic) else label
    whole = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, str | int | float | bool) or not whole:
        raise DatasetError("a state label that a file cannot hold", found=repr(label), mend="use texts or numbers")
    return value
