"""One independent part of a two-slice net as a process: a step forward, a step backward.

The forward message is α_t(i) = W(i_t | e_1..t) over the joint state i of the interface, the backward message
β_t(i) ∝ W(e_t+1..T | i_t); both are rescaled in every frame. Source: Murphy 2002, Dynamic Bayesian Networks, sections
3.2.1–3.2.4, where the tree of a frame and its one-sided messages are called the interface algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.program import Program, filtering_program, smoothing_program
from worldnets.inference.temporal.tree import FrameTree, frame_tree
from worldnets.temporal import TwoSliceNet

Codes = NDArray[np.int16]  # [variables of the net, rows], one frame
Observed = frozenset[str]  # the variables of the net that any frame and row of a clip may have evidence on
LogEvidence = NDArray[np.float64]  # [rows], nats

PROGRAMS_KEPT = 64


class Process:
    """The trees and programs of the variables `part` of a two-slice net.

    Raises:
        CapacityError: the tables of a frame do not fit.
    """

    def __init__(self, net: TwoSliceNet, part: Sequence[str], dtype: str, memory_limit: float) -> None:
        kind = np.dtype(dtype).type
        self.variables, self.dtype = tuple(part), dtype
        # The larger one first: if it does not fit, nothing is allocated.
        self.later = frame_tree(net, part, False, kind, memory_limit)
        self.first = frame_tree(net, part, True, kind, memory_limit)
        self._columns = {
            # Interface variables of the frame before carry no evidence here: any column will do.
            first: np.array([net.initial.index.get(v, 0) for v in self.tree(1 if first else 2).names])
            for first in (True, False)
        }
        self._programs: dict[tuple[object, ...], Program] = {}

    def tree(self, frame: int) -> FrameTree:
        """The tree of a frame; frames count from 1."""
        return self.first if frame == 1 else self.later

    def filtering(self, frame: int, observed: Observed, variables: Sequence[str]) -> Program:
        """The program of a step forward that reports `variables`, with evidence on `observed` at most."""
        key = ("filtering", frame == 1, observed, tuple(variables))
        return self._kept(key, lambda: filtering_program(self.tree(frame), self.dtype, self._own(observed), variables))

    def smoothing(
        self,
        frame: int,
        observed: Observed,
        variables: Sequence[str],
        families: Sequence[str] = (),
        backward: bool = True,
    ) -> Program:
        """The program of a step backward; the message to the frame before is its first result if `backward`."""
        key = ("smoothing", frame == 1, observed, tuple(variables), tuple(families), backward)
        return self._kept(
            key,
            lambda: smoothing_program(self.tree(frame), self.dtype, self._own(observed), variables, families, backward),
        )

    def _own(self, observed: Observed) -> list[str]:
        return [v for v in self.variables if v in observed]

    def _kept(self, key: tuple[object, ...], make: Callable[[], Program]) -> Program:
        program = self._programs.get(key)
        if program is None:
            if len(self._programs) >= PROGRAMS_KEPT:
                self._programs.clear()
            program = self._programs[key] = make()
        return program

    def codes(self, frame: int, evidence: Codes) -> NDArray[np.intp]:
        """The evidence of a frame in the numbering of its tree."""
        return evidence.take(self._columns[frame == 1], axis=0).astype(np.intp)

    def forward(
        self,
        frame: int,
        evidence: Codes,
        observed: Observed,
        alpha: Array | None,
        variables: Sequence[str],
        into: Sequence[Array] = (),
        deep: NDArray[np.bool_] | None = None,
    ) -> tuple[Array, list[Array], LogEvidence]:
        """From α_{t−1} to α_t, the beliefs W(v_t | e_1..t) [states, rows] and ln W(e_t | e_1..t−1) [rows].

        Beliefs are written `into` arrays where some are given; α_t may then be one of them. Rows in which a state came
        near to underflow are marked `deep`.
        """
        program = self.filtering(frame, observed, variables)
        (after, *beliefs), log = program.run(self.codes(frame, evidence), past=alpha, into=into, deep=deep)
        return after, beliefs, log

    def backward(self, frame: int, evidence: Codes, observed: Observed, beta: Array) -> Array:
        """From β_t to β_{t−1}."""
        (before,), _ = self.smoothing(frame, observed, ()).run(self.codes(frame, evidence), future=beta)
        return before

    def beliefs(
        self,
        frame: int,
        evidence: Codes,
        observed: Observed,
        past: Array | None,
        alpha: Array,
        beta: Array,
        variables: Sequence[str],
        families: Sequence[str] = (),
        backward: bool = False,
        into: Sequence[Array] = (),
        weights: NDArray[np.float64] | None = None,
    ) -> list[Array]:
        """The posteriors of a frame given α_{t−1}, α_t and β_t: β_{t−1} if `backward`, beliefs, tallies of families."""
        program = self.smoothing(frame, observed, variables, families, backward)
        return program.run(
            self.codes(frame, evidence), past=past, future=beta, forward=alpha, into=into, weights=weights
        )[0]

    def no_future(self, rows: int) -> Array:
        """β of the last frame: ones."""
        return np.ones((*self.first.interface_shape, rows), dtype=self.dtype)
