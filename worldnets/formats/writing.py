"""What the writers share: names as text, parents' states row by row, numbers that read back to the same bits."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import FormatError
from worldnets.files import write_atomically
from worldnets.net import FactorNet, WorldNet


class Names:
    """A net's names as a format spells them: `names[v]` for a variable, `names.labels[v]` for its states.

    Args:
        spell: turns a name into what stands in the file, or raises FormatError. Labels become text first (1 and "1"
            cannot both be states of one variable in a file).
        spell_label: the same for states, where the format has another rule for them.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        file: str,
        spell: Callable[[str, str], str],
        spell_label: Callable[[str, str], str] | None = None,
    ) -> None:
        self._names = {v: spell(v, file) for v in net.variables}
        spell_label = spell_label or spell
        self.labels: dict[str, list[str]] = {}
        for v, labels in net.states.items():
            texts = [str(label) for label in labels]
            if len(set(texts)) != len(texts):
                mend = "rename one: in a file every state is a text"
                raise FormatError("two states print alike", file=file, node=v, found=list(labels), mend=mend)
            self.labels[v] = [spell_label(text, file) for text in texts]

    def __getitem__(self, variable: str) -> str:
        return self._names[variable]

    def rows(self, parents: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """The combinations of parents' states in the order of a table's rows."""
        return itertools.product(*(self.labels[p] for p in parents))


def number_rows(table: NDArray[np.float64], separator: str = " ") -> list[str]:
    """One text for each row (last axis) of a table; `repr` is the shortest text that reads back to the same bits."""
    return [separator.join(map(repr, row)) for row in table.reshape(-1, table.shape[-1]).tolist()]


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a file whole or not at all, as UTF-8; packed, with the same bytes each time, if its name ends in .gz.

    Raises:
        FormatError: text that UTF-8 cannot hold.
        StoreError: the file cannot be written; nothing is left behind.
    """
    file = os.fsdecode(path)
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = repr(text[error.start : error.end])
        mend = "rename what contains this character"
        raise FormatError("a name is not valid Unicode", file=file, found=found, mend=mend) from None
    write_atomically(path, gzip.compress(data, mtime=0) if file.lower().endswith(".gz") else data)
