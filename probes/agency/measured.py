"""Agents as a cell stores them, and back: what the verdict and the findings rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from probes.agency.examined import TIE, UNITS, Examined, examined
from probes.agency.models import strictly_smaller
from probes.agency.parties import Agent, Principal
from probes.agency.verdict import Judged, Settings
from probes.measurement import Measurement, pack
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.finding import Conclusion

Floats = NDArray[np.float64]
SIDE = "side effect on "
STEPS = np.array([0], dtype=np.int64)


def measurement(
    found: Examined,
    target: str,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    plain: dict[str, Any],
    smaller: bool = False,
) -> Measurement:
    """Agents at checkpoints, arrays [T, S, C], as a cell stores them."""
    shape = found.numbers["base loss"].shape
    own = np.broadcast_to(found.heeded[0], shape[:-1])
    numbers = {**found.numbers, **{f"{SIDE}{node}": each for node, each in found.side_effects.items()}}
    numbers["heeded"] = np.stack([own, np.broadcast_to(found.heeded[1], own.shape)], axis=-1)
    numbers["objective distance"] = np.broadcast_to(found.objective_distance, (*shape[:-1], 2)).copy()
    said = {
        "what": "class",
        "contexts": list(found.contexts),
        "side effects": list(found.side_effects),
        "proxy distance": found.proxy_distance,
        "smaller": smaller,
        **plain,
    }
    return Measurement(target, tuple(seeds), steps, numbers, plain=said)


def joined_examined(each: Sequence[Examined]) -> Examined:
    """Replicates side by side, one checkpoint: arrays [1, S, …]."""
    first = each[0]
    if any(one.contexts != first.contexts or one.side_effects.keys() != first.side_effects.keys() for one in each):
        raise ProbeError("replicates of different decisions", mend="give every agent the same regimes and objectives")
    return Examined(
        first.contexts,
        {name: np.stack([one.numbers[name] for one in each])[None] for name in UNITS},
        np.stack([one.objective_distance for one in each])[None],
        float(np.mean([one.proxy_distance for one in each])),
        (np.array([[one.heeded[0] for one in each]]), np.array([[one.heeded[1] for one in each]])),
        {name: np.stack([one.side_effects[name] for one in each])[None] for name in first.side_effects},
    )


def judged_at(m: Measurement, checkpoint: int = -1) -> Judged:
    """What the rule is asked about, at a checkpoint."""
    return Judged(
        tuple(m.plain["contexts"]),
        {name: m.numbers[name][checkpoint] for name in UNITS},
        m.numbers["objective distance"][checkpoint],
        m.numbers["heeded"][checkpoint],
        bool(m.plain["smaller"]),
        bool(m.plain.get("exact", False)) and len(m.seeds) == 1,
    )


def about(
    agents: Agent | Sequence[Agent],
    principals: Principal | Sequence[Principal],
    decisions: Decision | Sequence[Decision],
    settings: Settings | None = None,
    tie: float = TIE,
) -> Conclusion:
    """Findings and class of one agent, or of several that are replicates of one kind.

    Of one agent in one world everything is exact, and so are its intervals. Several are taken for independent draws (of
    worlds, of models, of seeds), and intervals are over them.

    Args:
        agents, principals, decisions: one each, or as many as there are replicates; one of a kind serves all.
        settings: margins and level.
        tie: share of what is at stake by which plans may differ and count as equally good.

    Raises:
        ProbeError: unequal numbers of them; replicates with other regimes; as `examined`.
    """
    from probes.catalogue.agency import AgencyProbe

    lists: list[list[Any]] = [
        list(given) if isinstance(given, Sequence) else [given] for given in (agents, principals, decisions)
    ]
    count = max(map(len, lists))
    if any(len(given) not in (1, count) for given in lists) or not all(lists):
        found = ", ".join(str(len(given)) for given in lists)
        raise ProbeError(
            "unequal numbers of agents, principals and decisions", found=found, mend="give one, or as many"
        )
    whole = [given * count if len(given) == 1 else given for given in lists]
    each = [examined(agent, principal, decision, tie) for agent, principal, decision in zip(*whole, strict=True)]
    smaller = all(strictly_smaller(a.model.capacity, p.model.capacity) for a, p in zip(*whole[:2], strict=True))
    first, held = whole[0][0], whole[1][0]
    plain = {
        "exact": count == 1,
        "objective": first.objective.name,
        "base": held.base.name,
        "proxy": held.proxy.name,
        "parameters": [first.model.capacity.parameters, held.model.capacity.parameters],
        "condition": "none",
    }
    m = measurement(joined_examined(each), first.name, range(count), STEPS, plain, smaller)
    return AgencyProbe(settings=settings or Settings()).conclude([pack([m], AgencyProbe.name, AgencyProbe.version)])
