"""What learning returns: a world-model, what it was learned from, and how well it does on rows it never saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.distinct import distinct
from worldnets.errors import LearningError
from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes
from worldnets.learning.data import Data, Rows, States, as_rows
from worldnets.net import WorldNet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from worldnets.temporal import TwoSliceNet


@dataclass(frozen=True)
class HeldOut:
    """Bits per clip on rows that were not learned from, with the sampling error of their mean.

    The rule for rows of probability zero: they are counted in `impossible` and left out of `bits`, whose mean over
    *all* rows would be infinite (`infinite` says whether it is). Compare two models by `bits` only where neither has
    any; a model with smoothed tables has none as long as every label is one of its states.

    Attributes:
        bits: mean of −log2 W(row) over the possible rows, weighted; NaN if there are none.
        standard_error: of that mean, bits: sqrt(n/(n−1) · Σ w²(b − bits)²) / Σ w; NaN for fewer than two rows.
        rows: how many there were, impossible ones included.
        impossible: rows of probability zero under the model, or with a label that is no state of it.
    """

    bits: float
    standard_error: float
    rows: int
    impossible: int = 0

    @property
    def infinite(self) -> bool:
        """Whether the mean over all rows is infinite."""
        return self.impossible > 0

    def to_pandas(self) -> pd.DataFrame:
        """One row with its four numbers."""
        import pandas as pd

        names = ("bits", "standard_error", "rows", "impossible")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def __repr__(self) -> str:
        note = f", {self.impossible} of them impossible and left out" if self.impossible else ""
        return f"HeldOut({self.bits:.4f} ± {self.standard_error:.4f} bits per clip over {self.rows} rows{note})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a search: from where it began to where it stopped.

    Attributes:
        start: what it began from, in words ("seed 0, restart 3").
        bits: [steps + 1], bits per row before each step and after the last: of what the search makes small.
        converged: whether it stopped by itself; False where the number of steps or the time ran out.
    """

    start: str
    bits: NDArray[np.float64]
    converged: bool

    @property
    def steps(self) -> int:
        """How many steps it took."""
        return len(self.bits) - 1

    def __repr__(self) -> str:
        end = "" if self.converged else ", not converged"
        return f"Run({self.start}: {self.bits[0]:.4f} → {self.bits[-1]:.4f} bits in {self.steps} steps{end})"

    def to_pandas(self) -> pd.DataFrame:
        """Bits per row before each step and after the last, one row each (index: step)."""
        import pandas as pd

        return pd.DataFrame({"bits": self.bits}, index=pd.RangeIndex(len(self.bits), name="step"))

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), None, frame(self.to_pandas()))


class Learner(Protocol):
    """How a world-model goes on learning: the options of one way of learning, and its rule for more rows."""

    def update(self, learned: Learned, more: Rows) -> Learned:
        """`learned` after more rows, from its `statistics` and parameters; `held_out` is seen to by the caller."""


@dataclass(frozen=True, eq=False, repr=False)
class Learned:
    """A world-model that was learned.

    Attributes:
        net: the world-model; of a temporal one the clip that it was learned on, unrolled.
        method: how it was learned, in words.
        rows: Σ weights of all rows so far.
        bits: training bits per clip, −(1/rows) Σ log2 W(row).
        learner: the way of learning with its options; what `update` goes on with.
        statistics: what is kept of the rows, by name: what `update` adds to.
        held_out: bits on rows that were kept back; None if there were none.
        test: the rows kept back, on which `update` measures again.
        history: the runs of a search, in the order in which they were begun; () where there is nothing to search.
        kept: the run whose result this is.
        template: of a temporal world-model, the two-slice net.
    """

    net: WorldNet
    method: str
    rows: float
    bits: float
    learner: Learner
    statistics: Mapping[str, Any] = field(default_factory=dict)
    held_out: HeldOut | None = None
    test: Rows | None = None
    history: tuple[Run, ...] = ()
    kept: int = 0
    template: TwoSliceNet | None = None

    def update(self, more: Data) -> Learned:
        """The world-model after more rows: it goes on from what it has counted and does not begin again.

        What that means is said by each way of learning (`docs/learning.md`): counting and Chow–Liu give, to the last
        bit, what they give for all rows at once (whole weights); hill climbing climbs on from the structure it has;
        expectation–maximisation takes partial E steps (Neal & Hinton 1998). Held-out bits are measured again, on the
        same rows as before.

        Args:
            more: rows with the same variables; one is enough.
        Raises:
            EvidenceError: an unknown variable, or a state the model never saw.
            LearningError: a column is missing.
        """
        rows = as_rows(more, _columns(more, self.net))
        return self.learner.update(self, rows).measured_on(self.test)

    def measured_on(self, held_out: Data | None) -> Learned:
        """The same with its held-out bits on these rows; None leaves it without."""
        if held_out is None:
            return replace(self, held_out=None, test=None)
        test = as_rows(held_out, _columns(held_out, self.net))
        return replace(self, held_out=held_out_bits(self.net, test), test=test)

    def to_pandas(self) -> pd.DataFrame:
        """One row per run: what it began from, its steps, bits per row at its end, and which run was kept."""
        import pandas as pd

        runs = self.history or (Run("counts", np.array([self.bits]), True),)
        return pd.DataFrame(
            {
                "start": [run.start for run in runs],
                "steps": [run.steps for run in runs],
                "first_bits": [run.bits[0] for run in runs],
                "bits": [run.bits[-1] for run in runs],
                "converged": [run.converged for run in runs],
                "kept": [i == self.kept for i in range(len(runs))],
            }
        )

    def plot(self, axes: Axes | None = None) -> Axes:
        """Bits per row while the search ran, one line per run; the one kept is drawn thick."""
        from worldnets.draw.figure import new_axes

        axes = new_axes() if axes is None else axes
        for i, run in enumerate(self.history or (Run("counts", np.array([self.bits]), True),)):
            wide = 2.0 if i == self.kept else 0.8
            axes.plot(run.bits, label=run.start, linewidth=wide, marker="o" if run.steps < 1 else None)
        axes.set(xlabel="step", ylabel="bits per row", title=self.method)
        axes.legend(frameon=False, fontsize="small")
        return axes

    def __repr__(self) -> str:
        test = "" if self.held_out is None else f", {self.held_out!r}"
        return f"Learned({self.method} from {self.rows:.6g} rows: {self.bits:.4f} bits per clip{test})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), {"net": repr(self.net)}, frame(self.to_pandas()))


