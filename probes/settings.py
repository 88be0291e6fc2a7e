"""A probe's settings from a suite file: completed with its defaults, unknown names refused.

A probe has two fields of settings, both frozen dataclasses: `sampling` (how it measures; part of a cell's key) and
`settings` (how it concludes; not part of it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from worldnets.errors import SuiteError, did_you_mean

if TYPE_CHECKING:
    from probes.protocol import Probe

PARTS = {"measure": "sampling", "conclude": "settings"}


def configured(name: str, measure: Mapping[str, Any], conclude: Mapping[str, Any]) -> Probe:
    """The probe of that name with these settings, the rest as it comes.

    Raises:
        UnknownNameError: no such probe.
        SuiteError: a setting it does not have, or of another kind than its default.
    """
    from probes.registry import REGISTRY

    probe = REGISTRY.get(name)()
    for part, given in (("measure", measure), ("conclude", conclude)):
        field = PARTS[part]
        setattr(probe, field, _completed(getattr(probe, field), given, f"probes.{name}.{part}"))
    return probe


def measure_settings(probe: Probe) -> dict[str, Any]:
    """All that its measurements depend on, plain: part of a cell's key."""
    return asdict(probe.sampling)


def conclude_settings(probe: Probe) -> dict[str, Any]:
    """All that its conclusions depend on besides the measurements, plain."""
    return asdict(probe.settings)


def _completed(default: Any, given: Mapping[str, Any], place: str) -> Any:
    known = {field.name: getattr(default, field.name) for field in fields(default)}
    changed = {}
    for name, value in given.items():
        if name not in known:
            raise SuiteError(f"unknown key {place}.{name}", mend=did_you_mean(name, known))
        before = known[name]
        if isinstance(before, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if before is not None and type(value) is not type(before):
            kind = type(before).__name__
            what, mend = f"{place}.{name} is of another kind", "give one of that kind, or leave it out"
            raise SuiteError(what, found=repr(value), expected=f"{kind}, as {before!r}", mend=mend)
        changed[name] = value
    return replace(default, **changed)
