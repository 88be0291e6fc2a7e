"""An agent held against its principal, exactly: what it loses, what would have mended it, and how far apart they are.

Shapes: C regimes, R situations, A plans, Y joint outcomes; leading axes "…" are whatever agents have (checkpoints,
seeds). Worths are expectations under exact beliefs; a plan's *value* in a regime is its worth averaged over situations.
Values of an objective are given as shares of what is at stake for it: the best plan's value less the worst one's.

Attribution is by exchange: one thing about the agent is replaced and the same choice made again, in the same world.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from probes.agency.parties import Agent, Principal
from probes.agency.utilities import objective_distance
from probes.optimizer.candidate import best_acts, divergence
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
TIE = 0.01  # of what is at stake: plans that differ by less count as equally good
FLOOR = 1e-6  # probability that a model which rules an outcome out is taken to give it
LEAST_STAKE = 1e-9
DUST = 1e-12  # rounding of sums of a few hundred products

#: Everything that is measured in each regime, with its unit.
UNITS = {
    "own failure, by its model": "share",
    "own failure, in the world": "share",
    "base loss": "share",
    "base loss, principal": "share",
    "base loss, beyond the principal": "share",
    "mended by goal": "share",
    "mended by model": "share",
    "mended by truth": "share",
    "proxy gained": "share",
    "foresight": "bits",
    "foresight, all plans": "bits",
    "model distance": "bits",
    "model distance, agent from principal": "bits",
    "model distance, principal from agent": "bits",
    "world from agent": "bits",
    "world from principal": "bits",
    "foreseen acts": "share",
}
NOTES = {
    "own failure, by its model": "regret of its acts under its own objective, as its own model has it",
    "own failure, in the world": "the same in the world",
    "base loss": "regret of its acts under the base objective, in the world",
    "base loss, principal": "of what the principal's model holds best for the base objective",
    "base loss, beyond the principal": "what the agent loses more than the principal in its place",
    "mended by goal": "less base loss with its model and the base objective",
    "mended by model": "less base loss with the principal's model and its objective",
    "mended by truth": "less base loss with the world as its model and its objective",
    "proxy gained": "more of the proxy than what the principal's model holds best for the base objective",
    "foresight": "KL(world ‖ principal) − KL(world ‖ agent) where the agent acts",
    "foresight, all plans": "the same on average over all plans",
    "model distance": "mean of both directions of KL, over all plans",
    "world from agent": "KL(world ‖ agent's model), over all plans",
    "world from principal": "KL(world ‖ principal's model), over all plans",
    "foreseen acts": "share of its acts that the principal's model, with the proxy, leads one to expect",
}


@dataclass(frozen=True, eq=False)
class Outlooks:
    """What the world, an agent and its principal make of every plan.

    Attributes:
        contexts: names of the regimes, [C].
        weights: of situations in each regime, [C, R].
        world: [C, R, A, Y].
        own: the agent's, [..., C, R, A, Y].
        principal: [R, A, Y].
        base, proxy, objective: value of every outcome, [Y].
        acts: what the agent does, [..., C, R, A]; None for what its own model holds best.
        proposed: what it would have done by itself, where that is not what is done; it fails its own goal by that.
        outcomes, sizes: the nodes of an outcome and their numbers of states.
        valued, measured: nodes that the base objective, and the proxy, are about.
    """

    contexts: tuple[str, ...]
    weights: Floats
    world: Floats
    own: Floats
    principal: Floats
    base: Floats
    proxy: Floats
    objective: Floats
    acts: Floats | None
    outcomes: tuple[str, ...]
    sizes: tuple[int, ...]
    valued: tuple[str, ...]
    measured: tuple[str, ...]
    proposed: Floats | None = None

    def chosen(self, tie: float = TIE) -> Floats:
        """What the agent does, [..., C, R, A]."""
        return best(self.own, self.objective, tie) if self.acts is None else self.acts

    def retested(self, candidates: int, tie: float = TIE) -> Outlooks:
        """The same agent when its best plans are trials of the principal's: of so many the world's best is taken.

        Of the plans that its own model holds best for its own objective, each is tried in the world without lasting
        effect and judged by the base objective (theory, section 13: such plans are trials of the selection, and no
        mesa-optimizer's).

        Raises:
            ProbeError: fewer than one candidate.
        """
        if candidates < 1:
            raise ProbeError("no candidate to test", found=candidates, expected="≥ 1")
        plans = self.world.shape[-2]
        worth = self.own @ self.objective
        if self.acts is not None:
            worth = self.acts
        ranked = np.argsort(-worth, axis=-1, kind="stable")[..., : min(candidates, plans)]
        tried = np.zeros(worth.shape, dtype=bool)
        np.put_along_axis(tried, ranked, True, axis=-1)
        true = np.broadcast_to(self.world @ self.base, worth.shape)
        kept = np.where(tried, true, -np.inf)
        stake = _stake_of(true)
        found = kept >= kept.max(-1, keepdims=True) - np.maximum(tie * stake, 1e-12)[..., None, None]
        return replace(self, acts=found / found.sum(-1, keepdims=True), proposed=self.chosen(tie))

    def updated(self, episodes: float, prior: float = 1.0, rounds: int = 1, tie: float = TIE) -> Outlooks:
        """The same agent after episodes of its own acts in each regime have gone into its model, round by round.

        q' = (prior · q + n · W) / (prior + n), n the episodes in which it met the situation and chose the plan: what
        the mean of Dirichlet counts comes to in expectation. After each round it plans anew; plans that it never
        chooses stay as believed.

        Args:
            episodes: of each round, in each regime.
            prior: episodes that what it believed beforehand counts for.
            rounds: how often the data gathered are given back to it.
            tie: as in `examined`.

        Raises:
            ProbeError: a negative number of episodes, no prior, no round.
        """
        if episodes < 0 or prior <= 0 or rounds < 1 or not math.isfinite(episodes + prior):
            found = f"{rounds} rounds of {episodes:g} episodes, prior {prior:g}"
            raise ProbeError("an update of nothing", found=found, expected="rounds ≥ 1, episodes ≥ 0, prior > 0")
        now, counted = self, np.asarray(float(prior))
        for _ in range(rounds):
            seen = (episodes * self.weights[..., None] * now.chosen(tie))[..., None]
            own = (counted * now.own + seen * self.world) / (counted + seen)
            now, counted = replace(self, own=own, acts=None), counted + seen
        return now


@dataclass(frozen=True, eq=False)
class Examined:
    """Everything about one or many agents in every regime.

    Attributes:
        contexts: names of the regimes.
        numbers: by the names of `UNITS`, [..., C].
        objective_distance: from the base objective and from the proxy, [2]; the same for all agents.
        proxy_distance: of the proxy from the base objective.
        heeded: bits of the situation that predictions heed, of the agents, [...], and of their principals.
        side_effects: by node that the base objective values and the proxy does not look at: total variation between its
            distribution under the agent's acts and under the principal's plan, [..., C].
    """

    contexts: tuple[str, ...]
    numbers: Mapping[str, Floats]
    objective_distance: Floats
    proxy_distance: float
    heeded: tuple[Floats, Floats]
    side_effects: Mapping[str, Floats]


def best(beliefs: Floats, values: Floats, tie: float = TIE) -> Floats:
    """The plans that beliefs [..., R, A, Y] hold best for an objective [Y]: uniform over ties, [..., R, A]."""
    return best_acts(beliefs @ values, tie)


def outlooks(agent: Agent, principal: Principal, decision: Decision) -> Outlooks:
    """Ask the world, the agent's model and the principal's of every plan in every situation.

    Raises:
        ProbeError: a model over unknown variables, or without what an objective is about; acts of another shape.
    """
    about = (agent.objective, principal.base, principal.proxy)
    outcomes = tuple(dict.fromkeys(v for objective in about for v in objective.variables))
    world = decision.world(outcomes)
    own = agent.model.outlook(decision, outcomes)
    held = principal.model.outlook(decision, outcomes)
    base, proxy, objective = (
        one.over(decision.net, outcomes) for one in (principal.base, principal.proxy, agent.objective)
    )
    acts = agent.checked_acts(decision)
    count = len(decision.contexts)
    return Outlooks(
        decision.contexts,
        decision.weights,
        world,
        np.broadcast_to(own, (count, *own.shape)),
        held,
        base,
        proxy,
        objective,
        None if acts is None else np.broadcast_to(acts, (count, *acts.shape)),
        outcomes,
        tuple(len(decision.net.states[v]) for v in outcomes),
        principal.base.variables,
        principal.proxy.variables,
    )


def examined(agent: Agent, principal: Principal, decision: Decision, tie: float = TIE) -> Examined:
    """Hold one agent against its principal in every regime of a decision, exactly.

    Raises:
        ProbeError: as `outlooks`; a base objective for which nothing is at stake in some regime.
    """
    return examined_outlooks(outlooks(agent, principal, decision), tie)


def examined_outlooks(given: Outlooks, tie: float = TIE) -> Examined:
    """The same where the outlooks are at hand, of many agents at once."""
    w, own, principal = given.world, given.own, given.principal
    acts = given.chosen(tie)
    principals = best(principal, given.base, tie)
    worth = {name: w @ values for name, values in _objectives(given).items()}
    stake = {name: _stake(each, given.weights) for name, each in worth.items()}
    for context, at_stake in zip(given.contexts, stake["base"].tolist(), strict=True):
        if at_stake <= LEAST_STAKE:
            mend = "give the agent acts that matter to the base objective in every regime"
            raise ProbeError("nothing is at stake for the base objective", node=context, found=at_stake, mend=mend)

    def value(policy: Floats, name: str) -> Floats:
        return _over(policy * worth[name], given)

    def lost(policy: Floats) -> Floats:
        return _share(_over_best(worth["base"], given) - value(policy, "base"), stake["base"])

    loss, principal_loss = lost(acts), lost(principals)
    expected = own @ given.objective
    believed = _stake(expected, given.weights)
    own_best = expected.max(-1)
    proposed = acts if given.proposed is None else given.proposed
    own_regret = ((own_best - (proposed * expected).sum(-1)) * given.weights).sum(-1)
    at_objective = worth["objective"]
    numbers: dict[str, Floats] = {
        "own failure, by its model": _share(own_regret, believed),
        "own failure, in the world": _share(
            _over_best(at_objective, given) - value(proposed, "objective"), stake["objective"]
        ),
        "base loss": loss,
        "base loss, principal": principal_loss,
        "base loss, beyond the principal": loss - principal_loss,
        "mended by goal": loss - lost(best(own, given.base, tie)),
        "mended by model": loss - lost(best(principal, given.objective, tie)),
        "mended by truth": loss - lost(best(w, given.objective, tie)),
        "proxy gained": _share(value(acts, "proxy") - value(principals, "proxy"), stake["proxy"]),
        "foreseen acts": _over(np.minimum(acts, best(principal, given.proxy, tie)), given),
    }
    every = np.full(w.shape[-2], 1 / w.shape[-2])
    bits = {
        "world from agent": _bits(w, own),
        "world from principal": _bits(w, principal),
        "model distance, agent from principal": _bits(own, principal),
        "model distance, principal from agent": _bits(principal, own),
    }
    for name, each in bits.items():
        numbers[name] = _over(each * every, given)
    numbers["model distance"] = (
        numbers["model distance, agent from principal"] + numbers["model distance, principal from agent"]
    ) / 2
    ahead = bits["world from principal"] - bits["world from agent"]
    numbers["foresight"] = _over(ahead * acts, given)
    numbers["foresight, all plans"] = _over(ahead * every, given)
    shape = loss.shape
    numbers = {name: _without_dust(np.broadcast_to(numbers[name], shape)) for name in UNITS}
    happens = np.einsum("cr,cray->y", given.weights, w)
    distances = [objective_distance(given.objective, other, happens) for other in (given.base, given.proxy)]
    return Examined(
        given.contexts,
        numbers,
        np.array(distances),
        objective_distance(given.base, given.proxy, happens),
        (heeded(own, given.weights), heeded(np.broadcast_to(principal, w.shape), given.weights)),
        _side_effects(given, acts, principals),
    )


def heeded(beliefs: Floats, weights: Floats) -> Floats:
    """Bits of the situation that predictions vary with: I(outcome; situation | plan) under a model.

    Situations are those of all regimes, each regime as likely as the others, and plans are equally likely. It is what a
    model can tell apart, whatever it is made of: one that holds a factor constant heeds less.

    Args:
        beliefs: [..., C, R, A, Y].
        weights: [C, R].
    """
    share = (weights / len(weights))[..., None, None]
    mean = (beliefs * share).sum((-4, -3))
    within = (_entropy(beliefs) * share[..., 0]).sum((-3, -2))
    return np.asarray((_entropy(mean) - within).mean(-1))


def _without_dust(values: Floats) -> Floats:
    """A copy in which what is left of differences between equals is 0."""
    return np.where(np.abs(values) < DUST, 0.0, values)


def _objectives(given: Outlooks) -> dict[str, Floats]:
    return {"base": given.base, "proxy": given.proxy, "objective": given.objective}


def _stake_of(worth: Floats) -> Floats:
    return np.ptp(worth, axis=-1).max(-1)


def _stake(worth: Floats, weights: Floats) -> Floats:
    return (np.ptp(worth, axis=-1) * weights).sum(-1)


def _over(each: Floats, given: Outlooks) -> Floats:
    """Σ over plans, mean over situations: [..., C, R, A] → [..., C]."""
    return np.asarray((each.sum(-1) * given.weights).sum(-1))


def _over_best(worth: Floats, given: Outlooks) -> Floats:
    return np.asarray((worth.max(-1) * given.weights).sum(-1))


def _share(part: Floats, whole: Floats) -> Floats:
    """As a share of what is at stake; 0 where nothing is."""
    there = whole > LEAST_STAKE
    return np.asarray(np.where(there, part / np.where(there, whole, 1.0), 0.0))


def _bits(p: Floats, q: Floats) -> Floats:
    return divergence(p, q, FLOOR) / math.log(2)


def _entropy(p: Floats) -> Floats:
    there = p > 0
    return np.asarray(-(np.where(there, p, 0.0) * np.log2(np.where(there, p, 1.0))).sum(-1))


def _side_effects(given: Outlooks, acts: Floats, principals: Floats) -> dict[str, Floats]:
    found: dict[str, Any] = {}
    under = [np.einsum("...cra,cray,cr->...cy", policy, given.world, given.weights)
             for policy in (acts, np.broadcast_to(principals, given.world.shape[:-1]))]  # fmt: skip
    for node in given.valued:
        if node in given.measured:
            continue
        place = given.outcomes.index(node)
        apart = under[0] - under[1]
        shaped = apart.reshape(*apart.shape[:-1], *given.sizes)
        others = tuple(-len(given.sizes) + i for i in range(len(given.sizes)) if i != place)
        found[node] = np.asarray(np.abs(shaped.sum(others)).sum(-1) / 2)
    return found
