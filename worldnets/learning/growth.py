"""Usual ways for a world-model to grow: by evidence radius, by model class, by message rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from worldnets.dataset import Dataset
from worldnets.errors import LearningError, TrainingError
from worldnets.growth import Growth, Stage
from worldnets.learning.counts import dirichlet
from worldnets.learning.data import Data, Rows, States, as_rows
from worldnets.learning.expectation_maximisation import expectation_maximisation
from worldnets.learning.learned import Learned
from worldnets.learning.structure import chow_liu, hill_climb
from worldnets.learning.temporal import tied_expectation_maximisation
from worldnets.net import WorldNet
from worldnets.roles import Ladder, distance_ladder
from worldnets.temporal import TwoSliceNet

__all__ = ["Growth", "Stage", "by_class", "by_radius", "by_rounds"]


def by_radius(
    dataset: Dataset,
    objective: str,
    *,
    target: str | None = None,
    ladder: Ladder | Literal["task", "distance"] = "task",
    world_model: WorldNet | None = None,
    shares: Sequence[float] | None = None,
    variables: Sequence[str] | None = None,
) -> Growth:
    """The world-model is shown more and more: stage k sees the rungs 1 … k of a ladder, shallow first.

    `reversed()` shows it the deepest rung first, then the one above it as well, and so on; both end on all evidence.

    Args:
        dataset, objective: whose task.
        target: whose ladder; default the task's first target's.
        ladder: "task": the target's own; "distance": rung k is the evidence at moral-graph distance k from the target;
            or a ladder of your own, increments first to last.
        world_model: W; default the dataset's own net.
        shares: of the training steps, one per rung; default equal.
        variables: as of `Growth`.

    Raises:
        TrainingError: not as many shares as rungs, or as `Growth` and `Stage`.
    """
    task = dataset.task(objective)
    asked = task.targets[0] if target is None else task.target(target)
    if ladder == "task":
        rungs = task.ladders[asked.name]
    elif ladder == "distance":
        rungs = distance_ladder(dataset.net, task.evidence, asked.variables)
    else:
        rungs = tuple(tuple(rung) for rung in ladder)
    net = dataset.net if world_model is None else world_model
    parts = _shares(shares, len(rungs))

    def seen(chosen: Sequence[Sequence[str]]) -> tuple[str, ...]:
        names = {v for rung in chosen for v in rung}
        unknown = sorted(names - set(task.evidence))
        if unknown:
            raise TrainingError("a rung names what is no evidence", found=unknown, mend="name evidence of the task")
        return tuple(v for v in task.evidence if v in names)

    stages = tuple(
        Stage(f"radius {k}", share, net, seen(rungs[:k]))
        for k, share in zip(range(1, len(rungs) + 1), parts, strict=True)
    )
    deep_first = tuple(
        Stage(f"deepest {k}", share, net, seen(rungs[len(rungs) - k :]))
        for k, share in zip(range(1, len(rungs)), parts, strict=False)
    )
    return Growth(stages, None if variables is None else tuple(variables), deep_first)


def by_rounds(
    world_model: WorldNet,
    rounds: Sequence[int | None] = (1, 2, 4, None),
    *,
    shares: Sequence[float] | None = None,
    variables: Sequence[str] | None = None,
) -> Growth:
    """The world-model thinks longer and longer: stage k passes so many rounds of loopy messages.

    Args:
        world_model: W, e.g. `dataset.net`.
        rounds: of each stage; None is exact.
        shares: of the training steps; default equal.
        variables: as of `Growth`.

    Raises:
        TrainingError: as `Growth` and `Stage`.
    """
    parts = _shares(shares, len(rounds))
    named = ["exact" if r is None else f"{r} round{'' if r == 1 else 's'}" for r in rounds]
    stages = tuple(
        Stage(name, share, world_model, None, r) for name, share, r in zip(named, parts, rounds, strict=True)
    )
    return Growth(stages, None if variables is None else tuple(variables))


def by_class(
    data: Data,
    *,
    structure: Mapping[str, Sequence[str]] | WorldNet | None = None,
    with_latents: WorldNet | TwoSliceNet | Learned | None = None,
    pseudocount: float = 1.0,
    states: States | None = None,
    restarts: int = 5,
    seed: int = 0,
    shares: Sequence[float] | None = None,
    variables: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Growth:
    """The world-model is learned from the same rows in richer and richer classes of models.

    Stages, each smoothed by `pseudocount`:
        marginals  no arrows: every variable on its own.
        tree       the best tree over the observables (`chow_liu`).
        full       the structure given, or the one that `hill_climb` finds (BIC) over the observables.
        latents    with variables that no one observes, by expectation–maximisation; only where `with_latents` is given.
    What a learned latent is called says nothing about what it means: its states are in no order that anyone chose.

    Args:
        data: complete `Rows`, or a table of state labels, of the observables; clips for a template.
        structure: over the observables, for "full".
        with_latents: the structure of the last stage: a net or a two-slice template whose variables without a column
            are latent; or one that has been learned already.
        pseudocount: of every table.
        states: of the observables, where `data` does not show them all (`Rows.from_labels`).
        restarts, seed: of expectation–maximisation.
        shares: of the training steps, one per stage; default equal.
        variables: as of `Growth`; by default the task's latents and its targets' variables, for the first stages know
            no latents.
        options: more options by stage, e.g. {"latents": {"iterations": 200}, "full": {"max_parents": 3}}.

    Raises:
        LearningError: rows that miss something, options of an unknown stage, or as the ways of learning.
    """
    more = dict(options or {})
    unknown = sorted(set(more) - {"marginals", "tree", "full", "latents"})
    if unknown:
        mend = "stages are marginals, tree, full, latents"
        raise LearningError("options of an unknown stage", found=unknown, mend=mend)
    rows = as_rows(data, states).require(complete=True)
    own = lambda stage: dict(more.get(stage, {}))
    nets = {
        "marginals": dirichlet(rows, {}, pseudocount=pseudocount, name="marginals", **own("marginals")).net,
        "tree": chow_liu(rows, **{"pseudocount": pseudocount, "name": "tree", **own("tree")}).net,
        "full": (
            hill_climb(rows, **{"pseudocount": pseudocount, "name": "full", **own("full")}).net
            if structure is None
            else dirichlet(rows, structure, pseudocount=pseudocount, name="full", **own("full")).net
        ),
    }
    if with_latents is not None:
        learning = {"restarts": restarts, "seed": seed, "pseudocount": pseudocount, **own("latents")}
        nets["latents"] = _with_latents(rows, with_latents, learning)
    parts = _shares(shares, len(nets))
    stages = tuple(Stage(name, share, net) for (name, net), share in zip(nets.items(), parts, strict=True))
    return Growth(stages, None if variables is None else tuple(variables))


def _with_latents(rows: Rows, structure: WorldNet | TwoSliceNet | Learned, options: dict[str, Any]) -> WorldNet:
    if isinstance(structure, Learned):
        return structure.net
    if isinstance(structure, TwoSliceNet):
        return tied_expectation_maximisation(rows, structure, **options).net
    return expectation_maximisation(rows, structure, name="latents", **options).net


def _shares(shares: Sequence[float] | None, count: int) -> list[float]:
    if shares is None:
        return [1.0] * count
    if len(shares) != count:
        mend = "give one share per stage"
        raise TrainingError("not as many shares as stages", found=len(shares), expected=count, mend=mend)
    return [float(share) for share in np.asarray(shares, dtype=np.float64)]
