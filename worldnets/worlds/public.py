"""Public Bayes nets as worlds: which nodes are monitors, which are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from worldnets.errors import DatasetError, FormatError
from worldnets.net import WorldNet
from worldnets.public_nets import public_net
from worldnets.roles import World, static_task
from worldnets.worlds.parameters import choice, names


def public(
    net: str,
    evidence: Sequence[str],
    targets: Sequence[str] | Mapping[str, Sequence[str]],
    latents: Sequence[str] | None = None,
    ladder: Sequence[Sequence[str]] | str = "distance",
) -> World:
    """A public net with roles: the question is each target's state, given the evidence.

    Args:
        net: name of the net, as in `worldnets.public_nets.public_nets()`: "alarm", "asia", ….
        evidence: the monitors a head reads.
        targets: variables to predict, one target each; or target name → variables, to predict their joint state.
        latents: nodes whose beliefs a belief-attached head is given; default every node but evidence and targets.
        ladder: "distance" (rung k = evidence at moral-graph distance k from the target, empty ones left out), or rung
            increments shared by all targets.

    Raises:
        DatasetError: no such net, an unknown node, overlapping roles, a ladder that does not cover the evidence.
    """
    world = _read(net)
    shown = names("evidence", evidence)
    if isinstance(targets, Mapping):
        asked = {name: names(f"targets.{name}", variables) for name, variables in targets.items()}
    else:
        asked = {v: (v,) for v in names("targets", targets)}
    beliefs = None if latents is None else names("latents", latents)
    rungs = None
    if isinstance(ladder, str):
        choice("ladder", ladder, ("distance",))
    else:
        rungs = [names("ladder", rung) for rung in ladder]
    task = static_task(world, shown, asked, beliefs, rungs)
    hidden = tuple(v for v in world.variables if v not in set(shown))
    return World(world, {task.objective: task}, {"observed": task.evidence, "latents": hidden})


def _read(name: str) -> WorldNet:
    from worldnets.formats import read_net

    try:
        path: Path = public_net(name)
    except FormatError as error:
        raise DatasetError(error.what, found=error.found, mend=error.mend) from None
    net = read_net(path)
    if not isinstance(net, WorldNet):
        raise DatasetError("the public net has no conditional tables", file=path, mend="use a Bayes net")
    return net
