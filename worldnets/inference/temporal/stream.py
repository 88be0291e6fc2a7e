"""Beliefs of a world while it runs: one frame of evidence at a time, in constant memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError
from worldnets.inference.beliefs import Beliefs
from worldnets.inference.blas import one_blas_thread
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.evidence import frame_codes
from worldnets.inference.temporal.process import Observed

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.temporal.inference import TemporalInference


class Stream:
    """Filters, or smooths with a fixed lag, frame by frame; made by `TemporalInference.stream`.

    Only the messages and the evidence of the last `lag + 1` frames are kept, whatever the number of frames pushed. So a
    state that evidence made 10^300 times (float32: 10^36) less probable than another is lost for good; the queries of
    `TemporalInference` on whole clips notice and mend that.

    Attributes:
        frame: frames pushed so far.
        log_evidence: [rows], ln W(e_1..frame) in nats; -inf where impossible. None before the first frame.
    """

    def __init__(self, engine: TemporalInference, variables: tuple[str, ...], lag: int) -> None:
        self.engine, self.variables, self.lag = engine, variables, lag
        self.frame = 0
        self.log_evidence: NDArray[np.float64] | None = None
        self._index: Any = None
        self._ever: Observed = frozenset()
        # Of the last frames, oldest first: the evidence, and α of each process; one α more, of the frame before them.
        self._evidence: deque[NDArray[np.int16]] = deque(maxlen=lag + 1)
        self._alphas: deque[list[Array | None]] = deque([[None] * len(engine.processes)], maxlen=lag + 2)

    def push(self, evidence: pd.DataFrame | NDArray[np.integer]) -> Beliefs | None:
        """Take the evidence of the next frame.

        Args:
            evidence: a table of labels, columns the variables of a frame, or codes [rows, variables of a frame]; the
                same rows in every frame.
        Returns:
            W(v_t | e_1..n) of the frame t = n − lag, n being the frame pushed; None while t < 1. Its `log_evidence` is
            ln W(e_1..n) in nats.
        Raises:
            EvidenceError: unknown variables or states, or another number of rows than before.
        """
        evidence_now = frame_codes(self.engine.net, evidence)
        rows = evidence_now.shape[1]
        if self.log_evidence is None:
            self.log_evidence = np.zeros(rows)
        elif len(self.log_evidence) != rows:
            mend = "push the same rows in every frame, or start another stream"
            raise EvidenceError("another number of rows", found=rows, expected=len(self.log_evidence), mend=mend)
        self._index = None if isinstance(evidence, np.ndarray) else evidence.index
        self.frame += 1
        # Variables seen so far: the set only grows, so few programs are ever made.
        seen = (evidence_now != UNOBSERVED).any(axis=1)
        self._ever |= {v for v, any_evidence in zip(self.engine.net.variables, seen, strict=True) if any_evidence}
        tables: dict[str, Array] = {}
        alphas: list[Array | None] = []
        log_evidence = self.log_evidence.copy()  # beliefs handed out before keep theirs
        with one_blas_thread(), np.errstate(divide="ignore", under="ignore"):
            for process, past in zip(self.engine.processes, self._alphas[-1], strict=True):
                own = [v for v in self.variables if v in process.variables and self.lag == 0]
                alpha, beliefs, log = process.forward(self.frame, evidence_now, self._ever, past, own)
                tables.update(zip(own, beliefs, strict=True))
                alphas.append(alpha)
                log_evidence += log
        self.log_evidence = log_evidence
        self._evidence.append(evidence_now)
        self._alphas.append(alphas)
        if self.lag == 0:
            return self._beliefs(tables)
        return self._smoothed(self.frame - self.lag) if self.frame > self.lag else None

    def finish(self) -> list[Beliefs]:
        """The beliefs that were still waiting for evidence, of the last `lag` frames in order: smoothed."""
        return [self._smoothed(t) for t in range(max(1, self.frame - self.lag + 1), self.frame + 1)]

    def _smoothed(self, t: int) -> Beliefs:
        """W(v_t | everything pushed so far) of a frame still held."""
        assert self.log_evidence is not None
        tables: dict[str, Array] = {}
        with one_blas_thread(), np.errstate(divide="ignore", under="ignore"):
            for i, process in enumerate(self.engine.processes):
                own = [v for v in self.variables if v in process.variables]
                beta = process.no_future(len(self.log_evidence))
                for seen in range(self.frame, t, -1):
                    beta = process.backward(seen, self._evidence[seen - self.frame - 1], self._ever, beta)
                at = t - self.frame - 1
                past, alpha = self._alphas[at - 1][i], self._alphas[at][i]
                assert alpha is not None
                beliefs = process.beliefs(t, self._evidence[at], self._ever, past, alpha, beta, own)
                tables.update(zip(own, beliefs, strict=True))
        return self._beliefs(tables)

    def _beliefs(self, tables: dict[str, Array]) -> Beliefs:
        assert self.log_evidence is not None
        states = {v: self.engine.net.states[v] for v in self.variables}
        parts = [tables[v].T for v in self.variables]
        table = np.hstack(parts) if parts else np.empty((len(self.log_evidence), 0), dtype=self.engine.dtype)
        table[self.log_evidence == -np.inf] = 0.0
        return Beliefs(states, table, self.log_evidence, self._index)

    def __repr__(self) -> str:
        return f"Stream({self.engine.net!r}, frame {self.frame}, lag {self.lag})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"variables": self.variables})
