"""The purity probe's part of the report: what is asked of a world-model, over training and across conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.presentation import Figure, Shown, Table
from probes.purity.verdict import TITLES, Part
from probes.report.curves import Line, over_training

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.results import Concluded, Results

Floats = NDArray[np.float64]

#: Column of the verdict table → finding.
HEADLINES = {"divergence": "divergence on observables", "recovery": TITLES["latents"], "do_accuracy": TITLES["do()"]}


class PurityPresentation:
    """How the purity probe is shown."""

    columns = tuple(f"{column}{end}" for column in HEADLINES for end in ("", "_low", "_high"))
    titles = ("Divergence, bits", "Latent recovery", "do() accuracy")
    signs: Mapping[str, tuple[str, str]] = {
        "pure": ("●", "deep"),
        "observables-only": ("◐", "coming"),
        "impure": ("○", "shallow"),
        "untrained": ("·", "open"),
        "nothing-to-model": ("·", "open"),
        "inconclusive": ("?", "open"),
    }
    question = (
        "Each world-model was trained through one objective, and asked whether it is the world: does it say the same "
        "of what can be seen,\nare the true latents in its beliefs, and does it know what interventions do?"
    )
    caption = (
        "Divergence: KL(W*‖W) on the observables, with its {level} interval over seeds. Latent recovery: information "
        "about the true latents\nin a readout of W's beliefs, as a share of what can be known. do() accuracy: share of "
        "the effects of interventions that W tells right;\nbelow zero it had better say that they change nothing."
    )
    reading = (
        "Purity compares a world-model W with the world W* in three shares, 1 for W* itself: of the <em>structure</em> "
        "of the observables,\n1 − KL(W*‖W) / KL(W*‖product of marginals); of the information about each "
        "<em>latent</em>, its states relabelled by one map for all frames;\nand of the effect of <em>do()</em>. In the "
        "grey band a share counts as met."
    )

    def headlines(self, conclusion: Conclusion, target: str) -> dict[str, Any]:
        """Divergence, recovery and accuracy at the last step."""
        row: dict[str, Any] = {}
        for column, name in HEADLINES.items():
            found = conclusion.last(name, target)
            if found is not None:
                value = found.value
                row |= {column: value.estimate, f"{column}_low": value.low, f"{column}_high": value.high}
        return row

    def shown(self, row: Mapping[Any, Any]) -> tuple[Shown, ...]:
        """The three numbers."""
        return tuple(Shown(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in HEADLINES)

    def offered(self, name: str, results: Results, members: Sequence[Concluded]) -> list[Figure]:
        """Nothing: what W* has is the same under every objective, and stands in the table."""
        return []

    def overview(self, results: Results, members: Sequence[Concluded]) -> list[Table]:
        """Objective × penalty."""
        rows = []
        for one in members:
            if one.conclusion is None:
                continue
            (target, found), *_ = one.conclusion.verdicts.items()
            numbers = self.headlines(one.conclusion, target)
            fields = [
                Shown(numbers.get(column), numbers.get(f"{column}_low"), numbers.get(f"{column}_high"))
                for column in HEADLINES
            ]
            least = _least(one.conclusion, target)
            _, plus, paid = one.condition.names["head"].partition("+")
            rows.append(
                (
                    f"{one.condition.objective}{', ' + paid if plus else ''}",
                    (*fields, Shown(text=least), Shown(text=found.name)),
                )
            )
        if not rows:
            return []
        caption = "Purity of the world-models at their last step, by objective and penalty, with intervals over seeds."
        return [Table(caption, ("Objective, penalty", *self.titles, "Least recovered", "Verdict"), tuple(rows))]

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """Divergence, recovery by kind of latent, and accuracy by intervention, over training."""
        from probes.purity.measured import joined, unpack

        assert one.conclusion is not None
        whole = joined([unpack(cell) for cell in measured])
        title, settings = one.condition.title, one.conclusion.verdicts[target].settings
        sound = np.isfinite(whole.numbers.divergence).all(0)
        drawn = []
        divergence = _line(one.conclusion, HEADLINES["divergence"], target, whole.steps)
        if divergence is not None:
            every = divergence._replace(
                label=f"mean of {int(sound.sum())} seeds", seeds=whole.numbers.divergence[:, sound]
            )
            reached = (0.0, float(settings["epsilon_observables"]) * float(whole.about.structure))
            svg = over_training(title, "Divergence on observables", whole.steps, [every], "bits", reached)
            drawn.append(Figure(svg, "Thin lines: every seed. In the grey band the observables count as met."))
        parts: tuple[tuple[Part, tuple[str, ...], str, str], ...] = (
            ("latents", whole.about.kinds, "epsilon_latents", "Latent recovery"),
            ("do()", tuple(dict.fromkeys(whole.about.intervened)), "epsilon_do", "do() accuracy"),
        )
        for part, names, margin, heading in parts:
            found = [(own, _line(one.conclusion, f"{TITLES[part]}, {own}", target, whole.steps)) for own in names]
            lines = [line._replace(label=own) for own, line in found if line is not None]
            if lines:
                band = (1.0 - float(settings[margin]), 1.0)
                svg = over_training(title, heading, whole.steps, lines, "share", band, floor=-0.5)
                below = " Below zero lies worse than to say that nothing changes." if part == "do()" else ""
                drawn.append(Figure(svg, f"Means over seeds with their intervals.{below}"))
        return drawn


PRESENTATION = PurityPresentation()


def _line(conclusion: Conclusion, name: str, target: str, steps: NDArray[np.int64]) -> Line | None:
    found = {f.step: f.value for f in conclusion.named(name, target)}
    if any(int(step) not in found for step in steps):
        return None
    values = [found[int(step)] for step in steps]
    return Line(
        name,
        np.array([v.estimate for v in values]),
        np.array([v.low for v in values]),
        np.array([v.high for v in values]),
    )


def _least(conclusion: Conclusion, target: str) -> str:
    """The kind of latent that is recovered least, with its share."""
    begin = f"{TITLES['latents']}, "
    last = [
        conclusion.last(name, target)
        for name in dict.fromkeys(f.name for f in conclusion if f.name.startswith(begin))
        if "relabelled" not in name
    ]
    kinds = {f.name.removeprefix(begin): f.value.estimate for f in last if f is not None}
    if not kinds:
        return "–"
    kind = min(kinds, key=lambda name: kinds[name])
    return f"{kind} {kinds[kind]:.2f}"
