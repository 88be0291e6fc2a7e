"""The message-passing head: rounds of loopy sum-product over the world's own graph, whose tables are learned.

Its parameters are logits of conditional tables (`worldnets.heads.tables`); its outputs are the targets' log beliefs
after so many rounds on what `worldnets.inference.loopy.reduction` leaves of the net:

    outputs = ln b_R(y | evidence; tables),      with halting  ln Σ_r h_r b_r(y | evidence; tables)

Training descends through the rounds. At the world's own tables it is exact on trees, joint targets included, given
rounds enough for all evidence to arrive; on loops it is not, and training may move the tables to make up for that.

Sources: Pearl 1988, "Probabilistic Reasoning in Intelligent Systems", chapter 4; Domke 2013, "Learning Graphical Model
Parameters with Approximate Marginal Inference", section 5 (truncated fitting: the loss of the beliefs after R rounds,
differentiated through them). Halting as a distribution over rounds: Banino, Balaguer & Blundell 2021, "PonderNet",
here the same for every row.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.heads.base import checked_choice, checked_integer, checked_number
from worldnets.heads.tables import FRAME, Tables, tables_of
from worldnets.inference.loopy.algebra import Algebra, algebra_of
from worldnets.inference.loopy.readout import distance, readout
from worldnets.inference.loopy.reduced_rounds import NEVER, ReducedRounds, compiled
from worldnets.inference.loopy.reduction import reduced
from worldnets.net import WorldNet
from worldnets.roles import outcome_count

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs

NAME = "message_passing"
INITIALISATIONS = ("random", "true", "noisy")
ZEROS = ("learned", "kept")
SPACES = ("probability", "logarithm")
AROUND_LOOPS = 3  # rounds more than evidence needs to arrive, by default, where the reduced graph has loops
MIXED = 0.01  # weight of the uniform distribution in tables that "noisy" starts from, so that no zero is certain
MOST_ROUNDS = 10_000


@dataclass(frozen=True, eq=False)
class Wires:
    """What is the same for all seeds and whatever the options of the rounds; equal to any other that computes the same.

    Attributes:
        net: the net whose graph it is.
        tables: its tables, as logits.
        rounds: the rounds on what is left of it.
        needed: rounds in which all evidence can arrive, a few more where there are loops.
        start_rounds: rounds without evidence that are enough for everything the tables alone say.
        feature, sign: [indicators], an indicator of the evidence is max(sign · that feature, 0).
        outputs: for each output two outcomes (of all targets', one after the other) whose log beliefs are subtracted;
            one beyond the last is zero.
    """

    net: WorldNet
    tables: Tables
    rounds: ReducedRounds
    needed: int
    start_rounds: int
    feature: tuple[int, ...]
    sign: tuple[float, ...]
    outputs: tuple[tuple[int, int], ...]

    def _key(self) -> tuple[Any, ...]:
        return self.tables, self.rounds, self.feature, self.sign, self.outputs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wires) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


class MessagePassing(eqx.Module):
    """Rounds of loopy sum-product with learned tables.

    Attributes:
        logits: of the tables, one array [rows, states] for each number of states.
        halting: logits of the distribution h over rounds, or None.
        wires: the graph.
        performed: rounds, R.
        start_rounds: rounds without evidence before them.
        damping: of messages.
        space: the numbers of messages.
    """

    logits: tuple[jax.Array, ...]
    halting: jax.Array | None
    wires: Wires = eqx.field(static=True)
    performed: int = eqx.field(static=True)
    start_rounds: int = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    space: str = eqx.field(static=True)

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        inputs: Inputs,
        outputs: int,
        *,
        rounds: int | None = None,
        start_rounds: int | None = None,
        damping: float = 0.0,
        halting: bool | int = False,
        initialisation: str = "random",
        strength: float = 1.0,
        tied: bool = True,
        zeros: str = "learned",
        clusters: str | Sequence[Sequence[str]] = "nodes",
        space: str = "probability",
    ) -> Self:
        """Draw the first tables over the graph of the world of `inputs`.

        The head is told the graph, which states there are, and the nodes without chance (such as a panning camera's
        direction); the tables it learns. Adam at .03 suits their logits.

        Args:
            generator: source of the draws.
            inputs: raw evidence.
            outputs: outputs, as the targets need them.
            rounds: R; by default as many as evidence needs to arrive, and three more if what is left of the graph has
                loops. May differ between training and test: `Trace.with_head_options(rounds=…)`.
            start_rounds: rounds without evidence, from uniform messages; by default enough for all that the tables
                alone say. 0 starts from uniform messages.
            damping: in [0, 1): messages are new^(1 − damping) · old^damping.
            halting: whether to learn a distribution h over rounds 1 … R (the same for every row), or over
                1 … `halting`, if that is a number; over rounds at test it is cut off at R. The outputs are then
                those of the mixture of the rounds' beliefs, and `rounds()` is its mean, which can be priced.
            initialisation: of the logits: "random", N(0, strength²): tables around uniform; "true", those of the world;
                "noisy", those of the world mixed with 1 % uniform, plus N(0, strength²).
            strength: standard deviation, logits (nats).
            tied: one table for all frames in which the same happens; see `tables_of`.
            zeros: "learned", or "kept": cells that are impossible in the world stay so.
            clusters: "nodes": loopy sum-product over nodes; "frames": the hidden nodes of a frame are one
                compound node, which leaves a chain, exact, and the same parameters; or lists of nodes to take together.
            space: "probability", or "logarithm": slower, and right even where messages contradict each other by more
                than 1e-18.

        Raises:
            TrainingError: an option out of range; inputs that are no raw evidence; an objective that asks for another
                frame in every row.
            CapacityError: clusters that are too large.
        """
        checked_choice("initialisation", initialisation, INITIALISATIONS, NAME)
        checked_choice("zeros", zeros, ZEROS, NAME)
        checked_choice("space", space, SPACES, NAME)
        checked_number("damping", damping, NAME, below=1.0)
        checked_number("strength", strength, NAME)
        wires = _wires(inputs, bool(tied), zeros == "kept", clusters)
        if outputs != len(wires.outputs):
            mend = "build it with the inputs of the task that is asked"
            expected = f"{len(wires.outputs)}, as the targets of {inputs.task.objective!r} need"
            raise TrainingError("a wrong number of outputs", node=NAME, found=outputs, expected=expected, mend=mend)
        performed = wires.needed if rounds is None else checked_integer("rounds", rounds, NAME, 1, MOST_ROUNDS)
        before = wires.start_rounds
        if start_rounds is not None:
            before = checked_integer("start_rounds", start_rounds, NAME, 0, MOST_ROUNDS)
        logits = _first_logits(generator, wires, initialisation, strength)
        stops = None
        if halting is not False:
            most = performed if halting is True else checked_integer("halting", halting, NAME, 1, MOST_ROUNDS)
            stops = np.zeros(most, dtype=np.float32)
        return cls(logits, stops, wires, performed, before, float(damping), space)  # type: ignore[arg-type]

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.on_rows(features[None])[0]

    def on_rows(self, features: jax.Array) -> jax.Array:
        """Outputs [rows, outputs] for features [rows, features]: many times as fast as row by row."""
        algebra, log_tables, seen = self._seen(features)
        every = self.halting is not None
        rounds = self.wires.rounds
        found = rounds.log_beliefs(algebra, log_tables, seen, self._most, self.start_rounds, self.damping, every)
        if every:
            found = jax.nn.logsumexp(self._log_halting()[:, None, None] + found, axis=0)
        return self._outputs(found)

    def activations(self, features: jax.Array) -> jax.Array:
        """Logarithms of all messages after the last round, [rows, places · runs], which the answers are read from.

        Raises:
            TrainingError: a head that halts, whose answers are read after every round.
        """
        if self.halting is not None:
            mend = "train it without halting"
            raise TrainingError("answers of many rounds have no one set of messages", node=NAME, mend=mend)
        algebra, log_tables, seen = self._seen(features)
        found = self.wires.rounds.log_messages(
            algebra, log_tables, seen, self._most, self.start_rounds, self.damping
        )  # [places, runs · rows], run after run
        return found.reshape(len(found), -1, len(features)).transpose(2, 0, 1).reshape(len(features), -1)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs [rows, outputs] read from messages [rows, places · runs]."""
        algebra, log_tables, seen = self._seen(features)
        rows, runs = len(activations), self.wires.rounds.runs
        messages = activations.reshape(rows, -1, runs).transpose(1, 2, 0).reshape(-1, runs * rows)
        return self._outputs(self.wires.rounds.read_messages(algebra, log_tables, seen, messages))

    def _seen(self, features: jax.Array) -> tuple[Algebra, jax.Array, jax.Array]:
        """The numbers of messages, the logarithms of all tables, and what was seen, [indicators, rows]."""
        wires = self.wires
        logits = [jnp.asarray(block) for block in self.logits]
        log_tables = wires.tables.log_tables(logits, NEVER)
        sign = np.array(wires.sign)[:, None]
        seen = jnp.maximum(sign * jnp.asarray(features, log_tables.dtype).T[np.array(wires.feature, dtype=np.intp)], 0)
        return algebra_of(self.space, str(log_tables.dtype)), log_tables, seen

    def _outputs(self, log_beliefs: jax.Array) -> jax.Array:
        found = jnp.concatenate([log_beliefs, jnp.zeros((1, log_beliefs.shape[1]), log_beliefs.dtype)])
        plus, minus = np.array(self.wires.outputs, dtype=np.intp).T
        return (found[plus] - found[minus]).T

    def rounds(self) -> jax.Array:
        """The mean number of rounds, Σ_r h_r · r; R without halting."""
        if self.halting is None:
            return jnp.asarray(float(self.performed))
        return (jnp.exp(self._log_halting()) * jnp.arange(1, self._most + 1)).sum()

    @property
    def net(self) -> WorldNet:
        """The world-model it has become: its tables, and the world's own for nodes it has none for."""
        source = self.wires.net
        learned = self.wires.tables.cpts(self.logits)
        return WorldNet(source.states, source.parent_sets, dict(source.cpts) | learned, source.name)

    @property
    def _most(self) -> int:
        """The last round that is read."""
        return self.performed if self.halting is None else min(self.performed, self.halting.shape[-1])

    def _log_halting(self) -> jax.Array:
        assert self.halting is not None
        return jax.nn.log_softmax(jnp.asarray(self.halting)[: self._most])


def _wires(inputs: Inputs, tied: bool, held: bool, clusters: str | Sequence[Sequence[str]]) -> Wires:
    _check_inputs(inputs)
    net, task = inputs.net, inputs.task
    questions = tuple(target.variables for target in task.targets)
    together = _clusters(net, clusters)
    rounds, tables, needed, start_rounds = _planned(net, task.evidence, questions, together, tied, held)
    feature: list[int] = []
    sign: list[float] = []
    for v in rounds.evidence:
        own = list(range(*inputs.groups[v].indices(inputs.width)))
        two = len(net.states[v]) == 2
        feature += [own[0], own[0]] if two else own
        sign += [-1.0, 1.0] if two else [1.0] * len(own)
    counts = [outcome_count(net, target) for target in task.targets]
    outputs: list[tuple[int, int]] = []
    first = 0
    for count in counts:  # the layout of worldnets.objectives.base: log odds of two outcomes, else a logit each
        outputs += [(first + 1, first)] if count == 2 else [(first + i, sum(counts)) for i in range(count)]
        first += count
    return Wires(net, tables, rounds, needed, start_rounds, tuple(feature), tuple(sign), tuple(outputs))


@functools.lru_cache(maxsize=16)
def _planned(
    net: WorldNet,
    evidence: tuple[str, ...],
    questions: tuple[tuple[str, ...], ...],
    clusters: tuple[tuple[str, ...], ...],
    tied: bool,
    held: bool,
) -> tuple[ReducedRounds, Tables, int, int]:
    """Rounds, tables, rounds needed, start rounds needed; kept, as all seeds of a run share them."""
    left = reduced(net, evidence, questions, clusters)
    reading = readout(left, questions)
    inside = {term.variable for terms in (*left.terms, *left.observed) for term in terms}
    tables = tables_of(net, [v for v in net.variables if v in inside], tied, held)
    rounds = compiled(left, reading, tables.starts, tables.entries)
    needed = max(1, distance(left, reading) + (0 if left.is_forest else AROUND_LOOPS))
    return rounds, tables, needed, _longest_path(net, inside)


def _longest_path(net: WorldNet, inside: set[str]) -> int:
    """Nodes on the longest directed path: without evidence, messages have settled after so many rounds."""
    length = dict.fromkeys(net.variables, 0)
    for v in net.order:
        length[v] = (v in inside) + max((length[p] for p in net.parents(v)), default=0)
    return max(length.values(), default=0)


def _clusters(net: WorldNet, clusters: str | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(clusters, str):
        checked_choice("clusters", clusters, ("nodes", "frames"), NAME)
        if clusters == "nodes":
            return ()
        frames: dict[int, list[str]] = {}
        for v in net.variables:
            found = FRAME.fullmatch(v)
            if found is not None and net.children(v):
                frames.setdefault(int(found[2]), []).append(v)
        return tuple(map(tuple, frames.values()))
    try:
        return tuple(tuple(map(str, names)) for names in clusters)
    except TypeError:
        mend = 'give "nodes", "frames" or lists of nodes'
        raise TrainingError("clusters are no lists of nodes", node=NAME, found=repr(clusters), mend=mend) from None


def _check_inputs(inputs: Inputs) -> None:
    from worldnets.objectives.base import REGISTRY
    from worldnets.objectives.continuation import FrameByFrame

    if inputs.name != "evidence":
        mend = 'train it with inputs="evidence"'
        raise TrainingError("message passing starts from what was observed", node=NAME, found=inputs.name, mend=mend)
    objective = inputs.task.objective
    if objective in REGISTRY and isinstance(REGISTRY.get(objective), FrameByFrame):
        mend = 'train it on "continuation" or "continuation_all", or train a head that reads frames'
        raise TrainingError("every row would ask for another frame of the graph", node=NAME, found=objective, mend=mend)


def _first_logits(
    generator: np.random.Generator, wires: Wires, initialisation: str, strength: float
) -> tuple[NDArray[np.float32], ...]:
    tables = wires.tables
    if initialisation == "true":
        return tables.blocked(tables.entries_of(wires.net))
    noise = generator.standard_normal(tables.entries) * strength
    return tables.blocked(noise + (tables.entries_of(wires.net, MIXED) if initialisation == "noisy" else 0.0))
