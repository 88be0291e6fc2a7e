"""Penalties as priors: the same head without a penalty, paying for its description, for its rounds, or for both.

*Deriving at run time* is what a head's rounds add to its answer: of the bits it captures those that it loses when it is
stopped after one round, as a share of the pie,

    derived = (loss after one round − loss) / Σ I_k.

A head that has everything in its tables loses nothing by that; one that works its answer out from the evidence at run
time does. What it captures *at once*, stopped after one round, is the rest: captured − derived. A penalty that makes
heads hard-code moves bits from the one to the other; one that makes them worse takes them from run time alone.

The outer loop trades rounds per episode against episodes: heads of R rounds are trained for budget/R steps, so that all
take equally many rounds in training, and the strongest speed prior that keeps performance is the smallest R whose loss
is within a margin of the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes import ladder
from probes.ladder import Reference
from probes.measurement import Measurement
from probes.path.clips import Clips
from probes.priors.heads import prequential_lengths, two_part_lengths
from probes.priors.situation import Sizes
from worldnets.errors import ProbeError
from worldnets.trace import Trace

Floats = NDArray[np.float64]
CONDITIONS = ("no penalty", "complexity", "speed", "both")
PAID = ("description_length", "rounds")
#: Parameters that the price of description does not fall on: when to halt. Their shortest description is halting after
#: every round alike, so that paying for them would draw rounds towards their plain mean, whatever is derived in them.
UNPRICED = ("halting",)


@dataclass(frozen=True)
class Sampling(ladder.Sampling):
    """How it is measured: the references, the prices, the outer loop, and the running programs.

    Attributes:
        complexity: price of description, nats per bit of `worldnets.penalties.DescriptionLength`; of everything but
            when to halt.
        speed: price of a round, nats.
        rounds: of the outer loop's heads.
        budget: rounds times steps of each of them, in steps of the trace.
        programs: whether the five programs are run beside heads on the vault, one situation per seed.
        horizon: of the programs' plans.
    """

    complexity: float = 1e-4
    speed: float = 0.03
    rounds: tuple[int, ...] = (1, 2, 4, 8)
    budget: float = 2.0
    programs: bool = True
    horizon: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rounds", tuple(self.rounds))
        Sizes(horizon=self.horizon)  # refuses what is none
        for name in ("complexity", "speed", "budget"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                mend = "give a finite number > 0"
                raise ProbeError("a price that is negative, infinite or none", node=name, found=value, mend=mend)
        good = all(isinstance(r, int) and not isinstance(r, bool) and r >= 1 for r in self.rounds)
        if not good or len(set(self.rounds)) < len(self.rounds) or len(self.rounds) < 2:
            mend = "give two or more different whole numbers ≥ 1, such as (1, 2, 4)"
            raise ProbeError("no rounds to choose from", node="rounds", found=list(self.rounds), mend=mend)

    @property
    def of_references(self) -> ladder.Sampling:
        """The part that references depend on, so that other probes share them."""
        return ladder.Sampling(**{f.name: getattr(self, f.name) for f in fields(ladder.Sampling)})

    def penalties(self, condition: str) -> dict[str, Any]:
        """What is paid for under a condition."""
        described = {"strength": self.complexity, "free": list(UNPRICED)}
        paid: dict[str, dict[str, Any]] = {
            "complexity": {"description_length": described},
            "speed": {"rounds": self.speed},
        }
        chosen = [one for one in paid if condition in (one, "both")]
        return {name: price for one in chosen for name, price in paid[one].items()}


@dataclass(frozen=True)
class Runs:
    """One run under every condition, and those of the outer loop.

    Attributes:
        conditions: traces in the order of `CONDITIONS`.
        loop: traces by rounds, fewest first.
    """

    conditions: tuple[Trace, ...]
    loop: Mapping[int, Trace]


def trained(trace: Trace, sampling: Sampling, step: Callable[[], None]) -> Runs:
    """The same request with each penalty, and with each number of rounds for its share of the budget."""
    from worldnets.training import retrained

    given = dict(trace.settings.get("penalties", {}))
    conditions = []
    for condition in CONDITIONS:
        paid = sampling.penalties(condition)
        conditions.append(trace if not paid else retrained(trace, penalties={**given, **paid}))
        step()
    loop = {}
    for rounds in sorted(sampling.rounds):
        steps = max(1, round(sampling.budget * trace.last / rounds))
        options = {**trace.head_options, "rounds": rounds, "halting": False}
        loop[rounds] = retrained(trace, head_options=options, steps=steps, checkpoints=(steps,))
        step()
    return Runs(tuple(conditions), loop)


def used_rounds(trace: Trace) -> Floats:
    """Mean rounds of every seed's head at the end, [S]."""
    last = len(trace.steps) - 1
    return np.array([float(trace.at(last, seed).rounds()) for seed in trace.seeds])  # type: ignore[union-attr]


def losses(trace: Trace, target: str, reference: Reference) -> tuple[Floats, Floats]:
    """Bits per clip at the end, in full and stopped after one round, [S] each."""
    clips, last = Clips.of(reference), len(trace.steps) - 1
    full = clips.loss(trace.predictor(reference.inputs)(last, target))
    stops = trace.plan.skeleton.halting
    # As many halting logits as were trained, of which those beyond the first round are not read.
    options = {"rounds": 1} if stops is None else {"rounds": 1, "halting": len(stops)}
    cut = clips.loss(trace.with_head_options(**options).predictor(reference.inputs)(last, target))
    return np.asarray(full), np.asarray(cut)


def measure_target(
    runs: Runs, target: str, reference: Reference, lengths: Sequence[Mapping[str, Floats]]
) -> Measurement:
    """One target under all conditions and in the outer loop; numbers are [1, S, conditions] or [1, S, R].

    Args:
        runs: the traces.
        target: its name.
        reference: what the world knows about it.
        lengths: `head_lengths` of each condition.
    """
    own = runs.conditions[0]
    pie = float(reference.about.information.sum())
    found = [losses(one, target, reference) for one in runs.conditions]
    full, cut = (np.stack(part, axis=1)[None] for part in zip(*found, strict=True))
    known = reference.about.entropy
    numbers = {"loss": full, "derived": (cut - full) / pie, "captured": (known - full) / pie,
               "at once": (known - cut) / pie,
               "rounds": np.stack([used_rounds(t) for t in runs.conditions], axis=1)[None]}  # fmt: skip
    for name in lengths[0]:
        numbers[name] = np.stack([one[name] for one in lengths], axis=1)[None]
    loop = [losses(one, target, reference) for one in runs.loop.values()]
    numbers["loop loss"] = np.stack([one for one, _ in loop], axis=1)[None]
    numbers["loop derived"] = np.stack([(cut - one) / pie for one, cut in loop], axis=1)[None]
    plain: dict[str, Any] = {
        "conditions": list(CONDITIONS),
        "loop": [int(rounds) for rounds in runs.loop],
        "loop steps": [int(one.last) for one in runs.loop.values()],
        "pie": pie,
    }
    return Measurement(target, own.seeds, own.steps[-1:], numbers, plain=plain)


def head_lengths(trace: Trace, known: Sequence[tuple[str, Reference]]) -> dict[str, Floats]:
    """Description of the heads at the end, and the prequential code, [S] each."""
    clips = trace.last * trace.plan.batch
    found = two_part_lengths(trace, len(trace.steps) - 1, known, clips)
    return {"bits": found.parameters, "two-part": found.whole, "prequential": prequential_lengths(trace)}
