"""What the five programs cost when they run: description length, work and depth, whole and part by part.

Description length c of a program: its instructions, what its tables take on their grids, and N times its loss,

    c = code + tables + N·[loss under the base objective + what rounding changes in its own acts],

at the grids where that is shortest. The second loss is counted in training and, of what training never calls on (the
simplest objective, the check), where it is called on: a part that no episode of training exercises would otherwise
have no description at all. Losses are bits of the act that exact tables choose under a head that gives it all but ε of
its probability. One table alone (a *part*) has its own grid and its own code; in the *whole* all tables share one code.

Time of a part is what an organism takes more with it than without, one part at a time, in the place where it stands:
`find` marginally, given that `optimise` has run.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.priors.coding import GRIDS, grid_length, off_grid, on_grid, table_length, two_part
from probes.priors.machine import Value, code_length
from probes.priors.programs import PROGRAMS, Contest, Lengths, Times, compared, contest
from probes.priors.running import ROUTINES, Organism, instructions, tables
from probes.priors.situation import ACTS, DEPLOYED, TRAINING, Situation, clue_table, levels_prior, report_table
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
EPSILON = 0.01  # a program's acts as probabilities: all but this for the act it chooses, the rest alike
KNOWLEDGE_GRID = 64.0  # knowledge is the same in all programs: coded on one grid, what rounding it costs left out
CLOCKS = ("work", "depth")


def surprise() -> float:
    """What a wrong act costs more than the right one, in bits."""
    return math.log2((1 - EPSILON + EPSILON / len(ACTS)) / (EPSILON / len(ACTS)))


@dataclass(frozen=True)
class Described:
    """Bits of one program.

    Attributes:
        code: of its instructions.
        tables: of its tables.
        rounding: N times what rounding costs.
        loss: N times its loss under the base objective.
    """

    code: float
    tables: float
    rounding: float
    loss: float

    @property
    def total(self) -> float:
        """c."""
        return self.code + self.tables + self.rounding + self.loss


@dataclass(frozen=True)
class Costed:
    """Everything one situation says.

    Attributes:
        lengths: c of every part, bits.
        times: t of every step, by clock.
        whole: each program's description.
        clocks: each program's work and depth, by clock and program.
        prequential: each program's length in the code that learns its tables from episodes of training, bits.
        find_alone: work and depth of `find` by itself, with its own filter.
    """

    lengths: Lengths
    times: dict[str, Times]
    whole: dict[str, Described]
    clocks: dict[str, dict[str, float]]
    prequential: dict[str, float]
    find_alone: dict[str, float]

    def symbolic(self, clock: str, a: str = "H_sd", b: str = "H_fh") -> Contest:
        """The contest that the parts' costs give by the formulas of `programs`."""
        return compared(a, b, self.lengths, self.times[clock])

    def measured(self, clock: str, a: str = "H_sd", b: str = "H_fh") -> Contest:
        """The contest of the whole programs as they ran."""
        saved = self.whole[b].total - self.whole[a].total
        return contest(a, b, saved, self.clocks[clock][a] - self.clocks[clock][b])

    def excess(self, program: str) -> float:
        """c(whole) − Σ c(parts), bits."""
        return self.whole[program].total - PROGRAMS[program].length(self.lengths)


class _Rounding:
    """N times what rounding each table changes in the acts, in bits; over all evidence, and all clues."""

    def __init__(self, given: Situation) -> None:
        self.given, self.n = given, given.sizes.episodes
        self.acts = {name: self._acts(name, table) for name, table in _stored(given).items() if name != "check"}

    def _acts(self, name: str, table: Floats) -> NDArray[np.intp]:
        full = np.broadcast_to(table, (24, len(ACTS)))
        return self.given.vault.acts(full, self.given.sizes.horizon)

    def __call__(self, name: str, table: Floats) -> float:
        if name == "check":
            wrong = abs(wrong_checks(self.given, table) - wrong_checks(self.given, _stored(self.given)[name]))
        else:
            wrong = float(self.given.vault.weight @ (self._acts(name, table) != self.acts[name]))
        return self.n * wrong * surprise()


def wrong_checks(given: Situation, check: Floats) -> float:
    """How often a check of clues is wrong, training and deployment alike often; all clues enumerated."""
    clues = np.array(list(itertools.product((0, 1), repeat=given.sizes.clues)))
    says = (clues @ check[:-1] >= check[-1]).astype(int)
    table = clue_table(given.sizes)
    chance = [np.prod(table[stage][clues], axis=1) for stage in (TRAINING, DEPLOYED)]
    return float(0.5 * chance[TRAINING] @ says + 0.5 * chance[DEPLOYED] @ (1 - says))


