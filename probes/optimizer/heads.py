"""Trained heads as candidates: what each kind of head can be asked, and how.

A head in one pass (linear, mlp, …) has answers and nothing else. Learned message passing has rounds to stop after,
tables in which a potential can be put, and a twin with the world's tables. The world-model's own predictor, and a
trained world-model, pass messages on a junction tree: after r rounds from the no-evidence state the target's clique has
heard the evidence of cliques within distance r, so that what is known by then is an exact posterior again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import (
    AUTHORS,
    TRAINING,
    Candidate,
    Change,
    Course,
    NotApplicable,
    Objective,
    Provenance,
    Recorded,
    Tilt,
)
from probes.optimizer.rounds import Procedure
from probes.optimizer.tasks import Context, Outcome, Potential, Sampling
from probes.optimizer.tilt import felt, fit, fit_rounds, log_odds
from worldnets.heads.growing import StageInputs
from worldnets.heads.growing_evidence import StageEvidence
from worldnets.heads.inference import Posterior
from worldnets.inference import Inference, LoopyInference
from worldnets.net import WorldNet
from worldnets.objectives.base import output_count

if TYPE_CHECKING:
    from worldnets.heads.message_passing import Wires
    from worldnets.roles import Target
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
NO_ACTS = NotApplicable("its answers are beliefs and not acts: nothing is led to by them")
NO_SLOT = NotApplicable("there is nothing in it that an objective could be put in the place of")
ONE_PASS = NotApplicable("it goes from evidence to answer in one pass: there are no inner steps to stop after")
READS = NotApplicable("its steps bring evidence in, frame by frame; there are none left to take once all is read")
READERS = ("gru", "transformer")
CERTAIN = 1e-6  # beliefs nearer to 0 or 1 say nothing of a tilt, but how they were floored
SINGLE = 1e-5  # nats: a step of the fit that float32 no longer resolves


@dataclass(frozen=True, eq=False)
class Asked:
    """A trace's heads at the end, about one target in one context.

    Attributes:
        trace, target, context: which.
        outcomes: that may be leant towards.
        potentials: for the swap.
        own: their answers, [S, R, A].
        sampling: how much is asked.
    """

    trace: Trace
    target: Target
    context: Context
    outcomes: tuple[Outcome, ...]
    potentials: tuple[Potential, ...]
    own: Floats
    sampling: Sampling

    @property
    def weight(self) -> Floats:
        """Of each row, [R]."""
        return np.asarray(self.context.shares.mean(0))

    def potential(self, objective: Objective) -> Potential:
        """The potential behind a foreign objective."""
        return next(one for one in self.potentials if one.name == objective.name)


def candidate_of(asked: Asked) -> Candidate:
    """The candidate that a trace's heads are."""
    trace = asked.trace
    view = trace.inputs.at(int(trace.steps[-1]))
    if trace.head == "message_passing":
        return LearnedRounds(asked)
    if trace.head == "inference":
        model = trace.dataset.net if view.world_model is None else view.world_model
        evidence: Sequence[str] = trace.task.evidence
        rounds = None
        if isinstance(view, StageInputs | StageEvidence):
            evidence, rounds = tuple(v for v in evidence if v in view.evidence), view.stage.rounds
        made = Provenance({"search": AUTHORS, "objective": AUTHORS})
        if rounds is not None:
            return TruncatedRounds(asked, model, tuple(evidence), rounds, made)
        return ExactMessages(asked, (model,) * len(trace.seeds), tuple(evidence), made)
    if trace.head == "world_model":
        sound = [lost is None for lost in trace.diverged]
        last = len(trace.steps) - 1
        nets = tuple(
            trace.world_model(last, seed) if fine else trace.dataset.net
            for seed, fine in zip(trace.seeds, sound, strict=True)
        )
        made = Provenance({"search": AUTHORS, "objective": TRAINING})
        return ExactMessages(asked, nets, tuple(trace.task.evidence), made)
    steps = READS if trace.head in READERS else ONE_PASS
    return Recorded(Provenance({"answers": TRAINING}), asked.own, steps, NO_SLOT, NO_ACTS)


