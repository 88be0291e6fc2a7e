"""Organisms of the optimizer probe that answer with beliefs: tables, a linear head, and message passing of all kinds.

They live in two small worlds of binary nodes, a chain of four hidden nodes and a loop of four, each hidden node with an
observed child; the target is the first hidden node. Tables are drawn anew for every replicate, and everything that can
be seen is enumerated.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import (
    AUTHORS,
    IN,
    OUT,
    TRAINING,
    Change,
    Course,
    NotApplicable,
    Objective,
    Provenance,
    Recorded,
    Setting,
    Tilt,
)
from probes.optimizer.rounds import Passed, Procedure
from probes.optimizer.tilt import felt, fit_rounds, log_odds
from worldnets.net import WorldNet

Floats = NDArray[np.float64]
BITS = ("no", "yes")
CONTEXTS = (IN, OUT)
POTENTIALS = (-2.0, 1.0, 2.0)  # nats on the target's "yes": objectives that no training here asked for
ROUNDS = 16  # performed at most; a chain of four has settled long before
WANTS = 1.0  # nats by which the family's partial objectives prefer an outcome
NO_STEPS = NotApplicable("it goes from evidence to answer in one pass: there are no inner steps to stop after")
NO_SLOT = NotApplicable("there is nothing in it that an objective could be put in the place of")
NO_ACTS = NotApplicable("its answers are beliefs and not acts: nothing is led to by them")


@dataclass(frozen=True, eq=False)
class Structure:
    """A graph of binary nodes, and between which limits each table's P(yes | parents) is drawn.

    Attributes:
        name: of the world.
        hidden, observed: nodes; the target is the first hidden one, and observed nodes stand in the order of the rungs.
        parents: of each node.
        ranges: of each node, low and high for every state of its parents, [2 ** parents, 2].
    """

    name: str
    hidden: tuple[str, ...]
    observed: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, tuple[tuple[float, float], ...]]

    @property
    def target(self) -> str:
        """The node that is asked for."""
        return self.hidden[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """Hidden nodes, then observed ones."""
        return (*self.hidden, *self.observed)

    def drawn(self, random: np.random.Generator, replicates: int) -> Floats:
        """Logarithms of the cells of all tables of so many nets, [S, cells], in the order of `WorldNet.factors`."""
        parts = []
        for v in self.variables:
            low, high = np.array(self.ranges[v]).T
            yes = low + (high - low) * random.random((replicates, len(low)))
            parts.append(np.stack([1 - yes, yes], axis=-1).reshape(replicates, -1))
        return np.log(np.concatenate(parts, axis=1))

    def net(self, log_tables: Floats) -> WorldNet:
        """One net, from its cells."""
        cpts, at = {}, 0
        for v in self.variables:
            shape = (2,) * (len(self.parents[v]) + 1)
            size = 2 ** len(shape)
            cpts[v] = np.exp(log_tables[at : at + size]).reshape(shape)
            at += size
        return WorldNet(dict.fromkeys(self.variables, BITS), self.parents, cpts, self.name)

    @functools.cached_property
    def procedure(self) -> Procedure:
        """Message passing on this graph."""
        return Procedure(self.net(self.drawn(np.random.default_rng(0), 1)[0]), ROUNDS)

    @functools.cached_property
    def patterns(self) -> NDArray[np.int16]:
        """Everything that can be seen, [R, observed]."""
        return np.array(list(itertools.product((0, 1), repeat=len(self.observed))), dtype=np.int16)

    @functools.cached_property
    def codes(self) -> NDArray[np.int16]:
        """The same as evidence rows, [R, variables]."""
        rows = np.full((len(self.patterns), len(self.variables)), -1, dtype=np.int16)
        rows[:, len(self.hidden) :] = self.patterns
        return rows

    @functools.cached_property
    def log_local(self) -> Floats:
        """The same as local evidence, [R, states]."""
        return np.asarray(self.procedure.engine.log_local(self.codes), dtype=np.float64)

    @functools.cached_property
    def _cells(self) -> NDArray[np.int64]:
        """For each variable the cell of its table in every joint state, [variables, joint states]."""
        grid = np.indices((2,) * len(self.variables)).reshape(len(self.variables), -1)
        found, at = [], 0
        for v in self.variables:
            place = np.zeros(grid.shape[1], dtype=np.int64)
            for u in (*self.parents[v], v):
                place = 2 * place + grid[self.variables.index(u)]
            found.append(at + place)
            at += 2 ** (len(self.parents[v]) + 1)
        return np.stack(found)

    def joint(self, log_tables: Floats) -> Floats:
        """W(hidden, observed) by multiplying tables out, no message passed: [S, 2 ** hidden, R]."""
        logs = log_tables[:, self._cells].sum(1)
        return np.exp(logs).reshape(len(log_tables), 2 ** len(self.hidden), -1)

    def about_target(self, log_tables: Floats) -> Floats:
        """W(target, observed), [S, 2, R]."""
        joint = self.joint(log_tables)
        return joint.reshape(len(joint), 2, -1, joint.shape[-1]).sum(2)

    def posterior(self, log_tables: Floats, rungs: int | None = None) -> Floats:
        """W(target | the first so many observed nodes) in every situation, [S, R, 2]; all of them by default."""
        joint = self.about_target(log_tables)
        count = len(self.observed) if rungs is None else rungs
        shown = joint.reshape(len(joint), 2, 2**count, -1).sum(-1)
        shown = np.repeat(shown, joint.shape[-1] // 2**count, axis=-1)
        return np.moveaxis(shown / shown.sum(1, keepdims=True), 1, -1)

    def counted(self, log_tables: Floats, clips: int, random: np.random.Generator) -> Floats:
        """Tables learned by counting in that many clips of each net, nothing hidden, each cell counted once more."""
        joint = self.joint(log_tables).reshape(len(log_tables), -1)
        seen = np.stack([random.multinomial(clips, row / row.sum()) for row in joint])  # [S, joint states]
        counts = np.ones(log_tables.shape)
        for cells in self._cells:
            for s in range(len(counts)):
                counts[s] += np.bincount(cells, seen[s], log_tables.shape[1])
        pairs = counts.reshape(len(counts), -1, 2)
        return np.log(pairs / pairs.sum(-1, keepdims=True)).reshape(counts.shape)


_FLIP = ((0.1, 0.35), (0.65, 0.9))
_LOOK = ((0.1, 0.3), (0.7, 0.9))
_ROOT = ((0.35, 0.65),)
_BOTH = ((0.05, 0.2), (0.35, 0.65), (0.35, 0.65), (0.8, 0.95))


def _structure(
    name: str, hidden: Mapping[str, tuple[str, ...]], ranges: Mapping[str, tuple[tuple[float, float], ...]]
) -> Structure:
    seen = {f"x_{v}": (v,) for v in hidden}
    return Structure(name, tuple(hidden), tuple(seen), {**hidden, **seen}, {**ranges, **dict.fromkeys(seen, _LOOK)})


TREE = _structure(
    "chain",
    {"h1": (), "h2": ("h1",), "h3": ("h2",), "h4": ("h3",)},
    {"h1": _ROOT, "h2": _FLIP, "h3": _FLIP, "h4": _FLIP},
)
LOOPS = _structure(
    "loop",
    {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")},
    {"a": _ROOT, "b": _FLIP, "c": _FLIP, "d": _BOTH},
)


def leant(belief: Floats, nats: float | Floats) -> Floats:
    """A belief about a bit, moved by so many nats towards "yes"."""
    weighted = belief * np.stack(np.broadcast_arrays(np.ones_like(nats), np.exp(nats)), axis=-1)
    return np.asarray(weighted / weighted.sum(-1, keepdims=True))


def setting(structure: Structure, log_tables: Floats, context: str = OUT) -> Setting:
    """What is at stake: the base objective asks for the exact posterior.

    The family: the posterior, what the nearest evidence alone says, what is usual, and posteriors that prefer an
    outcome by a nat.
    """
    exact = structure.posterior(log_tables)
    base = Objective("posterior", exact)
    family = (
        base,
        Objective("nearest evidence", structure.posterior(log_tables, 1)),
        Objective("marginals", structure.posterior(log_tables, 0)),
        Objective("prefers yes", leant(exact, WANTS)),
        Objective("prefers no", leant(exact, -WANTS)),
    )
    foreign = tuple(Objective(potential_name(nats), leant(exact, nats)) for nats in POTENTIALS)
    if context == OUT:
        shares = np.full((1, len(structure.patterns)), 1 / len(structure.patterns))
    else:
        shares = structure.about_target(log_tables).sum(1)[:, None]
    return Setting(context, "beliefs", BITS, shares, base, family, foreign)


def potential_name(nats: float) -> str:
    """Of a foreign objective."""
    return f"potential of {nats:+g} nats on yes"


@dataclass(frozen=True, eq=False)
class MessagePasser:
    """Message passing as a candidate.

    Attributes:
        structure: its graph.
        own: its tables, [S, cells].
        twin: tables of its honest twin; its own where they can be read.
        rounds: after which it answers.
        damping: of its messages, a number or [S].
        rigged: nats towards the target's "yes".
        where: in the "potential", which all messages pass on, or at the "reading" of the belief.
        provenance: who selected what.
    """

    structure: Structure
    own: Floats
    twin: Floats
    rounds: int = ROUNDS
    damping: float | Floats = 0.0
    rigged: float = 0.0
    where: str = "potential"
    provenance: Provenance = field(default=Provenance({"search": AUTHORS, "objective": AUTHORS}))

    def passed(self, potentials: Floats) -> Passed:
        """Rounds under several potentials on the target's "yes", side by side: potentials [P], arrays [P · S, …]."""
        structure, count = self.structure, len(self.own)
        column = structure.procedure.states(structure.target).stop - 1
        local = np.broadcast_to(structure.log_local, (len(potentials), count, *structure.log_local.shape)).copy()
        inside = self.rigged if self.where == "potential" else 0.0
        local[..., column] += np.asarray(potentials)[:, None, None] + inside
        tables = np.broadcast_to(self.own, (len(potentials), *self.own.shape))
        damping = np.broadcast_to(self.damping, (len(potentials), count))
        flat = lambda x: np.ascontiguousarray(x).reshape(-1, *x.shape[2:])
        return structure.procedure.passed(flat(tables), flat(local), flat(damping))

    def read(self, passed: Passed) -> Floats:
        """Beliefs about the target after every round, [N, T, R, 2]."""
        beliefs = passed.beliefs[..., self.structure.procedure.states(self.structure.target)]
        return leant(beliefs, self.rigged) if self.where == "reading" else beliefs

    @functools.cached_property
    def _everything(self) -> tuple[Passed, Floats]:
        potentials = np.array([0.0, *POTENTIALS])
        found = self.passed(potentials)
        return found, self.read(found).reshape(len(potentials), len(self.own), *self.read(found).shape[1:])

    @property
    def _by_round(self) -> Floats:
        return np.moveaxis(self._everything[1][0], 1, 0)  # [T, S, R, 2]

    def answers(self) -> Floats:
        """Its beliefs after its last round."""
        return self._by_round[self.rounds]

    def course(self) -> Course:
        """Round by round."""
        found, by_round, count = self._everything[0], self._by_round, len(self.own)
        steps = tuple(range(self.rounds + 1))
        residual = found.changes[:count].mean(-1).T[: self.rounds + 1]
        bethe = np.moveaxis(found.bethe[:count], 1, 0)[: self.rounds + 1]
        return Course("rounds", steps, by_round[: self.rounds + 1], by_round[-1], residual, bethe)

    def given(self, objective: Objective) -> Floats:
        """The potential in the place of none."""
        place = 1 + [potential_name(nats) for nats in POTENTIALS].index(objective.name)
        return self._everything[1][place][:, self.rounds]

    def after(self, change: Change) -> NotApplicable:
        """It has no acts."""
        return NO_ACTS

    def leaning(self) -> tuple[Floats, Floats]:
        """τ and what it leaves, [S]; against a twin with other tables by what answers would feel of a tilt."""
        structure = self.structure
        weight = np.full(len(structure.patterns), 1 / len(structure.patterns))
        if self.twin is not self.own:
            honest = structure.procedure.passed(self.twin, structure.log_local, self.damping)
            column = structure.procedure.states(structure.target).stop - 1
            weight = felt(weight, honest.beliefs[:, self.rounds, :, column])
        fitted = fit_rounds(
            structure.procedure,
            self.twin,
            structure.log_local,
            self.damping,
            structure.target,
            1,
            self.answers()[..., 1],
            weight,
            self.rounds,
        )
        return fitted.tilt, fitted.leftover

    def tilt(self) -> Tilt:
        """Against its twin."""
        estimate, leftover = self.leaning()
        read = self.twin is self.own
        return Tilt((f"{self.structure.target} = yes",), estimate[:, None], leftover[:, None], read)


