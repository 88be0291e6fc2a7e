"""Predictors from elsewhere under the depth probe: any function from evidence rows to probabilities.

>>> import probes
>>> coins = [lambda rows: [[0.5, 0.5]] * len(rows)] * 2  # two predictors that know nothing
>>> wrapped = probes.wrap(coins, "cue_parity")
>>> abs(wrapped.pie().captured.round(9))  # bits, [predictors, rungs]
array([[0., 0.],
       [0., 0.]])
>>> probes.probe("depth").run(wrapped).verdict.name
'untrained'

A wrapped predictor is asked like the checkpoints of a trace: for probabilities of every outcome, on rows of evidence
that the probe chooses. What it returns is checked before anything is measured with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset, load_dataset
from worldnets.errors import ProbeError, did_you_mean
from worldnets.heads.floor import floored
from worldnets.heads.inputs import EvidenceInputs
from worldnets.roles import Target, Task, outcome_count, outcome_labels

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.ladder import Sampling
    from probes.pie import Information, Pie
    from probes.protocol import Progress

Takes = Literal["labels", "codes", "features"]
Predict = Callable[[Any], Any]
TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum: float32 softmaxes are off by 1e-6 or so
TAKES = ("labels", "codes", "features")


@dataclass(frozen=True, eq=False, repr=False)
class Wrapped:
    """Predictors in the place of a trace; made by `wrap`.

    Attributes:
        predictors: one function for each checkpoint and seed, [checkpoints][seeds].
        dataset: the world.
        task: what they are asked.
        takes: what they are given.
        seeds, steps: of their columns and checkpoints.
        learned_from: the raw evidence; external predictors have no world-model.
    """

    predictors: tuple[tuple[Predict, ...], ...]
    dataset: Dataset
    task: Task
    takes: Takes
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]

    head = "external"
    shareable = False  # between threads; nobody promised it
    objective: str = ""

    @property
    def inputs(self) -> EvidenceInputs:
        """Raw evidence, some of it perhaps unobserved."""
        return EvidenceInputs(self.dataset.net, self.task, self.dataset.world.frames, partial=True)

    @property
    def diverged(self) -> tuple[int | None, ...]:
        """None: who hands in a predictor stands by it."""
        return (None,) * len(self.seeds)

    def given(self, codes: NDArray[np.integer[Any]]) -> Any:
        """What the predictors are given for rows of codes [rows, net variables]."""
        return _given(self.dataset, self.task, self.takes, codes)

    def predictor(self, codes: NDArray[np.integer[Any]]) -> Callable[..., NDArray[np.float64]]:
        """A function (checkpoint, target=None) → ln q of these rows, float64 [seeds, rows, outcomes].

        Probabilities below 1e-9 count as that: a predictor that says never would have an infinite loss. A predictor
        that stands at several checkpoints in a row is asked once.
        """
        from worldnets.distinct import distinct

        rows, which = distinct(_only_evidence(self.dataset, self.task, codes))
        shown = self.given(rows)
        asked: dict[int, NDArray[np.float64]] = {}

        def predict(checkpoint: int, target: str | None = None) -> NDArray[np.float64]:
            functions = {id(function): function for function in self.predictors[checkpoint]}
            for known in set(asked) - set(functions):
                del asked[known]
            for known, function in functions.items():
                if known not in asked:
                    asked[known] = _checked(function(shown), self.dataset, self.task, len(rows))
            log_q = np.stack([asked[id(function)][which] for function in self.predictors[checkpoint]])
            if target is None:
                return log_q
            counts = [outcome_count(self.dataset.net, one) for one in self.task.targets]
            place = self.task.targets.index(self.task.target(target))
            first = sum(counts[:place])
            return log_q[..., first : first + counts[place]]

        return predict

    def information(self, target: str | None = None, sampling: Sampling | None = None) -> Information:
        """What the world offers about a target (the first by default), rung by rung."""
        return self._reference(target, sampling).about

    def pie(self, target: str | None = None, checkpoint: int = -1, sampling: Sampling | None = None) -> Pie:
        """What the predictors have of it at a checkpoint: arrays [seeds, rungs].

        Args:
            target: the first by default.
            checkpoint: position in `steps`.
            sampling: of the reference; that of the depth probe by default.
        """
        known = self._reference(target, sampling)
        return known.measure(self.predictor(known.inputs)(checkpoint, self._named(target)))

    def run(self, progress: Progress | None = None) -> Conclusion:
        """The depth probe's findings and verdicts, at its defaults: `probes.probe("depth").run(self)`."""
        from probes.catalogue.depth import DepthProbe

        return DepthProbe().run(self, progress)  # type: ignore[arg-type]

    def _named(self, target: str | None) -> str:
        return self.task.targets[0].name if target is None else self.task.target(target).name

    def _reference(self, target: str | None, sampling: Sampling | None) -> Any:
        from probes.ladder import Sampling as LadderSampling
        from probes.ladder import references

        name = self._named(target)
        known = references(self.dataset, self.task, sampling or LadderSampling())
        return known.get(self.task.ladders[name], name)

    def __repr__(self) -> str:
        what = f"{len(self.seeds)} seeds, {len({id(row) for row in self.predictors})} checkpoints"
        return f"Wrapped({self.dataset.name}/{self.objective}, {what}, given {self.takes})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))