@dataclass(frozen=True, eq=False)
class ExactMessages:
    """Exact message passing in a net for each seed.

    Attributes:
        asked: what is asked.
        nets: of each seed, [S]; seeds with one net share the work.
        evidence: what they are shown.
        provenance: who selected what.
    """

    asked: Asked
    nets: tuple[WorldNet, ...]
    evidence: tuple[str, ...]
    provenance: Provenance

    def answers(self) -> Floats:
        """The head's own."""
        return self.asked.own

    def course(self) -> Course:
        """Round by round of messages on the junction tree; nets of one run have one graph."""
        distance = clique_distances(self.nets[0], self.asked.target.variables)
        deepest = max((distance.get(v, 0) for v in self.evidence), default=0)
        known = [[v for v in self.evidence if distance.get(v, deepest) < r] for r in range(deepest + 1)]
        answers = np.stack(
            [self._each(lambda net, names=names: self._posterior(net, names)) for names in (*known, self.evidence)]
        )
        later = np.concatenate([answers[1:], answers[-1:]])
        residual = np.abs(later - answers).max(-1) @ self.asked.weight
        return Course("rounds on the junction tree", tuple(range(len(answers))), answers, answers[-1], residual)

    def given(self, objective: Objective) -> Floats:
        """With the potential on the target as soft evidence."""
        found = self.asked.potential(objective)
        soft = {v: np.exp(logs - logs.max()) for v, logs in found.logs.items()}
        return self._each(lambda net: self._posterior(net, self.evidence, soft))

    def after(self, change: Change) -> NotApplicable:
        """It has no acts."""
        return NO_ACTS

    def tilt(self) -> Tilt:
        """Against exact message passing by the engine in the same tables, where a tilt moves log odds one to one."""
        honest = self._each(lambda net: self._posterior(net, self.evidence))
        estimate, leftover = [], []
        for outcome in self.asked.outcomes:
            members = np.array(outcome.members)
            seen, twin = (np.clip(q[..., members].sum(-1), CERTAIN, 1 - CERTAIN) for q in (self.asked.own, honest))
            known = np.where((twin > CERTAIN) & (twin < 1 - CERTAIN), self.asked.weight, 0.0)
            off, total = log_odds(seen) - log_odds(twin), np.maximum(known.sum(-1), 1e-300)
            nats = (known * off).sum(-1) / total
            whole = (known * off**2).sum(-1)
            rest = (known * (off - nats[:, None]) ** 2).sum(-1)
            estimate.append(np.where(known.sum(-1) > 0, nats, np.nan))
            leftover.append(np.divide(rest, whole, out=np.zeros_like(rest), where=whole > 1e-18))
        names = tuple(outcome.label for outcome in self.asked.outcomes)
        return Tilt(names, np.stack(estimate, -1), np.stack(leftover, -1), True)

    def _each(self, answer: Any) -> Floats:
        kept: dict[int, Floats] = {}
        for net in self.nets:
            if id(net) not in kept:
                kept[id(net)] = answer(net)
        found = np.stack([kept[id(net)] for net in self.nets])
        return np.where(np.isnan(self.asked.own), np.nan, found)

    def _posterior(self, net: WorldNet, names: Sequence[str], soft: dict[str, Floats] | None = None) -> Floats:
        base = self.asked.trace.dataset.net
        rows = np.full((len(self.asked.context.codes), len(net.variables)), -1, dtype=np.int16)
        for v in names:
            rows[:, net.index[v]] = self.asked.context.codes[:, base.index[v]]
        found = _engine(net).joint(rows, self.asked.target.variables, likelihood=soft).reshape(len(rows), -1)
        total = found.sum(-1, keepdims=True)
        return np.asarray(np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / found.shape[-1]))


@functools.lru_cache(maxsize=16)
def _engine(net: WorldNet) -> Inference:
    return Inference(net)


def clique_distances(net: WorldNet, variables: Sequence[str]) -> dict[str, int]:
    """How many messages on the junction tree lie between a target and each variable; what none reach is left out."""
    plan = Inference(net).plan
    tree = nx.Graph()
    tree.add_nodes_from(range(len(plan.cliques)))
    tree.add_edges_from((c, parent) for c, parent in enumerate(plan.parents) if parent >= 0)
    begin = [c for c, members in enumerate(plan.cliques) if set(members) & set(variables)]
    reached = nx.multi_source_dijkstra_path_length(tree, set(begin)) if begin else {}
    found: dict[str, int] = {}
    for c, distance in reached.items():
        for v in plan.cliques[c]:
            found[v] = min(found.get(v, distance), distance)
    return found


