"""What edits do: changes of the exact posterior, and of a head that is given the edited world-model's beliefs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.sources import Codes, DatasetSource, stream
from probes.transmission.edits import Edit, Sampling, candidates, editable
from worldnets.distinct import distinct
from worldnets.errors import ProbeError
from worldnets.heads.growing import StageInputs
from worldnets.heads.inference import Posterior
from worldnets.heads.inputs import BeliefInputs, Features
from worldnets.net import WorldNet
from worldnets.roles import Target

if TYPE_CHECKING:
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
TRIES = 4  # candidates per edit that is wanted
LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, eq=False)
class Moved:
    """One edit that moves the exact posterior.

    Attributes:
        edit: which.
        features: what a belief-attached head is given under it, [R, width]; None for heads without beliefs.
        change: of the exact posterior, in the sampling's scale, [R, outcomes].
    """

    edit: Edit
    features: Features | None
    change: Floats


@dataclass(frozen=True, eq=False)
class Edits:
    """All edits of one world-model and target, on the same evidence rows. R distinct rows, G groups of clips.

    Attributes:
        codes: the rows, [R, net variables].
        shares: how often each occurs in each group, [G, R].
        depths: for each depth its edits.
        passed_over: candidates that hardly move the posterior.
    """

    codes: Codes
    shares: Floats
    depths: dict[int, tuple[Moved, ...]]
    passed_over: int


def scaled(log_q: Floats, scale: str) -> Floats:
    """What changes are measured in, from ln q [..., outcomes]."""
    if scale == "probability":
        return np.exp(log_q)
    logs = np.maximum(log_q, np.log(LEAST_PROBABILITY))
    return logs - logs.mean(-1, keepdims=True)


def edits_of(trace: Trace, source: DatasetSource, target: Target, sampling: Sampling) -> Edits:
    """Edit the world-model behind a trace's inputs, depth by depth.

    Raises:
        ProbeError: a world-model that lacks the target.
    """
    task, net = trace.task, trace.dataset.net
    view = trace.inputs.at(int(trace.steps[-1]))
    model = net if view.world_model is None else view.world_model
    if any(model.states.get(v) != net.states[v] for v in target.variables):
        mend = "attach the head to a world-model that has the target"
        raise ProbeError("the world-model lacks the target: it has no posterior to move", node=target.name, mend=mend)
    on_beliefs = trace.inputs.name == "beliefs" and not trace.plan.stepping
    given = tuple(view.groups) if on_beliefs else None
    size = -(-sampling.clips // sampling.groups)
    codes, which = distinct(source.simulate(size * sampling.groups, stream(sampling.seed, 33)))
    shares = np.zeros((sampling.groups, len(codes)))
    np.add.at(shares, (np.arange(len(which)) // size, which), 1.0 / size)
    posterior = lambda world: Posterior(world, net, task.evidence, [target])(codes)
    before = posterior(model)
    depths: dict[int, tuple[Moved, ...]] = {}
    passed = 0
    weight = shares.mean(0)
    for depth, nodes in editable(model, target.variables, task.evidence, given).items():
        if len(depths) == sampling.depths:
            break
        kept: list[Moved] = []
        tried = 0
        for edit in candidates(nodes, model, sampling, TRIES * sampling.edits):
            tried += 1
            after = posterior(edit.net)
            effect = np.sqrt(weight @ ((np.exp(after) - np.exp(before)) ** 2).mean(1))
            if effect < sampling.least_effect:
                passed += 1
                # All nodes of the depth have had two turns and none moved anything: it is not worth more of them.
                if not kept and tried >= 2 * len(nodes):
                    break
                continue
            features = beliefs_under(trace, edit.net, codes) if on_beliefs else None
            kept.append(Moved(edit, features, scaled(after, sampling.scale) - scaled(before, sampling.scale)))
            if len(kept) == sampling.edits:
                break
        if len(kept) >= 2:
            depths[depth] = tuple(kept)
    return Edits(codes, shares, depths, passed)


def beliefs_under(trace: Trace, edited: WorldNet, codes: Codes) -> Features:
    """What the head is given when its world-model is the edited one."""
    view = trace.inputs.at(int(trace.steps[-1]))
    if isinstance(view, StageInputs):
        stage = replace(view.stage, world_model=edited)
        return StageInputs(view.net, view.task, stage, view.variables).features(codes)
    return BeliefInputs(view.net, view.task, edited).features(codes)


def answers_under(trace: Trace, target: Target, edited: WorldNet, codes: Codes) -> Floats:
    """ln q of a head that *is* the world-model's posterior, [R, outcomes]: with the stage's evidence and rounds."""
    view = trace.inputs.at(int(trace.steps[-1]))
    evidence: Sequence[str] = trace.task.evidence
    rounds = None
    if isinstance(view, StageInputs):
        evidence, rounds = tuple(v for v in evidence if v in view.evidence), view.stage.rounds
    return Posterior(edited, trace.dataset.net, evidence, [target], rounds)(codes)


@dataclass(frozen=True, eq=False)
class Followed:
    """How a head follows edits. T checkpoints, S seeds, D depths, E edits (padded with NaN), G groups of clips.

    Attributes:
        slopes: ⟨Δp, Δq⟩ / ⟨Δp, Δp⟩ of each edit, [T, S, D, E].
        sizes: ⟨Δq, Δq⟩ / ⟨Δp, Δp⟩ of each edit, [T, S, D, E].
        clip_error: standard error of a depth's mean slope that is due to the clips, [T, S, D].
    """

    slopes: Floats
    sizes: Floats
    clip_error: Floats


def followed(
    edits: Edits, moved: Callable[[int, Moved | None], Floats | None], steps: int, seeds: int, sampling: Sampling
) -> Followed:
    """Regress heads' changes on the posterior's.

    Args:
        edits: what was edited.
        moved: (checkpoint, edit, or None for the world-model as it is) → ln q [S, R, outcomes]; None at checkpoints at
            which the head is not on this world-model.
        steps, seeds: T and S.
        sampling: the scale.
    """
    count = max((len(own) for own in edits.depths.values()), default=0)
    shape = (steps, seeds, len(edits.depths), count)
    slopes, sizes = np.full(shape, np.nan), np.full(shape, np.nan)
    clip_error = np.full(shape[:3], np.nan)
    groups = len(edits.shares)
    for t in range(steps):
        plain = moved(t, None)
        if plain is None:
            continue
        before = scaled(plain, sampling.scale)
        for d, own in enumerate(edits.depths.values()):
            influence: Any = 0.0
            for e, one in enumerate(own):
                after = moved(t, one)
                assert after is not None
                change = scaled(after, sampling.scale) - before  # [S, R, Y]
                with np.errstate(invalid="ignore"):
                    along = np.einsum("gr,sry,ry->sg", edits.shares, change, one.change, optimize=True)
                    size = np.einsum("gr,sry->sg", edits.shares, change**2, optimize=True)
                whole = edits.shares @ (one.change**2).sum(1)  # [G]
                scale = whole.mean()
                slopes[t, :, d, e], sizes[t, :, d, e] = along.mean(1) / scale, size.mean(1) / scale
                influence = influence + (along - slopes[t, :, d, e, None] * whole) / scale / len(own)
            clip_error[t, :, d] = influence.std(-1, ddof=1) / np.sqrt(groups)
    return Followed(slopes, sizes, clip_error)
