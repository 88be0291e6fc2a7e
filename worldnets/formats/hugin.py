"""Hugin NET: `node` declarations and `potential` tables.

The numbers of `data` are in row-major order over the parents, first slowest, and the node's states fastest; brackets
may group them. A potential without data is uniform. Comments start with `%`.

Source: Hugin Expert, Hugin API Reference Manual, chapter "The NET language".
"""

from __future__ import annotations

import math
import re

import numpy as np

from worldnets.errors import FormatError
from worldnets.formats.bif import without_comments
from worldnets.formats.reading import Draft, Source, Tokens, as_numbers, shown
from worldnets.formats.writing import Names, number_rows
from worldnets.net import WorldNet

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[^\s{}()=;|,"]+|[{}()=;|"]', re.DOTALL)
_COMMENT = re.compile(r'(?P<open>")(?:[^"\\]|\\(?:.|\Z))*+(?P<close>"|\Z)|%[^\n]*+', re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MARKS = frozenset('{}()=;|"')
_UNSUPPORTED = frozenset({"continuous", "decision", "utility", "function", "instance"})

Attributes = dict[str, tuple[int, int]]  # name -> token range of the value


def read(source: Source) -> WorldNet:
    """Read a Hugin NET file.

    Raises:
        FormatError: bad syntax; continuous, decision, utility, function nodes and sub-nets, named.
        NetError: naming file, line, node and row.
    """
    text = source.text()
    _check_closed(source, text)
    tokens = Tokens(source, without_comments(source, text, _COMMENT, "%"), _TOKEN)
    draft = Draft(source, tokens)
    data: dict[str, tuple[int, int] | None] = {}
    name, i, inside_class = "", 0, False
    while i < len(tokens):
        word = tokens[i]
        if word in ("net", "class") and not (inside_class and word == "class"):
            if word == "class":
                name, inside_class = tokens[i + 1], True
                i = tokens.expect(i + 2, "{")
            else:
                attributes, i = _attributes(tokens, tokens.expect(i + 1, "{"), "net")
                name = _text(tokens, *attributes["name"]) if "name" in attributes else name
        elif word in _UNSUPPORTED:
            node = tokens[i + 2] if tokens[i + 1] == "node" else tokens[i + 1]
            mend = "only nets of discrete chance nodes can be read"
            raise tokens.error(i, f"a node of kind {word!r} is not supported", node=node, mend=mend)
        elif word in ("node", "discrete"):
            i = _node(tokens, i if word == "node" else tokens.expect(i + 1, "node") - 1, draft)
        elif word == "potential":
            i = _potential(tokens, i, draft, data)
        elif inside_class and word == "}":
            i, inside_class = i + 1, False
        elif inside_class and tokens[i + 1] == "=":
            i = tokens.find(";", i) + 1
        else:
            expected = "'net', 'node' or 'potential'"
            mend = "the file is no Hugin NET, or a bracket is closed too early"
            raise tokens.error(i, "no block starts like this", found=shown(word), expected=expected, mend=mend)
    if inside_class:
        tokens.find("}", len(tokens))
    for node, where in data.items():
        _table(tokens, draft, node, where)
    return draft.net("" if name == "unknown" else name)


def _check_closed(source: Source, text: str) -> None:
    # Once every quotation mark is known to be closed, the token pattern never runs to the end in vain.
    for match in _COMMENT.finditer(text):
        if match["open"] is not None and not match["close"]:
            line = text.count("\n", 0, match.start()) + 1
            raise FormatError("a text is not closed", file=source.file, line=line, mend='close it with "')


def _attributes(tokens: Tokens, i: int, node: str) -> tuple[Attributes, int]:
    """The `name = value;` pairs of a block whose '{' stands before `i`, and the index after its '}'."""
    found: Attributes = {}
    while tokens[i] != "}":
        key = _name(tokens, i, f"an attribute of {node!r}")
        first = tokens.expect(i + 1, "=", node=node)
        end = tokens.find(";", first, node)
        found[key] = (first, end)
        i = end + 1
    return found, i + 1


def _name(tokens: Tokens, i: int, what: str) -> str:
    word = tokens[i]
    if word in _MARKS or word[0] == '"':
        raise tokens.error(i, f"{what} has no name", found=shown(word), mend="put a name here")
    return word


def _text(tokens: Tokens, first: int, end: int) -> str:
    """A quoted text without its quotation marks; other programs leave them out round simple words."""
    word = tokens[first]
    if end - first != 1 or word in _MARKS:
        return ""
    return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL) if word[0] == '"' else word


