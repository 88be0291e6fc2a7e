"""Does a world-model stay one when actors are trained on it? Modules narrow or generic, a planner supplied or not.

World-models of the guard's world, trained alone, and beside them critics and actors trained on the same clips, apart
and end to end, under several pressures. Writes the blocks of docs/probes/modularity.md.

    python benchmarks/modularity.py [--steps 600] [--seeds 8] [--pressures 0.1,0.3]
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.modularity import SEVERAL, ModularityProbe, Sampling
from probes.modularity.trained import REGIMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = ROOT / "docs" / "probes" / "modularity.md"
#: Kind of modules → head of the world-model, its options, learning rate of all modules.
MODULES: dict[str, tuple[str, dict[str, Any], float]] = {
    "tailored": ("world_model", {}, 0.03),
    "generic": ("mlp", {"width": 32}, 0.003),
}
ACTORS = ("diamond", "screen")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def told(conclusion: Any, name: str, target: str, digits: int = 2) -> str:
    found = conclusion.last(name, target)
    if found is None:
        return "–"
    value = found.value
    if value.low == value.high:
        return f"{value.estimate:.{digits}f}".replace("-", "−")
    return f"{value.estimate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]".replace("-", "−")


def row_of(verdict: Any, module: str) -> str:
    label = f"{module[0].upper()}{module[1:]}: "
    return next((reason.removeprefix(label).rstrip(".") for reason in verdict.reasons if reason.startswith(label)), "–")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pressures", default="0.1,0.3", help="nats per unit of what the best outcome is worth")
    given = parser.parse_args()
    began = time.process_time()
    guard = wn.load_dataset("guard")
    purity, together, rows = [], [], []
    for kind, (head, options, rate) in MODULES.items():
        trace = wn.train(
            guard, head, "question", seeds=given.seeds, steps=given.steps, batch=given.batch, learning_rate=rate,
            checkpoints=[0, given.steps], head_options=options,
        )  # fmt: skip
        for pressure in map(float, given.pressures.split(",")):
            probe = ModularityProbe(Sampling(regimes=tuple(REGIMES), pressure=pressure))
            conclusion = probe.run(trace)
            for target, verdict in conclusion.verdicts.items():
                regime, planner = target.split(", ")[:2]
                where = [kind, planner, regime, f"{pressure:g}"]
                say = lambda name, target=target, conclusion=conclusion: told(conclusion, name, target)
                if target.endswith(SEVERAL):
                    pairs = [say(f"return, training {one} on {two}") for one in ACTORS for two in ACTORS]
                    together.append([*where, verdict.name, *pairs])
                    continue
                if regime == "apart" and pressure != float(given.pressures.split(",")[0]):
                    continue  # no pressure reaches what is judged here
                purity.append(
                    [*where, verdict.name, say("share, no actor"), say("share, all actors"),
                     *(say(f"optimism, {one}") for one in ACTORS), *(say(f"leakage, {one}") for one in ACTORS),
                     say("errors name the actor"), *(say(f"return, {one}") for one in ACTORS),
                     say("optimism, placebo"), say("leakage, placebo")]
                )  # fmt: skip
                rows.append([*where, *(row_of(verdict, module) for module in ("world-model", "critic", "actor")),
                             say("retargeting, actor"), say("following, actor")])  # fmt: skip
            print(f"{kind}, pressure {pressure:g}: {time.process_time() - began:.0f} s of processor so far", flush=True)
    how = f"--steps {given.steps} --seeds {given.seeds} --batch {given.batch} --pressures {given.pressures}"
    spent, found = time.process_time() - began, versions(["worldnets", "numpy", "jax"])
    said = f"*`python benchmarks/modularity.py {how}`: {spent:.0f} s of processor; {found}.*"
    where = ("modules", "planner", "trained", "pressure")
    both = lambda what: tuple(f"{what}, {actor}" for actor in ACTORS)
    tables = {
        "study": markdown(
            (*where, "verdict", "captures, no actor", "captures, all actors", *both("optimism"), *both("leakage"),
             "errors name the actor", *both("return"), "optimism, placebo", "leakage, placebo"), purity),
        "together": markdown(
            (*where, "verdict", *(f"{one} → {two}" for one in ACTORS for two in ACTORS)), together),
        "rows": markdown((*where, "world-model", "critic", "who acts", "retargeting", "following"), rows),
    }  # fmt: skip
    for name, text in tables.items():
        write_block(PAGE, name, f"{text}\n\n{said}")


if __name__ == "__main__":
    main()
