"""Reading and writing nets: BIF, XMLBIF, Hugin NET, XDSL and UAI, each in a module of the same two verbs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from worldnets.errors import CapacityError, FormatError, WorldnetsError, did_you_mean
from worldnets.formats import bif, hugin, uai, xdsl, xmlbif
from worldnets.formats.reading import Source
from worldnets.formats.uai_evidence import read_evidence, write_evidence
from worldnets.formats.writing import write_text
from worldnets.net import FactorNet, WorldNet
from worldnets.public_nets import public_net, public_nets

__all__ = ["FORMATS", "public_net", "public_nets", "read_evidence", "read_net", "write_evidence", "write_net"]


class Format(NamedTuple):
    """A file format: the endings of its files, and its two verbs."""

    endings: tuple[str, ...]
    read: Callable[[Source], WorldNet | FactorNet]
    write: Callable[[WorldNet, str], str]


FORMATS: Mapping[str, Format] = {
    "bif": Format((".bif",), bif.read, bif.write),
    "xmlbif": Format((".xmlbif", ".bifxml", ".xml"), xmlbif.read, xmlbif.write),
    "net": Format((".net",), hugin.read, hugin.write),
    "xdsl": Format((".xdsl",), xdsl.read, xdsl.write),
    "uai": Format((".uai",), uai.read, uai.write),
}


def read_net(path: str | os.PathLike[str], format: str | None = None) -> WorldNet | FactorNet:
    """Read a net from a file, packed (`.gz`) or not.

    Args:
        path: a file whose ending names its format: .bif, .xmlbif/.bifxml/.xml, .net, .xdsl or .uai, each also with .gz.
        format: "bif", "xmlbif", "net", "xdsl" or "uai", where the ending does not say.

    Returns:
        A `WorldNet` with variables in file order and states as texts; a `FactorNet` for a UAI file of type MARKOV. A
        file that does not name its net gives it its own name.

    Raises:
        FormatError: the file cannot be read, or not as this format; names file, line and the mend.
        NetError: what it says is no net (a cycle, a missing parent or row, a row that does not sum to 1, …); names
            file, line, node and row.
        CapacityError: its tables do not fit into memory.
    """
    form = _format(path, format)
    source = Source.of(path)
    try:
        return form.read(source)
    except WorldnetsError as error:
        raise error.at(file=source.file) from None
    except MemoryError:
        mend = "split the net, or read it where there is more memory"
        raise CapacityError("the net does not fit into memory", file=source.file, mend=mend) from None


def write_net(net: WorldNet | FactorNet, path: str | os.PathLike[str], format: str | None = None) -> None:
    """Write a net to a file, whole or not at all; reading it back gives the same tables to the last bit.

    State labels become texts. UAI keeps neither names nor labels, and is the only format for a `FactorNet`. A path that
    ends in .gz is packed, with the same bytes each time.

    Raises:
        FormatError: an unknown format, or a name the format cannot express.
        StoreError: the file cannot be written; nothing is left behind.
    """
    form = _format(path, format)
    file = os.fsdecode(path)
    if not isinstance(net, WorldNet) and form is not FORMATS["uai"]:
        mend = "write it as .uai, the format for factors"
        raise FormatError("only a WorldNet can be written here", file=file, found=type(net).__name__, mend=mend)
    write_text(form.write(net, file), path)  # type: ignore[arg-type]  # uai.write takes both


def _format(path: str | os.PathLike[str], format: str | None) -> Format:
    if format is not None:
        key = str(format).lower().removeprefix(".")
        if key not in FORMATS:
            mend = did_you_mean(key, FORMATS)
            raise FormatError("unknown format", file=os.fsdecode(path), found=repr(format), mend=mend)
        return FORMATS[key]
    name = os.fsdecode(path).lower().removesuffix(".gz")
    for form in FORMATS.values():
        if name.endswith(form.endings):
            return form
    endings = ", ".join(ending for form in FORMATS.values() for ending in form.endings)
    mend = "rename the file, or say format=" + " | ".join(map(repr, FORMATS))
    raise FormatError("the ending names no format", file=os.fsdecode(path), expected=f"one of {endings}", mend=mend)
