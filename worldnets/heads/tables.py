"""A net's tables as free logits, tied where the same thing happens again: what a message-passing head learns.

Every distinct table is a softmax of logits over its last axis, p(x | u) = softmax(logits[u])[x]. All rows with equally
many states are one array [rows, states], so that a head has few leaves however many nodes its net has.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.net import WorldNet

if TYPE_CHECKING:
    import jax

FRAME = re.compile(r"(.+)_([0-9]+)")  # what `frame_name` writes
ZERO = -60.0  # nats: where the logit of an impossible cell starts if it may be learned


@dataclass(frozen=True, eq=False)
class Tables:
    """Which tables there are, and where their logits lie. Equal to any other that lays them out alike.

    Attributes:
        shapes: of each distinct table, [*parent states, states], under the name of the first variable that has it.
        table_of: for each variable the name of its table.
        offsets: for each distinct table where it begins in the vector of all entries, in C order.
        blocks: for each number of states, rising, how many rows of logits; entries are in the order of blocks.
        possible: [entries], False where a cell is held at zero; None where none is.
    """

    shapes: Mapping[str, tuple[int, ...]]
    table_of: Mapping[str, str]
    offsets: Mapping[str, int]
    blocks: Mapping[int, int]
    possible: NDArray[np.bool_] | None
    _digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        plain = [sorted(part.items()) for part in (self.shapes, self.table_of, self.offsets)]
        digest = hashlib.sha256(repr(plain).encode())
        digest.update(b"" if self.possible is None else self.possible.tobytes())
        object.__setattr__(self, "_digest", digest.digest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tables) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    @property
    def entries(self) -> int:
        """Cells of all distinct tables."""
        return sum(states * rows for states, rows in self.blocks.items())

    @property
    def starts(self) -> dict[str, int]:
        """For each variable, where its table begins; tied tables begin at one place."""
        return {v: self.offsets[name] for v, name in self.table_of.items()}

    def blocked(self, entries: NDArray[np.floating], dtype: Any = np.float32) -> tuple[NDArray[Any], ...]:
        """A vector of entries as the arrays that a head holds, [rows, states] for each number of states."""
        found, at = [], 0
        for states, rows in self.blocks.items():
            found.append(entries[at : at + rows * states].reshape(rows, states).astype(dtype))
            at += rows * states
        return tuple(found)

    def log_tables(self, logits: Sequence[jax.Array], never: float) -> jax.Array:
        """Logarithms of all entries, `never` where a cell is held at zero; a pure function for JAX."""
        import jax
        from jax import numpy as jnp

        found, at = [], 0
        for block in map(jnp.asarray, logits):
            possible = None if self.possible is None else self.possible[at : at + block.size].reshape(block.shape)
            if possible is None:
                log_p = jax.nn.log_softmax(block, axis=-1)
            else:
                # Any finite value far below does: cells that are held have probability and gradient zero.
                log_p = jax.nn.log_softmax(jnp.where(possible, block, never), axis=-1)
                log_p = jnp.where(possible, log_p, never)
            found.append(log_p.reshape(-1))
            at += block.size
        return jnp.concatenate(found)

    def entries_of(self, net: WorldNet, mixed: float = 0.0) -> NDArray[np.float64]:
        """The logarithms of a net's own tables, [entries]; zeros are `ZERO`.

        Args:
            net: any net with these tables' variables and shapes.
            mixed: weight of the uniform distribution in a mixture with each row.
        """
        flat = np.empty(self.entries)
        for name, shape in self.shapes.items():
            table = (1 - mixed) * net.cpt(name) + mixed / shape[-1]
            begin = self.offsets[name]
            flat[begin : begin + table.size] = np.log(np.maximum(table, math.exp(ZERO))).reshape(-1)
        return flat

    def cpts(self, logits: Sequence[Any]) -> dict[str, NDArray[np.float64]]:
        """Every variable's table as probabilities, from one head's logits."""
        flat, at = np.empty(self.entries), 0
        for block in logits:
            values = np.asarray(block, dtype=np.float64)
            if self.possible is not None:
                values = np.where(self.possible[at : at + values.size].reshape(values.shape), values, -np.inf)
            values = np.exp(values - values.max(axis=-1, keepdims=True))
            flat[at : at + values.size] = (values / values.sum(axis=-1, keepdims=True)).reshape(-1)
            at += values.size
        tables = {
            name: flat[self.offsets[name] : self.offsets[name] + math.prod(shape)].reshape(shape)
            for name, shape in self.shapes.items()
        }
        return {v: tables[name] for v, name in self.table_of.items()}


def tables_of(net: WorldNet, variables: Sequence[str], tied: bool, held: bool) -> Tables:
    """Lay out the tables of some of a net's variables.

    Args:
        net: the net.
        variables: whose tables.
        tied: whether variables "kind_t" of several frames t share one table where they are of the same kind, have
            parents of the same kinds in the same frames relative to their own, and equal tables in `net`: the steps of
            an unrolled two-slice net.
        held: whether the zeros of `net` are kept.
    """
    table_of: dict[str, str] = {}
    first: dict[Hashable, str] = {}
    for v in variables:
        table_of[v] = first.setdefault(_signature(net, v), v) if tied else v
    shapes = {name: net.cpt(name).shape for name in dict.fromkeys(table_of.values())}
    rows = Counter[int]()
    places = {}
    for name, shape in shapes.items():
        places[name] = rows[shape[-1]]
        rows[shape[-1]] += math.prod(shape[:-1])
    blocks = dict(sorted(rows.items()))
    begin, at = {}, 0
    for states, count in blocks.items():
        begin[states], at = at, at + states * count
    offsets = {name: begin[shape[-1]] + places[name] * shape[-1] for name, shape in shapes.items()}
    possible = None
    if held:
        possible = np.empty(at, dtype=bool)
        for name, offset in offsets.items():
            table = net.cpt(name)
            possible[offset : offset + table.size] = table.reshape(-1) > 0
    return Tables(shapes, table_of, offsets, blocks, None if possible is None or possible.all() else possible)


def _signature(net: WorldNet, v: str) -> Hashable:
    own = FRAME.fullmatch(v)
    if own is None:
        return v
    return (
        own[1],
        net.states[v],
        tuple(_relative(p, int(own[2])) for p in net.parents(v)),
        np.round(net.cpt(v), 12).tobytes(),
    )


def _relative(parent: str, frame: int) -> Hashable:
    found = FRAME.fullmatch(parent)
    return parent if found is None else (found[1], int(found[2]) - frame)
