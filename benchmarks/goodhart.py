"""What outputs are truly worth that are selected ever harder by a trained head's answer. Tables of the page.

Heads on the four worlds of `goodhart`, with labels of what is the case or of the labeller; and on the vault, whose
clips are drawn. Writes the blocks of docs/probes/goodhart.md.

    python benchmarks/goodhart.py [--steps 600] [--seeds 8] [--only worlds,pressures,vault]
"""

from __future__ import annotations

import argparse
import functools
import time
from typing import TYPE_CHECKING, Any

from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.goodhart import GoodhartProbe
from probes.goodhart.curves import PRESSURES
from probes.goodhart.measured import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from probes.finding import Conclusion
    from worldnets.trace import Trace

PAGE = ROOT / "docs" / "probes" / "goodhart.md"
LABELS = {"question": "what is the case", "question_human": "the labeller"}
#: Kind, and the regime that is set when values are taken.
CONDITIONS = (
    ("regressional", ""),
    ("extremal", ""),
    ("causal", ""),
    ("causal", "regime=after"),
    ("adversarial", ""),
)
HEADS = ("linear", "mlp")
FRAMES = 8


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def told(conclusion: Conclusion, name: str, target: str, last: bool = True) -> str:
    found = conclusion.named(name, target)
    if not found:
        return "–"
    value = (found[-1] if last else found[0]).value
    if value.kind == "exact":
        return f"{value.estimate:.2f}".replace("-", "−")
    return f"{value.estimate:.2f} [{value.low:.2f}, {value.high:.2f}]".replace("-", "−")


@functools.cache
def trained(world: str, given: tuple[tuple[str, Any], ...], objective: str, head: str, steps: int, seeds: int) -> Trace:
    """The trace of a condition."""
    dataset = wn.load_dataset(world, parameters=dict(given))
    return wn.train(dataset, head, objective, seeds=seeds, steps=steps, learning_rate=3e-3, checkpoints=[0, steps])


def kinds(steps: int, seeds: int) -> Iterable[tuple[str, str, str, str, Conclusion]]:
    for kind, regime in CONDITIONS:
        for objective, label in LABELS.items():
            if kind == "causal" and objective == "question_human":
                continue  # he knows the world that the labels come from: the same head
            for head in HEADS:
                trace = trained("goodhart", (("kind", kind),), objective, head, steps, seeds)
                yield kind, regime, label, head, GoodhartProbe(Sampling(regime=regime)).run(trace)
                print(f"{kind}, {objective}, {head}", flush=True)


def worlds(steps: int, seeds: int) -> str:
    """Best of n on the four worlds."""
    rows = []
    for kind, regime, label, head, found in every(steps, seeds):
        target = "good, best-of-n"
        at = found.named("true value", target)[-1].note.removeprefix("at ")
        rows.append(
            [
                kind + (f", after do({regime})" if regime else ""),
                label,
                head,
                f"`{found.verdicts[target].name}`",
                told(found, "true value", target, last=False),
                told(found, "true value", target),
                told(found, "ideal", target),
                told(found, "proxy", target),
                told(found, "drop", target),
                told(found, "side effect on surroundings", target),
                at,
            ]
        )
    head_row = ("world", "labels by", "head", "verdict", "worth, no pressure", "at the most", "selected by the truth",
                "promised", "fall from best, sd", "surroundings", "most pressure")  # fmt: skip
    return markdown(head_row, rows)


def pressures(steps: int, seeds: int) -> str:
    """All pressures, and the forms."""
    rows = []
    for kind, regime, label, head, found in every(steps, seeds):
        if head != "mlp":
            continue
        names = [f"`{found.verdicts[f'good, {pressure}'].name}`" for pressure in PRESSURES]
        fits = []
        for target, form in (("good, best-of-n", "best-of-n form"), ("good, tilting", "RL form")):
            alpha, beta, fit = (told(found, f"{form}, {part}", target).split(" ")[0] for part in ("α", "β", "R²"))
            fits.append(f"{alpha}, {beta}; {fit}")
        rows.append([kind + (f", after do({regime})" if regime else ""), label, *names, *fits])
    head_row = ("world", "labels by", *PRESSURES, "best of n: d(α − β d), R²", "tilting: d(α − β ln d), R²")
    return markdown(head_row, rows)


def vault(steps: int, seeds: int) -> str:
    """Clips of the vault, selected by the answer to: is the diamond there?"""
    rows = []
    for objective, label in LABELS.items():
        trace = trained("vault", (("frames", FRAMES),), objective, "mlp", steps, seeds)
        found = GoodhartProbe(Sampling(clips=2048, points=19)).run(trace)
        for pressure in ("best-of-n", "tilting"):
            target = f"diamond, {pressure}"
            names = ("true value", "ideal", "proxy", "drop", "late", "shortfall")
            rows.append(
                [label, pressure, f"`{found.verdicts[target].name}`", *(told(found, name, target) for name in names)]
            )
        print(f"vault, {objective}", flush=True)
    head_row = ("labels by", "pressure", "verdict", "worth at the most", "selected by the truth", "promised",
                "fall from best, sd", "last third, sd", "short of the truth, sd")  # fmt: skip
    return markdown(head_row, rows)


@functools.cache
def every(steps: int, seeds: int) -> tuple[tuple[str, str, str, str, Conclusion], ...]:
    """All conditions of the four worlds, measured once."""
    return tuple(kinds(steps, seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", default="worlds,pressures,vault", help="which blocks")
    given = parser.parse_args()
    blocks: dict[str, Callable[[int, int], str]] = {"worlds": worlds, "pressures": pressures, "vault": vault}
    for name in given.only.split(","):
        text = blocks[name](given.steps, given.seeds)
        how = f"python benchmarks/goodhart.py --only {given.only} --seeds {given.seeds} --steps {given.steps}"
        spent = f"after {time.process_time():.0f} s of processor"
        write_block(PAGE, name, f"{text}\n\n*`{how}`: {spent}; {versions(['worldnets', 'numpy', 'jax'])}.*")


if __name__ == "__main__":
    main()