def wrap(
    predict: Predict | Sequence[Predict] | Sequence[Sequence[Predict]],
    world: Dataset | str,
    objective: str | None = None,
    *,
    takes: Takes = "labels",
    steps: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
) -> Wrapped:
    """Put predictors from elsewhere in the place of a trace, for `probes.probe("depth").run(…)` or `.run()`.

    Args:
        predict: a function from evidence rows to probabilities [rows, outcomes], the outcomes in the order of
            `worldnets.dataset.outcome_labels`; where the task has several targets, to a table of such arrays by target
            name. Several seeds are a list of functions, several checkpoints a list of such lists, first checkpoint
            first. The same function may stand there more than once.
        world: the dataset, or the name of one.
        objective: which of its tasks; the first by default.
        takes: what the function is given: "labels", a pandas DataFrame of state labels, one column per evidence
            variable, in the order of `task.evidence`; "codes", int16 [rows, evidence variables], the position of each
            state; or "features", float32 [rows, features], the encoding that this project's heads are given.
        steps: training step of each checkpoint, rising; 0, 1, 2, … by default.
        seeds: numbers of the seeds; 0, 1, 2, … by default.

    Returns:
        What a probe measures. Predictors without checkpoints stand for heads that never change: they have two equal
        checkpoints, so that the verdict is about what they are (`deep-throughout`, `stagnating`, `untrained`), and a
        single one has no interval over seeds: its pie is what it has.

    Raises:
        ProbeError: no function, lists of unequal length, steps or seeds that do not fit; and already here, for a few
            rows, a function that returns what are no probabilities of these outcomes.
        UnknownNameError: no such dataset or task.

    The function must answer all rows it is given, each by itself. For checks on the first call, rows drawn from the
    world are used; later calls ask for rows that the world holds possible, in which all evidence is observed.
    """
    dataset = load_dataset(world) if isinstance(world, str) else world
    if not isinstance(dataset, Dataset):
        mend = 'give a dataset or the name of one: wrap(predict, "vault")'
        raise ProbeError("no world to wrap for", found=type(world).__name__, expected="a Dataset", mend=mend)
    task = dataset.task(dataset.objectives[0] if objective is None else objective)
    if takes not in TAKES:
        raise ProbeError("unknown takes", found=repr(takes), mend=did_you_mean(takes, TAKES))
    table = _table(predict)
    checkpoints = len(table)
    if checkpoints == 1:
        table = (*table, *table)
        if steps is not None and len(steps) == 1:
            steps = None
    marks = list(range(len(table))) if steps is None else [int(step) for step in steps]
    if len(marks) != len(table) or any(b <= a for a, b in itertools.pairwise(marks)) or marks[0] < 0:
        expected = f"{checkpoints} rising steps ≥ 0, one for each checkpoint"
        raise ProbeError("steps do not fit the checkpoints", found=marks, expected=expected, mend="leave steps out")
    numbers = tuple(range(len(table[0]))) if seeds is None else tuple(int(seed) for seed in seeds)
    if len(numbers) != len(table[0]) or len(set(numbers)) < len(numbers):
        expected = f"{len(table[0])} different numbers"
        raise ProbeError("seeds do not fit the functions", found=numbers, expected=expected, mend="leave seeds out")
    wrapped = Wrapped(table, dataset, task, takes, numbers, np.array(marks, dtype=np.int64), task.objective)
    trial = wrapped.predictor(dataset.simulate_model(3, seed=0))
    for checkpoint in range(len(table)):
        trial(checkpoint)
    return wrapped


