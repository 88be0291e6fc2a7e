"""The ladder of evidence and the exact reference that stands beside it.

Which ladder is part of how a probe measures: one of `worldnets.ladders`, or rungs of your own. Which reference is a
matter of size: enumeration while all evidence together has at most 2^16 configurations, clips and exact conditional
draws beyond. Either has `.inputs` (rows to evaluate a head on), `.outcomes`, `.about` (rung information and ceilings),
`.measure(log_q)` and `.refitted(log_q)`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from probes.design import sampled_design
from probes.enumerated import LARGEST, EnumeratedReference, enumerated
from probes.pie import Information
from probes.sampled import SampledReference
from probes.sources import DatasetSource, Source
from worldnets.errors import ProbeError, did_you_mean
from worldnets.ladders import LADDERS
from worldnets.ladders import ladder as named_ladder

if TYPE_CHECKING:
    from worldnets.dataset import Dataset, Task

Reference = EnumeratedReference | SampledReference
Rungs = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sampling:
    """Which ladder, and the size of a sampled reference.

    Attributes:
        ladder: "task", the one the task was set with; "window", "graph-distance" or "message-rounds"
            (`worldnets.ladders`).
        rungs: ladders of your own: what each rung adds, by target name. They come first.
        method: "auto", "enumerate" or "sample".
        clips: evaluation clips.
        candidates: clips from W* out of which they are picked, the informative ones more often.
        draws: conditional draws per clip and rung.
        pool: prior draws for rung 0.
        holders, partners: clips whose rungs are paired with independent clips, and how many, for own bits and reliance.
        groups: independent groups of clips, whose spread is the Monte-Carlo error.
        seed: stream of the sample; every checkpoint, seed and head of a world shares it.
    """

    ladder: str = "task"
    rungs: Mapping[str, Sequence[Sequence[str]]] | None = None
    method: Literal["auto", "enumerate", "sample"] = "auto"
    clips: int = 3072
    candidates: int = 32768
    draws: int = 32
    pool: int = 4096
    holders: int = 128
    partners: int = 48
    groups: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ladder not in LADDERS:
            raise ProbeError("unknown ladder", found=repr(self.ladder), mend=did_you_mean(self.ladder, LADDERS))
        if self.rungs is not None:
            object.__setattr__(self, "rungs", _fixed(self.rungs))

    @property
    def own(self) -> dict[str, Rungs]:
        """Ladders of one's own by target name."""
        return dict(cast("tuple[tuple[str, Rungs], ...]", self.rungs or ()))


def _fixed(rungs: object) -> tuple[tuple[str, Rungs], ...]:
    """As tuples, so that settings can be compared and looked up; also of what was already fixed, or went through JSON.

    Raises:
        ProbeError: no lists of names by target.
    """
    try:
        pairs = dict(rungs)  # type: ignore[call-overload]
        if any(isinstance(ladder, str) or any(isinstance(rung, str) for rung in ladder) for ladder in pairs.values()):
            raise TypeError
        return tuple((str(name), tuple(tuple(map(str, rung)) for rung in pairs[name])) for name in sorted(pairs))
    except (TypeError, ValueError):
        mend = '{ target = [["nearest"], ["next", "another"]] }'
        raise ProbeError("rungs are lists of names by target", found=rungs, mend=mend) from None


@dataclass(repr=False)
class References:
    """The references of one source, each made when first asked for and shared by every head."""

    source: Source
    sampling: Sampling = field(default_factory=Sampling)
    _made: dict[tuple[Rungs, str], Reference] = field(default_factory=dict, repr=False)

    def get(self, rungs: Sequence[Sequence[str]] | None, target: str) -> Reference:
        """The reference of a target on a ladder; None for the ladder that `sampling` asks for.

        Raises:
            ProbeError: a ladder that is not one, or too many contexts for `method="enumerate"`.
            DatasetError: a window where there are no frames.
        """
        ladder = checked_rungs(self.rungs(target) if rungs is None else rungs, self.source)
        if (ladder, target) not in self._made:
            self._made[ladder, target] = self._make(ladder, target)
        return self._made[ladder, target]

    def rungs(self, target: str) -> Rungs:
        """The ladder of a target that `sampling` asks for.

        Raises:
            ProbeError: a source without tasks, and no rungs of one's own.
            DatasetError: a window where there are no frames.
        """
        source, own = self.source, self.sampling.own
        if target in own:
            return own[target]
        if not isinstance(source, DatasetSource):
            raise ProbeError("a source without ladders", node=target, mend="pass the rungs")
        return asked_rungs(source.dataset, source.task, target, self.sampling)

    def __repr__(self) -> str:
        return f"References({type(self.source).__name__}, ladder {self.sampling.ladder!r}, {len(self._made)} made)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))

    def _make(self, ladder: Rungs, target: str) -> Reference:
        s = self.sampling
        contexts = math.prod(self.source.cardinalities[name] for rung in ladder for name in rung)
        if s.method == "enumerate" or (s.method == "auto" and contexts <= LARGEST):
            return enumerated(self.source, ladder, target)
        sizes = (s.clips, s.candidates, s.draws, s.pool, s.holders, s.partners, s.groups, s.seed)
        return SampledReference(self.source, sampled_design(self.source, ladder, target, *sizes))


