"""XDSL, the format of GeNIe and SMILE: `<cpt>` and `<deterministic>` nodes.

The numbers of `<probabilities>` run over the `<parents>` in order, the first slowest, and the node's states fastest.

Source: BayesFusion, SMILE documentation, XDSL file format.
"""

from __future__ import annotations

import math

import numpy as np

from worldnets.errors import FormatError, NetError, did_you_mean
from worldnets.formats.reading import Draft, Source, shown
from worldnets.formats.writing import Names, number_rows
from worldnets.formats.xmltree import Element, escaped, parse, table_of
from worldnets.net import WorldNet


def read(source: Source) -> WorldNet:
    """Read an XDSL file.

    Raises:
        FormatError: bad XML; a kind of node other than a table or a deterministic function, named.
        NetError: naming file, line, node and row.
    """
    root = parse(source)
    nodes = root.first("nodes") if root.tag == "smile" else None
    if nodes is None:
        mend = "give an XDSL file as GeNIe saves it"
        expected = "<smile> with <nodes>"
        raise FormatError("no XDSL", file=source.file, found=f"<{shown(root.tag)[1:-1]}>", expected=expected, mend=mend)
    if root.first("dynamic") is not None:
        mend = "unroll it in GeNIe and save the unrolled net"
        raise FormatError("dynamic XDSL nets are not supported", file=source.file, mend=mend)
    draft = Draft(source)
    for element in nodes.children:
        node = element.attributes.get("id", "")
        if element.tag not in ("cpt", "deterministic"):
            draft.places[node] = element.line
            mend = "in GeNIe change the node's type to 'Chance - General' and save again"
            what = f"a node of kind <{element.tag}> is not supported"
            raise draft.error(FormatError, what, node, expected="<cpt> or <deterministic>", mend=mend)
        draft.declare(node, [state.attributes.get("id", "") for state in element.all("state")], element.line)
    for element in nodes.children:
        node = element.attributes["id"]
        parents = element.first("parents")
        draft.define(node, parents.text.split() if parents is not None else [], element.line)
        if element.tag == "cpt":
            draft.tables[node] = table_of(draft, node, element, "probabilities")
        else:
            draft.tables[node] = _deterministic(draft, node, element)
    name = root.attributes.get("id", "")
    return draft.net("" if name == "unknown" else name)


def _deterministic(draft: Draft, node: str, element: Element) -> np.ndarray:
    *parent_shape, states = draft.shape(node)
    results = element.first("resultingstates")
    if results is None:
        raise draft.error(FormatError, "no <resultingstates>", node, mend="name one state for each row")
    words = results.text.split()
    rows = math.prod(parent_shape)
    if len(words) != rows:
        what = "the wrong number of resulting states"
        raise draft.error(NetError, what, node, found=len(words), expected=rows, mend="name one state for each row")
    codes = draft.codes(node)
    for word in words:
        if word not in codes:
            mend = did_you_mean(word, codes)
            raise draft.error(NetError, "unknown resulting state", node, found=shown(word), mend=mend)
    draft.allow_unlisted(node, rows * states)
    table = np.zeros((rows, states))
    table[np.arange(rows), [codes[word] for word in words]] = 1.0
    return table.reshape(*parent_shape, states)


def write(net: WorldNet, file: str) -> str:
    """The net as XDSL text, numbers exact.

    Raises:
        FormatError: a name with blanks (XDSL separates parents by them), or two labels that print alike.
    """
    names = Names(net, file, _spelled)
    title = escaped(net.name or "unknown", file)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<smile version="1.0" id="{title}" numsamples="10000" discsamples="10000">',
        "<nodes>",
    ]
    for v in net.order:  # SMILE wants parents before children
        lines.append(f'<cpt id="{names[v]}">')
        lines += [f'<state id="{label}"/>' for label in names.labels[v]]
        if net.parents(v):
            lines.append(f"<parents>{' '.join(names[p] for p in net.parents(v))}</parents>")
        lines += ["<probabilities>", *number_rows(net.cpt(v)), "</probabilities>", "</cpt>"]
    lines += ["</nodes>", "<extensions>", f'<genie version="1.0" app="worldnets" name="{title}">']
    lines += [f'<node id="{names[v]}"><name>{names[v]}</name></node>' for v in net.order]  # some readers want these
    return "\n".join([*lines, "</genie>", "</extensions>", "</smile>"]) + "\n"


def _spelled(name: str, file: str) -> str:
    if not name or len(name.split()) != 1 or name != name.strip():
        mend = "rename it without blanks"
        raise FormatError("XDSL cannot express a name", file=file, found=repr(name), mend=mend)
    return escaped(name, file)
