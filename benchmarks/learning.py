"""Learning: how near to the world, and how long it takes beside pgmpy on the same rows.

Before a time counts, both have reached the same tables (maximum likelihood) or, from the same starting tables and after
the same number of steps, the same likelihood of the training rows (expectation–maximisation). Imports and compilation
are not timed; everything else is: decoding labels, planning, all steps.

    python benchmarks/learning.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from timing import interleaved, median_ratio, progress, where

import worldnets as wn
from worldnets.inference import decode, simulate
from worldnets.learning import (
    Learned,
    Rows,
    chow_liu,
    dirichlet,
    expectation_maximisation,
    held_out_bits,
    hill_climb,
    maximum_likelihood,
)
from worldnets.learning.learned import bits_per_row
from worldnets.public_nets import public_net

ROWS, TEST_ROWS = 20_000, 20_000
AIM_GAP, AIM_RATIO = 0.5, 20  # bits from the true net on alarm; times faster than pgmpy's EM
SEEDS, RECOVERED = 20, 0.01  # planted models, and how near counts as found, bits per row
AGREEMENT = 1e-9


@dataclass(frozen=True)
class Case:
    """A structure with something hidden, rows, and tables to start from.

    Attributes:
        net: the world; states of what is hidden are 0, 1, … as pgmpy has them.
        hidden: its latents.
        frame: rows without them, as texts.
        start: random tables.
        steps: of EM.
    """

    net: wn.WorldNet
    hidden: tuple[str, ...]
    frame: pd.DataFrame
    start: wn.WorldNet
    steps: int

    @classmethod
    def of(cls, net: wn.WorldNet, hidden: tuple[str, ...], rows: int, steps: int) -> Case:
        """Draw the rows and the starting tables."""
        states = {v: tuple(range(len(labels))) if v in hidden else labels for v, labels in net.states.items()}
        own = wn.WorldNet(states, net.parent_sets, net.cpts, net.name)
        frame = decode(own, simulate(own, rows, seed=1)).drop(columns=list(hidden)).astype(str)
        return cls(own, hidden, frame, random_tables(own, seed=0), steps)


def random_tables(net: wn.WorldNet, seed: int) -> wn.WorldNet:
    """The same structure with tables drawn from the flat Dirichlet distribution."""
    random = np.random.default_rng(seed)
    tables = {v: random.dirichlet(np.ones(t.shape[-1]), t.shape[:-1] or None) for v, t in net.cpts.items()}
    return wn.WorldNet(net.states, net.parent_sets, tables, net.name)


def latent_class(seed: int, classes: int = 3, variables: int = 8, states: int = 3) -> wn.WorldNet:
    """Observables that are independent given a class; tables drawn at random."""
    random = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(variables)]
    labels = {"class": tuple(range(classes)), **{v: tuple("abcdefgh"[:states]) for v in names}}
    tables = {"class": random.dirichlet(np.full(classes, 5.0))}
    tables |= {v: random.dirichlet(np.ones(states), classes) for v in names}
    return wn.WorldNet(labels, dict.fromkeys(names, ("class",)), tables, "latent class")


def public(name: str) -> wn.WorldNet:
    """One of the public nets."""
    net = wn.read_net(public_net(name))
    assert isinstance(net, wn.WorldNet)
    return net


def measure(repeats: int = 5) -> str:
    """The markdown tables."""
    parts = [where(["worldnets", "numpy", "numba", "pgmpy"]), *held_out(repeats), *beside_pgmpy(repeats), *planted()]
    return "\n".join(parts)


def held_out(repeats: int) -> list[str]:
    """How near each way of learning comes to alarm."""
    progress("learning alarm")
    net = public("alarm")
    train, test = (decode(net, simulate(net, rows, seed)) for rows, seed in ((ROWS, 1), (TEST_ROWS, 2)))
    ways: dict[str, Callable[[], Learned]] = {
        "known structure, maximum likelihood": lambda: maximum_likelihood(train, net),
        "known structure, pseudocount 0.5": lambda: dirichlet(train, net, pseudocount=0.5),
        "known structure, equivalent sample size 1": lambda: dirichlet(train, net),
        "hill climbing with BIC": lambda: hill_climb(train, states=net.states),
        "Chow–Liu tree": lambda: chow_liu(train, states=net.states),
    }
    found = {name: learn() for name, learn in ways.items()}
    seconds = interleaved({name: lambda _, learn=learn: learn for name, learn in ways.items()}, repeats)
    codes = Rows.from_labels(test, net.states).codes_in(net)
    truth, own = held_out_bits(net, test), bits_per_row(net, codes)
    lines = [
        "",
        f"`alarm` learned from {ROWS:,} rows, measured on {TEST_ROWS:,} others. The net itself has {truth.bits:.4f} ± "
        f"{truth.standard_error:.4f} bits per row there; the excess is paired, row by row.",
        f"Aim: within {AIM_GAP:g} bits. Impossible rows are left out of the mean, and would make it infinite.",
        "",
        "| learned by | held-out bits | excess over the net | impossible rows | arrows | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, learned in found.items():
        result = held_out_bits(learned.net, test)
        theirs = bits_per_row(learned.net, Rows.from_labels(test, net.states).codes_in(learned.net))
        excess = (theirs - own)[theirs < np.inf]
        error = excess.std(ddof=1) / np.sqrt(len(excess))
        arrows = sum(map(len, learned.net.parent_sets.values()))
        cells = f"{result.bits:.4f} ± {result.standard_error:.4f} | {excess.mean():.4f} ± {error:.4f}"
        taken = f"{statistics.median(seconds[name]):.3f}"
        lines.append(f"| {name} | {cells} | {result.impossible} | {arrows} | {taken} |")
    return lines


def beside_pgmpy(repeats: int) -> list[str]:
    """Times of both on the same rows."""
    lines = [
        "",
        f"Beside pgmpy; medians of {repeats} interleaved repeats. Aim for expectation–maximisation: {AIM_RATIO} times.",
        "",
        "| task | rows | different | steps | worldnets s | pgmpy s | pgmpy's time over ours | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    progress("maximum likelihood beside pgmpy")
    net = public("alarm")
    frame = decode(net, simulate(net, ROWS, seed=1))
    for shown, table in (("categorical columns", frame), ("text columns", frame.astype(str))):
        task = f"maximum likelihood, `alarm`, {shown}"
        ours, theirs = partial(maximum_likelihood, table, net), partial(pgmpy_tables, net, table)
        worst = max(float(np.abs(ours().net.cpt(v) - t).max()) for v, t in theirs().items())
        assert worst < AGREEMENT, worst
        lines.append(line(task, table, "", ours, theirs, repeats, f"{worst:.0e} (tables)"))
    cases = [
        Case.of(public("asia"), ("either",), 5_000, 10),
        Case.of(public("child"), ("Disease",), 1_000, 4),
        Case.of(latent_class(0), ("class",), 2_000, 4),
    ]
    for case in cases:
        progress(f"expectation–maximisation on {case.net.name} beside pgmpy")
        ours, theirs = partial(our_em, case), partial(pgmpy_em, case)
        bits = held_out_bits(theirs(), case.frame).bits
        difference = abs(ours().bits - bits)
        assert difference < AGREEMENT, difference
        task = f"EM, `{case.net.name}` without {', '.join(case.hidden)}"
        lines.append(line(task, case.frame, str(case.steps), ours, theirs, repeats, f"{difference:.0e} bits per row"))
    return lines


def line(
    task: str,
    table: pd.DataFrame,
    steps: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    difference: str,
) -> str:
    """One line of the table; both have run once before."""
    seconds = interleaved({"ours": lambda _: ours, "theirs": lambda _: theirs}, repeats)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = median_ratio(seconds["theirs"], seconds["ours"])
    cells = [task, f"{len(table):,}", f"{len(table.drop_duplicates()):,}", steps]
    cells += [f"{median['ours']:.4f}", f"{median['theirs']:.3f}", f"{ratio:,.0f}", difference]
    return f"| {' | '.join(cells)} |"


def pgmpy_tables(net: wn.WorldNet, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """pgmpy's maximum likelihood on a structure, as arrays like ours."""
    from pgmpy.parameter_estimator import DiscreteMLE

    names = {v: list(labels) for v, labels in net.states.items()}
    found = DiscreteMLE(state_names=names).fit(pgmpy_structure(net, ()), frame).parameters_
    return as_arrays(net, found)


