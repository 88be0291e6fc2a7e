"""The loss pie: what a head's excess loss is made of, rung by rung (theory, section 4).

Notation: K rungs; leading axes "…" are whatever was measured together (checkpoints, seeds). All information is in bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

LEAST_RUNG = 0.01  # bits; an efficiency of a smaller rung, or a depth of a smaller pie, is undefined


@dataclass(frozen=True)
class Information:
    """What there is to be had: the part of a pie that does not depend on the head.

    Attributes:
        rungs: the evidence added by each rung, shallow first.
        information: I_k = I(Y; X_{E_k} | X_{E_{k−1}}), [K].
        entropy: H(Y).
        own_ceiling: U*_k, own bits of the exact predictor, [K].
        own_skipped, reliance_skipped: share of the redraws that have W*-probability zero, [K].
        condition: condition number of the scaled rung increments, before any merging.
        merged: rungs of the rung regression, as tuples of rung numbers (1-based); more than one number where rungs had
            to be merged.
        groups: I_k in each group of evaluation clips, [G, K]; None when the reference is enumerated.
        own_groups: U*_k in each group, [G, K]; None when enumerated.
        rows: evidence rows a head is evaluated on.
        clips, draws: size of the sample; 0 when the reference is enumerated.
    """

    rungs: tuple[tuple[str, ...], ...]
    information: Floats
    entropy: float
    own_ceiling: Floats
    own_skipped: Floats
    reliance_skipped: Floats
    condition: float
    merged: tuple[tuple[int, ...], ...]
    groups: Floats | None
    own_groups: Floats | None
    rows: int
    clips: int = 0
    draws: int = 0

    @property
    def total(self) -> float:
        """The whole pie, Σ I_k bits."""
        return float(self.information.sum())

    @property
    def total_error(self) -> float:
        """Standard error of the whole pie over clip groups, in bits; 0 when enumerated."""
        if self.groups is None:
            return 0.0
        return float(self.groups.sum(-1).std(ddof=1) / np.sqrt(len(self.groups)))

    @property
    def beyond_first(self) -> float:
        """Share of the pie that lies beyond the first rung; NaN where there is no pie."""
        return 1.0 - float(self.information[0]) / self.total if self.total > 0 else float("nan")

    @property
    def attainable_depth(self) -> float:
        """D* = Σ k·I_k / Σ I_k; NaN where the pie is < .01 bits."""
        return float(depth(self.information))

    def __repr__(self) -> str:
        kind = "enumerated" if self.groups is None else f"{self.clips} clips × {self.draws} draws"
        bits = ", ".join(f"{i:.3f}" for i in self.information)
        return f"Information({kind}, rungs [{bits}] bits, {self.rows} rows)"

    def to_pandas(self) -> pd.DataFrame:
        """One row per rung (index: its number): evidence, bits, share of the pie, ceiling of own bits."""
        import pandas as pd

        total = self.total or float("nan")
        columns = {
            "evidence": [", ".join(rung) for rung in self.rungs],
            "bits": self.information,
            "share": self.information / total,
            "own_ceiling": self.own_ceiling,
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self.rungs) + 1, name="rung"))

    def plot(self, axes: Axes | None = None) -> Axes:
        """The bits of each rung, shallow first, as bars."""
        from worldnets.draw.figure import literal, new_axes

        axes = new_axes(6.0, 0.6 + 0.35 * len(self.rungs)) if axes is None else axes
        names = [literal(f"{k}: {_few(rung)}") for k, rung in enumerate(self.rungs, 1)]
        axes.barh(range(len(names)), self.information, tick_label=names)
        axes.invert_yaxis()
        axes.set(xlabel=f"bits; {self.total:.3f} in all, of an entropy of {self.entropy:.3f}")
        return axes

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        size = "enumerated" if self.groups is None else f"{self.clips} clips × {self.draws} draws"
        facts = {"the whole pie": f"{self.total:.4g} of {self.entropy:.4g} bits", "reference": size, "rows": self.rows}
        return card("What there is to be had, rung by rung", facts, frame(self.to_pandas(), 40))


@dataclass(frozen=True)
class Pie:
    """What a head has of it. Shapes: K rungs, G clip groups, "…" leading axes.

    Attributes:
        captured: C_k = L_{k−1} − L_k, [..., K]; at most I_k.
        rung_loss: L_k = E[−log2 q_k], [..., K+1].
        rung_divergence: KL_k = E KL(p_k‖q_k), [..., K+1].
        own: own bits U_k, [..., K].
        reliance: R_k, loss added when rung k alone is redrawn, [..., K].
        weights: rung regression, 1 everywhere for a perfect head, NaN for rungs that say nothing; merged rungs share
            theirs, [..., K].
        floored: share of the regression's weight on probabilities below its floor, [...].
        captured_groups: C_k in each clip group, [G, ..., K]; None when enumerated.
        own_groups, reliance_groups: the same for U_k and R_k.
    """

    captured: Floats
    rung_loss: Floats
    rung_divergence: Floats
    own: Floats
    reliance: Floats
    weights: Floats
    floored: Floats
    captured_groups: Floats | None = None
    own_groups: Floats | None = None
    reliance_groups: Floats | None = None

    @property
    def loss(self) -> Floats:
        """Loss of the head, L_K, [...]."""
        return self.rung_loss[..., -1]

    @property
    def depth(self) -> Floats:
        """D = Σ k·max(C_k, 0) / Σ max(C_k, 0), [...]; NaN where ΣC_k < .01 bits."""
        return depth(self.captured)

    def efficiency(self, about: Information, rungs: Sequence[int] | None = None) -> Floats:
        """η = ΣC_k / ΣI_k over some rungs (numbered from 1), [...]; per rung, [..., K], when none are named.

        NaN where the information is below .01 bits: there is no efficiency of what is not there.
        """
        if rungs is None:
            return np.stack([self.efficiency(about, [k + 1]) for k in range(len(about.information))], axis=-1)
        chosen = _chosen(rungs, len(about.information))
        total = about.information[chosen].sum()
        if total < LEAST_RUNG:
            return np.full(self.captured.shape[:-1], np.nan)
        return self.captured[..., chosen].sum(-1) / total

    def influence(self, about: Information, rungs: Sequence[int]) -> Floats | None:
        """Deviation of each clip group's contribution to an efficiency: (ΣC_g − η·ΣI_g)/ΣI, [G, ...]; None when
        enumerated.
        """
        if self.captured_groups is None or about.groups is None:
            return None
        chosen = _chosen(rungs, len(about.information))
        total = about.information[chosen].sum()
        share = about.groups[:, chosen].sum(-1).reshape(-1, *[1] * (self.captured.ndim - 1))
        efficiency = self.efficiency(about, rungs)
        return (self.captured_groups[..., chosen].sum(-1) - efficiency * share) / total

    def own_share(self, about: Information, rung: int) -> tuple[Floats, Floats | None]:
        """Own bits over their ceiling, u = U_k / U*_k, [...], with the deviation of each clip group, [G, ...] or None.

        NaN where the ceiling is below .05 bits. U and U* share clips and redraws, so u is far more exact than either.
        """
        ceiling = float(about.own_ceiling[rung - 1])
        if ceiling < LEAST_CEILING:
            return np.full(self.own.shape[:-1], np.nan), None
        share = self.own[..., rung - 1] / ceiling
        if self.own_groups is None or about.own_groups is None:
            return share, None
        group = about.own_groups[:, rung - 1].reshape(-1, *[1] * share.ndim)
        return share, (self.own_groups[..., rung - 1] - share * group) / ceiling

    def mc_error(self, about: Information, rungs: Sequence[int]) -> Floats:
        """Standard error of an efficiency that is due to the sample of clips and draws, [...]; 0 when enumerated."""
        phi = self.influence(about, rungs)
        if phi is None:
            return np.zeros(self.captured.shape[:-1])
        return np.sqrt(phi.var(0, ddof=1) / len(phi))

    def converging(self, about: Information, rungs: Sequence[int]) -> tuple[Floats, Floats, Floats] | None:
        """An efficiency as it would be from fewer clips: those of the first 2, 3, …, G groups; None when enumerated.

        Returns:
            clips [G − 1], the efficiency [G − 1, ...] and its standard error over those groups, of the same shape; the
            last of each are what `efficiency` and `mc_error` say.
        """
        if self.captured_groups is None or about.groups is None:
            return None
        chosen = _chosen(rungs, len(about.information))
        count = len(about.groups)
        captured = self.captured_groups[..., chosen].sum(-1)
        offered = about.groups[:, chosen].sum(-1)
        used = np.arange(2, count + 1)
        places, efficiencies, errors = used * about.clips / count, [], []
        for g in used:
            total = offered[:g].mean()
            efficiency = captured[:g].mean(0) / total
            off = (captured[:g] - efficiency * offered[:g].reshape(-1, *[1] * (captured.ndim - 1))) / total
            efficiencies.append(efficiency)
            errors.append(np.sqrt(off.var(0, ddof=1) / g))
        return places, np.stack(efficiencies), np.stack(errors)

    def __repr__(self) -> str:
        return f"Pie({self.captured.shape[-1]} rungs, {'×'.join(map(str, self.captured.shape[:-1])) or 'one'} heads)"

    def to_pandas(self) -> pd.DataFrame:
        """One row per rung and head: rung, places on the leading axes, captured bits, own bits, reliance, weight."""
        import pandas as pd

        places = [np.ravel(one) for one in np.indices(self.captured.shape)]
        columns = {f"axis_{i}": place for i, place in enumerate(places[:-1])} | {"rung": places[-1] + 1}
        numbers = {"captured": self.captured, "own": self.own, "reliance": self.reliance, "weight": self.weights}
        return pd.DataFrame(columns | {name: np.ravel(value) for name, value in numbers.items()})

    def plot(self, about: Information | None = None, axes: Axes | None = None) -> Axes:
        """Bits captured of each rung, mean over heads and a point for each; `about` adds what there was to be had."""
        from worldnets.draw.figure import new_axes

        axes = new_axes() if axes is None else axes
        heads = self.captured.reshape(-1, self.captured.shape[-1])
        rungs = np.arange(1, heads.shape[1] + 1)
        if about is not None:
            axes.bar(rungs, about.information, width=0.8, color="#e4e8ec", label="to be had")
        axes.bar(rungs, heads.mean(0), width=0.5, color="#0072b2", label="captured")
        axes.plot(np.tile(rungs, len(heads)), heads.ravel(), "k.", markersize=3)
        axes.set(xlabel="rung, shallow to deep", ylabel="bits", xticks=rungs)
        axes.legend(frameon=False)
        return axes

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), None, frame(self.to_pandas(), 20, index=False))


def _few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


LEAST_CEILING = 0.05  # bits; a share of a smaller ceiling of own bits is undefined
GROUPED = ("captured_groups", "own_groups", "reliance_groups")


def stack(pies: Sequence[Pie]) -> Pie:
    """Pies of one reference along a new first axis, such as checkpoints."""
    return _joined(pies, lambda parts, shift: np.stack(parts, axis=shift))


def concatenate(pies: Sequence[Pie], axis: int) -> Pie:
    """Pies of one reference joined along one of their leading axes, such as seeds."""
    return _joined(pies, lambda parts, shift: np.concatenate(parts, axis=axis + shift))


def _joined(pies: Sequence[Pie], join: Callable[[list[Floats], int], Floats]) -> Pie:
    parts: dict[str, Any] = {}
    for field in fields(Pie):
        values = [getattr(pie, field.name) for pie in pies]
        missing = [value is None for value in values]
        if any(missing) and not all(missing):
            mend = "measure all of them alike"
            raise ProbeError("pies of different references cannot be joined", found=field.name, mend=mend)
        parts[field.name] = None if all(missing) else join(values, 1 if field.name in GROUPED else 0)
    return Pie(**parts)


def depth(bits: Floats) -> Floats:
    """Mean rung of the bits: Σ k·max(b_k, 0) / Σ max(b_k, 0), [...]; NaN where Σ b_k < .01.

    An untrained head has no depth: its bits sum to nothing, or to less.
    """
    bits = np.asarray(bits, dtype=np.float64)
    gained = np.maximum(bits, 0.0)
    total = gained.sum(-1)
    defined = bits.sum(-1) >= LEAST_RUNG
    mean = (gained * np.arange(1, bits.shape[-1] + 1)).sum(-1) / np.where(defined, total, 1.0)
    return np.where(defined, mean, np.nan)


def shallow_rungs(information: Floats, share: float = 0.5) -> int:
    """k0, the last shallow rung: the smallest k0 ≤ K−1 with Σ_{k≤k0} I_k ≥ `share` of the pie, K−1 when there is none.

    A ladder of one rung has k0 = 1: nothing lies beyond it.
    """
    rungs = len(information)
    enough = np.flatnonzero(np.cumsum(information) >= share * np.sum(information) - 1e-12) + 1
    return int(max(1, min(enough[0], rungs - 1))) if len(enough) else max(1, rungs - 1)


def _chosen(rungs: Sequence[int], count: int) -> NDArray[np.int64]:
    chosen = np.asarray(list(rungs), dtype=np.int64) - 1
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= count):
        raise ProbeError("no such rung", found=list(rungs), expected=f"numbers from 1 to {count}")
    return chosen
