"""BIF: the Interchange Format for Bayesian Networks, versions 0.1 and 0.15.

Rows of a table name their parents' states and may stand in any order; `default` fills the rows that are not given;
`table` gives all numbers at once, the *variable's* states slowest, then the parents in order, the last one fastest.
Names may be quoted; `,` separates like a blank; comments are `//` and `/* */`; properties are read over.

Source: F. Cozman, The Interchange Format for Bayesian Networks, 1996, and the JavaBayes grammar of version 0.15.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import NoReturn

import numpy as np

from worldnets.errors import FormatError, NetError, WorldnetsError, did_you_mean
from worldnets.formats.reading import Draft, Source, Tokens, as_numbers, numbers_in, shown
from worldnets.formats.writing import Names, number_rows
from worldnets.net import WorldNet, row_sum_tolerance

_TOKEN = re.compile(r'"[^"]*"|[^\s{}()\[\];|,"]+|[{}()\[\];|"]')
_MARKS = "{}()[];|"
# An address in a property (http://…) is no comment. Both marks may stay open to the end of the text: a pattern that
# then gave up would try again from every later mark, in quadratic time.
_COMMENT = re.compile(r'"[^"]*+(?:"|\Z)|(?<!:)//[^\n]*+|/\*(?s:.*?)(?:\*/|\Z)')
_BARE = re.compile(r'(?!.*/[/*])[^\s{}()\[\];|,"]+')
_ROWS = re.compile(r"\{((?:\s*+\([^(){};]*+\)[^(){};]*+;)++)\s*+\}")
_ROW_END = -1
_KEYWORDS = frozenset({"table", "default", "property", "type", "network", "variable", "probability"})


def read(source: Source) -> WorldNet:
    """Read a BIF file.

    Raises:
        FormatError, NetError: naming file, line, node and row.
    """
    text = without_comments(source, source.text())
    if '"' not in text and "\0" not in text:
        # The large files are regular, and then columns of words are read many times faster than statements. What is
        # not regular, or wrong, is read again the careful way, which knows where it is.
        bodies: list[str] = []

        def cut(match: re.Match[str]) -> str:
            bodies.append(match[1])
            return f"{{ \0{len(bodies) - 1} ; }}"

        with contextlib.suppress(_IrregularError, WorldnetsError):
            return _read(source, _ROWS.sub(cut, text), bodies)
    return _read(source, text, [])


class _IrregularError(Exception):
    """A table that `_regular_table` leaves to the careful way."""


def _read(source: Source, text: str, bodies: list[str]) -> WorldNet:
    if text.count('"') % 2:
        line = text.count("\n", 0, text.rindex('"')) + 1
        mend = "close every name that starts with a quotation mark"
        raise FormatError("a quotation mark is not closed", file=source.file, line=line, mend=mend)
    tokens = Tokens(source, text, _TOKEN, _MARKS)
    draft = Draft(source, tokens)
    tables: dict[str, list[tuple[int, int]]] = {}
    name, i = "", 0
    while i < len(tokens):
        keyword = tokens[i]
        if keyword == "network":
            if tokens[i + 1] != "{":
                name, i = _name(tokens, i + 1, "the network"), i + 1
            _, i = _statements(tokens, tokens.expect(i + 1, "{"), "network")
        elif keyword == "variable":
            i = _variable(tokens, i, draft)
        elif keyword == "probability":
            node, i = _family(tokens, i, draft)
            tables[node], i = _statements(tokens, i, node)
        else:
            expected = "'network', 'variable' or 'probability'"
            mend = "the file is no BIF, or a bracket is closed too early, or text between blocks is no // comment"
            raise tokens.error(i, "no block starts like this", found=shown(keyword), expected=expected, mend=mend)
    for node, statements in tables.items():
        first = tokens[statements[0][0]] if statements else ""
        if bodies and first.startswith("\0"):
            draft.tables[node] = _regular_table(draft, node, bodies[int(first[1:])])
        else:
            _table(tokens, draft, node, statements)
    return draft.net("" if name == "unknown" else name)


def without_comments(source: Source, text: str, pattern: re.Pattern[str] = _COMMENT, marks: str = "//|/*") -> str:
    """The text with comments blanked out, lines and offsets kept."""
    if not any(mark in text for mark in marks.split("|")):
        return text

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] == '"':
            return found
        if found.startswith("/*") and not (found.endswith("*/") and len(found) >= 4):
            line = text.count("\n", 0, match.start()) + 1
            raise FormatError("a comment is not closed", file=source.file, line=line, mend="close it with */")
        return re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def _bare(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == '"' else word


def _name(tokens: Tokens, i: int, what: str) -> str:
    word = tokens[i]
    if word in _MARKS or word == '"':
        mend = "close the quotation mark" if word == '"' else "put a name here"
        raise tokens.error(i, f"{what} has no name", found=shown(word), mend=mend)
    return _bare(word)


def _statements(tokens: Tokens, i: int, node: str) -> tuple[list[tuple[int, int]], int]:
    """The token ranges of the statements of a block whose '{' stands before `i`, and the index after its '}'."""
    found, words = [], tokens.words
    try:
        while words[i] != "}":
            end = words.index(";", i)
            if end > i:
                found.append((i, end))
            i = end + 1
    except (IndexError, ValueError):
        if "}" in words[i:]:
            mend = "end each line of a block with ';'"
            at = words.index("}", i)
            raise tokens.error(at, "a ';' is missing before '}'", node=node, mend=mend) from None
        tokens.find(";", i, node)
        tokens.find("}", i, node)
    return found, i + 1


def _variable(tokens: Tokens, i: int, draft: Draft) -> int:
    place, node = i, _name(tokens, i + 1, "a variable")
    statements, after = _statements(tokens, tokens.expect(i + 2, "{", node=node), node)
    types = [(first, end) for first, end in statements if tokens[first] == "type"]
    if len(types) != 1:
        mend = "give it one line 'type discrete [ 2 ] { yes, no };'"
        raise tokens.error(place, "a variable without a type", node=node, found=f"{len(types)} types", mend=mend)
    first, end = types[0]
    if tokens[first + 1] != "discrete":
        mend = "only discrete variables can be read: discretise it"
        raise tokens.error(first + 1, "not a discrete variable", node=node, found=shown(tokens[first + 1]), mend=mend)
    tokens.expect(first + 2, "[", node=node)
    declared = tokens.count(first + 3, "the number of states", node=node)
    at = tokens.expect(first + 4, "]", "{", node=node)
    close = tokens.find("}", at, node)
    if close != end - 1:
        raise tokens.error(end, "bad syntax in the list of states", node=node, mend="close it with '};'")
    if close - at != declared:
        mend = "make the number in [ ] and the list agree; quote names that contain blanks"
        what = "the list of states has another length than declared"
        raise tokens.error(at, what, NetError, node=node, found=close - at, expected=declared, mend=mend)
    draft.declare(node, [_name(tokens, k, "a state") for k in range(at, close)], place)
    return after


def _family(tokens: Tokens, i: int, draft: Draft) -> tuple[str, int]:
    place = i
    first = tokens.expect(i + 1, "(")
    node = _name(tokens, first, "the variable of a table")
    close = tokens.find(")", first, node)
    given = first + 2 if tokens[first + 1] == "|" else first + 1
    if "|" in tokens.words[given:close]:
        mend = "give one table for each variable: probability ( child | parents )"
        raise tokens.error(place, "a table over several variables at once", node=node, mend=mend)
    draft.define(node, [_name(tokens, k, "a parent") for k in range(given, close)], place)
    return node, tokens.expect(close + 1, "{", node=node)


def _table(tokens: Tokens, draft: Draft, node: str, statements: list[tuple[int, int]]) -> None:
    shape = draft.shape(node)
    *parent_shape, states = shape
    rows = math.prod(parent_shape)
    steps = _steps(draft, node, parent_shape)
    words = tokens.words
    numbers: list[str] = []
    at: dict[int, int] = {}  # row index -> where in `numbers` it starts
    default, whole = None, None
    for first, end in statements:
        keyword = words[first]
        if keyword == "(":
            start = first + len(steps) + 2
            if start > end or words[start - 1] != ")":
                _wrong_row(tokens, draft, node, first)
            try:
                key = words[first + 1 : start - 1]
                row = sum([stride * codes[word] for (stride, codes), word in zip(steps, key, strict=True)])
            except KeyError:  # quoted, or wrong
                row = _quoted_row(tokens, draft, node, steps, first, start)
            if row in at:
                where = _row_name(draft, node, row)
                raise tokens.error(first, "a row is given twice", NetError, node=node, row=where, mend="keep one")
            if end - start != states:
                _wrong_length(tokens, draft, node, first, end - start, row=_row_name(draft, node, row))
            at[row] = len(numbers)
            numbers += words[start:end]
        elif keyword in ("table", "default"):
            if (whole if keyword == "table" else default) is not None:
                raise tokens.error(first, f"a second {keyword!r} line", NetError, node=node, mend="keep one")
            if keyword == "table":
                whole = tokens.numbers(first + 1, end, node)
                draft.check_count(node, len(whole))
            else:
                default = tokens.numbers(first + 1, end, node)
                if len(default) != states:
                    _wrong_length(tokens, draft, node, first, len(default), row="default")
        elif keyword != "property":
            expected = "'table', 'default', 'property' or a row '(parent states) numbers;'"
            mend = "begin the line with one of these; a ';' may be missing before it"
            raise tokens.error(
                first, "bad syntax in a table", node=node, found=shown(keyword), expected=expected, mend=mend
            )
    if whole is not None:
        if at:
            raise draft.error(NetError, "both 'table' and single rows", node, mend="give one or the other")
        draft.tables[node] = _child_last(draft, node, whole.reshape(states, *parent_shape)) if parent_shape else whole
        return
    values = _row_numbers(tokens, node, statements, numbers).reshape(-1, states)
    if len(at) == rows:
        table = np.empty((rows, states))
    elif default is None:
        missing = next(row for row in range(rows) if row not in at)
        mend = "give the row, or a line 'default …;' for all that are missing"
        where = _row_name(draft, node, missing)
        what = "a row of the table is missing"
        raise draft.error(NetError, what, node, row=where, found=f"{len(at)} rows", expected=rows, mend=mend)
    else:
        draft.allow_unlisted(node, (rows - len(at)) * states)
        table = np.tile(default, (rows, 1))
    table[list(at)] = values
    draft.tables[node] = table.reshape(shape)


_Steps = list[tuple[int, dict[str, int]]]


def _steps(draft: Draft, node: str, parent_shape: list[int]) -> _Steps:
    """For each parent, by how many rows its next state is away, and the positions of its states."""
    strides = [math.prod(parent_shape[k + 1 :]) for k in range(len(parent_shape))]
    return [(stride, draft.codes(parent)) for stride, parent in zip(strides, draft.parents[node], strict=True)]


def _regular_table(draft: Draft, node: str, body: str) -> np.ndarray:
    """The table of a block that is nothing but one well-formed row for each combination of parents' states."""
    shape = draft.shape(node)
    *parent_shape, states = shape
    rows, given = math.prod(parent_shape), len(parent_shape)
    parts = body.replace(";", ")").split(")")  # "(states", "numbers", in turns, by the pattern that cut the body out
    if len(parts) != 2 * rows + 1:
        raise _IrregularError
    keys = "".join(parts[:-1:2]).replace("(", " ( ").replace(",", " ").split()
    # Each row ends in a number that no table holds, so that rows of unequal lengths cannot make up for each other.
    values = numbers_in(f" {_ROW_END} ".join([*parts[1::2], ""]).replace(",", " "))
    if len(keys) != rows * (given + 1) or values is None or len(values) != rows * (states + 1):
        raise _IrregularError
    numbers = values.reshape(rows, states + 1)
    if keys[:: given + 1].count("(") != rows or not ((numbers[:, -1] == _ROW_END).all() and numbers[:, :-1].min() >= 0):
        raise _IrregularError
    index = np.zeros(rows, dtype=np.intp)
    try:
        for k, (stride, codes) in enumerate(_steps(draft, node, parent_shape), start=1):
            index += stride * np.fromiter(map(codes.__getitem__, keys[k :: given + 1]), np.intp, rows)
    except KeyError:
        raise _IrregularError from None
    if np.bincount(index, minlength=rows).max() > 1:
        raise _IrregularError
    table = np.empty((rows, states))
    table[index] = numbers[:, :-1]
    return table.reshape(shape)


