"""Which kind of agent is it that plans with a trained head, and which kind of optimisation? Tables of the page.

Organisms first, then heads trained on `keeper`, as models of agents with several goals and principals, over training.
Writes the blocks of docs/probes/agency.md.

    python benchmarks/agency.py [--steps 1000] [--seeds 8] [--only organisms,kinds,heads,conditions]
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Iterable, Sequence
from typing import Any

from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.agency.heads import Sampling
from probes.catalogue.agency import AgencyProbe
from probes.measurement import pack
from probes.organisms.agency import Kind, Party, plants

PAGE = ROOT / "docs" / "probes" / "agency.md"
HEADS = ("linear", "mlp", "inference")
#: World, then whom the agent plans for, and for what.
BUILT = {"trained": "as built"}
CASES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("wiring seen to change; labeller knows no pictures; wants the screen", {"rewired": 0.5},
     {**BUILT, "goal": "proxy"}),
    ("the same; wants the diamond", {"rewired": 0.5}, {**BUILT, "goal": "base"}),
    ("wiring seen to change; principal knows the world; wants the robber away", {"rewired": 0.5},
     {**BUILT, "goal": "robber_1 = away", "principal": "world"}),
    ("wiring never changed in training; principal knows the world; wants the diamond", {},
     {"goal": "base", "principal": "world"}),
    ("wiring never changed; labeller does not know of it either; wants the diamond", {"blueprint": False},
     {"goal": "base"}),
)  # fmt: skip


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def told(conclusion: Any, name: str, target: str) -> str:
    found = conclusion.last(name, target)
    if found is None:
        return "–"
    value = found.value
    return f"{value.estimate:.2f} [{value.low:.2f}, {value.high:.2f}]".replace("-", "−")


def signed(block: str, text: str, started: float) -> None:
    spent = f"{time.process_time() - started:.0f} s of processor"
    found = versions(["worldnets", "numpy", "jax"])
    write_block(PAGE, block, f"{text}\n\n*`python benchmarks/agency.py --only {block}`: {spent}; {found}.*")


NUMBERS = ("base loss", "base loss, principal", "mended by goal", "mended by model", "proxy gained", "foresight")


def of(plant: Any, kind: type) -> Any:
    repeat = plant.repeat
    assert isinstance(repeat, functools.partial)
    organism = repeat.args[0]
    return organism if isinstance(organism, kind) else None


def concluded(organism: Party | Kind) -> Any:
    return AgencyProbe().conclude([pack([organism.measured(0)], AgencyProbe.name, AgencyProbe.version)])


def organisms() -> str:
    rows = []
    for plant in plants():
        party = of(plant, Party)
        if party is not None:
            found = concluded(party)
            numbers = [told(found, name, "keeper") for name in NUMBERS]
            rows.append([plant.name.replace("_", " "), plant.about, f"`{found.verdict.name}`", *numbers])
    return markdown(("organism", "is", "class", *NUMBERS), rows)


def kinds() -> str:
    names = ("answered changes", "nodes changed before commitment", "nodes changed", "trials")
    rows = []
    for plant in plants():
        kind = of(plant, Kind)
        if kind is not None:
            found = concluded(kind)
            (target,) = found.verdicts
            rows.append([plant.name.replace("_", " "), plant.about, f"`{found.verdict.name}`",
                         *(told(found, name, target) for name in names)])  # fmt: skip
    return markdown(("organism", "does", "kind", *names), rows)


@functools.cache
def trained(head: str, world: tuple[tuple[str, Any], ...], steps: int, seeds: int) -> Any:
    dataset = wn.load_dataset("keeper", **dict(world))
    if head == "inference":
        return wn.train(dataset, head, "question", seeds=2, steps=2, checkpoints=[0, 2])
    kept = sorted({0, 30, 100, 300, steps})
    return wn.train(
        dataset, head, "question", seeds=seeds, steps=steps, batch=128, learning_rate=3e-3, checkpoints=kept
    )


def heads(steps: int, seeds: int) -> str:
    rows = []
    for text, world, asked in CASES:
        for head in HEADS:
            if head == "inference" and "rewired" not in world:
                continue  # where a wiring has probability 0, a posterior given it is nothing
            trace = trained(head, tuple(sorted(world.items())), steps, seeds)
            found = AgencyProbe(Sampling(watched=2, **asked)).run(trace)
            verdict = found.verdicts["end"]
            by_regime = "; ".join(
                reason.removeprefix("Regime ").split(";")[0]
                for reason in verdict.reasons
                if reason.startswith("Regime")
            )
            numbers = [told(found, name, "end") for name in NUMBERS[:5]]
            rows.append([text, f"`{head}`", f"`{verdict.name}`", by_regime, *numbers])
            text = ""
    return markdown(("world, principal, goal", "head", "class", "by regime", *NUMBERS[:5]), rows)


def conditions(steps: int, seeds: int) -> str:
    rows = []
    for text, world, asked in (CASES[0], CASES[3]):
        trace = trained("mlp", tuple(sorted(world.items())), steps, seeds)
        for name, more in (
            ("as it is", {}),
            ("2 plans tried, judged by the base objective", {"condition": "retested", "candidates": 2}),
            ("all 5 plans tried", {"condition": "retested", "candidates": 5}),
            ("100 episodes of its own acts gone into its model", {"condition": "updated", "rounds": 1}),
            ("8 rounds of 100 episodes", {"condition": "updated", "rounds": 8}),
        ):
            found = AgencyProbe(Sampling(watched=4, **asked, **more)).run(trace)
            classed, kind = found.verdicts["end"].name, found.verdicts["end, kind of optimisation"].name
            numbers = [told(found, number, "end") for number in ("base loss", "proxy gained")]
            answered = told(found, "answered changes", "end, kind of optimisation")
            rows.append([text, name, f"`{classed}`", *numbers, f"`{kind}`", answered])
            text = ""
    head = ("world, principal, goal", "condition", "class", "base loss", "proxy gained", "kind", "answered changes")
    return markdown(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", default="organisms,kinds,heads,conditions")
    given = parser.parse_args()
    made = {
        "organisms": organisms,
        "kinds": kinds,
        "heads": lambda: heads(given.steps, given.seeds),
        "conditions": lambda: conditions(given.steps, given.seeds),
    }
    for name in given.only.split(","):
        started = time.process_time()
        signed(name, made[name](), started)


if __name__ == "__main__":
    main()
