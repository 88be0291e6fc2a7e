"""What a run is made of: conditions (rows of the verdict table) and their cells (one seed group each).

A cell is everything that determines one stored result and nothing else, so its key (the sha256 of its canonical JSON)
is the same on every machine, with any number of jobs, in any run directory.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from worldnets.errors import SuiteError

#: Seeds are trained and measured in groups of this width, always whole: a seed's bits depend on how many are trained
#: with it, so the group is the cell.
GROUP = 8

#: Goes up when what a cell's key or its stored fields mean changes.
CELL_SCHEMA = 1


_SPELL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no blanks, numbers as Python repeats them, NaN refused."""
    return _SPELL.encode(value)


@dataclass(frozen=True)
class Cell:
    """One seed group of one condition, measured by one probe.

    Args:
        identity: JSON-able; all that determines the result: probe, world, objective, head, inputs, training, penalties
            and growth where there are some, group.
        title: how people name the condition, `world/objective/head/inputs`; not part of the key.
        source: what `worldnets.load_dataset` is given to load the world; a path on this machine is not part of the key.
    """

    identity: Mapping[str, Any]
    title: str
    source: Mapping[str, Any]

    @functools.cached_property
    def key(self) -> str:
        """64 hex digits: sha256 of the canonical JSON of the identity."""
        return hashlib.sha256(canonical(self.identity).encode()).hexdigest()

    @property
    def training(self) -> str:
        """What is trained, whichever probe looks at it: canonical JSON of the identity without the probe."""
        return canonical({key: value for key, value in self.identity.items() if key != "probe"})

    @property
    def kin(self) -> str:
        """What shares references: cells of one world and objective, or organisms of one probe."""
        if "organism" in self.identity:
            return f"organisms of {self.identity['probe']['name']}"
        return f"{self.identity['world']['digest']} {self.identity['objective']}"

    @property
    def group(self) -> int:
        """Which seeds: 8·group … 8·group + 7."""
        return int(self.identity["group"])

    @property
    def name(self) -> str:
        """Readable and unique within a run: the title, the probe and the seeds; of organisms the repeats."""
        if "organism" in self.identity:
            return f"{self.title}, {self.identity['organism']['repeats']:,} repeats"
        first = GROUP * self.group
        return f"{self.title} {self.identity['probe']['name']} seeds {first}–{first + GROUP - 1}"


@dataclass(frozen=True)
class Condition:
    """One row of the verdict table: a probe's question to one head, on one world, under one objective.

    Args:
        title: `world/objective/head/inputs`, with the job's label instead of the world's name where it gives one; the
            head's part goes on with what is paid for besides, `head+weight_decay=0.001`, that of the inputs with how
            they grow, `beliefs:radius-grown`.
        probe: name and version and what is fixed for measuring, `{"name", "version", "measure"}`.
        world: what identifies the world, `{"name", "parameters", "redrawn", "digest"}`.
        source: what `worldnets.load_dataset` is given to load it.
        head: `{"name", "options"}`.
        training: steps, batch, optimizer, learning_rate, checkpoints.
        seeds: how many seeds the conclusion is drawn from, 0 … seeds − 1.
        primary: whether the suite declares it among the cells over which multiplicity is controlled.
        penalties: all options of every penalty, by name; empty for none.
        labels: what the objective's labels depend on besides the world; empty for none.
        growth: all options of the growth (`worldnets.learning.GrowthPlan`); empty for none.
    """

    title: str
    label: str
    probe: Mapping[str, Any]
    world: Mapping[str, Any]
    source: Mapping[str, Any]
    objective: str
    head: Mapping[str, Any]
    inputs: str
    training: Mapping[str, Any]
    seeds: int
    primary: bool = True
    penalties: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    growth: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the results except which seeds."""
        return {
            "schema": CELL_SCHEMA,
            "probe": dict(self.probe),
            "world": dict(self.world),
            "objective": self.objective,
            "head": dict(self.head),
            "inputs": self.inputs,
            "training": dict(self.training),
            # Only where there are some: cells from before there were penalties keep their keys.
            **({"penalties": dict(self.penalties)} if self.penalties else {}),
            **({"labels": dict(self.labels)} if self.labels else {}),
            **({"growth": dict(self.growth)} if self.growth else {}),
        }

    @property
    def count(self) -> int:
        """How many cells: as many seed groups as hold its seeds."""
        return -(-self.seeds // GROUP)

    def cell(self, number: int) -> Cell:
        """One seed group of its `count`."""
        return Cell({**self.identity, "group": number}, self.title, self.source)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The condition's seed groups; the last may hold more seeds than are asked for."""
        identity = self.identity
        return tuple(Cell({**identity, "group": group}, self.title, self.source) for group in range(self.count))

    @property
    def names(self) -> dict[str, str]:
        """The parts by which tables are sorted and joined."""
        return {
            "world": self.label,
            "objective": self.objective,
            "head": str(self.head["name"]) + penalty_label(self.penalties),
            "inputs": self.inputs + growth_label(self.growth),
            "probe": str(self.probe["name"]),
        }