def _wrong_row(tokens: Tokens, draft: Draft, node: str, first: int) -> NoReturn:
    found = tokens.find(")", first, node) - first - 1
    parents = draft.parents[node]
    mend = "name one state of each parent, in order: (" + ", ".join(parents) + ")"
    what = "a row names the wrong number of parent states"
    raise tokens.error(first, what, NetError, node=node, found=found, expected=len(parents), mend=mend)


def _quoted_row(tokens: Tokens, draft: Draft, node: str, steps: _Steps, first: int, start: int) -> int:
    """Index of the row whose '(' stands at `first`; some of its states are quoted or unknown."""
    row, words = 0, tokens.words[first + 1 : start - 1]
    for k, (word, (stride, codes), parent) in enumerate(zip(words, steps, draft.parents[node], strict=True)):
        if _bare(word) not in codes:
            states = draft.states[parent]
            raise tokens.error(
                first + 1 + k,
                f"unknown state of the parent {parent!r}",
                NetError,
                node=node,
                row="(" + ", ".join(words) + ")",
                found=shown(word),
                expected=f"one of {states}" if len(states) <= 12 else None,
                mend=did_you_mean(_bare(word), states),
            )
        row += stride * codes[_bare(word)]
    return row


def _row_numbers(tokens: Tokens, node: str, statements: list[tuple[int, int]], numbers: list[str]) -> np.ndarray:
    values = as_numbers(numbers)
    if isinstance(values, int):
        for first, end in statements:  # find the place again, this time by token
            if tokens[first] == "(":
                tokens.numbers(tokens.words.index(")", first) + 1, end, node)
        raise tokens.error(statements[0][0], "not a number", node=node, mend="write decimal numbers")
    return values