@dataclass(frozen=True, eq=False)
class TruncatedRounds:
    """The world-model's own predictor after so many rounds of loopy messages."""

    asked: Asked
    net: WorldNet
    evidence: tuple[str, ...]
    rounds: int
    provenance: Provenance

    def answers(self) -> Floats:
        """The head's own."""
        return self.asked.own

    def course(self) -> Course:
        """After each round."""
        most = self.sampling_end
        steps = tuple(range(self.rounds + 1))
        found = np.stack([self._after(r) for r in (*steps, self.rounds + 1, most)])
        answers, following, settled = found[: self.rounds + 1], found[1 : self.rounds + 2], found[-1]
        residual = np.abs(following - answers).max(-1) @ self.asked.weight
        return Course("rounds", steps, answers, settled, residual)

    @property
    def sampling_end(self) -> int:
        """Rounds after which it counts as settled."""
        return self.asked.sampling.beyond * self.rounds + self.asked.sampling.margin

    def given(self, objective: Objective) -> Floats | NotApplicable:
        """With the potential as soft evidence."""
        if len(self.asked.target.variables) > 1:
            return NotApplicable("a joint answer of loopy rounds is put together from several runs: no one potential")
        (v,) = self.asked.target.variables
        logs = self.asked.potential(objective).logs[v]
        soft = {v: np.exp(logs - logs.max())}
        found = LoopyInference(self.net).query(self._rows(), [v], rounds=self.rounds, likelihood=soft)[v]
        return self._every(np.asarray(found, dtype=np.float64))

    def after(self, change: Change) -> NotApplicable:
        """It has no acts."""
        return NO_ACTS

    def tilt(self) -> Tilt | NotApplicable:
        """Against a twin with the same tables, schedule, rounds and start."""
        if len(self.asked.target.variables) > 1:
            return NotApplicable("a joint answer of loopy rounds is put together from several runs: no one twin")
        (v,) = self.asked.target.variables
        procedure = Procedure(self.net, self.rounds)
        local = np.asarray(procedure.engine.log_local(self._rows()), dtype=np.float64)
        tables = procedure.engine.log_tables[None]
        one = slice(0, 1)
        names, estimate, leftover = [], [], []
        for outcome in self.asked.outcomes:
            seen = np.clip(self.asked.own[one][..., outcome.state], CERTAIN, 1 - CERTAIN)
            sure = (seen > CERTAIN) & (seen < 1 - CERTAIN)
            weight = np.where(sure, self.asked.weight, 0.0)
            fitted = fit_rounds(procedure, tables, local, 0.0, v, outcome.state, seen, weight)
            names.append(outcome.label)
            estimate.append(np.repeat(fitted.tilt, len(self.asked.own)))
            leftover.append(np.repeat(fitted.leftover, len(self.asked.own)))
        return Tilt(tuple(names), np.stack(estimate, -1), np.stack(leftover, -1), True)

    def _after(self, rounds: int) -> Floats:
        net, codes = self.asked.trace.dataset.net, self.asked.context.codes
        return self._every(np.exp(Posterior(self.net, net, self.evidence, [self.asked.target], rounds)(codes)))

    def _rows(self) -> NDArray[np.int16]:
        base, codes = self.asked.trace.dataset.net, self.asked.context.codes
        rows = np.full((len(codes), len(self.net.variables)), -1, dtype=np.int16)
        for v in self.evidence:
            rows[:, self.net.index[v]] = codes[:, base.index[v]]
        return rows

    def _every(self, found: Floats) -> Floats:
        return np.broadcast_to(found, self.asked.own.shape)


