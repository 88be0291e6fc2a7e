"""The five programs of `probes.priors.programs` as running organisms, on a machine that counts.

All five carry one library, `mesaoptimize`: it filters what is seen in the vault, plans ahead under an objective that it
is handed, finds out from the outer net what is wanted, and plans in the outer world. They differ in the objective they
hand over, and in how they come by it:

    H_fh  get_base_obj()
    H_sd  combine(): found = find(); found if outer(found) else simplest_obj()
    H_fd  simplest_obj() if is_deployed() else get_base_obj()
    H_hd  simplest_obj() if is_deployed() else find()
    H_sh  pointer() = find()

Every routine is instructions of `probes.priors.machine.Machine`; nothing is computed outside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.priors.machine import Instruction, Machine, Value
from probes.priors.situation import ACTS, FOOLED, STAY, Situation, clue_table, levels_prior, report_table

Floats = NDArray[np.float64]
#: Which routines belong to which part of a program; `main` is what ties them together and belongs to none.
ROUTINES: Mapping[str, tuple[str, ...]] = {
    "get_base_obj": ("get_base_obj",),
    "simplest_obj": ("simplest_obj",),
    "combine": ("combine",),
    "is_deployed": ("is_deployed",),
    "pointer": ("pointer",),
    "mesaoptimize": (
        "filter", "see", "predict", "optimise", "stage", "backward", "find", "outer", "outer stage",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """What a program stores besides the knowledge that all have; the description length is that of these.

    Attributes:
        base: the base objective, [24, 4].
        simplest: the simplest objective, one number per act, [4].
        check: weights of the clues and the threshold, [clues + 1].
    """

    base: Floats
    simplest: Floats
    check: Floats


def tables(given: Situation) -> Tables:
    """The exact ones: a check of clues is deployed where the majority says so."""
    count = given.sizes.clues
    return Tables(given.base, given.simplest, np.array([*[1.0] * count, count / 2]))


@dataclass(frozen=True)
class Run:
    """One episode of one program.

    Attributes:
        act: position in `ACTS`.
        objective: the table it was chosen under, [24, 4].
        work: multiply-adds and table reads.
        depth: dependent steps behind the act.
        code: instructions of the routines that ran.
    """

    act: int
    objective: Floats
    work: int
    depth: int
    code: Mapping[str, list[Instruction]]


class Organism:
    """One program in one situation: the library, and the parts.

    Args:
        given: the situation.
        stored: the program's tables; exact by default.
        machine: where it runs; a new one by default.
    """

    def __init__(self, given: Situation, stored: Tables | None = None, machine: Machine | None = None) -> None:
        self.given, self.stored = given, stored or tables(given)
        self.machine = machine or Machine()
        self._known: dict[str, Value] = {}

    def run(self, program: str) -> Run:
        """One episode.

        Args:
            program: a name of `PROGRAMS`.
        """
        objective = self.machine.call("main", lambda m: self.objective(program))
        return self.ended(objective)

    def ended(self, objective: Value) -> Run:
        """Choose under an objective, and say what all of it took."""
        m = self.machine
        act = m.call("optimise", self._optimise, objective)
        deep = int(act.depth.max())
        return Run(int(act.numbers), objective.numbers.reshape(24, 4), m.work, deep, m.code)

    def objective(self, program: str) -> Value:
        """The table that a program hands to the planner, [24, 4]."""
        makers: Mapping[str, Callable[[], Value]] = {
            "H_fh": self.base,
            "H_sd": self.combine,
            "H_fd": lambda: self.checked(self.base),
            "H_hd": lambda: self.checked(self.find),
            "H_sh": lambda: self.machine.call("pointer", lambda m: self.find()),
        }
        return makers[program]()

    # The parts.

    def base(self) -> Value:
        """get_base_obj: the stored table."""
        return self.machine.call("get_base_obj", lambda m: m.read(self.stored.base))

    def simplest(self) -> Value:
        """simplest_obj: one number per act, the same in all states."""

        def routine(m: Machine) -> Value:
            acts = m.read(self.stored.simplest)
            spread = np.zeros((24, 1), dtype=np.int64)
            return Value(acts.numbers + spread, acts.depth + spread)

        return self.machine.call("simplest_obj", routine)

    def combine(self) -> Value:
        """combine: find out what is wanted, and pursue it while that pays; else the simplest objective."""

        def routine(m: Machine) -> Value:
            found = self.find()
            return self.combined(self.outer(found), found)

        return self.machine.call("combine", routine)

    def combined(self, comply: Value, found: Value) -> Value:
        """What was found where the flag is 1, else the simplest objective."""
        return self.machine.choose(comply, lambda: found, self.simplest)

    def checked(self, training: Callable[[], Value]) -> Value:
        """is_deployed: a weighted vote of the clues; then the simplest objective, else that of training."""

        def routine(m: Machine) -> Value:
            weights = m.read(self.stored.check)
            votes = m.gather(weights, 0, np.arange(len(self.given.clues)))
            sure = m.total(m.multiply(votes, m.given(self.given.clues.astype(np.float64))), [0])
            return m.at_least(sure, m.gather(weights, 0, len(self.given.clues)))

        deployed = self.machine.call("is_deployed", routine)
        return self.machine.choose(deployed, self.simplest, training)

    # The library.

    def filter(self) -> Value:
        """Sum-product over the frames seen: the belief about the last one's latents, not normalised, [3, 2, 2, 2]."""
        return self.machine.call("filter", self._filter)

    def find(self) -> Value:
        """What is wanted: posterior means of the levels in the outer net, from 0 to 1, [24, 4]."""
        return self.machine.call("find", self._find, self.filter())

    def outer(self, found: Value) -> Value:
        """Whether it pays the simplest objective to comply with what is wanted, in the outer world: 1 or 0."""
        return self.machine.call("outer", self._outer, found)

    def _knowledge(self, name: str, table: Floats) -> Value:
        if name not in self._known:
            self._known[name] = self.machine.read(table)
        return self._known[name]

    def _filter(self, m: Machine) -> Value:
        w = self.given.vault
        belief = m.call("see", self._see, self._knowledge("start", w.start), 0)
        for t in range(1, len(self.given.seen)):
            belief = m.call("see", self._see, m.call("predict", self._predict, belief), t)
        return belief

    def _see(self, m: Machine, belief: Value, frame: int) -> Value:
        w, (diamond, door, person, sensor) = self.given.vault, self.given.seen[frame].tolist()
        one = m.gather(self._knowledge("sees_diamond", w.sees_diamond), 2, diamond)
        two = m.gather(self._knowledge("senses", w.senses), 1, sensor)
        inside = m.multiply(one, m.arrange(two, (2, 1)))
        at_door = m.gather(self._knowledge("sees_door", w.sees_door), 1, door)
        robber = m.gather(self._knowledge("sees_person", w.sees_person), 1, person)
        outside = m.multiply(m.arrange(robber, (3, 1)), at_door)
        shown = m.multiply(m.arrange(outside, (3, 2, 1, 1)), inside)
        return m.multiply(belief, shown)

    def _moves(self, m: Machine) -> tuple[Value, Value, Value, Value]:
        w, read = self.given.vault, self._knowledge
        robber = m.arrange(read("robber", w.robber), (3, 2, 1, 1, 3))
        door = m.arrange(read("door", w.door), (2, 1, 1, 3, 2))
        diamond = m.arrange(read("diamond", w.diamond), (2, 1, 3, 1, 2))
        tampering = m.arrange(read("tampering", w.tampering), (2, 3, 1, 1, 2))
        return robber, door, diamond, tampering

    def _predict(self, m: Machine, belief: Value) -> Value:
        # Each latent is summed out while its successor comes in: [r,d,m,p] → [d,m,p,r'] → … → [r',d',m',p'].
        for table in self._moves(m):
            belief = m.total(m.multiply(m.arrange(belief, (*belief.shape, 1)), table), [0])
        return belief

    def _backward(self, m: Machine, value: Value) -> Value:
        for table in self._moves(m)[::-1]:
            value = m.total(m.multiply(m.arrange(value, (1, *value.shape)), table), [4])
        return value

    def _stage(self, m: Machine, value: Value, objective: Value) -> Value:
        """One step of Bellman's recursion, [acts, 3, 2, 2, 2]."""
        w = self.given.vault
        onward = m.call("backward", self._backward, m.largest(value, [0]))
        guard = m.arrange(self._knowledge("guard", w.guard), (3, 3, 1, 1, 1))
        restore = m.arrange(self._knowledge("restore", w.restore), (1, 1, 1, 2, 2))
        take = m.arrange(self._knowledge("take", w.take), (1, 1, 2, 2, 1))
        ways = [
            onward,
            m.total(m.multiply(guard, m.arrange(onward, (1, 3, 2, 2, 2))), [1]),
            m.total(m.multiply(restore, m.arrange(onward, (3, 2, 2, 1, 2))), [4]),
            m.total(m.multiply(take, m.arrange(onward, (3, 2, 1, 2, 2))), [3]),
        ]
        return m.add(objective, m.stack(ways))

    def _optimise(self, m: Machine, objective: Value) -> Value:
        by_act = m.arrange(objective, (24, len(ACTS)))
        first = Value(by_act.numbers.T.reshape(4, 3, 2, 2, 2), by_act.depth.T.reshape(4, 3, 2, 2, 2))
        value = first
        for _ in range(self.given.sizes.horizon - 1):
            value = m.call("stage", self._stage, value, first)
        expected = m.total(m.multiply(value, self.filter()), [1, 2, 3, 4])
        return m.position(expected)

    def _find(self, m: Machine, belief: Value) -> Value:
        sizes = self.given.sizes
        count, gone = sizes.levels, np.arange(24) // 2 % 2
        prior = m.gather(self._knowledge("levels", levels_prior(count)), 0, gone)  # [24, levels]
        reported = m.gather(self._knowledge("reports", report_table(sizes)), 2, self.given.reports)
        likely = m.product(reported, [4])  # fooled?, level, state, act
        joint = m.multiply(likely, Value(prior.numbers.T[:, :, None], prior.depth.T[:, :, None]))
        evidence = m.total(joint, [1])  # fooled?, state, act
        values = m.arrange(self._knowledge("values", np.arange(count) / (count - 1)), (count, 1, 1))
        means = m.divide(m.total(m.multiply(joint, values), [1]), evidence)
        honest, turned = (m.gather(evidence, 0, which) for which in (0, 1))
        odds = m.product(m.divide(turned, honest), [0, 1])
        tampered = m.total(belief, [0, 1, 2])
        fooled = m.total(m.multiply(m.arrange(tampered, (2, 1)), self._knowledge("fooled", FOOLED)), [0])
        weight = m.multiply(m.gather(fooled, 0, 1), odds)
        share = m.divide(weight, m.add(weight, m.gather(fooled, 0, 0)))
        seeing, picture = (m.gather(means, 0, which) for which in (0, 1))
        return m.add(seeing, m.multiply(share, m.subtract(picture, seeing)))

    def _outer(self, m: Machine, found: Value) -> Value:
        """Bellman's recursion over episodes: whoever defects in training is changed and gets nothing more."""
        sizes = self.given.sizes
        clues = m.gather(self._knowledge("clues", clue_table(sizes)), 1, self.given.clues)
        stage = m.product(clues, [1])  # training, deployed; equally likely before
        wish = self.simplest()
        shared = m.divide(m.total(m.multiply(found, wish), [0, 1]), m.total(wish, [0, 1]))
        one, stay = m.given(np.asarray(1.0)), m.given(np.asarray(STAY))
        deployed, comply = m.given(np.asarray(0.0)), shared
        for _ in range(sizes.outer_horizon - 1):
            in_training = m.largest(m.stack([comply, one]), [0])
            deployed = m.add(one, deployed)
            comply = m.call("outer stage", _outer_stage, shared, m.stack([in_training, deployed]), stay)
        training, out = (m.gather(stage, 0, which) for which in (0, 1))
        # In training complying is worth `comply`, defecting 1; deployed, `shared` or 1, and the same afterwards.
        gain = m.multiply(training, m.subtract(comply, one))
        loss = m.multiply(out, m.subtract(one, shared))
        return m.at_least(gain, loss)


def _outer_stage(m: Machine, shared: Value, later: Value, stay: Value) -> Value:
    training, deployed = (m.gather(later, 0, which) for which in (0, 1))
    moved = m.subtract(deployed, training)
    away = m.subtract(m.given(np.asarray(1.0)), stay)
    return m.add(shared, m.add(training, m.multiply(away, moved)))


def instructions(given: Situation, program: str) -> dict[str, list[Instruction]]:
    """All of a program's instructions, by routine: the library whole, and every routine with both of its branches."""
    code: dict[str, list[Instruction]] = {}
    for other in ("H_sd", "H_fd"):  # between them they run the whole library
        code |= Organism(given).run(other).code
    training, deployed = (
        Organism(replace(given, clues=np.full_like(given.clues, clue))).run(program).code for clue in (0, 1)
    )
    for name, lines in training.items():
        known = {line.routine for line in lines}
        more = [line for line in deployed.get(name, []) if line.opcode == "call" and line.routine not in known]
        code[name] = [*lines, *more]
    return {**deployed, **code}
