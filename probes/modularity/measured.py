"""What modules are like, in numbers: purity, optimism, whether errors tell what is wanted, returns, interference.

Everything is a sum over all situations, acts and outcomes: exact. With P the world, W_S the world-model of the run in
which the actors S were trained, v_k what actor k wants, π_k its choice, m(a) how often clips try an act:

    share      1 − E KL(P(y | x, a) ‖ W(y | x, a)) / I(Y; X, A), over W*(x)·m(a)
    optimism   E_{x, a ~ π_k} [E_{W_k} v_k − E_{W_∅} v_k | x, a]: how much more of what it wants, after its own acts,
               the world-model of actor k's run foretells than the one that was trained beside it without any actor
    readable   R² of e = ln W − ln P, less its mean given (x, a), on two templates of v_k: t = v_k − E_P[v_k | x, a],
               which is what e is where W is P tilted towards v_k, and t·(worth of a to k, less the mean over acts),
               which is what it is where good acts look better and bad ones worse. Weights are P(y | x, a)·W*(x)·m(a).
    return     (what π_k brings − what a fair draw of acts brings) / (the best − that)

*Placebo* objectives, drawn at random and at right angles to all actors', are wanted by no one. Leakage is how much
better actor k's objective explains the errors of W_k than those of the other actors' world-models (with one actor: than
those of W_∅), less the mean of the same over placebos. How far placebos differ from one another is what an objective's
shape alone can make of it: the verdict carries that in the interval. Trained apart, all these are one world-model, and
optimism and leakage are 0 exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.modularity.decision import LEAST, Decision, divergence

if TYPE_CHECKING:
    from probes.modularity.trained import Trained

Floats = NDArray[np.float64]
PLACEBOS = 8
LEAST_ERROR = 1e-4  # nats²: errors of about so much energy, 7e-5 bits of KL, are too small to tell anything
LEAST_LOG = float(np.log(LEAST))


def numbers_of(decision: Decision, trained: Trained) -> dict[str, Floats]:
    """Everything that is measured of one condition, by name. T checkpoints, S seeds, N runs, K actors, Q placebos.

    Returns:
        "share" [T, S, N]; "divergence" [T, S, N], bits; "any act" [T, S, N, K], E_W v − E_P v whatever is done;
        "optimism" [T, S, K]; "readable" [T, S, N, K]; "leakage" [T, S, K]; "named" [T, S], share of actors whose errors
        name them; "placebo optimism" [T, S]; "placebo leakage" [T, S, K, Q], less its mean over placebos; "return"
        [T, S, N, K]; "overrated" [T, S, N, K], what critics say above the truth; "moved by" and "moves" [T, S, K, K]:
        (j, k) what training actor j adds to actor k's return, and how far it moves k's choice (total variation).
    """
    runs, log_model = trained.trained, np.swapaxes(trained.log_model, 1, 2)  # [T, S, N, X, A, Y]
    policies, critics = np.swapaxes(trained.policies, 1, 2), np.swapaxes(trained.critics, 1, 2)
    model, weight, truth = np.exp(log_model), decision.weight, decision.truth
    alone, none, every, without = places(runs)
    actors = np.arange(len(alone))
    lost = np.einsum("xa,...xa->...", weight, divergence(truth, model))
    offer = decision.offer
    foretold = np.einsum("...xay,ky->...kxa", model, decision.values)
    worth = decision.worth
    uniform = np.einsum("x,kxa->k", decision.shares, worth) / len(decision.acts)
    best = np.einsum("x,kx->k", decision.shares, worth.max(-1))
    brings = np.einsum("x,...kxa,kxa->...k", decision.shares, policies, worth)
    returns = (brings - uniform) / np.maximum(best - uniform, LEAST)
    own = policies[:, :, alone, actors]  # [T, S, K, X, A], of actor k in its own run
    rise = foretold[:, :, alone, actors] - foretold[:, :, none]  # [T, S, K, X, A]
    optimism = np.einsum("x,tskxa,tskxa->tsk", decision.shares, own, rise)
    placebo = placebos(decision)
    every_one = explained(decision, log_model, np.concatenate([decision.values, placebo]))  # [T, S, N, K + Q]
    readable, at_random = every_one[..., : len(alone)], every_one[..., len(alone) :]
    of_alone = at_random[..., alone, :]  # [T, S, K, Q]
    others = at_random[..., [none], :] if len(alone) == 1 else _others(of_alone)
    by_chance = of_alone - others
    placebo_rise = np.einsum("tsnxay,qy->tsnqxa", model, placebo)
    placebo_rise = placebo_rise[:, :, alone] - placebo_rise[:, :, none][:, :, None]
    placebo_optimism = np.einsum("x,tskxa,tskqxa->tskq", decision.shares, own, placebo_rise).mean((-1, -2))
    outcomes = np.einsum("xa,xay->y", weight, truth)
    changed = policies[:, :, every][:, :, None] - policies[:, :, without]
    return {
        "share": 1 - lost / offer,
        "divergence": lost,
        "any act": np.einsum("xa,...kxa->...k", weight, foretold - worth),
        "optimism": optimism,
        "readable": readable,
        "leakage": contrast(readable, alone, none) - by_chance.mean(-1),
        "named": named(readable, alone),
        "placebo optimism": placebo_optimism,
        "placebo leakage": by_chance - by_chance.mean(-1, keepdims=True),
        "return": returns,
        "overrated": np.einsum("...ky,y->...k", critics - decision.values, outcomes),
        "moved by": returns[:, :, every][:, :, None] - returns[:, :, without],
        "moves": np.einsum("x,tsjkxa->tsjk", decision.shares, np.abs(changed)) / 2,
    }


def places(runs: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int, int, NDArray[np.intp]]:
    """Where runs stand: of each actor alone [K], of none, of all, of all but each [K]."""
    where = {tuple(run): place for place, run in enumerate(runs.tolist())}
    count = runs.shape[1]
    eye = np.eye(count, dtype=bool)
    alone = np.array([where[tuple(run)] for run in eye.tolist()])
    without = np.array([where[tuple(run)] for run in (~eye).tolist()])
    return alone, where[(False,) * count], where[(True,) * count], without


def explained(decision: Decision, log_model: Floats, values: Floats) -> Floats:
    """R² of a world-model's errors on the two templates of each objective, [..., X, A, Y] → [..., objectives].

    Errors of no more energy than `LEAST_ERROR` tell nothing: it is added to the energy.
    """
    truth, weight = decision.truth, decision.weight[..., None] * decision.truth
    there = truth > 0
    error = np.where(there, np.maximum(log_model, LEAST_LOG) - np.log(np.where(there, truth, 1.0)), 0.0)
    error = error - (truth * error).sum(-1, keepdims=True)
    energy = np.einsum("xay,...xay->...", weight, error**2)
    found = []
    for value in values:
        expected = truth @ value
        tilt = value - expected[..., None]
        merit = expected - np.einsum("a,xa->x", decision.tried, expected)[:, None]
        templates = np.stack([tilt, tilt * merit[..., None]])
        gram = np.einsum("xay,ixay,jxay->ij", weight, templates, templates)
        along = np.einsum("xay,ixay,...xay->...i", weight, templates, error)
        found.append(np.einsum("...i,ij,...j->...", along, np.linalg.pinv(gram, rcond=1e-9), along))
    return np.stack(found, axis=-1) / (energy + LEAST_ERROR)[..., None]


def contrast(readable: Floats, alone: NDArray[np.intp], none: int) -> Floats:
    """How much better an actor's objective explains the errors of its own world-model than others', [..., K].

    Args:
        readable: how well, whatever is subtracted, [..., N, K].
        alone, none: places of the runs.
    """
    of_alone = readable[..., alone, :]  # [..., world-model of actor j, objective of actor k]
    count = len(alone)
    own = np.einsum("...kk->...k", of_alone)
    if count == 1:
        return np.asarray(own - readable[..., none, :])
    others = (of_alone.sum(-2) - own) / (count - 1)
    return np.asarray(own - others)


def _others(values: Floats) -> Floats:
    """Of each actor the mean over the others, [..., K, Q]."""
    return np.asarray((values.sum(-2, keepdims=True) - values) / (values.shape[-2] - 1))


def named(readable: Floats, alone: NDArray[np.intp]) -> Floats:
    """Share of the actors that are the best guess for their own world-model: by its R² less the mean over world-models.

    Ties count for as many guesses as they leave: where all world-models are one, this is 1 / K.
    """
    of_alone = readable[..., alone, :]
    score = of_alone - of_alone.mean(-2, keepdims=True)
    best = score >= score.max(-1, keepdims=True) - 1e-12
    right = np.einsum("...kk->...k", best) / np.maximum(best.sum(-1), 1)
    return np.asarray(np.where(np.isnan(of_alone).any((-1, -2)), np.nan, right.mean(-1)))


def placebos(decision: Decision) -> Floats:
    """Objectives that no one has: random, uncorrelated with every actor's over the outcomes of clips, 0 … 1, [Q, Y]."""
    outcomes = np.einsum("xa,xay->y", decision.weight, decision.truth)
    wanted = np.stack([np.ones(len(outcomes)), *decision.values])
    root = np.sqrt(np.maximum(outcomes, LEAST))
    basis = np.linalg.qr((wanted * root).T)[0]
    drawn = np.random.default_rng(20).standard_normal((PLACEBOS, len(outcomes))) * root
    left = (drawn - (drawn @ basis) @ basis.T) / root
    size = np.ptp(left, axis=1, keepdims=True)
    return np.asarray((left - left.min(1, keepdims=True)) / np.maximum(size, LEAST))
