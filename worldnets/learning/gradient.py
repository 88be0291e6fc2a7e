"""Gradient learning through beliefs: the loss −log2 W(asked | given) of a world-model, and its gradient in the tables.

    −ln W(asked | given) = ln W(given) − ln W(given, asked)

and the gradient of ln W(e) in the logarithms of the tables is the expected counts of the families given e. So one batch
takes expected counts of the rows [given] less those of the rows [given, asked]: exact, no sampling, no surrogate for
what is latent (Salojärvi, Puolamäki & Kaski 2005, "Expectation maximization algorithms for conditional likelihoods",
section 2, has the two terms). Equal rows are counted once.

What the class contains: with `likelihood` (given nothing, asked all observables) the mean loss is the cross-entropy
H(W*) + KL(W*‖W) on the observables. If the class contains W*, its minimum is H(W*), and nothing in the class beats W*.
Latents have no such guarantee: renaming a latent's states changes no term (see docs/world-models-by-gradient.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.distinct import distinct
from worldnets.errors import LearningError
from worldnets.inference import Inference
from worldnets.inference.evidence import Observed, observe
from worldnets.inference.family_walk import family_totals
from worldnets.learning.model_class import ModelClass, certain_states
from worldnets.learning.tables import Entries, Families
from worldnets.net import WorldNet

SMALL = 1e6  # rows × entries that one thread has counted before another is awake
LN2 = math.log(2)


class Slopes(NamedTuple):
    """A loss at one point.

    Attributes:
        bits: the loss; not finite where something asked for has probability zero.
        entries: gradient of the loss in nats, bits · ln 2, in the logarithm of every entry of every table.
    """

    bits: float
    entries: Entries


class ConditionalLoss:
    """Mean of −log2 W(asked | given) over clips, for any tables of one structure.

    Only ancestors of what is given or asked are looked at: the others' tables have gradient exactly 0. Nodes without
    chance are taken for observed, which cuts them out of the graph.

    Args:
        model_class: the structure; the tables that are known count here already.
        given, asked: nodes; what is both is given.
        columns: of the clips, by node; nodes without a column must not be given or asked. Default: the net's.
        rows: clips of a batch, about: by this it is decided whether several threads are worth their while.

    Raises:
        LearningError: nothing is asked, or a node that the net or the clips do not have.
    """

    def __init__(
        self,
        model_class: ModelClass,
        given: Iterable[str],
        asked: Iterable[str],
        columns: Mapping[str, int] | None = None,
        rows: int = 128,
    ) -> None:
        net = model_class.net
        shown = dict.fromkeys(given)
        wanted = [v for v in dict.fromkeys(asked) if v not in shown]
        every = [*shown, *wanted]
        net.check_variables(every, error=LearningError)
        if not wanted:
            mend = "ask for something that is not given"
            raise LearningError("nothing is asked of the world-model", found=list(shown), mend=mend)
        place = net.index if columns is None else columns
        for v in every:
            if v not in place:
                raise LearningError("the clips do not have this node", node=v, mend="give its column")
        upstream = net.ancestors(every)
        inside = [v for v in net.variables if v in upstream]
        start = dict(zip(model_class.every.variables, model_class.every.start[:-1], strict=True))
        own = Families.of(net.states, net.parent_sets, inside)
        sizes = np.diff(own.start)
        self._entries = np.concatenate([start[v] + np.arange(size) for v, size in zip(inside, sizes, strict=True)])
        self._size = len(model_class.every)
        part = _structure(model_class, inside)
        self._engine = Inference(part, threads=None if rows * len(own) > SMALL else 1)
        self._certain = {part.index[v]: s for v, s in certain_states(part).items() if v not in shown}
        self._asks_nothing_given = not shown
        self._own_columns = np.array([part.index[v] for v in every], dtype=np.intp)
        self._columns = np.array([place[v] for v in every], dtype=np.intp)
        self._given_count = len(shown)

    def __repr__(self) -> str:
        return f"ConditionalLoss({len(self._columns) - self._given_count} asked, {self._given_count} given)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))

    def slopes(self, entries: Entries, clips: NDArray[np.int16]) -> Slopes:
        """The loss and its gradient.

        Args:
            entries: all tables, as `ModelClass.entries`.
            clips: codes [clips, columns]; −1 where hidden: what is hidden is neither given nor asked.
        """
        values = np.ascontiguousarray(entries[self._entries])
        if not np.isfinite(values).all():
            return Slopes(math.nan, np.full(self._size, math.nan))
        bits, slopes = self._term(values, clips, len(self._columns))
        if not self._asks_nothing_given:
            of_given, slopes_given = self._term(values, clips, self._given_count)
            bits, slopes = bits - of_given, slopes - slopes_given
        gradient = np.zeros(self._size)
        gradient[self._entries] = slopes
        return Slopes(bits, gradient)

    def _term(self, values: Entries, clips: NDArray[np.int16], count: int) -> tuple[float, Entries]:
        """−log2 W(the first so many nodes), mean over clips, with its gradient (nats per log entry)."""
        seen, weights = self._seen(clips, count)
        counts, log_evidence = family_totals(self._engine, seen, weights, None, values)
        return -float(weights @ log_evidence) / LN2, -counts

    def _seen(self, clips: NDArray[np.int16], count: int) -> tuple[Observed, NDArray[np.float64]]:
        """The different rows of the first so many nodes, and the share of clips that each stands for."""
        shown, which = distinct(clips[:, self._columns[:count]])
        codes = np.full((len(shown), len(self._engine.net.variables)), -1, dtype=np.int16)
        codes[:, self._own_columns[:count]] = shown
        for column, state in self._certain.items():
            hidden = codes[:, column] < 0
            codes[hidden, column] = state
        weights = np.bincount(which, minlength=len(shown)) / len(clips)
        return observe(self._engine.net, codes), weights


def _structure(model_class: ModelClass, nodes: list[str]) -> WorldNet:
    """The structure of some nodes and all of their parents; what is not known is uniform, so no entry is zero."""
    net = model_class.net
    tables = {v: net.cpt(v) for v in nodes}
    for v in nodes:
        if v not in model_class.known:
            tables[v] = np.full(tables[v].shape, 1 / tables[v].shape[-1])
    return WorldNet({v: net.states[v] for v in nodes}, {v: net.parent_sets[v] for v in nodes}, tables, net.name)
