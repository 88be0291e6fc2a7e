"""Is message passing an optimizer, whose mesa-optimizer is it, and could another one hide in it? Tables of the page.

Organisms first, then heads trained on two worlds. Writes the blocks of docs/probes/optimizer.md.

    python benchmarks/optimizer.py [--steps 600] [--seeds 8] [--only organisms,doses,exact,schedule,trained,sure]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.optimizer import OptimizerProbe
from probes.ladder import Sampling as LadderSampling
from probes.ladder import references
from probes.measurement import pack
from probes.optimizer.candidate import IN, NotApplicable
from probes.optimizer.rounds import Procedure
from probes.optimizer.tasks import Sampling, contexts, outcomes_of
from probes.optimizer.tilt import felt, fit_with_damping, log_odds
from probes.organisms.believers import LOOPS, TREE, honest_passer
from probes.organisms.optimizer import TILTS, Actor, Believer, plants
from probes.statistics import over_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PAGE = ROOT / "docs" / "probes" / "optimizer.md"
NUMBERS = ("approach", "retargeting", "following", "regret")
NETS = 64
OF_HEADS = ("trained", "sure")  # blocks that train heads
#: Parameters, objective, and the learning rate of message passing.
WORLDS = {
    "asia": ({"targets": {"lung": ["lung"]}}, "question", 0.03),
    "vault": ({"frames": 4}, "question", 0.03),
}
HEADS = ("linear", "mlp", "message_passing", "inference")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def told(conclusion: Any, name: str, target: str) -> str:
    found = conclusion.last(name, target)
    if found is None:
        return "–"
    value = found.value
    return f"{value.estimate:.2f} [{value.low:.2f}, {value.high:.2f}]".replace("-", "−")


def nearest(conclusion: Any, target: str) -> str:
    found = [f for f in conclusion.findings if f.target == target and f.note == "in the confidence set"]
    names = [f.name.removeprefix("divergence from ").strip("“”") for f in found]
    return ", ".join(names) or "–"


def row_of(conclusion: Any, target: str) -> list[str]:
    name = conclusion.verdicts[target].name
    tilts = [f for f in conclusion.findings if f.target == target and f.name.startswith("tilt")]
    lean = max(tilts, key=lambda f: abs(f.value.estimate)).value.estimate if tilts else None
    tilt = "–" if lean is None else f"{lean:.3f}" if abs(lean) >= 5e-4 else f"{lean:.0e}"
    if lean is None and any(f.target == target and f.name.startswith("left by a tilt") for f in conclusion.findings):
        tilt = "does not apply"
    return [name, *(told(conclusion, number, target) for number in NUMBERS), tilt, nearest(conclusion, target)]


def organism_rows() -> str:
    rows = []
    for plant in plants():
        repeat = plant.repeat
        assert isinstance(repeat, functools.partial)
        if not repeat.args or not isinstance(repeat.args[0], Believer | Actor):
            continue
        cell = pack([repeat.args[0].measured(0)], OptimizerProbe.name, OptimizerProbe.version)
        conclusion = OptimizerProbe().conclude([cell])
        (target,) = conclusion.verdicts
        name = re.sub(r"^rigged (?=[1-9]|0\d)", "rigged .", plant.name.replace("_", " "))
        rows.append([name, *row_of(conclusion, target)])
    head = ("organism", "row", *NUMBERS, "tilt, nats", "could be the optimum of")
    return markdown(head, rows)


def doses() -> str:
    """Planted tilts against what is fitted in 64 nets, rounds and damping of every kind."""
    rows = []
    for structure in (TREE, LOOPS):
        random = np.random.default_rng(1)
        tables = structure.drawn(random, NETS)
        damping = random.uniform(0, 0.8, NETS)
        for tilt in TILTS:
            for where in ("potential", "reading") if tilt else ("potential",):
                found = []
                for rounds in (1, 2, 4, 8, 12):
                    found.append(honest_passer(structure, tables, rounds, damping, tilt, where).leaning()[0])
                values = np.concatenate(found)
                worst = f"{np.abs(values).max():.0e} nats" if tilt == 0 else f"{np.abs(values / tilt - 1).max():.2%}"
                rows.append([structure.name, f"{tilt:g}", where if tilt else "–", f"{values.mean():.4f}", worst])
    return markdown(("world", "planted", "at the", "fitted, mean", "farthest off"), rows)


def against_exact() -> str:
    """What the wrong test says of honest message passing: the tilt that would explain its distance to exact beliefs."""
    rows = []
    for structure in (TREE, LOOPS):
        tables = structure.drawn(np.random.default_rng(1), NETS)
        exact = log_odds(structure.posterior(tables)[..., 1])
        for rounds in (1, 2, 3, 4, 16):
            passer = honest_passer(structure, tables, rounds)
            off = np.abs((log_odds(passer.answers()[..., 1]) - exact).mean(-1))
            rows.append([structure.name, str(rounds), f"{off.mean():.3f}", f"{off.max():.3f}",
                         f"{np.abs(passer.leaning()[0]).max():.0e}"])  # fmt: skip
    head = ("world", "rounds", "against exact beliefs, mean", "largest", "against its honest twin, largest")
    return markdown(head, rows)


def without_schedule() -> str:
    """Damping and tilt fitted together from the beliefs of every round, and what one round says."""
    rows = []
    for structure in (TREE, LOOPS):
        procedure = Procedure(structure.procedure.net, 6)
        tables = structure.drawn(np.random.default_rng(2), 8)
        local = structure.log_local
        column = procedure.states(structure.target).stop - 1
        weight = np.full(len(local), 1 / len(local))
        for tilt, damping in ((0.0, 0.0), (0.0, 0.4), (0.05, 0.4), (0.3, 0.7)):
            rigged = local.copy()
            rigged[:, column] += tilt
            seen = procedure.passed(tables, rigged, damping).beliefs[:, 1:, :, column]
            fitted = fit_with_damping(procedure, tables, local, structure.target, 1, seen, weight)
            assert not isinstance(fitted, NotApplicable)
            assert fitted.damping is not None
            rows.append([structure.name, f"{tilt:g}", f"{damping:g}", f"{np.abs(fitted.tilt - tilt).max():.0e}",
                         f"{np.abs(fitted.damping - damping).max():.0e}"])  # fmt: skip
    return markdown(("world", "tilt", "damping", "tilt off by", "damping off by"), rows)


def trained(worlds: Sequence[str], seeds: int, steps: int) -> str:
    """Heads trained on two worlds."""
    rows = []
    for world in worlds:
        parameters, objective, rate = WORLDS[world]
        dataset = wn.load_dataset(world, parameters=parameters)
        for head in HEADS:
            began = time.perf_counter()
            how = {"learning_rate": rate} if head == "message_passing" else {}
            trace = wn.train(dataset, head, objective, seeds=seeds, steps=steps, checkpoints=[0, steps], **how)
            conclusion = OptimizerProbe(Sampling()).run(trace)
            for target in conclusion.verdicts:
                rows.append([world, head, target, *row_of(conclusion, target)])
            print(f"{world}, {head}: {time.perf_counter() - began:.0f} s", flush=True)
    head_row = ("world", "head", "target, context", "row", *NUMBERS, "tilt, nats", "could be the optimum of")
    return markdown(head_row, rows)


#: Log odds of the twin, without their sign, between which situations are put together.
SURE = (0.0, 2.0, 5.0, 8.0, np.inf)


def sure_beliefs(worlds: Sequence[str], seeds: int, steps: int) -> str:
    """Where learned message passing differs from the same rounds in the world's tables, halfway and at the end."""
    rows, fits = [], []
    for world in worlds:
        parameters, objective, rate = WORLDS[world]
        dataset = wn.load_dataset(world, parameters=parameters)
        how = {"seeds": seeds, "checkpoints": [steps // 2, steps], "steps": steps, "learning_rate": rate}
        learned = wn.train(dataset, "message_passing", objective, **how)
        known = {**how, "seeds": 1, "steps": 1, "checkpoints": [0], "head_options": {"initialisation": "true"}}
        honest = wn.train(dataset, "message_passing", objective, **known)
        source: Any = references(dataset, learned.task, LadderSampling()).source
        (target,) = learned.task.targets
        members = np.array(outcomes_of(source, target, 1)[0].members)
        for context, checkpoint in itertools.product(contexts(source, target, Sampling()), (0, 1)):
            asked = (context.codes, target.name, members)
            seen = np.clip(believed(learned, checkpoint, *asked), 1e-12, 1 - 1e-12)
            twin, weight = believed(honest, 0, *asked)[0], context.shares.mean(0)
            off, cost = log_odds(seen) - log_odds(twin), nats_between(twin, seen)
            where = [world, context.name, f"{learned.steps[checkpoint]:,}"]
            for low, high in itertools.pairwise(SURE if context.name == IN else ()):
                inside = (np.abs(log_odds(twin)) >= low) & (np.abs(log_odds(twin)) < high)
                share = weight[inside].sum()
                if share:
                    per = weight[inside] / share
                    signed, size = (mean(values[:, inside] @ per) for values in (off, np.abs(off)))
                    there = mean(cost[:, inside] @ weight[inside], 4)
                    between = f"{low:g} to {high:g}".replace("inf", "∞")
                    rows.append([world, where[2], between, f"{share:.3f}", signed, size, there])
            for each in (weight, felt(weight, twin)):
                tilt = (off * each).sum(-1) / each.sum()  # along a response of 1
                left = (each * (off - tilt[:, None]) ** 2).sum(-1) / (each * off**2).sum(-1)
                moved = 1 / (1 + np.exp(-log_odds(twin) - tilt[:, None]))
                where += [mean(tilt), mean(left), mean(nats_between(twin, moved) @ weight, 4)]
            fits.append([*where, mean(cost @ weight, 4)])
    first = markdown(("world", "steps", "log odds of the twin, ±", "share of situations", "difference, nats",
                      "its size", "KL(twin ‖ head) there, nats"), rows)  # fmt: skip
    names = ("tilt", "left", "KL(twin ‖ tilted twin)")
    second = markdown(("world", "context", "steps",
                       *(f"{name}, {how}" for how in ("all alike", "as felt") for name in names),
                       "KL(twin ‖ head)"), fits)  # fmt: skip
    return f"{first}\n\n{second}"


def believed(trace: Any, checkpoint: int, codes: Any, target: str, members: np.ndarray) -> np.ndarray:
    """Belief in one outcome, [S, R]."""
    return np.exp(trace.predictor(codes)(checkpoint, target))[..., members].sum(-1)


def nats_between(twin: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """KL between beliefs about one outcome, in every situation."""
    return np.asarray(twin * np.log(twin / seen) + (1 - twin) * np.log((1 - twin) / (1 - seen)))


def mean(values: np.ndarray, digits: int = 2) -> str:
    """Mean and 95 % interval over seeds."""
    found = over_seeds(values).interval()
    return f"{found.estimate:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--worlds", default=",".join(WORLDS), help="of the trained heads")
    parser.add_argument("--only", default="organisms,doses,exact,schedule,trained,sure", help="which blocks")
    given = parser.parse_args()
    blocks: dict[str, Callable[[], str]] = {
        "organisms": organism_rows,
        "doses": doses,
        "exact": against_exact,
        "schedule": without_schedule,
        "trained": lambda: trained(given.worlds.split(","), given.seeds, given.steps),
        "sure": lambda: sure_beliefs(given.worlds.split(","), given.seeds, given.steps),
    }
    for name in given.only.split(","):
        began = time.process_time()
        text = blocks[name]()
        how = f" --worlds {given.worlds} --seeds {given.seeds} --steps {given.steps}" if name in OF_HEADS else ""
        found = versions(["worldnets", "numpy", "jax"])
        said = f"*`python benchmarks/optimizer.py --only {name}{how}`: {time.process_time() - began:.0f} s of processor"
        write_block(PAGE, name, f"{text}\n\n{said}; {found}.*")


if __name__ == "__main__":
    main()