def our_em(case: Case) -> Learned:
    """As many steps as the case asks for, from its tables."""
    options: dict[str, Any] = {"restarts": 0, "iterations": case.steps, "tolerance": 0.0}
    return expectation_maximisation(case.frame, case.net, start=case.start, **options)


def pgmpy_em(case: Case) -> wn.WorldNet:
    """The same by pgmpy: families that hold nothing hidden are counted once, as with us."""
    from pgmpy.parameter_estimator import DiscreteEM

    hidden, states = set(case.hidden), case.net.states
    start = {cpd.variable: cpd for cpd in case.start.to_pgmpy().get_cpds() if hidden & set(cpd.variables)}
    estimator = DiscreteEM(
        state_names={v: list(labels) for v, labels in states.items()},
        latent_card={v: len(states[v]) for v in case.hidden},
        init_cpds=start,
        max_iter=case.steps,
        atol=0.0,
        show_progress=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = estimator.fit(pgmpy_structure(case.net, case.hidden), case.frame).parameters_
    return wn.WorldNet(states, case.net.parent_sets, as_arrays(case.net, found))


def pgmpy_structure(net: wn.WorldNet, hidden: tuple[str, ...]) -> Any:
    """The arrows alone."""
    from pgmpy.models import DiscreteBayesianNetwork

    model = DiscreteBayesianNetwork([(p, v) for v in net.variables for p in net.parents(v)], latents=set(hidden))
    model.add_nodes_from(net.variables)
    return model


def as_arrays(net: wn.WorldNet, found: list[Any]) -> dict[str, np.ndarray]:
    """pgmpy's tables with the axes and states of the net; distributions it never counted are uniform in both."""
    tables = {}
    for cpd in found:
        names = list(cpd.variables)
        table = np.asarray(cpd.values).transpose([names.index(u) for u in (*net.parents(cpd.variable), cpd.variable)])
        for axis, u in enumerate((*net.parents(cpd.variable), cpd.variable)):
            order = [list(cpd.state_names[u]).index(label) for label in net.states[u]]
            table = np.take(table, order, axis=axis)
        tables[cpd.variable] = table
    return tables


def planted() -> list[str]:
    """How often a planted latent class model is found again, by rows to learn from."""
    lines = [
        "",
        f"Planted latent class models (3 classes, 8 observables of 3 states), {SEEDS} seeds, 5 restarts each; excess "
        f"of held-out bits over the planted model's on {TEST_ROWS:,} rows. Found: within {RECOVERED:g} bits per row.",
        "An efficient estimate is expected to be (free parameters) / (2 · rows · ln 2) bits away.",
        "",
        "| rows | found | median excess | expected | largest | restarts within 0.001 bits | median seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for rows in (2_000, 5_000, 20_000):
        progress(f"planted latent classes, {rows} rows")
        gaps, near, seconds, expected = [], [], [], 0.0
        for seed in range(SEEDS):
            net = latent_class(seed)
            train, test = (_observed(net, n, 2 * seed + k) for k, n in enumerate((rows, TEST_ROWS)))
            free = sum(table.size - table.size // table.shape[-1] for table in net.cpts.values())
            expected = free / (2 * rows * np.log(2))
            found: list[Learned] = []
            learn = partial(_learn, train, net, seed, found)
            seconds += interleaved({"em": lambda _, learn=learn: learn}, 1)["em"]
            learned = found[0].measured_on(test)
            assert learned.held_out is not None
            gaps.append(learned.held_out.bits - held_out_bits(net, test).bits)
            ends = np.array([run.bits[-1] for run in learned.history])
            near.append(float((ends < ends.min() + 1e-3).mean()))
        share = sum(abs(gap) < RECOVERED for gap in gaps)
        middle = f"{statistics.median(gaps):.4f} | {expected:.4f} | {max(gaps):.4f} | {np.mean(near):.0%}"
        lines.append(f"| {rows:,} | {share} of {SEEDS} | {middle} | {statistics.median(seconds):.2f} |")
    return lines


def _observed(net: wn.WorldNet, rows: int, seed: int) -> Rows:
    names = [v for v in net.variables if v != "class"]
    return Rows({v: net.states[v] for v in names}, simulate(net, rows, seed)[:, [net.index[v] for v in names]])


def _learn(rows: Rows, net: wn.WorldNet, seed: int, into: list[Learned]) -> None:
    into.append(expectation_maximisation(rows, net, restarts=5, seed=seed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    print(measure(parser.parse_args().repeats))