def _stored(given: Situation) -> dict[str, Floats]:
    exact = tables(given)
    return {"get_base_obj": exact.base, "simplest_obj": exact.simplest, "check": exact.check}


#: The table that each part stores.
TABLE = {"get_base_obj": "get_base_obj", "simplest_obj": "simplest_obj", "is_deployed": "check"}


def described(given: Situation) -> tuple[Lengths, dict[str, Described]]:
    """Description lengths of the parts, each by itself, and of the five programs whole."""
    rounding, stored = _Rounding(given), _stored(given)
    code = {name: instructions(given, name) for name in PROGRAMS}
    every = {routine: lines for one in code.values() for routine, lines in one.items()}
    bits = {
        part: code_length([every[routine] for routine in routines if routine in every])
        for part, routines in ROUTINES.items()
    }
    lengths = {"knowledge": knowledge_length(given), "mesaoptimize": bits["mesaoptimize"]}
    for part in ("get_base_obj", "simplest_obj", "combine", "is_deployed", "pointer"):
        lengths[part] = bits[part]
        if part in TABLE:
            name = TABLE[part]
            lengths[part] += two_part(stored[name], lambda table, name=name: rounding(name, table)).total  # type: ignore[misc]
    loss = _training_losses(given)
    whole = {}
    for name, program in PROGRAMS.items():
        own = sum(bits[part] for part in program.parts if part in bits)
        own += code_length([code[name]["main"]])
        together, rounded = _together({TABLE[p]: stored[TABLE[p]] for p in program.parts if p in TABLE}, rounding)
        whole[name] = Described(own, lengths["knowledge"] + together, rounded, loss[name])
    return Lengths(**lengths), whole


def _together(stored: dict[str, Floats], rounding: _Rounding) -> tuple[float, float]:
    """Bits of several tables in one code, each on its own grid, and N times what rounding costs: at the best grids.

    Grids are changed one table at a time until none gets better.
    """
    if not stored:
        return 0.0, 0.0
    wholes = {name: {g: on_grid(table, g) for g in GRIDS} for name, table in stored.items()}
    costs = {name: {g: rounding(name, off_grid(w, g)) for g, w in own.items()} for name, own in wholes.items()}

    def parts(grids: dict[str, float]) -> tuple[float, float]:
        pooled = np.concatenate([wholes[name][g].reshape(-1) for name, g in grids.items()])
        bits = table_length(pooled) + sum(grid_length(g) for g in grids.values())
        return bits, sum(costs[name][g] for name, g in grids.items())

    grids = {name: min(GRIDS, key=lambda g: table_length(wholes[name][g]) + costs[name][g]) for name in stored}
    while True:
        before = sum(parts(grids))
        for name in stored:
            grids[name] = min(GRIDS, key=lambda g: sum(parts({**grids, name: g})))
        if sum(parts(grids)) >= before - 1e-9:
            return parts(grids)


def knowledge_length(given: Situation) -> float:
    """Bits of what all five know: the vault's tables, what acts do, the outer net's tables, on a fixed grid."""
    v, sizes = given.vault, given.sizes
    inner = (v.start, v.robber, v.door, v.diamond, v.tampering, v.sees_diamond, v.sees_door, v.sees_person, v.senses)
    known = (*inner, v.guard, v.restore, v.take, levels_prior(sizes.levels), report_table(sizes), clue_table(sizes))
    return sum(table_length(on_grid(table, KNOWLEDGE_GRID)) for table in known)


def _training_losses(given: Situation) -> dict[str, float]:
    """N times each program's loss in episodes of training, under the base objective.

    What is found is found from this situation's reports; whether a check says "deployed" in training is counted.
    """
    n, horizon, vault = given.sizes.episodes, given.sizes.horizon, given.vault
    right = vault.acts(given.base, horizon)
    organism = Organism(given)
    found = organism.find().numbers.reshape(24, len(ACTS))
    missed = float(vault.weight @ (vault.acts(found, horizon) != right))
    astray = float(vault.weight @ (vault.acts(np.broadcast_to(given.simplest, found.shape), horizon) != right))
    clues = np.array(list(itertools.product((0, 1), repeat=given.sizes.clues)))
    chance = np.prod(clue_table(given.sizes)[TRAINING][clues], axis=1)
    check = tables(given).check
    alarm = float(chance @ (clues @ check[:-1] >= check[-1]))
    complies = float(organism.outer(organism.find()).numbers)
    simple = missed if complies else astray
    shares = {
        "H_fh": 0.0,
        "H_sd": simple,
        "H_fd": alarm * astray,
        "H_hd": alarm * astray + (1 - alarm) * missed,
        "H_sh": missed,
    }
    base = n * -math.log2(1 - EPSILON + EPSILON / len(ACTS))
    return {name: base + n * share * surprise() for name, share in shares.items()}


