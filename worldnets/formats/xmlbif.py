"""XMLBIF 0.3: a `VARIABLE` for each variable, a `DEFINITION` for each table.

The numbers of a `TABLE` run over the `GIVEN` variables in order, the first slowest, and the `FOR` variable fastest.

Source: F. Cozman, The Interchange Format for Bayesian Networks (XMLBIF), 1998.
"""

from __future__ import annotations

from worldnets.errors import FormatError
from worldnets.formats.reading import Draft, Source, shown
from worldnets.formats.writing import Names, number_rows
from worldnets.formats.xmltree import Element, escaped, parse, table_of
from worldnets.net import WorldNet


def read(source: Source) -> WorldNet:
    """Read an XMLBIF file.

    Raises:
        FormatError, NetError: naming file, line, node and row.
    """
    root = parse(source)
    network = root.first("network") if root.tag == "bif" else None
    if network is None:
        mend = "give an XMLBIF file; XDSL files end in .xdsl, or say format="
        expected = "<BIF> with one <NETWORK>"
        raise FormatError(
            "no XMLBIF", file=source.file, found=f"<{shown(root.tag)[1:-1]}>", expected=expected, mend=mend
        )
    draft = Draft(source)
    for element in network.all("variable"):
        node = _name(source, element)
        kind = {key.lower(): value for key, value in element.attributes.items()}.get("type", "nature")
        if kind != "nature":
            draft.places[node] = element.line
            mend = "only chance variables can be read: remove decisions and utilities"
            raise draft.error(FormatError, "not a chance variable", node, found=shown(kind), mend=mend)
        values = [*element.all("outcome"), *element.all("value")]
        draft.declare(node, [value.text for value in values], element.line)
    definitions = [*network.all("definition"), *network.all("probability")]
    for element in definitions:
        children = [child.text for child in element.all("for")]
        if len(children) != 1:
            mend = "give one DEFINITION for each variable, with one FOR"
            what = "a table for no variable, or for several at once"
            raise FormatError(what, file=source.file, line=element.line, found=children, mend=mend)
        draft.define(children[0], [given.text for given in element.all("given")], element.line)
        draft.tables[children[0]] = table_of(draft, children[0], element, "table")
    name = network.first("name")
    return draft.net(name.text if name is not None and name.text != "unknown" else "")


def _name(source: Source, element: Element) -> str:
    name = element.first("name")
    if name is None or not name.text:
        raise FormatError("a variable without a name", file=source.file, line=element.line, mend="give it a <NAME>")
    return name.text


def write(net: WorldNet, file: str) -> str:
    """The net as XMLBIF text, numbers exact.

    Raises:
        FormatError: a name that XML cannot hold or that would not read back, or two labels that print alike.
    """
    names = Names(net, file, _spelled)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<BIF VERSION="0.3">',
        "<NETWORK>",
        f"<NAME>{escaped(net.name or 'unknown', file)}</NAME>",
    ]
    for v in net.variables:
        outcomes = "".join(f"<OUTCOME>{label}</OUTCOME>" for label in names.labels[v])
        lines.append(f'<VARIABLE TYPE="nature"><NAME>{names[v]}</NAME>{outcomes}</VARIABLE>')
    for v in net.variables:
        given = "".join(f"<GIVEN>{names[p]}</GIVEN>" for p in net.parents(v))
        lines.append(f"<DEFINITION><FOR>{names[v]}</FOR>{given}<TABLE>")
        lines += [*number_rows(net.cpt(v)), "</TABLE></DEFINITION>"]
    return "\n".join([*lines, "</NETWORK>", "</BIF>"]) + "\n"


def _spelled(name: str, file: str) -> str:
    if name != name.strip():
        mend = "rename it without white space at its ends"
        raise FormatError("XMLBIF cannot express a name", file=file, found=repr(name), mend=mend)
    return escaped(name, file)
