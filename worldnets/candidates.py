"""Which learned world-model stands for a world that no one knows: several are learned, validation clips choose.

A candidate can be chosen if beliefs in it can be computed: wider ones are judged on held-out clips all the same, since
complete clips need no beliefs.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.episodes import RealClips, Taken
from worldnets.errors import CapacityError, DatasetError
from worldnets.inference.codes import UNOBSERVED
from worldnets.net import WorldNet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from worldnets.clip_models import Neighbours
    from worldnets.learning.learned import HeldOut

MOST_CELLS = 1 << 18  # clique cells of all marginals without evidence: about a millisecond per clip
LEARNED_FROM = 20_000  # training clips at most
JUDGED_ON = 10_000  # validation and test clips at most
HIDDEN = (2, 4, 8)
HIDDEN_FROM = 4_000  # training clips at most: each is gone through a few hundred times
MOST_BASES = 2  # structures that get hidden states
MOST_PARENTS = 4


@dataclass(frozen=True)
class Candidate:
    """One learned world-model of a dataset. All bits are per clip: known latents and all frames, unless said otherwise.

    Attributes:
        name: the way of learning.
        parameters: free parameters; a table that frames share counts once.
        training: mean bits on the clips it was learned from.
        validation, test: bits on held-out clips.
        frames: bits on test clips of the frames alone, known latents summed out; None where there are no latents, or
            where that cannot be computed.
        cells: clique cells of exact inference; None: too many, so it cannot be the reference.
        seconds: what learning took.
    """

    name: str
    parameters: int
    training: float
    validation: HeldOut
    test: HeldOut
    frames: HeldOut | None
    cells: int | None
    seconds: float = field(compare=False)

    def __repr__(self) -> str:
        return f"Candidate({self.name!r}, {self.parameters:,} parameters: {bits_said(self.test)} per test clip)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"validation": repr(self.validation), "clique cells": self.cells})

    @property
    def usable(self) -> bool:
        """Whether it can be the reference: beliefs can be computed, and no held-out clip is impossible."""
        return self.cells is not None and not self.validation.infinite and not self.test.infinite


@dataclass(frozen=True, repr=False)
class Candidates:
    """All of them, and which one was chosen: of those that can be the reference, that with the fewest validation bits.

    Args:
        all: in the order in which they were learned.
        chosen: the name of the one.
    """

    all: tuple[Candidate, ...]
    chosen: str

    @property
    def best(self) -> Candidate:
        """The one that was chosen."""
        return next(candidate for candidate in self.all if candidate.name == self.chosen)

    def to_pandas(self) -> pd.DataFrame:
        """One row per candidate; bits are per clip, ± one standard error over clips."""
        import pandas as pd

        rows = []
        for one in self.all:
            row: dict[str, Any] = {"world_model": one.name, "parameters": one.parameters, "training_bits": one.training}
            for part, bits in (("validation", one.validation), ("test", one.test), ("test_frames", one.frames)):
                row[f"{part}_bits"] = None if bits is None else bits.bits
                row[f"{part}_error"] = None if bits is None else bits.standard_error
            row |= {"impossible": one.test.impossible, "cells": one.cells, "chosen": one.name == self.chosen}
            rows.append(row)
        return pd.DataFrame(rows).astype({"cells": "Int64"})

    def plot(self, axes: Axes | None = None) -> Axes:
        """Held-out bits per test clip with one standard error; the one chosen is dark."""
        from worldnets.draw.figure import literal, new_axes

        axes = new_axes(6.0, 0.8 + 0.3 * len(self.all)) if axes is None else axes
        for i, one in enumerate(self.all):
            colour = "#0072b2" if one.name == self.chosen else "#7b8794"
            axes.errorbar(one.test.bits, i, xerr=one.test.standard_error, fmt="o", color=colour)
        axes.set_yticks(range(len(self.all)), [literal(one.name) for one in self.all])
        axes.invert_yaxis()
        axes.set(xlabel="bits per test clip")
        return axes

    def to_markdown(self) -> str:
        """The table people read."""
        latents = any(one.frames is not None for one in self.all)
        head = [
            "world-model",
            "free parameters",
            "training",
            "validation",
            "test",
            "test, frames alone",
            "clique cells",
        ]
        rows = []
        for one in self.all:
            bits = [f"{one.training:.2f}", _with_error(one.validation), _with_error(one.test), _with_error(one.frames)]
            cells = "too many" if one.cells is None else f"{one.cells:,}"
            name = f"**{one.name}**" if one.name == self.chosen else one.name
            rows.append([name, f"{one.parameters:,}", *bits, cells])
        lines = [head, ["---"] * len(head), *rows]
        kept = [i for i in range(len(head)) if latents or i != 5]
        return "\n".join("| " + " | ".join(line[i] for i in kept) + " |" for line in lines)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __repr__(self) -> str:
        best = self.best
        return f"Candidates({len(self.all)}; chosen {best.name!r}: {bits_said(best.test)} per test clip)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), None, frame(self.to_pandas(), 40, index=False))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"all": [asdict(candidate) for candidate in self.all], "chosen": self.chosen}

    @classmethod
    def from_json(cls, page: dict[str, Any]) -> Candidates:
        """The inverse of `to_json`."""
        from worldnets.learning.learned import HeldOut

        def read(row: dict[str, Any]) -> Candidate:
            bits = {
                part: None if row[part] is None else HeldOut(**row[part]) for part in ("validation", "test", "frames")
            }
            return Candidate(**{**row, **bits})

        return cls(tuple(map(read, page["all"])), page["chosen"])


def bits_said(bits: HeldOut) -> str:
    """Readable bits with their error."""
    return f"{bits.bits:.2f} ± {bits.standard_error:.2f} bits"


def _with_error(bits: HeldOut | None) -> str:
    if bits is None:
        return "–"
    lost = f", {bits.impossible} impossible" if bits.impossible else ""
    return f"{bits.bits:.2f} ± {bits.standard_error:.2f}{lost}"


def learn(
    clips: RealClips,
    *,
    neighbours: Neighbours | None = None,
    parents: int = MOST_PARENTS,
    hidden: Iterable[int] = HIDDEN,
    progress: Callable[[str], None] | None = None,
) -> tuple[WorldNet, Candidates]:
    """Learn all candidates from training clips, judge them on validation and test clips, and choose.

    Candidates: marginals; the Chow–Liu tree; two-slice nets tied over time with at most 1, 2, … parents per node, which
    are kinds of the frame before and known latents, chosen by BIC; the same with parents within a frame; the best two
    of the former with a hidden state of so many values that no clip shows, by expectation–maximisation, where beliefs
    in such a net can be computed.

    Args:
        clips: where they are learned from; at most `LEARNED_FROM` training clips, drawn without replacement.
        neighbours: the kinds each kind may depend on; by default all.
        parents: most parents of a node in two-slice nets.
        hidden: numbers of hidden states to try.
        progress: called with the name of each candidate before it is learned.

    Raises:
        DatasetError: no candidate can be the reference.
    """
    from worldnets import clip_models as models

    layout, taken = clips.layout, clips.take("train", LEARNED_FROM)
    judge, training = _Judge(clips, taken), taken.codes
    found: dict[str, tuple[WorldNet, Candidate]] = {}

    def add(name: str, make: Callable[[], models.Fitted]) -> None:
        if progress is not None:
            progress(name)
        begin = time.perf_counter()
        fitted = make()
        found[name] = fitted.net, judge.candidate(name, fitted, time.perf_counter() - begin)

    add("marginals", lambda: models.marginals(layout, training))
    add("Chow-Liu tree", lambda: models.tree(layout, training))
    arrows: dict[str, models.TwoSlice] = {}
    for within in (False, True):
        for most in range(1, parents + 1):
            name = f"two-slice, {most} parent{'s' if most > 1 else ''}{', within frames' if within else ''}"
            chosen = models.two_slice_structure(layout, training, most, within, neighbours)
            if chosen in arrows.values():  # more parents, or parents within the frame, gained nothing
                continue
            arrows[name] = chosen
            add(name, functools.partial(models.two_slice, layout, training, chosen, name))
    bases = sorted((found[name][1] for name in arrows if "within" not in name), key=_validation)[:MOST_BASES]
    some = clips.take("train", HIDDEN_FROM).codes
    for base, states in itertools.product(bases, hidden):
        chosen, name = arrows[base.name], f"{base.name}, {states} hidden states"
        if clique_cells(models.hidden_structure(layout, chosen, states)) is not None:
            add(name, functools.partial(models.with_hidden, layout, some, chosen, states, name))
    usable = [candidate for _, candidate in found.values() if candidate.usable]
    if not usable:
        mend = "merge states, or take fewer kinds of node"
        raise DatasetError("no world-model that was learned can be asked", found=list(found), mend=mend)
    best = min(usable, key=_validation)
    net = found[best.name][0]
    return net, Candidates(tuple(candidate for _, candidate in found.values()), best.name)


def _validation(candidate: Candidate) -> float:
    return candidate.validation.bits


class _Judge:
    """The clips that candidates are judged on."""

    def __init__(self, clips: RealClips, training: Taken) -> None:
        self.layout, self.training = clips.layout, training
        self.validation, self.test = clips.take("validation", JUDGED_ON), clips.take("test", JUDGED_ON)

    def candidate(self, name: str, fitted: Any, seconds: float) -> Candidate:
        net: WorldNet = fitted.net
        cells = clique_cells(net)
        frames = None
        if self.layout.latents and cells is not None:
            hidden = self.test.codes.copy()
            hidden[:, : len(self.layout.latents)] = UNOBSERVED
            frames = held_out(net, self.layout.variables, Taken(hidden, self.test.sources))
        training, validation, test = (
            held_out(net, self.layout.variables, clips) for clips in (self.training, self.validation, self.test)
        )
        return Candidate(name, fitted.parameters, training.bits, validation, test, frames, cells, round(seconds, 3))


def held_out(net: WorldNet, columns: Sequence[str], clips: Taken) -> HeldOut:
    """Bits per clip of a net on clips of some of its variables; the error of their mean is over sources.

    Clips of one source are much alike: with b the mean over all n clips of S sources, the error is
    sqrt(S/(S−1) · Σ_sources (Σ_clips b_i − b)²) / n.
    """
    from worldnets.learning.learned import HeldOut, bits_per_row

    own = np.full((len(clips.codes), len(net.variables)), UNOBSERVED, dtype=np.int16)
    own[:, [net.index[v] for v in columns]] = clips.codes
    bits = bits_per_row(net, own)
    possible = np.isfinite(bits)
    mean, error = clustered_mean(bits[possible], clips.sources[possible])
    return HeldOut(mean, error, len(bits), int((~possible).sum()))


def clustered_mean(values: NDArray[np.float64], clusters: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """A mean and its standard error where values of one cluster are not independent; NaN where there are too few."""
    if not len(values):
        return math.nan, math.nan
    mean = float(values.mean())
    _, place = np.unique(clusters, return_inverse=True)
    sums = np.bincount(place.reshape(-1), values - mean)
    count = len(sums)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(values) if count > 1 else math.nan
    return mean, error


def clique_cells(net: WorldNet, most: int = MOST_CELLS) -> int | None:
    """Clique cells of the plan for all marginals without evidence; None beyond `most`."""
    from worldnets.inference import Inference

    try:
        # Clique tables and the index lists of a plan take far less than this.
        cells = Inference(net, memory_limit=most * 512).plan.cells
    except CapacityError:
        return None
    return cells if cells <= most else None
