"""Every error worldnets and probes raise on purpose: one hierarchy, one sentence shape.

A message says where it happened, what is wrong, what was found against what was expected, and how to mend it. The
parts stay readable as attributes, so that a caller further out (a file reader, the command line) can add the part it
knows with `at` without parsing text.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from difflib import get_close_matches
from typing import Any, Self

from worldnets.printable import printable

_PART_LIMIT = 600  # characters of one part of a message: a file from elsewhere may hold a name of a megabyte
_NAME_LIMIT = 80  # comparing names takes their lengths multiplied


class WorldnetsError(Exception):
    """Base of every error this project raises on purpose.

    Args:
        what: what is wrong, in one clause.
        found, expected: the two sides of the disagreement, printed with `repr` when given.
        mend: how to put it right, in one clause.
        file, line, node, row: where it happened, outermost first; leave out what does not apply.
    """

    def __init__(
        self,
        what: str,
        *,
        found: Any = None,
        expected: Any = None,
        mend: str | None = None,
        file: Any = None,
        line: int | None = None,
        node: Hashable | None = None,
        row: Any = None,
    ) -> None:
        self.what, self.found, self.expected, self.mend = what, found, expected, mend
        self.file, self.line, self.node, self.row = file, line, node, row
        super().__init__(str(self))

    def at(self, *, file: Any = None, line: int | None = None, node: Hashable | None = None, row: Any = None) -> Self:
        """Add the parts of the place that were not known where the error was made; parts already known stay."""
        self.file = file if self.file is None else self.file
        self.line = line if self.line is None else self.line
        self.node = node if self.node is None else self.node
        self.row = row if self.row is None else self.row
        return self

    def __str__(self) -> str:
        places = (
            self.file if self.file is None else str(self.file),
            None if self.line is None else f"line {self.line}",
            None if self.node is None else f"node {_cut(repr(self.node))}",
            None if self.row is None else f"row {_cut(str(self.row))}",
        )
        where = ", ".join(place for place in places if place is not None)
        text = f"{where}: {_cut(self.what)}" if where else _cut(self.what)
        if self.found is not None:
            text += f"; found {_shown(self.found)}"
        if self.expected is not None:
            text += f"; expected {_shown(self.expected)}"
        return printable(f"{text}. Mend: {_cut(self.mend)}." if self.mend else f"{text}.")

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries when cells run in parallel; the keyword arguments must travel too.
        return _rebuild, (type(self), self.what, dict(self.__dict__))


def _rebuild(kind: type[WorldnetsError], what: str, parts: dict[str, Any]) -> WorldnetsError:
    error = kind(what)
    error.__dict__.update(parts)
    return error


def _shown(value: Any) -> str:
    return _cut(value if isinstance(value, str) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _PART_LIMIT else f"{text[: _PART_LIMIT - 100]} … {text[-90:]}"


def did_you_mean(name: Any, known: Iterable[Any]) -> str:
    """The end of a mend that names the nearest known names: `"did you mean 'mlp'?"`, or the list of them all."""
    names = [repr(item) for item in known]  # repr tells 1 from '1'
    wanted = repr(name)
    if len(wanted) <= _NAME_LIMIT:
        close = get_close_matches(wanted, [name for name in names if len(name) <= _NAME_LIMIT], n=2, cutoff=0.6)
        if close:
            return "did you mean " + " or ".join(close) + "?"
    short = [name if len(name) <= _NAME_LIMIT else name[:_NAME_LIMIT] + "…" for name in names[:12]]
    shown = ", ".join(short) + (", …" if len(names) > 12 else "")
    return f"known here: {shown or 'nothing'}"


class NetError(WorldnetsError, ValueError):
    """A net that is not one: a cycle, a missing parent, a table of the wrong shape, a row that is no distribution."""


class FormatError(WorldnetsError, ValueError):
    """A file that cannot be read as the format it claims to be."""


class EvidenceError(WorldnetsError, ValueError):
    """Evidence that names a variable or a state the net does not have, or that has the wrong shape."""


class ImpossibleEvidenceError(EvidenceError):
    """Evidence of probability zero, where the caller asked for that to be an error."""


class QueryError(WorldnetsError, KeyError):
    """A question about a variable that the net does not have or that was not asked for."""

    __str__ = WorldnetsError.__str__  # KeyError prints the repr of its argument


class CapacityError(WorldnetsError, MemoryError):
    """A query whose tables would not fit: refused before anything is allocated."""


class DatasetError(WorldnetsError, ValueError):
    """A dataset whose description, roles or files do not fit together."""


class TrainingError(WorldnetsError, ValueError):
    """A training run that cannot start as asked, or that diverged."""


class LearningError(WorldnetsError, ValueError):
    """Rows that no world-model can be learned from, or a way of learning that cannot start as asked."""


class ProbeError(WorldnetsError, ValueError):
    """A measurement that cannot be made on what it was given."""


class SuiteError(WorldnetsError, ValueError):
    """A suite file that does not say what to run."""


class StoreError(WorldnetsError, OSError):
    """A run directory or a saved trace that cannot be read or written."""

    __str__ = WorldnetsError.__str__


class ClusterError(WorldnetsError, OSError):
    """A cluster that cannot do the work: not there, without workers, or with other files or versions."""

    # OSError's __str__ would show its own, empty, arguments.
    __str__ = WorldnetsError.__str__


class UnknownNameError(WorldnetsError, LookupError):
    """A name no registry knows."""

    __str__ = WorldnetsError.__str__


class MissingDependencyError(WorldnetsError, ImportError):
    """An optional package that a feature needs and that is not installed."""

    __str__ = WorldnetsError.__str__
