"""One kind of name book for everything people extend: worlds, heads, objectives, probes.

A name leads to an object or to a lazy target `"module:object"` that is imported when the name is first asked for, so
that listing names costs no import. Installed packages add names by an entry point group.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from worldnets.errors import UnknownNameError, WorldnetsError, did_you_mean

T = TypeVar("T")


def normalised(name: str) -> str:
    """The key of a name: lower case, `-` and blanks as `_`."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


class RegistryError(WorldnetsError, ValueError):
    """A name that cannot be registered, or a registered name whose target cannot be imported."""


class Registry(Generic[T]):
    """Names of one kind and what they stand for.

    Args:
        kind: the kind in the singular, as it stands in messages: "world", "head", "probe".
        targets: names and what they stand for; a text is a lazy target `"package.module:object"`.
        group: an entry point group whose entries are names too, looked up when a name or the list is asked for.

    Raises:
        RegistryError: two names with the same normalised key, a lazy target of another form.
    """

    def __init__(self, kind: str, targets: Mapping[str, T | str] | None = None, group: str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._targets: dict[str, T | str] = {}
        for name, target in (targets or {}).items():
            self.register(name, target)

    def register(self, name: str, target: T | str) -> None:
        """Add a name; registering the very same target again is allowed.

        Raises:
            RegistryError: the name's key is taken, the name is empty, a lazy target is not `"module:object"`.
        """
        key = normalised(name)
        if not key:
            raise RegistryError(f"an empty {self.kind} name", found=repr(name), mend="give it a name")
        if isinstance(target, str):
            module, colon, attribute = target.partition(":")
            if not (module and colon and attribute):
                mend = 'write it as "package.module:object"'
                raise RegistryError(f"{self.kind} {name!r} has a malformed target", found=repr(target), mend=mend)
        taken = self._targets.get(key)
        if taken is not None and not (taken is target or (isinstance(taken, str) and taken == target)):
            raise RegistryError(
                f"the {self.kind} name {name!r} is taken",
                found=f"{taken!r} under the key {key!r}",
                mend="choose a name that still differs in lower case with - as _",
            )
        self._targets[key] = target

    @contextlib.contextmanager
    def lent(self, name: str, target: T) -> Iterator[None]:
        """A name that is known inside a `with` block only.

        Raises:
            RegistryError: as `register` does.
        """
        known = name in self
        self.register(name, target)
        try:
            yield
        finally:
            if not known:
                del self._targets[normalised(name)]

    @functools.cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        if self.group is None:
            return {}
        return {normalised(entry.name): entry for entry in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """All names, sorted; nothing is imported."""
        return sorted({*self._targets, *self._plugins})

    def get(self, name: str) -> T:
        """What a name stands for, imported now if it was lazy. Own names win over installed packages' names.

        Raises:
            UnknownNameError: no such name; with the nearest known ones.
            RegistryError: the target does not import, saying whose it is and why.
        """
        key = normalised(name) if isinstance(name, str) else None
        if key is None or key not in self:
            mend = did_you_mean(key or name, self.names())
            raise UnknownNameError(f"unknown {self.kind}", found=repr(name), mend=mend)
        target = self._targets.get(key, self._plugins.get(key))
        if not isinstance(target, str | EntryPoint):
            return cast(T, target)
        place = target if isinstance(target, str) else target.value
        try:
            if isinstance(target, EntryPoint):
                return cast(T, target.load())
            module, _, attribute = target.partition(":")
            return cast(T, functools.reduce(getattr, attribute.split("."), importlib.import_module(module)))
        except (ImportError, AttributeError) as error:
            mend = "install what it imports, or remove the package that registers it"
            raise RegistryError(f"{self.kind} {name!r} ({place}) cannot be imported: {error}", mend=mend) from error

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalised(name) in {*self._targets, *self._plugins}

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}, {len(self)} names)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [(name, "installed package" if name not in self._targets else "") for name in self.names()]
        return card(repr(self), None, table((self.kind, "from"), rows, most=60))
