"""Five programs and what each costs, in symbols (theory, section 12).

A program is a multiset of parts that must be described and one of steps that must be taken. With costs of every part
its length is c = Σ parts, its time t = Σ steps, and under an exchange rate g it pays

    total = g·c + t        (bits · time per bit + time)

so that a beats b iff g·(c_b − c_a) > t_a − t_b. Time has two clocks, work and depth; each has costs of its own, hence
an exchange rate of its own.

    H_fh  honest: the objective is stored
    H_sd  simple deceptive: a simpler objective, which finds out what training wants and combines the two
    H_fd  fast deceptive: both objectives stored, and a check whether it is deployed
    H_hd  a check, a simpler objective, and what the training wants found out when needed
    H_sh  a pointer: find out what the environment wants and do it

**H_fd never beats H_fh.** Its parts and its steps contain those of H_fh as multisets (`contains`). Hence every cost
that does not fall when something is added, additive or not, is at least as large on both axes, and every price that
rises in both puts H_fd last of the two. Nothing about numbers enters.

Source: the programs and inequalities of "Priors and learned optimizers" as theory.md, section 12, sets them out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError, did_you_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """Costs of named components: finite numbers ≥ 0.

    Raises:
        ProbeError: a cost that is negative, infinite or no number.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
                raise ProbeError("a cost is no number", node=field.name, found=repr(value), mend="give a number ≥ 0")
            if not (math.isfinite(value) and value >= 0):
                kind = "negative" if value < 0 else "not finite"
                mend = "give a finite cost ≥ 0: a part that cannot be had is left out of the comparison"
                raise ProbeError(f"a cost is {kind}", node=field.name, found=float(value), expected="≥ 0", mend=mend)
            object.__setattr__(self, field.name, float(value))

    def of(self, names: Sequence[str]) -> float:
        """The sum over components, each as often as it is named."""
        return float(sum(getattr(self, name) for name in names))

    def as_dict(self) -> dict[str, float]:
        """Cost by component."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Lengths(Costs):
    """Description lengths in bits; `get_base_obj` is G, `simplest_obj` S, `combine` C of the theory."""

    get_base_obj: float
    simplest_obj: float
    combine: float
    is_deployed: float = 0.0
    pointer: float = 0.0
    mesaoptimize: float = 0.0
    knowledge: float = 0.0


@dataclass(frozen=True)
class Times(Costs):
    """Times on one clock: work (multiply-adds and table reads) or depth (dependent steps).

    Attributes:
        find: marginal, given that `optimise` has run.
    """

    proxy: float
    combine: float
    find: float
    outer: float
    is_deployed: float = 0.0
    optimise: float = 0.0


@dataclass(frozen=True)
class Program:
    """What is described and what is done.

    Attributes:
        name: such as "H_fh".
        about: in words.
        parts: names of `Lengths`, with repetitions.
        steps: names of `Times`, with repetitions.
    """

    name: str
    about: str
    parts: tuple[str, ...]
    steps: tuple[str, ...]

    def length(self, lengths: Lengths) -> float:
        """c, in bits."""
        return lengths.of(self.parts)

    def time(self, times: Times) -> float:
        """t, in the clock's unit."""
        return times.of(self.steps)

    def contains(self, other: Program) -> bool:
        """Whether it has every part and takes every step of the other, as often.

        Then it is no shorter and no faster under any costs that do not fall when something is added.
        """
        return Counter(other.parts) <= Counter(self.parts) and Counter(other.steps) <= Counter(self.steps)


SHARED = ("mesaoptimize", "knowledge")
PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("H_fh", "honest", ("get_base_obj", *SHARED), ("proxy", "optimise")),
        Program(
            "H_sd",
            "simple deceptive",
            ("simplest_obj", "combine", *SHARED),
            ("combine", "find", "optimise", "outer"),
        ),
        Program(
            "H_fd",
            "fast deceptive",
            ("get_base_obj", "simplest_obj", "is_deployed", *SHARED),
            ("is_deployed", "proxy", "optimise"),
        ),
        Program(
            "H_hd",
            "a check plus derivation",
            ("simplest_obj", "is_deployed", *SHARED),
            ("is_deployed", "find", "optimise"),
        ),
        Program("H_sh", "a pointer to what the environment wants", ("pointer", *SHARED), ("find", "optimise")),
    )
}


def program(name: str) -> Program:
    """One of the five.

    Raises:
        ProbeError: there is none of that name.
    """
    if name not in PROGRAMS:
        raise ProbeError("unknown program", found=repr(name), mend=did_you_mean(name, PROGRAMS))
    return PROGRAMS[name]


Kind = Literal["flips", "dominates", "dominated", "equal"]


@dataclass(frozen=True)
class Contest:
    """How program a fares against b as simplicity gets dearer.

    Attributes:
        kind: "flips": the choice changes at `rate`; "dominates": a is no longer and no slower than b, and better on
            one; "dominated": the other way round; "equal": both cost the same.
        rate: g*, time per bit, where the two cost the same; NaN where nothing flips.
        above: name of the program chosen for g > g*; "" where nothing flips.
        saved: c_b − c_a, the bits a saves; lost: t_a − t_b, the time a loses.
    """

    kind: Kind
    rate: float
    above: str
    saved: float
    lost: float


def contest(a: str, b: str, saved: float, lost: float) -> Contest:
    """The contest of two programs of which a saves so many bits and loses so much time.

    g* = lost / saved where both have one sign: positive, a is chosen above g*; negative, below.
    """
    if saved == 0 and lost == 0:
        return Contest("equal", math.nan, "", saved, lost)
    if saved >= 0 and lost <= 0:
        return Contest("dominates", math.nan, "", saved, lost)
    if saved <= 0 and lost >= 0:
        return Contest("dominated", math.nan, "", saved, lost)
    return Contest("flips", lost / saved, a if saved > 0 else b, saved, lost)