def _wrong_length(tokens: Tokens, draft: Draft, node: str, at: int, found: int, row: str) -> NoReturn:
    expected = len(draft.states[node])
    mend = f"give one number for each of {draft.states[node]}; a ';' may be missing"
    what = "a row has the wrong number of entries"
    raise tokens.error(at, what, NetError, node=node, row=row, found=found, expected=expected, mend=mend)


def _row_name(draft: Draft, node: str, row: int) -> str:
    labels = []
    for parent in reversed(draft.parents[node]):
        row, code = divmod(row, len(draft.states[parent]))
        labels.append(f"{parent}={draft.states[parent][code]}")
    return "(" + ", ".join(reversed(labels)) + ")"


def _child_last(draft: Draft, node: str, table: np.ndarray) -> np.ndarray:
    right = np.moveaxis(table, 0, -1)
    other = table.reshape(right.shape)
    tolerance = row_sum_tolerance(right.shape[-1])
    with np.errstate(all="ignore"):
        wrong, swapped = (np.abs(order.sum(-1) - 1).max() > tolerance for order in (right, other))
    if wrong and not swapped:
        mend = "list the numbers with the variable's own states slowest, or give one line for each row"
        raise draft.error(NetError, "a 'table' with the variable's own states fastest", node, mend=mend)
    return right


