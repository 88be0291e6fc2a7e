"""What a probe is: it measures traces, concludes from what it measured, and says how its conclusions are shown."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.presentation import Presentation
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

#: Called as progress(done, total) while a probe measures.
Progress = Callable[[int, int], None]


class Probe(Protocol):
    """A probe; the classes in `probes.catalogue` are made without arguments.

    Attributes:
        sampling: a frozen dataclass of plain values: how it measures, `[probes.NAME.measure]` of a suite file; part of
            a cell's key.
        settings: another: how it concludes, `[probes.NAME.conclude]`; fixed before a run, no part of the key, because
            conclusions are drawn anew whenever cells are read.
    """

    sampling: Any
    settings: Any

    @property
    def name(self) -> str:
        """As `probes.probe` takes it."""
        ...

    @property
    def version(self) -> int:
        """Goes up when the same trace would give other numbers; part of a cell's key."""
        ...

    @property
    def presentation(self) -> Presentation:
        """Its columns in tables, and its part of the report."""
        ...

    def check(self, plan: Plan) -> None:
        """Refuse what it cannot measure before anything is trained.

        Raises:
            ProbeError: such a request.
        """
        ...

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """What a cell stores: {"metadata": JSON-able dict, "arrays": {name: array}}.

        The same trace and sampling give the same bits.
        """
        ...

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Any = None) -> Conclusion:
        """Findings and verdicts from the cells of one condition: its groups of seeds, in any order."""
        ...

    def of_seeds(self, cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
        """A measured cell with some of its seeds only."""
        ...

    def run(self, trace: Trace, progress: Progress | None = None) -> Conclusion:
        """Measure a trace and conclude."""
        ...
