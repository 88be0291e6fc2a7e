"""Reference predictors on clips of worlds that were trained on, and of worlds from the prior: what heads are held
against.

Which references are told apart is decided on held-out worlds, where memorizer and deriver part; verdicts rest on these.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.derivation.costs import prequential
from probes.derivation.meta_worlds import Floats, MetaWorld, Tokens, meta_world
from probes.derivation.predictors import CONTROLS, REFERENCES, Said, said, true_predictions
from probes.order.references import FLOOR, Comparison, Part, told_apart
from probes.sources import stream
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from worldnets.dataset import Dataset


@dataclass(frozen=True)
class Sampling:
    """On what heads are held against references, and how finely.

    Attributes:
        clips: of training worlds, and as many of held-out ones, each of a world of its own.
        groups: of clips, for intervals.
        positions: numbers of tokens seen at which predictions are compared, evenly spaced over a clip; where heads
            answer at the end alone, there alone.
        draws: worlds in each half of the search for the deriver of hidden chains.
        least_apart: bits per token, E KL(richer ‖ simpler) below which two references are one. Twice that of the probe
            `order`: of three tokens, 64 frames and 1,024 chains, memorizer and deriver are .0098 bits apart in
            distribution and .0100 out of it, and no amount of clips makes two predictors of them.
        most_condition: largest condition number of the references' (scaled) differences at which weights are told
            apart.
        handicap: bits that a control must pay for each unit of weight.
        seed: of the clips.
    """

    clips: int = 512
    groups: int = 16
    positions: int = 16
    draws: int = 4096
    least_apart: float = 0.02
    most_condition: float = 30.0
    handicap: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        whole = (self.clips, self.groups, self.positions, self.draws)
        if min(whole) < 1 or self.groups < 2 or self.clips % self.groups:
            expected = "groups ≥ 2, clips a multiple of them, positions ≥ 1, draws ≥ 1"
            raise ProbeError("no such sampling", found=whole, expected=expected, mend="leave it out")
        if not (self.least_apart > 0 and self.most_condition > 1 and self.handicap >= 0):
            found = (self.least_apart, self.most_condition, self.handicap)
            expected = "least_apart > 0, most_condition > 1, handicap ≥ 0"
            raise ProbeError("not a tolerance", found=found, expected=expected)


@dataclass(frozen=True, eq=False)
class Known:
    """References of a meta-world. R clips a side, P positions, k tokens.

    Attributes:
        world: whose.
        names: of the references, as `predictors.REFERENCES` has them.
        positions: numbers of tokens seen, [P].
        comparison: what `probes.order` fits mixtures to: "inside" are training worlds, "outside" held-out ones.
        clips: of each side, [R, T].
        excess: reference → E KL(world ‖ reference) in bits, of all clips and then of each group, by side.
        searched, halves: of the search on held-out worlds: worlds that have a say, and how far two halves differ, bits.
        prequential: bits to send clips of held-out worlds, means of groups of clips, [G], by learner.
    """

    world: MetaWorld
    names: tuple[str, ...]
    positions: NDArray[np.int64]
    comparison: Comparison
    clips: dict[str, Tokens]
    excess: dict[str, dict[str, Floats]]
    searched: float
    halves: float
    prequential: dict[str, Floats]

    def part(self, side: str) -> Part:
        """Predictors on a side; rows are positions within clips."""
        found = getattr(self.comparison, side)
        assert isinstance(found, Part)
        return found


def positions_of(frames: int, count: int) -> NDArray[np.int64]:
    """Numbers of tokens seen, evenly spaced from 1 to T − 1."""
    return np.unique(np.linspace(1, frames - 1, min(count, frames - 1)).round().astype(np.int64))


def known(dataset: Dataset, sampling: Sampling, positions: tuple[int, ...]) -> Known:
    """References of a dataset at these numbers of tokens seen; kept for the last few asked for.

    Raises:
        ProbeError: the dataset is no meta-world.
    """
    meta_world(dataset)
    return _known(_Same(dataset), sampling, positions)


class _Same:
    """A dataset as a key: what it is, not which object."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.key = dataset, (dataset.digest, tuple(sorted(dataset.parameters.items())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key[0])


