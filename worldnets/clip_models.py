"""Ways to learn a world-model of clips: independent nodes, a tree, two-slice nets tied over time, with hidden states.

All of them are nets over every column of the clips (known latents, then frame after frame), so that their bits on
held-out clips compare. A known latent is one node for the whole clip. "Tied" means that frames 2 … T share tables.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.episodes import ClipLayout, Codes
from worldnets.hidden_chain import Emission, learn_chain
from worldnets.learning.counts import dirichlet
from worldnets.learning.data import Rows
from worldnets.learning.score import Score
from worldnets.learning.structure import chow_liu, information, pair_counts
from worldnets.learning.tables import Families, Prior
from worldnets.net import Label, WorldNet
from worldnets.temporal import PREVIOUS, frame_name

PSEUDOCOUNT = 0.5  # of every table entry: Krichevsky & Trofimov 1981
MOST_CONSIDERED = 12  # parents looked at for a node: those that tell most about it alone
LEAST_GAIN = 1e-4  # nats of BIC that another parent must gain
RESTARTS = 3
TOLERANCE = 5e-3  # bits per clip

Table = NDArray[np.float64]
Neighbours = Mapping[str, Sequence[str]]


class Fitted(NamedTuple):
    """A learned net, and how many of its parameters are free: a table that frames share counts once."""

    net: WorldNet
    parameters: int


def marginals(layout: ClipLayout, codes: Codes) -> Fitted:
    """Every node on its own."""
    return _untied(dirichlet(Rows(layout.states, codes), {}, pseudocount=PSEUDOCOUNT, name="marginals").net)


def tree(layout: ClipLayout, codes: Codes) -> Fitted:
    """The Chow–Liu tree over all nodes."""
    return _untied(chow_liu(Rows(layout.states, codes), pseudocount=PSEUDOCOUNT, name="Chow-Liu tree").net)


def _untied(net: WorldNet) -> Fitted:
    return Fitted(net, sum(map(_free, net.cpts.values())))


def _free(table: Table) -> int:
    return table.size - table.size // table.shape[-1]


@dataclass(frozen=True)
class TwoSlice:
    """The arrows of a two-slice net with known latents.

    Attributes:
        latents: parents of each known latent, earlier latents.
        first: parents of each kind in frame 1: latents, and kinds of the same frame.
        later: parents in later frames; `"kind[t-1]"` is the kind in the frame before.
    """

    latents: Mapping[str, tuple[str, ...]]
    first: Mapping[str, tuple[str, ...]]
    later: Mapping[str, tuple[str, ...]]


def two_slice_structure(
    layout: ClipLayout,
    codes: Codes,
    parents: int,
    within: bool = False,
    neighbours: Neighbours | None = None,
) -> TwoSlice:
    """Arrows chosen node by node: the parent that gains most BIC is added until none gains or there are enough.

    A node of frame t may depend on kinds of frame t−1 (its own and its neighbours'), on known latents and, with
    `within`, on kinds of frame t that come before it in the layout. Of a node's possible parents the `MOST_CONSIDERED`
    are looked at that have the most mutual information with it.

    Args:
        parents: most parents of a node in later frames; in frame 1, where nothing came before, as many.
        within: whether nodes of one frame may depend on one another in later frames; in frame 1 they may.
        neighbours: the kinds each kind may depend on, itself included; by default all.
    """
    moves, first = _transitions(layout, codes), _first_frames(layout, codes)
    kinds, latents = tuple(layout.kinds), tuple(layout.latents)
    near = {kind: tuple((neighbours or {}).get(kind, kinds)) for kind in kinds}
    before = {kind: [k for k in kinds[: kinds.index(kind)] if k in near[kind]] for kind in kinds}
    start = _Search(first)
    known = {z: start.chosen(z, latents[:i], parents) for i, z in enumerate(latents)}
    initial = {kind: start.chosen(kind, [*latents, *before[kind]], parents) for kind in kinds}
    search = _Search(moves)
    later = {}
    for kind in kinds:
        possible = [k + PREVIOUS for k in near[kind]] + list(latents) + (before[kind] if within else [])
        later[kind] = search.chosen(kind, possible, parents)
    return TwoSlice(known, initial, later)


def two_slice(layout: ClipLayout, codes: Codes, arrows: TwoSlice, name: str = "two-slice") -> Fitted:
    """The tied net with these arrows, smoothed counts, unrolled over the clip."""
    first = _counted(_first_frames(layout, codes), {**arrows.latents, **arrows.first})
    later = _counted(_transitions(layout, codes), arrows.later)
    return unrolled(layout, arrows, first, later, {}, name)


def with_hidden(layout: ClipLayout, codes: Codes, arrows: TwoSlice, states: int, name: str) -> Fitted:
    """The tied net with these arrows and a chain of hidden states, on which every node of its frame depends too.

    By expectation–maximisation (`hidden_chain`); known latents are observed.
    """
    hidden = hidden_name(layout)
    beginning, moves = _first_frames(layout, codes), _transitions(layout, codes)
    chain = learn_chain(
        [_emission(beginning, kind, arrows.first[kind], len(codes)) for kind in layout.kinds],
        [_emission(moves, kind, arrows.later[kind], len(codes)) for kind in layout.kinds],
        states,
        pseudocount=PSEUDOCOUNT,
        restarts=RESTARTS,
        tolerance=TOLERANCE,
    )
    known = _counted(beginning, arrows.latents)
    start, moved = {hidden: chain.start}, {hidden: chain.move}
    for kind, of_first, of_later in zip(layout.kinds, chain.first, chain.later, strict=True):
        for tables, rows, parents, table in (
            (start, beginning, arrows.first[kind], of_first),
            (moved, moves, arrows.later[kind], of_later),
        ):
            tables[kind] = table.reshape(*(len(rows.states[p]) for p in parents), states, -1)
    own = {hidden: tuple(range(states))}
    return unrolled(layout, _and_hidden(layout, arrows), known | start, moved, own, name)


def hidden_structure(layout: ClipLayout, arrows: TwoSlice, states: int) -> WorldNet:
    """The net of `with_hidden` with uniform tables: what asking it would cost is known before it is learned."""
    hidden = hidden_name(layout)
    sizes = {v: len(labels) for v, labels in {**layout.latents, **layout.kinds}.items()} | {hidden: states}
    wide = _and_hidden(layout, arrows)

    def uniform(parents: Mapping[str, tuple[str, ...]]) -> dict[str, Table]:
        shapes = {v: [*(sizes[p.removesuffix(PREVIOUS)] for p in own), sizes[v]] for v, own in parents.items()}
        return {v: np.full(shape, 1.0 / shape[-1]) for v, shape in shapes.items()}

    own = {hidden: tuple(range(states))}
    return unrolled(layout, wide, uniform({**wide.latents, **wide.first}), uniform(wide.later), own, "").net


def hidden_name(layout: ClipLayout) -> str:
    """What the hidden state is called: "hidden", unless the clips have a node of that name."""
    return next(h for h in ("hidden", "hidden state", "hidden node") if h not in {*layout.kinds, *layout.latents})


def _and_hidden(layout: ClipLayout, arrows: TwoSlice) -> TwoSlice:
    hidden = hidden_name(layout)
    first = {**{kind: (*arrows.first[kind], hidden) for kind in layout.kinds}, hidden: ()}
    later = {**{kind: (*arrows.later[kind], hidden) for kind in layout.kinds}, hidden: (hidden + PREVIOUS,)}
    return TwoSlice(arrows.latents, first, later)


def _emission(rows: Rows, kind: str, parents: tuple[str, ...], clips: int) -> Emission:
    """A node's family as `hidden_chain` counts it; rows are those of all frames, clip after clip."""
    column = {v: rows.codes[:, i].astype(np.int64) for i, v in enumerate(rows.variables)}
    row = np.zeros(len(rows), dtype=np.int64)
    for parent in parents:
        row = row * len(rows.states[parent]) + column[parent]
    sizes = [len(rows.states[parent]) for parent in parents]
    return Emission(row.reshape(clips, -1), column[kind].reshape(clips, -1), math.prod(sizes), len(rows.states[kind]))


def unrolled(
    layout: ClipLayout,
    arrows: TwoSlice,
    first: Mapping[str, Table],
    later: Mapping[str, Table],
    hidden: Mapping[str, tuple[Label, ...]],
    name: str,
) -> Fitted:
    """A net over the clip's columns, then over the hidden states of each frame.

    Args:
        first, later: tables of each variable in frame 1 (known latents included) and in later frames.
        hidden: states of what no clip shows, by name.
    """
    static = set(layout.latents)
    states = dict(layout.states)
    parents: dict[str, tuple[str, ...]] = dict(arrows.latents)
    tables = {z: first[z] for z in layout.latents}
    for t in range(1, layout.length + 1):
        states |= {frame_name(h, t): labels for h, labels in hidden.items()}
        for v in (*layout.kinds, *hidden):
            node = frame_name(v, t)
            own, table = (arrows.first[v], first[v]) if t == 1 else (arrows.later[v], later[v])
            parents[node] = tuple(_node(p, t, static) for p in own)
            tables[node] = table
    free = sum(_free(table) for table in (*first.values(), *later.values()))
    return Fitted(WorldNet(states, parents, tables, name), free)


def _node(parent: str, t: int, static: set[str]) -> str:
    if parent in static:
        return parent
    return frame_name(parent.removesuffix(PREVIOUS), t - 1 if parent.endswith(PREVIOUS) else t)


def _counted(rows: Rows, parents: Mapping[str, tuple[str, ...]]) -> dict[str, Table]:
    families = Families.of(rows.states, parents, tuple(parents))
    counts = families.count(rows.codes, {v: i for i, v in enumerate(rows.variables)}, rows.weights)
    return families.tables(families.normalised(counts + families.prior(Prior(pseudocount=PSEUDOCOUNT))))


def _first_frames(layout: ClipLayout, codes: Codes) -> Rows:
    """Known latents and the first frame; one row per clip."""
    width = len(layout.latents) + len(layout.kinds)
    return Rows({**layout.latents, **layout.kinds}, codes[:, :width])


def _transitions(layout: ClipLayout, codes: Codes) -> Rows:
    """Known latents, a frame and the one after it; one row per pair of frames."""
    known, kinds = len(layout.latents), len(layout.kinds)
    frames = codes[:, known:].reshape(len(codes), layout.length, kinds)
    pairs = np.concatenate([frames[:, :-1], frames[:, 1:]], axis=2).reshape(-1, 2 * kinds)
    latents = np.repeat(codes[:, :known], layout.length - 1, axis=0)
    states = {**layout.latents, **{k + PREVIOUS: labels for k, labels in layout.kinds.items()}, **layout.kinds}
    return Rows(states, np.concatenate([latents, pairs], axis=1))


class _Search:
    """Parents for one node at a time."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.score = rows, Score(rows, 0)

    @functools.cached_property
    def bits(self) -> Table:
        """Mutual information of all pairs of columns."""
        return information(pair_counts(self.rows), self.rows.states)

    def chosen(self, variable: str, possible: Iterable[str], most: int) -> tuple[str, ...]:
        """At most so many of the possible parents."""
        column = self.score.columns
        told = self.bits[column[variable]]
        considered = sorted(possible, key=lambda p: (-told[column[p]], column[p]))[:MOST_CONSIDERED]
        parents: tuple[str, ...] = ()
        best = self.score.family(variable, parents)
        while len(parents) < most:
            tried = {p: self.score.family(variable, (*parents, p)) for p in considered if p not in parents}
            if not tried:
                break
            new = max(tried, key=lambda p: tried[p])
            if tried[new] <= best + LEAST_GAIN:
                break
            parents, best = (*parents, new), tried[new]
        return parents


def grid_neighbours(down: int, across: int) -> dict[str, tuple[str, ...]]:
    """Of each cell "r{r}c{c}" of a grid: the cells that touch it, itself first."""
    cells = list(itertools.product(range(1, down + 1), range(1, across + 1)))
    return {
        f"r{r}c{c}": tuple(
            f"r{y}c{x}"
            for y, x in sorted(cells, key=lambda cell: (max(abs(cell[0] - r), abs(cell[1] - c)), cell))
            if max(abs(y - r), abs(x - c)) <= 1
        )
        for r, c in cells
    }
