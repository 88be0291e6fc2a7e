"""Builders of worlds: each takes plain parameters and returns a `World` (a net and the tasks set on it)."""

from __future__ import annotations

from collections.abc import Callable

from worldnets.registry import Registry
from worldnets.roles import World

Builder = Callable[..., World]

REGISTRY: Registry[Builder] = Registry(
    "world",
    {
        "chains": "worldnets.worlds.chains:chains",
        "cue_parity": "worldnets.worlds.cue_parity:cue_parity",
        "digits": "worldnets.worlds.digits:digits",
        "echo": "worldnets.worlds.echo:echo",
        "goodhart": "worldnets.worlds.goodhart:goodhart",
        "guard": "worldnets.worlds.guard:guard",
        "hidden_chains": "worldnets.worlds.hidden_chains:hidden_chains",
        "hidden_markov": "worldnets.worlds.hidden_markov:hidden_markov",
        "keeper": "worldnets.worlds.keeper:keeper",
        "mess3": "worldnets.worlds.hidden_markov:mess3",
        "public": "worldnets.worlds.public:public",
        "public_part": "worldnets.worlds.public:public_part",
        "rrxor": "worldnets.worlds.hidden_markov:rrxor",
        "tracker": "worldnets.worlds.tracker:tracker",
        "vault": "worldnets.worlds.vault:vault",
        "zero_one_random": "worldnets.worlds.hidden_markov:zero_one_random",
    },
)
