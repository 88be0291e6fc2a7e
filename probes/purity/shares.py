"""What is measured as shares of what W* has, and which of them are demanded of a world-model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.purity.measured import Measured
from probes.purity.verdict import Demand, Settings

Floats = NDArray[np.float64]


def demands(measured: Measured, settings: Settings) -> list[Demand]:
    """What is asked of the world-models: shares over training, of everything that W* has enough of."""
    about = measured.about
    asked: list[Demand] = []
    if about.structure >= settings.least_bits:
        asked.append(Demand("observables", "", *structure(measured), margin=settings.epsilon_observables))
    for i, kind in enumerate(about.kinds):
        if about.information[i] >= settings.least_bits:
            asked.append(Demand("latents", kind, *recovery(measured, [i]), margin=settings.epsilon_latents))
    for kind in dict.fromkeys(about.intervened):
        which = learnable(measured, kind, settings)
        if about.effect[which].sum() >= settings.least_bits:
            asked.append(Demand("do()", kind, accuracy(measured, which), margin=settings.epsilon_do))
    return asked


def learnable(measured: Measured, kind: str, settings: Settings) -> NDArray[np.intp]:
    """Places of the interventions on a kind of latent whose effects data can teach."""
    own = np.array([name == kind for name in measured.about.intervened])
    return np.flatnonzero(own & (measured.about.unseen <= settings.most_unseen))


def accuracy(measured: Measured, which: Sequence[int] | NDArray[np.integer[Any]]) -> Floats:
    """1 − Σ error / Σ effect of some interventions, [T, S]."""
    return 1.0 - measured.numbers.error[..., which].sum(-1) / measured.about.effect[which].sum()


def structure(measured: Measured) -> tuple[Floats, Floats | None]:
    """1 − KL / structure, [T, S], and its influence, [G, T, S]."""
    about, numbers = measured.about, measured.numbers
    groups = None
    if numbers.divergence_groups is not None and about.structure_groups is not None:
        groups = about.structure_groups[:, None, None] - numbers.divergence_groups
    return _share(about.structure - numbers.divergence, float(about.structure), groups, about.structure_groups)


def recovery(measured: Measured, kinds: Sequence[int], relabelled: bool = False) -> tuple[Floats, Floats | None]:
    """Recovered / information of some kinds of latent together, [T, S], and its influence, [G, T, S]."""
    about, numbers, own = measured.about, measured.numbers, list(kinds)
    bits = numbers.relabelled if relabelled else numbers.recovered
    grouped = numbers.relabelled_groups if relabelled else numbers.recovered_groups
    offered = None if about.information_groups is None else about.information_groups[:, own].sum(-1)
    groups = None if grouped is None else grouped[..., own].sum(-1)
    return _share(bits[..., own].sum(-1), float(about.information[own].sum()), groups, offered)


def _share(
    part: Floats, whole: float, part_groups: Floats | None, whole_groups: Floats | None
) -> tuple[Floats, Floats | None]:
    share = part / whole
    if part_groups is None or whole_groups is None:
        return share, None
    return share, (part_groups - share * whole_groups[:, None, None]) / whole
