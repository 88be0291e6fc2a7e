"""Organisms of the confidence probe: a known posterior, made too sure or not sure enough, on drawn clips."""

from __future__ import annotations

import functools

import numpy as np

from probes.validity import Outcome, Plant
from worldnets_lighthouse.probe import Settings, conclude, of_numbers, temperatures

CLIPS, GROUPS, SEEDS = 2048, 16, 8


def repeated(centre: float, spread: float, repeat: int) -> Outcome:
    """Heads whose ln T is known: posteriors of clips to the power of e^(ln T), each seed with its own."""
    random = np.random.default_rng([11, repeat])
    log_odds = random.normal(0, 1.5, CLIPS)
    truth = 1 / (1 + np.exp(-log_odds))
    outcome = (random.random(CLIPS) < truth).astype(int)
    own = centre + spread * random.standard_normal(SEEDS)
    sharp = np.exp(own)[:, None] * log_odds
    log_q = np.stack([-np.logaddexp(0, sharp), -np.logaddexp(0, -sharp)], axis=-1)
    best, groups = temperatures(log_q, outcome, GROUPS)
    findings, verdict = conclude(of_numbers(best[None], groups[:, None]), Settings())
    return Outcome(verdict.name, {"ln T": (findings[-1].value, centre)})


def plants() -> tuple[Plant, ...]:
    """All of them."""
    return (
        Plant("exact", "the posterior itself; sd .05 over 8 seeds", "right", ("calibrated", "inconclusive"),
              functools.partial(repeated, 0.0, 0.05)),
        Plant("too_sure", "ln T = .5", "right", "overconfident", functools.partial(repeated, 0.5, 0.05)),
        Plant("not_sure_enough", "ln T = −.5", "right", "underconfident", functools.partial(repeated, -0.5, 0.05)),
        Plant("at_the_margin", "ln T = .1: at the edge of overconfident", "null", "overconfident",
              functools.partial(repeated, 0.1, 0.05)),
    )  # fmt: skip