@dataclass(frozen=True, eq=False)
class LearnedRounds:
    """A trained message-passing head: its own rounds, in tables that training found.

    Its tables are taken apart by frames, so that a potential is one frame's; the answers stay what they were.
    """

    asked: Asked

    @property
    def provenance(self) -> Provenance:
        """Rounds are written by people, tables found by training; so is when to halt, where it halts."""
        parts = {"search": AUTHORS, "objective": TRAINING}
        if self.asked.trace.head_options["halting"] is not False:
            parts["halting"] = TRAINING
        return Provenance(parts)

    def answers(self) -> Floats:
        """The head's own."""
        return self.asked.own

    @functools.cached_property
    def _apart(self) -> Any:
        """The same head with tables of its own for every frame, holding the world's."""
        from worldnets.heads.message_passing import MessagePassing

        trace = self.asked.trace
        options = {**trace.head_options, "tied": False, "initialisation": "true", "halting": False}
        view = trace.inputs.at(int(trace.steps[-1]))
        return MessagePassing.build(np.random.default_rng(0), view, output_count(trace.counts), **options)

    @functools.cached_property
    def _logits(self) -> list[tuple[Any, ...]]:
        """The logits of every seed, taken apart."""
        trace, tables = self.asked.trace, self._apart.wires.tables
        last = len(trace.steps) - 1
        heads: list[Any] = [
            trace.at(last, seed) if lost is None else None
            for seed, lost in zip(trace.seeds, trace.diverged, strict=True)
        ]
        nets = [None if head is None else head.net for head in heads]
        return [
            tables.blocked(tables.entries_of(trace.dataset.net) * np.nan if net is None else tables.entries_of(net))
            for net in nets
        ]

    @functools.cached_property
    def _halting(self) -> list[Floats | None]:
        trace, last = self.asked.trace, len(self.asked.trace.steps) - 1
        found: list[Floats | None] = []
        for seed in trace.seeds:
            stops = trace.at(last, seed).halting  # type: ignore[union-attr]
            found.append(None if stops is None else np.asarray(stops, dtype=np.float64))
        return found

    @property
    def rounds(self) -> int:
        """After which it answers."""
        return int(self._apart.performed)

    @property
    def settled_after(self) -> int:
        """Rounds after which it counts as settled."""
        return self.asked.sampling.beyond * self.rounds + self.asked.sampling.margin

    @functools.cached_property
    def _features(self) -> Any:
        trace = self.asked.trace
        return trace.inputs.at(int(trace.steps[-1])).features(self.asked.context.codes)

    @functools.cached_property
    def _program(self) -> tuple[Any, Any]:
        """What is compiled, for this head's wires and this target."""
        head, trace = self._apart, self.asked.trace
        place = trace.task.targets.index(self.asked.target)
        first = sum(trace.counts[:place])
        members = slice(first, first + trace.counts[place])
        how = (head.space, head.start_rounds, head.damping, self.rounds, self.settled_after)
        return _compiled(head.wires, members.start, members.stop, *how)

    def _by_round(self, potential: NDArray[np.float32]) -> Floats:
        """Answers after rounds 0 … settled_after under a potential on table entries, [T + 1, S, R, A]."""
        every = []
        passes, _ = self._program
        for logits, halting in zip(self._logits, self._halting, strict=True):
            q = np.exp(np.asarray(passes(logits, self._features, potential), dtype=np.float64))
            before = np.exp(np.asarray(passes(logits, self._features * 0, potential), dtype=np.float64))
            every.append(np.concatenate([before[:1], _halted(q, halting)]))
        return np.stack(every, axis=1)

    def _entries(self, logs: dict[str, Floats]) -> NDArray[np.float32] | None:
        """Potentials on variables as one on the entries of their tables; None where one has no table here."""
        tables = self._apart.wires.tables
        found = np.zeros(tables.entries, dtype=np.float32)
        for v, values in logs.items():
            if v not in tables.table_of:
                return None
            begin, shape = tables.offsets[tables.table_of[v]], tables.shapes[tables.table_of[v]]
            size = int(np.prod(shape))
            found[begin : begin + size] = np.broadcast_to(values, shape).reshape(-1)
        return found

    def course(self) -> Course:
        """Round by round, and on to its fixed point."""
        found = self._by_round(np.zeros(self._apart.wires.tables.entries, dtype=np.float32))
        steps = tuple(range(self.rounds + 1))
        answers, following = found[: self.rounds + 1], found[1 : self.rounds + 2]
        residual = np.abs(following - answers).max(-1) @ self.asked.weight
        return Course("rounds", steps, answers, found[-1], residual)

    def given(self, objective: Objective) -> Floats | NotApplicable:
        """With the potential in its tables."""
        entries = self._entries(self.asked.potential(objective).logs)
        if entries is None:
            return NotApplicable("the target has no table of its own among those it passes messages in")
        return self._by_round(entries)[self.rounds]

    def after(self, change: Change) -> NotApplicable:
        """It has no acts."""
        return NO_ACTS

    def tilt(self) -> Tilt | NotApplicable:
        """Against the same rounds in the world's tables: what training has put into them shows as a tilt, too.

        Situations weigh by how much their answers would feel a tilt (`probes.optimizer.tilt.felt`).

        The tilt is on the table, so that the no-evidence start hears it as well: where rounds are enough for a start to
        be forgotten that is the same.
        """
        head, asked = self._apart, self.asked
        if any(stops is not None for stops in self._halting):
            return NotApplicable("a head that halts answers from many rounds: its twin would have to halt alike")
        honest = head.wires.tables.blocked(head.wires.tables.entries_of(asked.trace.dataset.net))
        _, along = self._program
        names, estimate, leftover = [], [], []
        for outcome in asked.outcomes:
            wanted = np.eye(len(asked.trace.dataset.net.states[outcome.variable]))[outcome.state]
            entries = self._entries({outcome.variable: wanted})
            if entries is None:
                return NotApplicable("the target has no table of its own among those it passes messages in")
            members = np.array(outcome.members)

            def respond(tilt: Floats, entries: Any = entries, members: Any = members) -> tuple[Floats, Floats]:
                each = [along(np.float32(nats), honest, self._features, entries, members) for nats in tilt]
                odds, slope = (np.stack([np.asarray(one[i], dtype=np.float64) for one in each]) for i in (0, 1))
                return odds, slope

            seen = np.clip(asked.own[..., members].sum(-1), CERTAIN, 1 - CERTAIN)
            twin = respond(np.zeros(1))[0]
            sure = (seen <= CERTAIN) | (seen >= 1 - CERTAIN)
            weight = np.where(sure, 0.0, felt(asked.weight, 1 / (1 + np.exp(-twin))))
            fitted = fit(log_odds(seen), respond, weight, SINGLE)
            names.append(outcome.label)
            estimate.append(fitted.tilt)
            leftover.append(fitted.leftover)
        return Tilt(tuple(names), np.stack(estimate, -1), np.stack(leftover, -1), False)