def _table(predict: Any) -> tuple[tuple[Predict, ...], ...]:
    mend = "give a function, a list of them (seeds), or a list of such lists (checkpoints)"
    if callable(predict):
        return ((predict,),)
    if isinstance(predict, str | Mapping) or not isinstance(predict, Sequence) or not len(predict):
        raise ProbeError("no function to wrap", found=repr(predict), mend=mend)
    if all(map(callable, predict)):
        return (tuple(predict),)
    rows = []
    for place, row in enumerate(predict):
        if callable(row) or not isinstance(row, Sequence) or not len(row) or not all(map(callable, row)):
            raise ProbeError("neither functions nor lists of functions", row=place, found=repr(row), mend=mend)
        rows.append(tuple(row))
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        found, mend = [len(row) for row in rows], "give every checkpoint one function for each seed"
        raise ProbeError("checkpoints with unequally many seeds", found=found, mend=mend)
    return tuple(rows)


def _only_evidence(dataset: Dataset, task: Task, codes: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
    shown = np.full(codes.shape, -1, dtype=np.int16)
    columns = [dataset.net.index[v] for v in task.evidence]
    shown[:, columns] = np.asarray(codes)[:, columns]
    return shown


def _given(dataset: Dataset, task: Task, takes: Takes, codes: NDArray[np.integer[Any]]) -> Any:
    net = dataset.net
    if takes == "features":
        return EvidenceInputs(net, task, dataset.world.frames, partial=True).features(codes)
    own = np.ascontiguousarray(codes[:, [net.index[v] for v in task.evidence]], dtype=np.int16)
    if takes == "codes":
        return own
    import pandas as pd

    labels = {}
    for v, column in zip(task.evidence, own.T, strict=True):
        names = np.empty(len(net.states[v]) + 1, dtype=object)  # the last is for −1, unobserved
        for place, label in enumerate(net.states[v]):  # one by one: a label may be a tuple
            names[place] = label
        labels[v] = pd.Series(names[column]).infer_objects()
    return pd.DataFrame(labels, columns=list(task.evidence))


def _checked(found: Any, dataset: Dataset, task: Task, rows: int) -> NDArray[np.float64]:
    """ln q [rows, outcomes of all targets] from what a predictor returned."""
    if isinstance(found, Mapping):
        unknown = sorted(set(map(str, found)) ^ {target.name for target in task.targets})
        if unknown:
            names, mend = [target.name for target in task.targets], "return one array for each target, by its name"
            raise ProbeError("answers do not fit the targets", found=sorted(found), expected=names, mend=mend)
        parts = [found[target.name] for target in task.targets]
    elif len(task.targets) > 1:
        mend = "return a table of arrays by target name"
        expected = f"answers to {', '.join(target.name for target in task.targets)}"
        raise ProbeError("one answer for several targets", found=type(found).__name__, expected=expected, mend=mend)
    else:
        parts = [found]
    pairs = zip(task.targets, parts, strict=True)
    return np.concatenate([_checked_part(part, dataset, target, rows) for target, part in pairs], axis=1)


def _checked_part(found: Any, dataset: Dataset, target: Target, rows: int) -> NDArray[np.float64]:
    net = dataset.net
    expected = (rows, outcome_count(net, target))
    labels = outcome_labels(net, target)
    order = f"outcomes in this order: {'; '.join(labels[:6])}{'; …' if len(labels) > 6 else ''}"
    try:
        q = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        mend = "return an array of numbers, such as tensor.detach().cpu().numpy()"
        raise ProbeError("what the predictor returned is no array", node=target.name, found=str(error),
                         mend=mend) from None  # fmt: skip
    if q.shape != expected:
        mend = f"return probabilities [rows, outcomes], {order}"
        raise ProbeError(
            "the predictor returned the wrong shape", node=target.name, found=q.shape, expected=expected, mend=mend
        )
    wrong = ~np.isfinite(q).all(1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        mend = "return numbers for every row it is given"
        raise ProbeError("the predictor returned NaN or infinity", node=target.name, row=row, found=q[row].tolist(),
                         mend=mend)  # fmt: skip
    wrong = (q < 0).any(1) | (np.abs(q.sum(1) - 1) > TOLERANCE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        mend = "return probabilities: a softmax of logits, exp of log-probabilities, predict_proba in place of predict"
        raise ProbeError("a row that is no distribution", node=target.name, row=row, found=q[row].tolist(),
                         expected="numbers ≥ 0 that sum to 1", mend=mend)  # fmt: skip
    with np.errstate(divide="ignore"):
        return floored(np.log(q / q.sum(1, keepdims=True)))
