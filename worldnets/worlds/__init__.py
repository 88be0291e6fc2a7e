"""Builders of worlds: each takes plain parameters and returns a `World` (a net and the tasks set on it)."""

from __future__ import annotations

from collections.abc import Callable

from worldnets.registry import Registry
from worldnets.roles import World

Builder = Callable[..., World]

REGISTRY: Registry[Builder] = Registry(
    "world",
    {
        "cue_parity": "worldnets.worlds.cue_parity:cue_parity",
        "public": "worldnets.worlds.public:public",
        "vault": "worldnets.worlds.vault:vault",
    },
)