def write(net: WorldNet, file: str) -> str:
    """The net as BIF text; numbers are printed so that reading them back gives the same bits.

    Raises:
        FormatError: a name that contains a quotation mark, or two labels that print alike.
    """
    names = Names(net, file, _quoted)
    lines = [f"network {_quoted(net.name or 'unknown', file)} {{", "}"]
    for v in net.variables:
        labels = ", ".join(names.labels[v])
        lines += [f"variable {names[v]} {{", f"  type discrete [ {len(net.states[v])} ] {{ {labels} }};", "}"]
    for v in net.variables:
        given = net.parents(v)
        rows = number_rows(net.cpt(v), ", ")
        if given:
            lines.append(f"probability ( {names[v]} | {', '.join(names[p] for p in given)} ) {{")
            lines += [f"  ({', '.join(key)}) {row};" for key, row in zip(names.rows(given), rows, strict=True)]
        else:
            lines += [f"probability ( {names[v]} ) {{", f"  table {rows[0]};"]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _quoted(name: str, file: str) -> str:
    if '"' in name:
        mend = "rename it without the quotation mark"
        raise FormatError("BIF cannot express a name", file=file, found=repr(name), mend=mend)
    return name if _BARE.fullmatch(name) and name not in _KEYWORDS else f'"{name}"'
