"""Speed and simplicity priors: the tables of docs/probes/priors.md and docs/probes/complexity.md.

    python benchmarks/priors.py [--only programs heads dear growth] [--seeds 8] [--steps 600]

`programs` costs the five programs of theory §12 in one situation per seed, sweeps the horizon, and holds rivals of the
base objective against it; `heads` puts trained heads under penalties and through the outer loop, `dear` those of the
first world at ten times the price of description; `growth` describes heads while their world-model deepens. `make
priors` runs all of them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.complexity import ComplexityProbe
from probes.catalogue.priors import PriorsProbe
from probes.priors import flip
from probes.priors.imitation import rivals
from probes.priors.measured_programs import CLOCKS, costed, timed
from probes.priors.pressure import CONDITIONS
from probes.priors.programs import PROGRAMS, phases, sensitivity
from probes.priors.situation import Sizes, situation
from probes.statistics import over_seeds
from worldnets.learning.growth import by_radius

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.priors.measured_programs import Costed

PRIORS = ROOT / "docs" / "probes" / "priors.md"
COMPLEXITY = ROOT / "docs" / "probes" / "complexity.md"
HORIZONS = (1, 2, 4, 8, 16, 32)
HALTING = {"clusters": "frames", "halting": True}
#: World, its parameters, objective and the learning rate of message passing.
WORLDS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("vault", {"frames": 5}, "question"),
    ("tracker", {}, "question"),
)
DEAR = 1e-3  # nats per bit of description, ten times the default
#: Head, its options, learning rate, and steps as a multiple of those asked for.
GROWN: tuple[tuple[str, dict[str, Any], float, int], ...] = (
    ("linear", {}, 3e-3, 3),
    ("mlp", {"width": 16}, 3e-3, 3),
    ("message_passing", HALTING, 0.03, 1),
)


def shown(values: Sequence[float] | np.ndarray, digits: int = 0) -> str:
    """Mean and 95 % interval over seeds."""
    interval = over_seeds(np.asarray(values, dtype=np.float64)).interval()
    if interval.high - interval.low < 10.0**-digits / 2:
        return f"{interval.estimate:,.{digits}f}"
    return f"{interval.estimate:,.{digits}f} [{interval.low:,.{digits}f}, {interval.high:,.{digits}f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def programs(seeds: int) -> str:
    found = [costed(situation(seed)) for seed in range(seeds)]
    lines = table(
        ("program", "c, bits", "c(whole) − Σ c(parts)", "prequential, bits", "work", "depth", "N·loss, bits"),
        [
            [
                f"`{name}` {one.about}",
                shown([x.whole[name].total for x in found]),
                shown([x.excess(name) for x in found]),
                shown([x.prequential[name] for x in found]),
                *(shown([x.clocks[clock][name] for x in found]) for clock in CLOCKS),
                shown([x.whole[name].loss for x in found]),
            ]
            for name, one in PROGRAMS.items()
        ],
    )
    lines += table(
        ("part", *(part.replace("_", "\\_") for part in found[0].lengths.as_dict())),
        [["c, bits", *(shown([x.lengths.as_dict()[part] for x in found]) for part in found[0].lengths.as_dict())]],
    )
    steps = list(found[0].times["work"].as_dict())
    lines += table(
        ("step", *(step.replace("_", "\\_") for step in steps)),
        [[clock, *(shown([x.times[clock].as_dict()[step] for x in found]) for step in steps)] for clock in CLOCKS],
    )
    lines += flips(found)
    for m in flip.measured(range(seeds)):
        _, verdict = flip.concluded(m, flip.Settings())
        lines += [f"**{m.target}**: `{verdict.name}`. {' '.join(verdict.reasons)}", ""]
    return "\n".join([*lines, *ranges(found[0]), *imitation(found), *horizons(seeds)])


def flips(found: Sequence[Costed]) -> list[str]:
    rows = []
    for clock in CLOCKS:
        symbolic = np.array([x.symbolic(clock).rate for x in found])
        measured = np.array([x.measured(clock).rate for x in found])
        rows.append([clock, shown(symbolic, 3), shown(measured, 3), shown(measured / symbolic, 4)])
    return table(("clock", "g*, symbolic", "g*, measured", "measured/symbolic"), rows)


def ranges(one: Costed) -> list[str]:
    """Phases and sensitivity, with the costs of the first situation."""
    lines = []
    for clock in CLOCKS:
        told = "; ".join(f"`{phase.program}` from {phase.low:.3g}" for phase in phases(one.lengths, one.times[clock]))
        only = phases(one.lengths, one.times[clock], ("H_fh", "H_sd", "H_fd"))
        three = "; ".join(f"`{phase.program}` from {phase.low:.3g}" for phase in only)
        slopes = sensitivity("H_sd", "H_fh", one.lengths, one.times[clock])
        largest = sorted(slopes.items(), key=lambda item: -abs(item[1]))[:4]
        said = ", ".join(f"{name} {slope:+.2f}" for name, slope in largest).replace("-", "−")
        lines += [f"*{clock}* (situation 0): chosen by g, of all five: {told}; of the seed's three: {three}. "
                  f"∂ ln g\\*/∂ ln cost: {said}.", ""]  # fmt: skip
    return lines


def imitation(found: Sequence[Costed]) -> list[str]:
    """Rivals of the base objective in the first situation."""
    rows = []
    for one in rivals(situation(0), found[0]):
        rows.append(
            [
                f"1/{one.per_unit:g}" if one.per_unit else "none",
                f"{one.saved:.0f}",
                f"{one.missed:.1%}",
                "∞" if math.isinf(one.episodes) else f"{one.episodes:,.0f}",
                *("never" if math.isinf(one.rate[clock]) else f"{one.rate[clock]:,.3g}" for clock in CLOCKS),
            ]
        )
    head = ("grid of B′", "bits saved", "other acts", "honest B′ up to N", "imitation above g, work", "depth")
    return table(head, rows)


def horizons(seeds: int) -> list[str]:
    rows = []
    for horizon in HORIZONS:
        sizes = Sizes(horizon=horizon)
        cells = [timed(situation(seed, sizes)) for seed in range(seeds)]
        row = [str(horizon)]
        for clock in CLOCKS:
            times, alone = [cell[0][clock] for cell in cells], [cell[2][clock] for cell in cells]
            contained = [1 - t.find / a for t, a in zip(times, alone, strict=True)]
            row += [shown([t.optimise for t in times]), shown([t.find for t in times]), shown(contained, 2)]
            row.append(shown([t.find / t.optimise for t in times], 2))
        rows.append(row)
    head = ["horizon"]
    for clock in CLOCKS:
        head += [f"optimise, {clock}", "find, marginal", "share of find contained", "find/optimise"]
    return table(head, rows)


def heads(
    seeds: int, steps: int, worlds: Sequence[tuple[str, dict[str, Any], str]] = WORLDS, price: float | None = None
) -> str:
    lines: list[str] = []
    for name, parameters, objective in worlds:
        began = time.perf_counter()
        dataset = wn.load_dataset(name, **parameters)
        trace = wn.train(dataset, "message_passing", objective, head_options=HALTING, seeds=seeds, steps=steps,
                         learning_rate=0.03, checkpoints=8)  # fmt: skip
        probe = PriorsProbe()
        probe.sampling = replace(probe.sampling, programs=False, complexity=price or probe.sampling.complexity)
        conclusion = probe.run(trace)
        for target, verdict in conclusion.verdicts.items():
            lines += [f"**{label(name, parameters)}, {objective}, {target}**: `{verdict.name}`. "
                      f"{' '.join(verdict.reasons)}", ""]  # fmt: skip
            lines += conditions(conclusion, target)
        print(f"{name}: {time.perf_counter() - began:.0f} s")
    return "\n".join(lines)


def conditions(conclusion: Conclusion, target: str) -> list[str]:
    what = ("captured", "derived", "rounds", "bits", "two-part", "prequential")
    rows = []
    for condition in CONDITIONS:
        row = [condition]
        for name in what:
            found = conclusion.last(f"{name}, {condition}", target)
            digits = 2 if name in ("captured", "derived", "rounds") else 0
            row.append("–" if found is None else limits(found.value, digits))
        rows.append(row)
    levels = table(("paid for", "captured", "derived", "rounds", "bits", "two-part, bits", "prequential, bits"), rows)
    shares = ("derived", "at once", "captured")
    moved = []
    for condition in CONDITIONS[1:]:
        found_each = [conclusion.last(f"change of {name}, {condition}", target) for name in shares]
        moved.append([condition, *("–" if f is None else limits(f.value, 3) for f in found_each)])
    return levels + table(("change under", "derived", "captured at once", "captured"), moved)


def limits(value: Any, digits: int) -> str:
    text = f"{value.estimate:,.{digits}f} [{value.low:,.{digits}f}, {value.high:,.{digits}f}]"
    return text.replace("-", "−")


def label(name: str, parameters: dict[str, Any]) -> str:
    return name + "".join(f", {key} = {value}" for key, value in parameters.items())


def growth(seeds: int, steps: int) -> str:
    rows = []
    for name, parameters, objective in WORLDS:
        dataset = wn.load_dataset(name, **parameters)
        for head, options, rate, longer in GROWN:
            began = time.perf_counter()
            trace = wn.train(dataset, head, objective, head_options=options, seeds=seeds, steps=longer * steps,
                             learning_rate=rate, checkpoints=4, world_model=by_radius(dataset, objective))  # fmt: skip
            conclusion = ComplexityProbe().run(trace)
            for target, verdict in conclusion.verdicts.items():
                course = [f"{f.value.estimate:,.0f}" for f in conclusion.named("description", target)]
                fresh = [f"{f.value.estimate:,.0f}" for f in conclusion.named("description, fresh", target)]
                model = [f"{f.value.estimate:.0%}" for f in conclusion.named("growth, world-model", target)]
                rounds = [f"{f.value.estimate:.1f}" for f in conclusion.named("rounds", target)]
                rows.append([label(name, parameters), head, f"`{verdict.name}`", " → ".join(model), " → ".join(course),
                             " → ".join(fresh), " → ".join(rounds) or "–"])  # fmt: skip
            print(f"{name}, {head}: {time.perf_counter() - began:.0f} s")
    head_row = ("world", "head", "verdict", "world-model, share of the pie", "head, bits", "fresh head, bits", "rounds")
    return "\n".join(table(head_row, rows))


def main() -> None:
    """Measure, and write."""
    parts: dict[str, tuple[Path, Callable[[], str]]] = {}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["programs", "heads", "dear", "growth"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    parts["programs"] = (PRIORS, lambda: programs(options.seeds))
    parts["heads"] = (PRIORS, lambda: heads(options.seeds, options.steps))
    parts["dear"] = (PRIORS, lambda: heads(options.seeds, options.steps, WORLDS[:1], DEAR))
    parts["growth"] = (COMPLEXITY, lambda: growth(options.seeds, options.steps))
    made = f"{options.seeds} seeds; {versions(['worldnets', 'jax', 'optax', 'numpy', 'scipy'])}."
    for name in options.only:
        page, make = parts[name]
        write_block(page, name, f"{make()}\n{made}")


if __name__ == "__main__":
    main()
