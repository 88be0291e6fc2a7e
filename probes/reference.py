"""What ladders take for the truth where no one knows it: the best held-out learned world-model; and real clips beside.

With a learned reference every number of a ladder holds under that model: C_k ≤ I_k too (theory, section 4). What a head
loses on real clips is measured apart from it, on clips of sources that neither the head nor the model learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.roles import outcome_index

if TYPE_CHECKING:
    from probes.finding import Verdict
    from probes.statistics import Interval
    from worldnets.dataset import Dataset
    from worldnets.roles import Target
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
REAL_CLIPS = 4000  # test clips at most
GROUPS = 20  # of sources, for intervals over clips
LEAST_PROBABILITY = 1e-12  # what the learned model is taken to give to an outcome it holds impossible


@dataclass(frozen=True)
class RealLoss:
    """Losses on real test clips, of one target.

    Attributes:
        clips, sources: how many.
        head: mean bits of each seed at each checkpoint, [T, S].
        head_groups: deviations of groups of sources from it, [G, T, S]; their means over G are 0.
        model: mean bits of the learned reference's own posterior on the same clips, a number as an array.
        model_groups: [G].
    """

    clips: int
    sources: int
    head: Floats
    head_groups: Floats
    model: Floats
    model_groups: Floats

    def of_seeds(self, columns: Sequence[int] | NDArray[np.intp]) -> RealLoss:
        """Some of the seeds, in that order."""
        chosen = np.asarray(columns, dtype=np.intp)
        return replace(self, head=self.head[:, chosen], head_groups=self.head_groups[:, :, chosen])

    @property
    def over_model(self) -> tuple[Floats, Floats]:
        """What heads lose more than the reference, and its deviations in groups: [T, S] and [G, T, S]."""
        return self.head - self.model, self.head_groups - self.model_groups[:, None, None]


def side_by_side(losses: Sequence[RealLoss]) -> RealLoss:
    """Losses of several groups of seeds on the same clips as those of one."""
    head = np.concatenate([loss.head for loss in losses], axis=1)
    return replace(losses[0], head=head, head_groups=np.concatenate([loss.head_groups for loss in losses], axis=2))


class HeldOutClips:
    """The real test clips of a dataset, and what its learned reference makes of them; made once per objective."""

    def __init__(self, dataset: Dataset, evidence: Sequence[str]) -> None:
        assert dataset.episodes is not None
        self.dataset, self.evidence = dataset, tuple(evidence)
        self.codes = dataset.held_out("test", REAL_CLIPS)
        sources = dataset.episodes.take("test", REAL_CLIPS).sources
        number = np.unique(sources, return_inverse=True)[1].reshape(-1)
        self.sources = int(number.max()) + 1
        self.groups = min(GROUPS, self.sources)
        self.group = number % self.groups
        self._bits: dict[str, Floats] = {}

    def model_bits(self, target: Target) -> Floats:
        """−log2 W(outcome | evidence) of every clip."""
        from worldnets.distinct import distinct
        from worldnets.inference import Inference

        if target.name not in self._bits:
            net = self.dataset.net
            shown = np.full_like(self.codes, -1)
            columns = [net.index[v] for v in self.evidence]
            shown[:, columns] = self.codes[:, columns]
            rows, which = distinct(shown)
            belief = Inference(net).joint(rows, target.variables).reshape(len(rows), -1)[which]
            chosen = belief[np.arange(len(which)), outcome_index(self.codes, net, target)]
            self._bits[target.name] = -np.log2(np.maximum(chosen, LEAST_PROBABILITY))
        return self._bits[target.name]

    def loss(self, trace: Trace, target: Target, predict: Any) -> RealLoss:
        """What a trace's heads and the reference lose on one target.

        Args:
            trace: the checkpoints.
            target: one of its task's.
            predict: `trace.predictor(self.codes)`.
        """
        outcome = outcome_index(self.codes, self.dataset.net, target)
        rows = np.arange(len(outcome))
        bits = np.stack(
            [-predict(checkpoint, target.name)[:, rows, outcome] for checkpoint in range(len(trace.steps))]
        ) / np.log(2)  # [T, S, clips]
        model = self.model_bits(target)
        head, head_groups = self._grouped(bits)
        own, own_groups = self._grouped(model)
        return RealLoss(len(rows), self.sources, head, head_groups, own, own_groups)

    def _grouped(self, bits: Floats) -> tuple[Floats, Floats]:
        """Mean over clips, and G · (sum over a group's clips of what exceeds it) / clips, on average over groups 0."""
        mean = np.asarray(bits.mean(axis=-1))
        member = self.group[:, None] == np.arange(self.groups)
        sums = np.moveaxis((bits - mean[..., None]) @ member, -1, 0)
        return mean, sums * self.groups / bits.shape[-1]


def described(dataset: Dataset) -> dict[str, Any] | None:
    """What a cell's metadata says of a learned reference; None where the world is known."""
    if dataset.reference == "exact":
        return None
    best = None if dataset.candidates is None else dataset.candidates.best
    page: dict[str, Any] = {"kind": dataset.reference, "model": dataset.net.name or "a learned net"}
    if best is not None:
        page |= {"model": best.name, "bits": best.test.bits, "error": best.test.standard_error, "clips": best.test.rows}
    return page


def note(page: Mapping[str, Any]) -> str:
    """The sentence that every report of a learned reference carries."""
    return (
        f"The reference is learned: {_named(page)}, the best held-out world-model of these real clips. "
        "Rung information and captured bits hold under that model, not for the real world; so does the bound that a "
        "head captures at most what a rung offers (C_k ≤ I_k)."
    )


def notes(cells: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The sentences of some cells, each once."""
    pages = (cell["metadata"].get("reference") for cell in cells)
    return tuple(dict.fromkeys(note(page) for page in pages if page is not None))


def under(verdict: Verdict, cells: Sequence[Mapping[str, Any]], excess: Interval | None = None) -> Verdict:
    """A verdict that says under which learned reference it was reached; unchanged where the world is known.

    Args:
        verdict: as the rule gave it.
        cells: what it rests on.
        excess: what heads lose on real clips above the reference at the end, bits.
    """
    page = cells[0]["metadata"].get("reference")
    if page is None:
        return verdict
    said = [f"Under a learned reference, {_named(page)}."]
    if excess is not None:
        how = "more" if excess.estimate >= 0 else "less"
        low, high = sorted((abs(excess.low), abs(excess.high)))
        clear = excess.low > 0 or excess.high < 0
        limits = f"[{low:.2f}, {high:.2f}]" if clear else f"(from {excess.low:.2f} to {excess.high:.2f} more)"
        said.append(f"On real test clips heads lose {abs(excess.estimate):.2f} bits {limits} {how} than the reference.")
        if excess.high < 0:
            said.append(
                "They know what it does not: its clips, on which the rest was measured, are not quite real ones."
            )
    return replace(verdict, reasons=(*verdict.reasons, *said))


def marked(cell: dict[str, Any], page: Mapping[str, Any] | None) -> dict[str, Any]:
    """A cell that says which learned reference it rests on; unchanged where the world is known."""
    if page is not None:
        cell["metadata"]["reference"] = dict(page)
    return cell


def _named(page: Mapping[str, Any]) -> str:
    if "bits" not in page:
        return f"“{page['model']}”"
    return f"“{page['model']}” ({page['bits']:.2f} ± {page['error']:.2f} bits per clip on {page['clips']:,} test clips)"
