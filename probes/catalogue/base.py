"""What the probes of the catalogue have in common."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from probes.measurement import Measurement, by_target, of_seeds
from probes.reference import notes, under
from worldnets.draw.cards import card, short, table

if TYPE_CHECKING:
    from probes.finding import Conclusion, Finding, Plotted, Verdict
    from probes.presentation import Presentation
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan


class Described:
    """A probe, a dataclass of `sampling` and `settings`, that says of itself what is not at its default."""

    def _choices(self) -> list[tuple[str, str, Any, Any]]:
        """(part, setting, its value, its default) of every setting."""
        plain = type(self)()
        found = []
        for part in fields(self):  # type: ignore[arg-type]
            own, default = getattr(self, part.name), getattr(plain, part.name)
            if is_dataclass(own) and type(own) is type(default):
                found += [(part.name, f.name, getattr(own, f.name), getattr(default, f.name)) for f in fields(own)]
        return found

    def __repr__(self) -> str:
        changed = [f"{name}={short(repr(own), 40)}" for _, name, own, default in self._choices() if own != default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str:
        how = {"sampling": "it measures with", "settings": "it concludes with"}
        rows = [(how.get(part, part), name, str(own)) for part, name, own, _ in self._choices()]
        return card(repr(self), None, table(("", "setting", "value"), rows, most=60))


class Catalogued(Described):
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