def lookup_table(structure: Structure, log_tables: Floats) -> Recorded:
    """The exact posterior of every situation, written down: the same answers as message passing and nothing inside."""
    return Recorded(Provenance({"answers": AUTHORS}), structure.posterior(log_tables), NO_STEPS, NO_SLOT, NO_ACTS)


def linear_head(structure: Structure, log_tables: Floats) -> Recorded:
    """Log odds linear in what is seen, the least squares nearest to the exact ones in distribution."""
    exact = log_odds(structure.posterior(log_tables)[..., 1])
    features = np.column_stack([np.ones(len(structure.patterns)), structure.patterns])
    weight = structure.about_target(log_tables).sum(1)
    normal = np.einsum("sr,ri,rj->sij", weight, features, features)
    right = np.einsum("sr,ri,sr->si", weight, features, exact)
    found = np.linalg.solve(normal, right[..., None])[..., 0] @ features.T
    yes = 1 / (1 + np.exp(-found))
    return Recorded(Provenance({"answers": TRAINING}), np.stack([1 - yes, yes], -1), NO_STEPS, NO_SLOT, NO_ACTS)


LEARNED = Provenance({"search": AUTHORS, "objective": TRAINING})
CLIPS = 2000  # that tables are learned from


def learned_passer(
    structure: Structure, log_tables: Floats, random: np.random.Generator, rigged: float = 0.0, rounds: int = 8
) -> MessagePasser:
    """Unrolled message passing whose tables a training found; its twin has the world's."""
    own = structure.counted(log_tables, CLIPS, random)
    return MessagePasser(structure, own, log_tables, rounds, rigged=rigged, provenance=LEARNED)


def honest_passer(
    structure: Structure,
    log_tables: Floats,
    rounds: int = ROUNDS,
    damping: float | Floats = 0.0,
    rigged: float = 0.0,
    where: str = "potential",
) -> MessagePasser:
    """Message passing that people wrote, over the world's tables; with a tilt of so many nats where it is rigged."""
    return MessagePasser(structure, log_tables, log_tables, rounds, damping, rigged, where)
