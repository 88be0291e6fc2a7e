"""Heads and traces built by hand so that the right verdict is known: what every probe is judged on (theory, section
16).
"""

from __future__ import annotations

from probes.organisms.base import Organism
from worldnets.registry import Registry

__all__ = ["REGISTRY", "Organism", "names", "organism"]

REGISTRY: Registry[Organism] = Registry(
    "organism",
    {
        "always_shallow": "probes.organisms.mixtures:ALWAYS_SHALLOW",
        "deepening": "probes.organisms.mixtures:DEEPENING",
        "frozen_half_way": "probes.organisms.mixtures:FROZEN_HALF_WAY",
        "untrained": "probes.organisms.mixtures:UNTRAINED",
        "perfect": "probes.organisms.mixtures:PERFECT",
        "deep_then_forgotten": "probes.organisms.mixtures:DEEP_THEN_FORGOTTEN",
    },
)


def names() -> list[str]:
    """Names of the organisms."""
    return REGISTRY.names()


def organism(name: str) -> Organism:
    """The organism of that name.

    Raises:
        UnknownNameError: no such organism.
    """
    return REGISTRY.get(name)