_SHARED: OrderedDict[tuple[str, str, Sampling], References] = OrderedDict()
MOST_SHARED = 8  # worlds and objectives whose references are held at a time


def references(dataset: Dataset, task: Task, sampling: Sampling) -> References:
    """The references of a world and task, made once in this process for every probe, checkpoint, seed and head.

    Clips, conditional draws and messages so are the same for all of them: common random numbers.
    """
    key = (dataset.digest, task.objective, sampling)
    if key not in _SHARED:
        _SHARED[key] = References(DatasetSource(dataset, task), sampling)
    _SHARED.move_to_end(key)
    while len(_SHARED) > MOST_SHARED:
        _SHARED.popitem(last=False)
    return _SHARED[key]


def on_offer(dataset: Dataset, sampling: Sampling | None = None) -> Iterator[tuple[str, str, Information]]:
    """The pie of every task and target of a dataset: (objective, target, information)."""
    for objective in dataset.objectives:
        task = dataset.task(objective)
        for target in task.targets:
            yield objective, target.name, reference(dataset, task, target.name, sampling).about


def asked_rungs(dataset: Dataset, task: Task, target: str, sampling: Sampling) -> Rungs:
    """The ladder of a target that a sampling asks for: one's own rungs, or the named ladder.

    Raises:
        ProbeError: no such target.
        DatasetError: a window where there are no frames.
    """
    if target in sampling.own:
        return sampling.own[target]
    if target not in task.ladders:
        raise ProbeError("no ladder for this target", found=target, mend=did_you_mean(target, task.ladders))
    return named_ladder(dataset, task, task.target(target), sampling.ladder)


def check_rungs(dataset: Dataset, task: Task, sampling: Sampling) -> None:
    """Refuse, before anything is trained, ladders that a task cannot have.

    Raises:
        ProbeError: rungs of one's own for none of the targets, or that are no ladder.
        DatasetError: a window where there are no frames.
    """
    names = [target.name for target in task.targets]
    own = list(sampling.own)
    if own and not set(own) & set(names):
        raise ProbeError("rungs for none of the targets", found=own[0], mend=did_you_mean(own[0], names))
    source = DatasetSource(dataset, task)
    for name in names:
        checked_rungs(asked_rungs(dataset, task, name, sampling), source)


def reference(
    dataset: Dataset,
    task: Task,
    target_name: str,
    sampling: Sampling | None = None,
    rungs: Sequence[Sequence[str]] | None = None,
) -> Reference:
    """What the world knows about one target of a task, rung by rung.

    Args:
        dataset, task: the world and what the head was asked.
        target_name: name of one of the task's targets.
        sampling: enumeration or sample, and its size.
        rungs: a ladder of your own; the one that `sampling` asks for when omitted.

    Raises:
        ProbeError: an unknown target, or a ladder that is not one.
    """
    sampling = sampling or Sampling()
    rungs = asked_rungs(dataset, task, target_name, sampling) if rungs is None else rungs
    return References(DatasetSource(dataset, task), sampling).get(rungs, target_name)


def checked_rungs(rungs: Sequence[Sequence[str]], source: Source) -> Rungs:
    """A ladder as tuples, its evidence known and named once.

    Raises:
        ProbeError: no rung, an empty rung, unknown evidence, or evidence on two rungs.
    """
    ladder = tuple(tuple(rung) for rung in rungs)
    names = [name for rung in ladder for name in rung]
    if not ladder or not all(ladder):
        raise ProbeError("a ladder needs rungs, each with evidence", found=ladder, mend="drop empty rungs")
    for name in names:
        if name not in source.columns:
            raise ProbeError("the ladder names unknown evidence", found=name, mend=did_you_mean(name, source.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProbeError("evidence on two rungs", found=twice, mend="a rung lists only what it adds")
    return ladder