@functools.lru_cache(maxsize=8)
def _known(same: _Same, sampling: Sampling, positions: tuple[int, ...]) -> Known:
    dataset, world = same.dataset, meta_world(same.dataset)
    seen = dataset.simulate(sampling.clips, stream(sampling.seed, 21))
    strange = world.from_prior(sampling.clips)
    one_each = np.arange(sampling.clips)
    clips = {
        "inside": np.ascontiguousarray(seen[:, world.columns]),
        "outside": strange.drawn(one_each, world.frames, stream(sampling.seed, 22)),
    }
    places = np.array(positions, dtype=np.int64)
    true = {
        "inside": true_predictions(world.trained, seen[:, world.world].astype(np.int64), clips["inside"], places),
        "outside": true_predictions(strange, one_each, clips["outside"], places),
    }
    return compared(world, clips, true, places, sampling)


def compared(
    world: MetaWorld,
    clips: dict[str, Tokens],
    true: dict[str, Floats],
    positions: NDArray[np.int64],
    sampling: Sampling,
) -> Known:
    """References and controls on given clips, and which of them are told apart.

    Args:
        world: whose.
        clips: [R, T] by side, "inside" (training worlds) and "outside" (held-out ones).
        true: what each clip's own world says, [R, P, k].
        positions: numbers of tokens seen.
        sampling: tolerances; how finely to search.
    """
    spoken = {
        side: said(world, own, positions, sampling.draws, stream(sampling.seed, 23)) for side, own in clips.items()
    }
    parts = {side: _part(spoken[side], true[side], sampling) for side in clips}
    names, count = REFERENCES[world.kind], len(REFERENCES[world.kind])
    apart = parts["outside"].apart()
    groups, close = told_apart(parts["outside"], apart[:count, :count], sampling.least_apart, sampling.most_condition)
    chosen = [group[-1] for group in groups]
    controls = [
        place
        for place in range(count, count + len(CONTROLS))
        if min(float(apart[chosen, place].min()), float(apart[place, chosen].min())) >= sampling.least_apart
    ]
    comparison = Comparison(
        tuple(tuple(names[i] for i in group) for group in groups),
        close,
        (*chosen, *controls),
        tuple(CONTROLS[place - count] for place in controls),
        parts["inside"],
        parts["outside"],
        apart[:count, :count],
        (parts["inside"].condition(chosen), parts["outside"].condition(chosen)),
        True,
        0.0,
    )
    excess = {
        side: {name: excess_of(np.log(part.predictors[place]), part) for place, name in enumerate(names)}
        for side, part in parts.items()
    }
    searched, halves = spoken["outside"].searched, spoken["outside"].halves
    bits = {
        name: own.reshape(sampling.groups, -1).mean(-1) for name, own in prequential(world, clips["outside"]).items()
    }
    return Known(world, names, positions, comparison, clips, excess, searched, halves, bits)


def excess_of(log_q: Floats, part: Part) -> Floats:
    """E KL(world ‖ q) in bits, of all rows and then of each group: [..., 1 + G] for ln q [..., rows, k]."""
    p = part.posterior
    entropy = (p * np.log(np.maximum(p, 1e-300))).sum(-1)
    rows = (entropy - np.einsum("...ro,ro->...r", log_q, p)) / math.log(2)
    assert part.group is not None
    groups = int(part.group.max()) + 1
    by_group = rows.reshape(*rows.shape[:-1], groups, -1).mean(-1)
    return np.concatenate([by_group.mean(-1, keepdims=True), by_group], axis=-1)


def _part(spoken: Said, true: Floats, sampling: Sampling) -> Part:
    """Rows are positions within clips; what there is to know is the world's own prediction, beyond the uniform one."""
    clips, positions, tokens = true.shape
    every = np.stack([*spoken.references.values(), *(spoken.controls[name] for name in CONTROLS)])
    floored = (1 - FLOOR) * every.reshape(len(every), -1, tokens) + FLOOR / tokens
    rows = clips * positions
    group = np.repeat(np.arange(clips) // (clips // sampling.groups), positions)
    flat = true.reshape(rows, tokens)
    codes = np.zeros((rows, 0), dtype=np.int16)
    return Part(codes, np.full(rows, 1 / rows), group, floored, flat, np.full_like(flat, 1 / tokens))
