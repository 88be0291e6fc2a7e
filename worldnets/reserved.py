"""Reserved symbols: a state that some evidence could show and never does.

No clip holds a reserved symbol, so nothing that reads it is ever given a gradient: what a head answers to one was
there before training (or is what a penalty on parameters has left of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from worldnets.dataset import Dataset
from worldnets.errors import DatasetError, did_you_mean
from worldnets.heads.tables import FRAME
from worldnets.net import WorldNet
from worldnets.roles import Labeller, Task, World

RESERVED = "reserved"


def reserved_net(net: WorldNet, variables: Sequence[str]) -> WorldNet:
    """The same distribution over variables of which some have one more state, the last, of probability zero.

    Under evidence that shows it (of probability zero, too) the tables of its children say nothing: uniform rows.
    """
    chosen = set(variables)
    states = {v: (*labels, RESERVED) if v in chosen else labels for v, labels in net.states.items()}
    tables = {}
    for v in net.variables:
        table = net.cpt(v)
        for axis, parent in enumerate(net.parents(v)):
            if parent in chosen:
                grown = [(0, int(axis == own)) for own in range(table.ndim)]
                table = np.pad(table, grown, constant_values=1.0 / table.shape[-1])
        tables[v] = np.pad(table, [(0, 0)] * (table.ndim - 1) + [(0, int(v in chosen))])
    return WorldNet(states, net.parent_sets, tables, net.name)


def with_reserved(dataset: Dataset, variables: Iterable[str]) -> Dataset:
    """The dataset whose evidence `variables` have a state `"reserved"` that never occurs; its clips are the same.

    Heads on raw evidence have features of their own for it. (A variable of two states, one feature till then, becomes
    one of three, a feature each.)

    Raises:
        DatasetError: a variable that is no evidence or has such a state already, or a dataset of real clips, whose
            columns are what they are.
    """
    chosen = tuple(dict.fromkeys(variables))
    evidence = sorted({v for task in dataset.world.tasks.values() for v in task.evidence})
    if dataset.reference != "exact":
        mend = "reserve symbols in a known world"
        raise DatasetError("real clips have no room for a reserved symbol", node=dataset.name, mend=mend)
    for v in chosen:
        if v not in evidence:
            mend = did_you_mean(v, evidence)
            raise DatasetError("only evidence shows symbols", node=dataset.name, found=repr(v), mend=mend)
        if RESERVED in dataset.net.states[v]:
            raise DatasetError("a state of this name is there already", node=v, found=RESERVED, mend="rename it")
    world, labeller = dataset.world, dataset.world.labeller
    if labeller is not None:
        known = [v for v in chosen if v in labeller.net.index]
        labeller = Labeller(reserved_net(labeller.net, known), labeller.evidence)
    net = reserved_net(dataset.net, chosen)
    changed = World(net, world.tasks, world.roles, None, world.frames, labeller)
    return Dataset(dataset.name, dataset.parameters, changed, title=dataset.title)


def alike(task: Task, variable: str) -> tuple[str, ...]:
    """The evidence of the same kind as a variable: itself and, in a clip, its like in every frame, in the task's order.

    Heads that read frame by frame need frames with equally many features.
    """
    own = FRAME.fullmatch(variable)
    if own is None:
        return (variable,)
    return tuple(v for v in task.evidence if (other := FRAME.fullmatch(v)) is not None and other[1] == own[1])