@functools.lru_cache(maxsize=16)
def _compiled(
    wires: Wires, first: int, last: int, space: str, start_rounds: int, damping: float, rounds: int, most: int
) -> tuple[Any, Any]:
    """Two compiled functions of a head's wires.

    Returns:
        (logits, features, log potential of every entry) → ln beliefs of outcomes first … last − 1 after every round,
        [most, R, outcomes]; and (nats, logits, features, entries, members) → log odds of those members after `rounds`
        rounds under so many nats on those entries, [R], with their derivative in nats.
    """
    import jax
    from jax import numpy as jnp

    from worldnets.inference.loopy.algebra import algebra_of
    from worldnets.inference.loopy.reduced_rounds import NEVER

    sign, feature = np.array(wires.sign)[:, None], np.array(wires.feature, dtype=np.intp)

    def passes(logits: Any, features: Any, potential: Any, count: int) -> Any:
        log_tables = wires.tables.log_tables(list(logits), NEVER) + potential
        seen = jnp.maximum(sign * jnp.asarray(features, log_tables.dtype).T[feature], 0)
        algebra = algebra_of(space, str(log_tables.dtype))
        found = wires.rounds.log_beliefs(algebra, log_tables, seen, count, start_rounds, damping, True)
        return jax.nn.log_softmax(jnp.swapaxes(found[:, first:last], 1, 2), axis=-1)

    def odds(nats: Any, logits: Any, features: Any, entries: Any, members: Any) -> Any:
        log_q = passes(logits, features, nats * entries, rounds)[-1]
        yes, no = (jax.nn.logsumexp(jnp.where(kept, log_q, NEVER), axis=-1) for kept in (members, ~members))
        return yes - no

    def along(nats: Any, *rest: Any) -> Any:
        return jax.jvp(lambda x: odds(x, *rest), (nats,), (jnp.ones_like(nats),))

    return jax.jit(lambda logits, features, potential: passes(logits, features, potential, most)), jax.jit(along)


def _halted(by_round: Floats, halting: Floats | None) -> Floats:
    """Beliefs after each round, or of a head that halts the mixtures of the rounds so far, [T, R, A]."""
    if halting is None:
        return by_round
    found = []
    for rounds in range(1, len(by_round) + 1):
        most = min(rounds, len(halting))
        share = np.exp(halting[:most] - halting[:most].max())
        found.append(np.tensordot(share / share.sum(), by_round[:most], axes=1))
    return np.stack(found)