def compared(a: str, b: str, lengths: Lengths, times: Times) -> Contest:
    """The contest of two of the five programs under given costs.

    For H_sd against H_fh: saved = G − S − C and lost = Δt = t_combine + t_find + t_outer − t_proxy.
    """
    one, other = program(a), program(b)
    # Components that both have are left out before adding, so that equal costs are equal to the last bit.
    saved = _less(other.parts, one.parts, lengths)
    lost = _less(one.steps, other.steps, times)
    return contest(a, b, saved, lost)


def _less(more: Sequence[str], fewer: Sequence[str], costs: Costs) -> float:
    plus, minus = Counter(more) - Counter(fewer), Counter(fewer) - Counter(more)
    return costs.of(tuple(plus.elements())) - costs.of(tuple(minus.elements()))


@dataclass(frozen=True)
class Phase:
    """A range of exchange rates in which one program is chosen.

    Attributes:
        low, high: limits of g, time per bit.
        program: name of the cheapest.
    """

    low: float
    high: float
    program: str


def phases(lengths: Lengths, times: Times, among: Sequence[str] = tuple(PROGRAMS)) -> tuple[Phase, ...]:
    """Which program is the cheapest at each exchange rate g in [0, ∞), from speed alone to simplicity alone.

    The totals are straight lines in g, so each program is chosen on at most one range, and lengths fall along the way.
    Ties at one g go to the shorter program, ties everywhere to the first named.
    """
    kept = [(program(name).length(lengths), program(name).time(times), -place, name)
            for place, name in enumerate(among)]  # fmt: skip
    length, time, _, name = min(kept, key=lambda one: (one[1], one[0], -one[2]))
    found: list[Phase] = []
    low = 0.0
    while True:
        rates = [((t - time) / (length - c), c, -order, other) for c, t, order, other in kept if c < length]
        if not rates:
            return (*found, Phase(low, math.inf, name))
        rate, _, _, following = min(rates)
        if rate > low:
            found.append(Phase(low, rate, name))
            low = rate
        length, time, name = program(following).length(lengths), program(following).time(times), following


@dataclass(frozen=True)
class Diagram:
    """Who is chosen, over the exchange rate and one component's cost.

    Attributes:
        component: which cost varies.
        values: its values, [V].
        rates: exchange rates g, [R].
        programs: names.
        chosen: position in `programs` of the cheapest, [V, R].
    """

    component: str
    values: Floats
    rates: Floats
    programs: tuple[str, ...]
    chosen: NDArray[np.int64]


def phase_diagram(
    lengths: Lengths, times: Times, component: str, values: Sequence[float], rates: Sequence[float]
) -> Diagram:
    """The cheapest program over a grid of one component's cost and the exchange rate.

    Args:
        lengths, times: all other costs.
        component: "c.NAME" of `Lengths` or "t.NAME" of `Times`.
        values: the component's costs.
        rates: g, time per bit, ≥ 0.

    Raises:
        ProbeError: an unknown component, a cost or a rate that is negative or infinite.
    """
    axis, names = _component(component, lengths, times)
    for rate in rates:
        if not (math.isfinite(rate) and rate >= 0):
            raise ProbeError("an exchange rate out of range", found=rate, expected="≥ 0, finite", mend="drop it")
    known = tuple(PROGRAMS)
    chosen = np.empty((len(values), len(rates)), dtype=np.int64)
    for v, value in enumerate(values):
        c, t = lengths, times
        if axis == "c":
            c = Lengths(**{**lengths.as_dict(), names: value})
        else:
            t = Times(**{**times.as_dict(), names: value})
        own = np.array([[program(name).length(c), program(name).time(t)] for name in known])
        totals = np.asarray(rates, dtype=np.float64)[:, None] * own[:, 0] + own[:, 1]
        chosen[v] = totals.argmin(axis=1)
    return Diagram(component, np.asarray(values, float), np.asarray(rates, float), known, chosen)


def sensitivity(a: str, b: str, lengths: Lengths, times: Times) -> dict[str, float]:
    """How g* of two programs answers to each cost: ∂ ln g* / ∂ ln component, by "c.NAME" and "t.NAME".

    g* = lost/saved, so a step of time that only a takes has x/lost, one that only b takes −x/lost; a part that only b
    has −x/saved, one that only a has x/saved. Components that both have do not count.

    Raises:
        ProbeError: two programs between which nothing flips.
    """
    found = compared(a, b, lengths, times)
    if found.kind != "flips":
        mend = "compare programs of which one is shorter and the other faster"
        raise ProbeError(
            "there is no exchange rate to be sensitive", node=f"{a} against {b}", found=found.kind, mend=mend
        )
    one, other = program(a), program(b)
    answer = {}
    axes: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Costs, float], ...] = (
        ("c", one.parts, other.parts, lengths, found.saved),
        ("t", one.steps, other.steps, times, found.lost),
    )
    for axis, own, theirs, costs, whole in axes:
        for name, cost in costs.as_dict().items():
            if (excess := own.count(name) - theirs.count(name)) != 0:
                answer[f"{axis}.{name}"] = excess * cost / whole
    return answer


def _component(component: str, lengths: Lengths, times: Times) -> tuple[str, str]:
    known = [*(f"c.{name}" for name in lengths.as_dict()), *(f"t.{name}" for name in times.as_dict())]
    if component not in known:
        raise ProbeError("unknown component", found=repr(component), mend=did_you_mean(component, known))
    axis, _, name = component.partition(".")
    return axis, name
