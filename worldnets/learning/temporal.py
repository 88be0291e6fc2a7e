"""Two-slice nets learned from clips, every table tied over time: counted, smoothed, or with variables no one observes.

What a clip is says `clips`, which tables are one `tied`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from worldnets.errors import LearningError, did_you_mean
from worldnets.inference.arguments import check_threads
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.compiled import available_threads
from worldnets.learning.clips import Clips, check_structure, states_of_columns
from worldnets.learning.data import Data, Rows
from worldnets.learning.expectation_maximisation import Statistics
from worldnets.learning.learned import Learned, take_back
from worldnets.learning.tables import Entries, Prior, log_likelihood
from worldnets.learning.tied import TiedTables, complete_counts
from worldnets.learning.tied_maximisation import TiedMaximising, check_whole, frames_of, template_of
from worldnets.temporal import TwoSliceNet


def tied_maximum_likelihood(
    data: Data,
    structure: TwoSliceNet,
    *,
    tied: bool = True,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    seed: int = 0,
) -> Learned:
    """The tables, tied over time, under which complete clips are most probable: n(x_v, parents) / n(parents).

    Args:
        data: `Rows` or a table of state labels, with the columns of the unrolled net; in every frame up to a clip's
            last nothing may be missing.
        structure: variables, states and arrows; its tables play no part.
        tied: whether variables with the same parents in frame 1 as later have one table for all frames.
        weights: [clips].
        held_out: clips to measure on; or a share of `data` to keep back and measure on.
        seed: of the draw of that share.

    Returns:
        Learned: `template` is the two-slice net, `net` that net unrolled over as many frames as the longest clip
        has. Its `update` gives what one fit on all clips gives (longer ones come as `Rows`).
    Raises:
        LearningError: fewer than two clips, a missing entry; as `Rows`.
        EvidenceError: an unknown column or state.
    """
    return _counted(data, structure, Prior(), tied, weights, held_out, seed)


def tied_dirichlet(
    data: Data,
    structure: TwoSliceNet,
    *,
    pseudocount: float = 0.0,
    equivalent_sample_size: float = 0.0,
    tied: bool = True,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    seed: int = 0,
) -> Learned:
    """`tied_maximum_likelihood`, smoothed by the Dirichlet prior of `dirichlet`: without either, a sample size of 1."""
    prior = Prior(pseudocount, equivalent_sample_size) or Prior(equivalent_sample_size=1.0)
    return _counted(data, structure, prior, tied, weights, held_out, seed)


def tied_expectation_maximisation(
    data: Data,
    structure: TwoSliceNet,
    *,
    restarts: int = 10,
    seed: int = 0,
    start: TwoSliceNet | None = None,
    fixed: Iterable[str] = (),
    iterations: int = 1000,
    tolerance: float = 1e-5,
    pseudocount: float = 0.0,
    equivalent_sample_size: float = 0.0,
    tied: bool = True,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    threads: int | None = None,
) -> Learned:
    """Tables, tied over time, that make clips probable where something is not observed, by expectation–maximisation.

    E step: n(x_v, parents) = Σ_clips w Σ_t W(x_v, parents in frame t | clip), exact. M step: each table is its expected
    counts plus the prior's, normalised. For a hidden Markov model this is the algorithm of Baum and Welch. The
    likelihood (times the prior's density) never falls, which is checked in every step. Steps are extrapolated where
    that gains more. All restarts go through the clips side by side, equal clips together; one stops when what is left
    to be gained, by the same extrapolation, is at most `tolerance`. The best by the likelihood of the training clips is
    returned.

    Where a restart begins: tables with a variable that no clip shows, at draws from the flat Dirichlet distribution;
    others at their counts in the frames that show the family whole, plus one, in later restarts times a draw
    from the exponential distribution. Draws depend on (seed, restart) only.

    Args:
        data: `Rows` or a table of state labels, with the columns of the unrolled net; entries may be missing.
        structure: variables, states and arrows (`hidden_markov_structure`, `TwoSliceNet.uniform`); its tables play no
            part, except of `fixed` variables. Variables without a column are latent.
        restarts: how many random starts there are.
        seed: of the starts, and of the draw of a share to hold out.
        start: tables to begin one more run from, before the random ones; `restarts=0` for that run alone. Entries
            that are zero in it stay zero.
        fixed: variables whose tables are known: those of `start`, else of `structure`.
        iterations: most steps of a run, extrapolated ones included.
        tolerance: bits per clip.
        pseudocount, equivalent_sample_size: the prior, as of `expectation_maximisation`.
        tied, weights, held_out: as of `tied_maximum_likelihood`.
        threads: over clips; default the processors this process may use. The result does not depend on it.

    Returns:
        Learned, with `template`; `history` has a `Run` for each start. Its `update` takes partial E steps, as that of
        `expectation_maximisation` does.
    Raises:
        LearningError: fewer than two clips; a latent with one state, or more states than there are frames; an unknown
            fixed variable; a clip that is impossible where a run begins; options out of range; as `Rows`.
        EvidenceError: an unknown column or state.
        CapacityError: an interface that does not fit.

    Sources: Baum, Petrie, Soules & Weiss 1970; Rabiner 1989; Murphy 2002, section 4.2 (tied tables); Neal & Hinton
    1998 (partial E steps); Varadhan & Roland 2008 (extrapolated steps).
    """
    check_threads(threads)
    prior = Prior(pseudocount, equivalent_sample_size)
    learner = TiedMaximising(prior, iterations, tolerance, tied, tuple(fixed), threads or available_threads())
    for what, number in (("restarts", restarts), ("seed", seed)):
        check_whole(what, number)
    if restarts == 0 and start is None:
        raise LearningError("nothing to start from", mend="restarts ≥ 1, or give start=")
    check_structure(structure)
    for v in learner.fixed:
        if v not in structure.states:
            mend = did_you_mean(v, structure.variables)
            raise LearningError("an unknown variable cannot be fixed", found=repr(v), mend=mend)
    rows, test = take_back(data, held_out, seed, states_of_columns(data, structure), weights)
    rows.require()
    clips = Clips.of(rows, structure)
    _check_latents(structure, clips)
    tables = TiedTables.of(structure, tied)
    known = tables.parameters(structure if start is None else _same_structure(start, structure))
    begins = [] if start is None else [("the net given", known)]
    begins += [(f"restart {r}", begin) for r, begin in enumerate(tables.begins(clips, restarts, seed))]
    begins = [(shown, np.where(tables.of_variables(learner.fixed), known, begin)) for shown, begin in begins]
    none = Statistics(np.zeros(len(tables)), 0.0, 0.0)
    climbs = learner.climb(tables, clips, begins, none)
    best = min(range(len(climbs)), key=lambda i: climbs[i].run.bits[-1])
    learned = learner.learned(tables, clips, climbs[best], none)
    return replace(learned, history=tuple(one.run for one in climbs), kept=best).measured_on(test)


@dataclass(frozen=True)
class TiedCounting:
    """Goes on counting clips: `Learned.statistics["counts"]` are those of the parameters, without the prior."""

    prior: Prior
    tied: bool

    def learned(self, tables: TiedTables, counts: Entries, rows: float, frames: int) -> Learned:
        """The net of these counts."""
        parameters = tables.families.normalised(counts + tables.families.prior(self.prior))
        net = tables.net(parameters)
        method = f"Dirichlet counts over time ({self.prior})" if self.prior else "maximum likelihood over time"
        bits = -log_likelihood(counts, parameters) / rows / math.log(2)
        return Learned(net.unroll(frames), method, rows, bits, self, {"counts": counts}, template=net)

    def update(self, learned: Learned, more: Rows) -> Learned:
        """The same tables as one fit on all clips."""
        template = template_of(learned)
        tables, clips = TiedTables.of(template, self.tied), Clips.of(more, template)
        counts = learned.statistics["counts"] + complete_counts(tables, clips)
        frames = max(clips.frames, frames_of(learned))
        return self.learned(tables, counts, learned.rows + more.total, frames)


def _counted(
    data: Data,
    structure: TwoSliceNet,
    prior: Prior,
    tied: bool,
    weights: ArrayLike | None,
    held_out: Data | float | None,
    seed: int,
) -> Learned:
    check_structure(structure)
    rows, test = take_back(data, held_out, seed, states_of_columns(data, structure), weights)
    rows.require()
    clips, tables = Clips.of(rows, structure), TiedTables.of(structure, tied)
    counts = complete_counts(tables, clips)
    return TiedCounting(prior, tied).learned(tables, counts, rows.total, clips.frames).measured_on(test)


def _same_structure(start: TwoSliceNet, structure: TwoSliceNet) -> TwoSliceNet:
    shape = lambda net: (
        dict(net.states),
        {v: (net.initial.parents(v), net.parents.get(v, ())) for v in net.variables},
    )
    if not isinstance(start, TwoSliceNet) or shape(start) != shape(structure):
        mend = "start from a TwoSliceNet with the structure's variables, states and parents (in order)"
        raise LearningError("a start of another structure", found=repr(start), mend=mend)
    return start


def _check_latents(structure: TwoSliceNet, clips: Clips) -> None:
    shown = (clips.codes != UNOBSERVED).any(axis=(0, 1))
    frames = int(clips.lengths.sum())
    for v, seen in zip(structure.variables, shown, strict=True):
        states = len(structure.states[v])
        if seen:
            continue
        if states < 2:
            raise LearningError("a latent variable that cannot vary", node=v, found=states, mend="leave it out")
        if states > frames:
            mend = "give it fewer states, or learn from more clips"
            raise LearningError(
                "a latent variable with more states than there are frames",
                node=v,
                found=states,
                expected=f"at most {frames}",
                mend=mend,
            )
