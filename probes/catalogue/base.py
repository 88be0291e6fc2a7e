"""What the probes of the catalogue have in common."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from probes.measurement import Measurement, by_target, of_seeds
from probes.reference import notes, under

if TYPE_CHECKING:
    from probes.finding import Conclusion, Finding, Plotted, Verdict
    from probes.presentation import Presentation
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan


class Catalogued:
    """A probe whose cells are `probes.measurement.Measurement`s; it measures, and concludes from what it measured.

    Attributes:
        name: of the probe.
        settings: margins and level of its verdicts.
        shown: the findings that its conclusion draws.
    """

    name: ClassVar[str]
    settings: Any
    shown: ClassVar[Plotted]

    @property
    def presentation(self) -> Presentation:
        """`PRESENTATION` of the module of `probes.report` that has the probe's name, imported when it is shown."""
        shown: Presentation = import_module(f"probes.report.{self.name}").PRESENTATION
        return shown

    def check(self, plan: Plan) -> None:
        """Nothing is refused."""

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """What a cell stores."""
        raise NotImplementedError

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Any = None) -> Conclusion:
        """Findings and one verdict per target from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, a seed measured twice, or every seed diverged.
        """
        from probes.finding import Conclusion

        settings = settings or self.settings
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for measurement in by_target(cells, self.name):
            found, verdict = self.concluded(measurement, settings)
            findings += found
            verdicts[measurement.target] = under(verdict, cells)
        return Conclusion(tuple(findings), verdicts, self.shown, notes(cells))

    def concluded(self, measurement: Measurement, settings: Any) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        raise NotImplementedError

    def of_seeds(self, cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
        """A measured cell with some of its seeds only."""
        return of_seeds(cell, wanted)

    def run(self, trace: Trace, progress: Progress | None = None) -> Conclusion:
        """Measure a trace and conclude."""
        return self.conclude([self.measure(trace, progress)])
