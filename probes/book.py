"""Arrays over seeds become findings: one place for what every probe does with its numbers at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.finding import Finding
from probes.statistics import Interval, binomial_interval, clip_interval, exactly, over_seeds

Floats = NDArray[np.float64]


class Book:
    """Findings about one target; seeds that diverged are left out.

    Args:
        target: what the findings are about.
        steps: training step of each checkpoint, [T].
        sound: seeds to keep, [S].
        level: of the intervals.
    """

    def __init__(self, target: str, steps: NDArray[np.int64], sound: NDArray[np.bool_], level: float) -> None:
        self.target, self.steps, self.sound, self.level = target, steps, sound, level
        self.findings: list[Finding] = []

    def add(
        self, name: str, value: Interval, unit: str, rung: int | None = None, step: int | None = None, note: str = ""
    ) -> None:
        """One number with its interval."""
        self.findings.append(Finding(name, value, unit, self.target, rung, step, note))

    def world(
        self, name: str, value: float, unit: str, rung: int | None = None, groups: Floats | None = None, note: str = ""
    ) -> None:
        """A number of the world: exact, or with the interval of its values in groups of clips, [G]."""
        self.add(name, exactly(value) if groups is None else clip_interval(groups, self.level), unit, rung, None, note)

    def curve(
        self,
        name: str,
        values: Floats,
        unit: str,
        phi: Floats | None = None,
        rung: int | None = None,
        note: str = "",
        some: bool = False,
    ) -> None:
        """A number over training: its mean over seeds at every checkpoint where all of them have it.

        Args:
            name, unit, rung, note: as in `Finding`.
            values: [T, S].
            phi: each clip group's number, or its deviation from their mean, [G, T, S].
            some: at checkpoints where not all seeds have the number, use those that do.
        """
        if some:
            for t, step in enumerate(self.steps):
                defined = self.sound & np.isfinite(values[t])
                if defined.any():
                    how = f"defined for {int(defined.sum())} of {int(self.sound.sum())} seeds"
                    value = over_seeds(values[t][defined]).interval(self.level)
                    self.add(name, value, unit, rung, int(step), f"{note}; {how}" if note else how)
            return
        kept = values[:, self.sound]
        if not kept.size:
            return
        for t in np.flatnonzero(np.isfinite(kept).all(1)).tolist():
            own = None if phi is None else phi[:, t][:, self.sound]
            estimate = over_seeds(kept[t], None if own is None else own - own.mean(0))
            self.add(name, estimate.interval(self.level), unit, rung, int(self.steps[t]), note)

    def error(self, name: str, errors: Floats, unit: str) -> None:
        """Largest standard error over the seeds, at each checkpoint, [T, S]."""
        for t, step in enumerate(self.steps):
            worst = errors[t][self.sound].max()
            if np.isfinite(worst):
                self.add(name, exactly(worst), unit, None, int(step), "standard error, largest over seeds")

    def last(self, name: str, values: Floats, unit: str, rung: int | None = None, note: str = "") -> None:
        """A number of each seed at the last checkpoint, [S]."""
        kept = values[self.sound]
        if kept.size and np.all(np.isfinite(kept)):
            self.add(name, over_seeds(kept).interval(self.level), unit, rung, int(self.steps[-1]), note)

    def share(self, name: str, holds: NDArray[np.bool_], note: str = "") -> None:
        """Share of the seeds of which something holds, [S], with its exact binomial interval."""
        kept = holds[self.sound]
        if kept.size:
            value = binomial_interval(int(kept.sum()), kept.size, self.level)
            self.add(name, value, "share", None, int(self.steps[-1]), note)