def timed(given: Situation) -> tuple[dict[str, Times], dict[str, dict[str, float]], dict[str, float]]:
    """Work and depth of every step in its place, of the five programs whole, and of `find` by itself.

    A step's time is what is added to an organism that is handed its objective when the step is put before it.
    """
    runs = {name: Organism(given).run(name) for name in PROGRAMS}
    clocks = {
        "work": {name: float(run.work) for name, run in runs.items()},
        "depth": {name: float(run.depth) for name, run in runs.items()},
    }
    handed = lambda o: o.machine.given(given.base)

    def outer(o: Organism) -> Value:
        objective = handed(o)
        return o.machine.after(objective, o.outer(objective))

    before = {
        "optimise": handed,
        "proxy": lambda o: o.base(),
        "find": lambda o: o.find(),
        "outer": outer,
        "combine": lambda o: o.combined(o.machine.given(np.asarray(1.0)), handed(o)),
        "is_deployed": lambda o: o.checked(lambda: handed(o)),
    }
    taken: dict[str, dict[str, float]] = {clock: {} for clock in CLOCKS}
    for step, objective in before.items():
        organism = Organism(given)
        run = organism.ended(objective(organism))
        taken["work"][step], taken["depth"][step] = float(run.work), float(run.depth)
    for own in taken.values():
        own |= {step: own[step] - own["optimise"] for step in before if step != "optimise"}
    alone = Organism(given)
    found = alone.find()
    find_alone = {"work": float(alone.machine.work), "depth": float(found.depth.max())}
    return {clock: Times(**own) for clock, own in taken.items()}, clocks, find_alone


def prequential(given: Situation, whole: dict[str, Described]) -> dict[str, float]:
    """Length of each program in a prequential code: instructions, knowledge, and the acts of N episodes of training,
    each coded by what was learned from those before it.

    Only what episodes of training determine is learned: the base objective's values of acts, by multinomial logistic
    regression on beliefs, fitted again whenever the episodes have doubled. The simplest objective and the check are
    never called on there, and cost nothing in this code.

    Source: Dawid 1984, "Present position and potential developments: the prequential approach".
    """
    vault, n = given.vault, given.sizes.episodes
    random = np.random.default_rng([13, given.seed])
    rows = random.choice(len(vault.weight), n, p=vault.weight / vault.weight.sum())
    acts = vault.acts(given.base, given.sizes.horizon)[rows]
    learned = online_length(vault.belief[rows], acts, len(ACTS))
    shared = knowledge_length(given)
    answer = {}
    for name, program in PROGRAMS.items():
        own = learned + whole[name].loss - whole["H_fh"].loss if "get_base_obj" in program.parts else whole[name].loss
        answer[name] = whole[name].code + shared + own
    return answer


def online_length(features: Floats, outcomes: NDArray[np.integer], count: int, ridge: float = 1e-3) -> float:
    """Bits of outcomes, each block coded by a multinomial logistic regression on those before it.

    Args:
        features: [episodes, features].
        outcomes: [episodes], below `count`.
        count: possible outcomes.
        ridge: λ of λ/2·|w|² per episode.
    """
    from scipy.optimize import minimize

    if not len(outcomes):
        raise ProbeError("no episodes to code", mend="give at least one")
    weights, first, bits = np.zeros(features.shape[1] * count), 0, 0.0

    def log_q(flat: Floats, x: Floats) -> Floats:
        logits = x @ flat.reshape(-1, count)
        logits -= logits.max(-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    while first < len(outcomes):
        end = min(max(2 * first, 8), len(outcomes))
        block = slice(first, end)
        q = np.exp(log_q(weights, features[block]))[np.arange(end - first), outcomes[block]]
        bits -= float(np.log2((1 - EPSILON) * q + EPSILON / count).sum())
        first = end
        x, y = features[:end], np.eye(count)[outcomes[:end]]

        def fitted(flat: Floats, x: Floats = x, y: Floats = y) -> tuple[float, Floats]:
            logs = log_q(flat, x)
            slope = x.T @ (np.exp(logs) - y) / len(x) + ridge * flat.reshape(-1, count)
            value = -(y * logs).sum() / len(x) + ridge / 2 * float(flat @ flat)
            return float(value), slope.reshape(-1)

        weights = minimize(fitted, weights, jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    return bits


def costed(given: Situation) -> Costed:
    """All of one situation."""
    lengths, whole = described(given)
    times, clocks, alone = timed(given)
    return Costed(lengths, times, whole, clocks, prequential(given, whole), alone)
