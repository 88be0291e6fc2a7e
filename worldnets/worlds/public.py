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
    return _with_roles(_read(net), evidence, targets, latents, ladder)


def public_part(
    net: str,
    evidence: Sequence[str],
    targets: Sequence[str] | Mapping[str, Sequence[str]],
    latents: Sequence[str] | None = None,
    ladder: Sequence[Sequence[str]] | str = "distance",
) -> World:
    """A public net without its barren nodes: evidence, targets and latents, and what they descend from.

    Summed out, a node that nothing kept descends from is a factor of 1: the distribution of what is kept is that of the
    whole net, but conditional draws, which have every node of a net, are far cheaper. Distances are those in the moral
    graph of the part, in which separation means independence.

    Args:
        net, evidence, targets, latents, ladder: as `public`; by default the latents are all kept nodes that are neither
            evidence nor target.

    Raises:
        DatasetError: as `public`.

    Source: Shachter 1986, "Evaluating influence diagrams" (barren nodes); Lauritzen, Dawid, Larsen & Leimer 1990,
    "Independence properties of directed Markov fields" (ancestral sets).
    """
    whole = _read(net)
    asked = _asked(targets)
    frontier = [*names("evidence", evidence), *(v for variables in asked.values() for v in variables)]
    frontier += [] if latents is None else names("latents", latents)
    whole.check_variables(frontier, error=DatasetError)
    kept = set(frontier)
    for v in frontier:  # grows while it is read
        above = [u for u in whole.parents(v) if u not in kept]
        kept.update(above)
        frontier += above
    order = [v for v in whole.variables if v in kept]
    part = WorldNet(
        {v: whole.states[v] for v in order},
        {v: whole.parents(v) for v in order},
        {v: whole.cpt(v) for v in order},
        whole.name,
    )
    return _with_roles(part, evidence, targets, latents, ladder)


def _with_roles(
    net: WorldNet,
    evidence: Sequence[str],
    targets: Sequence[str] | Mapping[str, Sequence[str]],
    latents: Sequence[str] | None,
    ladder: Sequence[Sequence[str]] | str,
) -> World:
    shown = names("evidence", evidence)
    asked = _asked(targets)
    beliefs = None if latents is None else names("latents", latents)
    rungs = None
    if isinstance(ladder, str):
        choice("ladder", ladder, ("distance",))
    else:
        rungs = [names("ladder", rung) for rung in ladder]
    task = static_task(net, shown, asked, beliefs, rungs)
    hidden = tuple(v for v in net.variables if v not in set(shown))
    return World(net, {task.objective: task}, {"observed": task.evidence, "latents": hidden})


def _asked(targets: Sequence[str] | Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if isinstance(targets, Mapping):
        return {name: names(f"targets.{name}", variables) for name, variables in targets.items()}
    return {v: (v,) for v in names("targets", targets)}


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
