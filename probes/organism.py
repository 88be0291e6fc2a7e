"""Organisms in a suite: how often a probe says of what was planted what is known of it, counted in the run itself.

A line of the table `[organisms]` names a probe and a number of repeats; each of the probe's plants is a cell of the
run, beside the cells of its conditions: stored, resumed, reported in the same way (`probes.validity` counts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probes.cells import CELL_SCHEMA, Cell
from worldnets.errors import StoreError

if TYPE_CHECKING:
    from probes.suite import Suite
    from probes.validity import Score


@dataclass(frozen=True)
class Organism:
    """One planted organism of a run.

    Args:
        probe: which probe is asked, `{"name", "version"}`.
        name: of the plant, unique within its probe.
        about: the plant's own sentence, which has the sizes of its effects; part of the key.
        repeats: how many, with the seeds 0, 1, …
    """

    probe: Mapping[str, Any]
    name: str
    about: str
    repeats: int

    @property
    def title(self) -> str:
        """`organisms/PROBE/NAME`: what `--only` is matched with."""
        return f"organisms/{self.probe['name']}/{self.name}"

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the counts, but for the code, which the probe's version stands for."""
        organism = {"name": self.name, "about": self.about, "repeats": self.repeats}
        return {"schema": CELL_SCHEMA, "probe": dict(self.probe), "organism": organism}

    @property
    def count(self) -> int:
        """One cell."""
        return 1

    def cell(self, number: int) -> Cell:
        """The one it has."""
        return self.cells[number]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """One."""
        return (Cell(self.identity, self.title, {}),)

    def score(self, measured: Mapping[str, Any]) -> Score:
        """What the stored counts say.

        Raises:
            StoreError: the probe no longer has such a plant, or they are no counts.
        """
        from probes.validity import Tally, plants, scored

        plant = next((one for one in plants(str(self.probe["name"])) if one.name == self.name), None)
        if plant is None:
            mend = "read the run with the version of worldnets that made it"
            raise StoreError("an organism that is no longer there", node=self.title, mend=mend)
        return scored(plant, Tally(*(self._counts(measured.get(name)) for name in ("verdicts", "held", "asked"))))

    def _counts(self, part: Any) -> Mapping[str, int]:
        if isinstance(part, dict) and all(type(n) is int and 0 <= n <= self.repeats for n in part.values()):
            return part
        mend = "delete this organism's cell and run the same command again"
        raise StoreError("counts that are none", node=self.title, found=repr(part), mend=mend)


def organisms(suite: Suite) -> tuple[Organism, ...]:
    """The organisms that a suite asks for, in its order; of probes without plants there are none to ask for.

    Raises:
        UnknownNameError: a probe that has no organisms.
    """
    from probes.registry import probe
    from probes.validity import plants

    found = []
    for name, repeats in suite.organisms.items():
        planted = plants(name)
        about = {"name": name, "version": probe(name).version}
        found += [Organism(about, plant.name, plant.about, plant.repeats(repeats)) for plant in planted]
    return tuple(found)


def count_cell(cell: Cell) -> dict[str, Any]:
    """Repeat what a cell asks for, and count: what the cell stores."""
    from probes.validity import Work, count

    organism = cell.identity["organism"]
    counted = count(Work(cell.identity["probe"]["name"], organism["name"], 0, organism["repeats"]))
    return {"verdicts": dict(counted.verdicts), "held": dict(counted.held), "asked": dict(counted.asked)}