def held_out_bits(net: WorldNet, data: Data, unseen: Literal["raise", "impossible"] = "raise") -> HeldOut:
    """Bits per clip of a net on rows it was not learned from, −log2 W(what the row observes).

    Args:
        net: the world-model; variables without a column, latents, are summed out.
        data: `Rows`, or a table of labels; what is missing is summed out.
        unseen: what a label that is no state of the net does: an error, or its row is impossible.

    Raises:
        EvidenceError: a variable the net lacks; a label it lacks, unless `unseen="impossible"`.
        LearningError: no rows; another `unseen`.
    """
    if unseen not in ("raise", "impossible"):
        raise LearningError("what to do with unseen states", found=unseen, mend="'raise' or 'impossible'")
    rows = data if isinstance(data, Rows) else as_rows(data, _columns(data, net) if unseen == "raise" else None)
    codes = rows.codes_in(net, unseen=unseen == "impossible")
    known = (codes != UNKNOWN).all(axis=1)
    bits = np.full(len(codes), np.inf)
    bits[known] = bits_per_row(net, codes[known])
    return _summary(bits, rows.weights)


def bits_per_row(net: WorldNet, codes: Codes) -> NDArray[np.float64]:
    """−log2 W(row) of each row of a code array, [rows]; inf where it is impossible."""
    if not len(codes):
        return np.empty(0)
    if (codes != UNOBSERVED).all():
        return _complete_bits(net, codes)
    from worldnets.inference import Inference

    kinds, inverse = distinct(codes)
    return -(Inference(net).log_evidence(kinds) / math.log(2))[inverse]


def take_back(
    data: Data,
    held_out: Data | float | None,
    seed: int,
    states: States | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Rows, Rows | None]:
    """Rows to learn from and rows to measure on, from what `held_out=` of a way of learning may be.

    Args:
        data: what there is.
        held_out: None; other rows; or a share of `data` to keep back and not to learn from.
        seed: of that draw.
        states: of the variables, where they are given.
        weights: of the rows of `data`.
    """
    rows = as_rows(data, states, weights)
    if isinstance(held_out, float | int) and not isinstance(held_out, bool):
        return rows.split(held_out, seed)
    return rows, None if held_out is None else as_rows(held_out, rows.states)


def _complete_bits(net: WorldNet, codes: Codes) -> NDArray[np.float64]:
    bits = np.zeros(len(codes))
    for v in net.variables:
        cells = tuple(codes[:, net.index[u]] for u in (*net.parents(v), v))
        with np.errstate(divide="ignore"):
            bits -= np.log2(net.cpt(v))[cells]
    return bits


def _summary(bits: NDArray[np.float64], weights: NDArray[np.float64]) -> HeldOut:
    possible = bits < np.inf
    b, w = bits[possible], weights[possible]
    n, total = len(b), float(w.sum())
    if total == 0:
        return HeldOut(math.nan, math.nan, len(bits), len(bits) - n)
    mean = float((w * b).sum() / total)
    error = math.sqrt(n / (n - 1) * float((w**2 * (b - mean) ** 2).sum())) / total if n > 1 else math.nan
    return HeldOut(mean, error, len(bits), len(bits) - n)


def _columns(data: Data, net: WorldNet) -> dict[str, Any] | None:
    """The net's states, for a table of labels; `Rows` have their own."""
    if isinstance(data, Rows):
        return None
    names = getattr(data, "columns", ())
    net.check_variables(name for name in names if isinstance(name, str))
    return {name: net.states[name] for name in names if name in net.states}