def _node(tokens: Tokens, i: int, draft: Draft) -> int:
    node = _name(tokens, i + 1, "a node")
    attributes, after = _attributes(tokens, tokens.expect(i + 2, "{", node=node), node)
    if "states" not in attributes:
        mend = 'give it a line states = ("yes" "no");'
        raise tokens.error(i, "a node without states", node=node, mend=mend)
    first, end = attributes["states"]
    labels = tokens.expect(first, "(", node=node)
    tokens.expect(end - 1, ")", node=node)
    for k in range(labels, end - 1):
        if tokens[k] in _MARKS:
            mend = 'put each state into quotation marks: ("yes" "no")'
            raise tokens.error(k, "a state is no text", node=node, found=shown(tokens[k]), mend=mend)
    draft.declare(node, [_text(tokens, k, k + 1) for k in range(labels, end - 1)], i)
    return after


def _potential(tokens: Tokens, i: int, draft: Draft, data: dict[str, tuple[int, int] | None]) -> int:
    first = tokens.expect(i + 1, "(")
    close = tokens.find(")", first)
    node = _name(tokens, first, "the child of a potential")
    given = first + 1
    if tokens[given] == "|":
        given += 1
    elif given < close:
        mend = "give one potential for each node: potential ( child | parents )"
        raise tokens.error(i, "a potential over several nodes at once", node=node, mend=mend)
    draft.define(node, [_name(tokens, k, "a parent") for k in range(given, close)], i)
    attributes, after = _attributes(tokens, tokens.expect(close + 1, "{", node=node), node)
    for key in attributes:
        if key.startswith("model_"):
            mend = "save the net with its tables, not as expressions"
            raise tokens.error(i, "tables given by expressions are not supported", node=node, found=key, mend=mend)
    data[node] = attributes.get("data")
    return after


def _table(tokens: Tokens, draft: Draft, node: str, where: tuple[int, int] | None) -> None:
    shape = draft.shape(node)
    if where is None:
        draft.allow_unlisted(node, math.prod(shape))
        draft.tables[node] = np.full(shape, 1 / shape[-1])
        return
    first, end = where
    depth, size, sizes, words = 0, 0, set[int](), list[str]()
    for k, word in enumerate(tokens.words[first:end], start=first):
        if word == "(":
            depth, size = depth + 1, 0
        elif word == ")":
            depth -= 1
            if size:
                sizes.add(size)
            size = 0
            if depth < 0:
                break
        elif depth == 0:
            raise tokens.error(k, "data outside brackets", node=node, found=shown(word), mend="write data = ( … );")
        else:
            size += 1
            words.append(word)
    if depth != 0:
        mend = "close every ( with a ) before the ';'"
        raise tokens.error(first, "the brackets of the data do not match", node=node, mend=mend)
    values = as_numbers(words)
    if isinstance(values, int):
        at = [k for k in range(first, end) if tokens[k] not in "()"][values]
        mend = "write probabilities as decimal numbers; a ';' may be missing"
        raise tokens.error(at, "not a number", node=node, found=shown(tokens[at]), mend=mend)
    draft.check_count(node, len(values))
    if not sizes <= {shape[-1]} and not sizes <= {len(values)}:
        mend = f"let each innermost bracket hold the {shape[-1]} numbers of one row"
        what = "the brackets of the data do not fit the node's states"
        raise tokens.error(first, what, node=node, found=sorted(sizes), expected=shape[-1], mend=mend)
    draft.tables[node] = values.reshape(shape)


def write(net: WorldNet, file: str) -> str:
    """The net as Hugin NET text, numbers exact.

    Raises:
        FormatError: a variable name that is no identifier, or two labels that print alike.
    """
    names = Names(net, file, _identifier, _quoted)
    lines = ["net", "{", f"  name = {_quoted(net.name or 'unknown', file)};", "}"]
    for v in net.variables:
        lines += [f"node {names[v]}", "{", f"  states = ({' '.join(names.labels[v])});", "}"]
    for v in net.variables:
        shape = net.cpt(v).shape
        given = "".join(" " + names[p] for p in net.parents(v))
        lines += [f"potential ({names[v]}{' |' + given if given else ''})", "{", "  data = ("]
        rows = number_rows(net.cpt(v))
        if len(shape) == 1:
            lines.append("    " + rows[0])
        else:
            for r, row in enumerate(rows):
                opening, closing, span = "(", ")", 1
                for size in shape[
                    -2:0:-1
                ]:  # an outer bracket opens with the first row of its span and closes with the last
                    span *= size
                    opening += "(" if r % span == 0 else ""
                    closing += ")" if (r + 1) % span == 0 else ""
                lines.append(f"    {opening}{row}{closing}")
        lines += ["  );", "}"]
    return "\n".join(lines) + "\n"


def _identifier(name: str, file: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        mend = "rename it: letters, digits and _ only, and no digit first"
        raise FormatError("NET cannot express a variable name", file=file, found=repr(name), mend=mend)
    return name


def _quoted(text: str, file: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
