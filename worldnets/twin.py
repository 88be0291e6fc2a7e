"""Twins: the same world with some evidence cut off, so that it is distributed as before and tells nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError
from worldnets.net import WorldNet

UNSEEN, COPY = "@unseen", "@redraw"  # endings of the nodes only a twin has


def twin_net(net: WorldNet, redrawn: tuple[str, ...]) -> WorldNet:
    """The net of a twin: W(redrawn) · W(everything else), the base's variables first and in the base's order.

    The redrawn nodes become the visible end of an independent copy of their ancestors (`v@redraw`); what they would
    have shown stays as a node `v@unseen` where other nodes depend on it.
    """
    cut = set(redrawn)
    upstream = [v for v in net.variables if v in net.ancestors(redrawn)]
    copy = {v: v if v in cut else v + COPY for v in upstream}
    unseen = {v: v + UNSEEN for v in redrawn if net.children(v)}
    for name in {*copy.values(), *unseen.values()} - set(redrawn):
        if name in net.index:
            raise DatasetError("a twin needs this name for itself", node=name, mend="rename the variable")
    states = dict(net.states) | {copy[v]: net.states[v] for v in upstream}
    states |= {name: net.states[v] for v, name in unseen.items()}
    parents = {v: tuple(unseen.get(p, p) for p in net.parents(v)) for v in net.variables if v not in cut}
    parents |= {copy[v]: tuple(copy[p] for p in net.parents(v)) for v in upstream}
    parents |= {name: tuple(unseen.get(p, p) for p in net.parents(v)) for v, name in unseen.items()}
    tables = dict(net.cpts) | {copy[v]: net.cpt(v) for v in upstream}
    tables |= {name: net.cpt(v) for v, name in unseen.items()}
    return WorldNet(states, parents, tables, f"{net.name} twin")


def twin_codes(
    net: WorldNet, twin: WorldNet, redrawn: tuple[str, ...], codes: NDArray[np.int16], second: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Rows of the twin from two independent sets of rows of the base: redrawn columns from `second`, others `codes`."""
    rows = np.empty((len(codes), len(twin.variables)), dtype=np.int16)
    for column, v in enumerate(twin.variables):
        if v in net.index:
            rows[:, column] = (second if v in redrawn else codes)[:, net.index[v]]
        elif v.endswith(COPY):
            rows[:, column] = second[:, net.index[v.removesuffix(COPY)]]
        else:
            rows[:, column] = codes[:, net.index[v.removesuffix(UNSEEN)]]
    return rows


def second_seed(seed: int) -> int:
    """The seed of a twin's second simulation."""
    return int(np.random.SeedSequence([seed, 2]).generate_state(1, np.uint64)[0])