def penalty_label(penalties: Mapping[str, Any]) -> str:
    """`+weight_decay=0.001` for each penalty, as it stands in titles; further options in brackets; "" for none.

    Args:
        penalties: all options of every penalty, by name, as `worldnets.penalties.penalty_settings` gives them.
    """
    parts = []
    for name, options in sorted(penalties.items()):
        more = {key: value for key, value in options.items() if key != "strength" and value != _default(name, key)}
        written = ", ".join(f"{key}={_listed(value)}" for key, value in more.items())
        parts.append(f"+{name}={options['strength']:g}" + (f"({written})" if written else ""))
    return "".join(parts)


def growth_label(growth: Mapping[str, Any]) -> str:
    """`:radius-grown`, as it stands in titles; "" for none.

    Args:
        growth: all options, as `worldnets.learning.GrowthPlan.settings` gives them.
    """
    return f":{growth['kind']}-{growth['order']}" if growth else ""


def _default(penalty: str, option: str) -> Any:
    from worldnets.penalties import REGISTRY

    return next((field.default for field in fields(REGISTRY.get(penalty)) if field.name == option), None)


def _listed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


class Shared:
    """One object for all equal tables it is shown: a hundred thousand conditions differ in little."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}

    def __call__(self, value: Any) -> Any:
        """The value, or one that equals it, in the same order; texts and numbers as they are."""
        return self._seen.setdefault(json.dumps(value), value) if isinstance(value, Mapping) else value


class Titled(Protocol):
    """A line of a run that has cells: a condition, or an organism."""

    @property
    def title(self) -> str:
        """What `--only` is matched with."""

    @property
    def count(self) -> int:
        """How many cells it has."""

    def cell(self, number: int) -> Cell:
        """One of them, from 0."""


Line = TypeVar("Line", bound=Titled)


def matching(conditions: Iterable[Line], pattern: str | None) -> list[Line]:
    """Those whose title matches a shell pattern; a pattern without wildcards may be any part of the title.

    Raises:
        SuiteError: none does.
    """
    listed = list(conditions)
    if pattern is None:
        return listed
    wild = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    chosen = [condition for condition in listed if fnmatch.fnmatchcase(condition.title, wild)]
    if not chosen:
        mend = "see the titles with --dry-run; * stands for any text"
        raise SuiteError("no condition matches the pattern", found=repr(pattern), mend=mend)
    return chosen


def parse_shard(text: str) -> tuple[int, int]:
    """`"2/5"` → (2, 5): the second of five parts.

    Raises:
        SuiteError: not of the form i/n with 1 ≤ i ≤ n.
    """
    left, slash, right = text.partition("/")
    if slash and left.strip().isdecimal() and right.strip().isdecimal() and 1 <= int(left) <= int(right):
        return int(left), int(right)
    mend = "write --shard 1/4 … --shard 4/4 for four parts"
    raise SuiteError("not a shard", found=repr(text), expected="i/n with 1 ≤ i ≤ n", mend=mend)
