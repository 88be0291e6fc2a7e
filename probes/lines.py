"""What stands in conditions.json and organisms.json, checked before anything is made of it: they may be a stranger's.

Every field has its kind, tables hold what the code that reads them relies on, numbers are finite and of a size that
can be worked with. Names of probes, heads and worlds are looked up where they are used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from probes.suite import DEEPEST, MOST_SEEDS
from worldnets.errors import StoreError

_LEAST = {"seeds": 1, "repeats": 1}
_TEXTS = ("title", "label", "objective", "inputs", "name", "about")
#: Fields that are tables, with the keys that must be there and of which kind.
_TABLES: Mapping[str, Mapping[str, type]] = {
    "probe": {"name": str, "version": int},
    "world": {"name": str, "digest": str},
    "source": {"name": str},
    "head": {"name": str, "options": dict},
    "training": {"steps": int},
    "penalties": {},
    "labels": {},
    "growth": {},
}
#: Tables beside them that may be left out.
_OPTIONAL: Mapping[str, Mapping[str, type]] = {
    "probe": {"measure": dict},
    "world": {"parameters": dict, "redrawn": list},
    "source": {"parameters": dict, "redrawn": list},
}


def checked(kind: Callable[..., Any], fields: Any) -> dict[str, Any]:
    """The fields of a condition or an organism.

    Raises:
        StoreError: they are not, naming the field.
    """
    if not isinstance(fields, dict):
        raise _wrong("a line that is no table", "", fields)
    known = {field.name: field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
             for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # fmt: skip
    for name in fields.keys() | known.keys():
        if name not in known:
            raise _wrong("a field that is none", name, fields[name])
        if name not in fields and known[name]:
            raise _wrong("a field is missing", name, None)
    _plain(fields)
    for name, value in fields.items():
        if name in _TEXTS:
            _kind(name, value, str)
        elif name == "primary":
            _kind(name, value, bool)
        elif name in _LEAST:
            _kind(name, value, int)
            if not _LEAST[name] <= value <= MOST_SEEDS:
                raise _wrong(f"{name} out of range", name, value, f"{_LEAST[name]} to {MOST_SEEDS:,}")
        else:
            _table(name, value)
    return fields


def _table(name: str, value: Any) -> None:
    _kind(name, value, dict)
    for key, kind in _TABLES[name].items():
        if key not in value:
            raise _wrong("a field is missing", f"{name}.{key}", None)
        _kind(f"{name}.{key}", value[key], kind)
    for key, kind in _OPTIONAL.get(name, {}).items():
        if key in value:
            _kind(f"{name}.{key}", value[key], kind)
    if name == "source" and not value.keys() <= {"name", "parameters", "redrawn"}:
        raise _wrong("a world is loaded by name, parameters and redrawn evidence alone", name, sorted(value))
    if name == "penalties":
        for penalty, options in value.items():
            _kind(f"penalties.{penalty}", options, dict)
            if isinstance(options.get("strength"), bool) or not isinstance(options.get("strength"), int | float):
                raise _wrong("a penalty without a strength", f"penalties.{penalty}", options)
    if name == "growth" and value:
        for key in ("kind", "order"):
            _kind(f"growth.{key}", value.get(key), str)


def _kind(name: str, value: Any, kind: type) -> None:
    if type(value) is not kind:
        expected = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table", list: "a list"}[kind]
        raise _wrong("a field of another kind", name, value, expected)


def _plain(value: Any) -> None:
    """Nothing is nested too deeply, no number is infinite or too long to be written."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
                 if not isinstance(inner, str | bool | None)]  # fmt: skip
        numbers = [one for one in level if isinstance(one, int | float)]
        for number in numbers:
            if (isinstance(number, float) and not math.isfinite(number)) or (
                abs(number) >= 1 << 63 and isinstance(number, int)
            ):
                raise _wrong("a number that no setting has", "", number)
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return
    raise _wrong("tables inside tables too deep", "", None, f"at most {DEEPEST} levels")


def _wrong(what: str, name: str, found: Any, expected: str | None = None) -> StoreError:
    shown = None if found is None else repr(found)
    return StoreError(what, node=name or None, found=shown, expected=expected, mend="start a new run")
