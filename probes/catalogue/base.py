"""What the probes of the catalogue have in common."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probes.measurement import of_seeds

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan


class Catalogued:
    """A probe whose cells are `probes.measurement.Measurement`s; it measures, and concludes from what it measured."""

    def check(self, plan: Plan) -> None:
        """Nothing is refused."""

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """What a cell stores."""
        raise NotImplementedError

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Any = None) -> Conclusion:
        """Findings and verdicts from the cells of one condition."""
        raise NotImplementedError

    def of_seeds(self, cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
        """A measured cell with some of its seeds only."""
        return of_seeds(cell, wanted)

    def run(self, trace: Trace, progress: Progress | None = None) -> Conclusion:
        """Measure a trace and conclude."""
        return self.conclude([self.measure(trace, progress)])
