"""UAI, the format of the inference competitions: `BAYES` reads as a WorldNet, `MARKOV` as a FactorNet.

Nothing has a name there: variables are "0", "1", … in file order, states too. A table runs over its scope with the last
variable fastest; in `BAYES` files the last variable of a scope is the child. White space is free, `#` starts a comment.

Source: UAI 2014 Inference Competition, file formats.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import NetError
from worldnets.formats.reading import Draft, Source, Tokens, shown
from worldnets.formats.writing import number_rows
from worldnets.net import AXES_LIMIT, Factor, FactorNet, WorldNet, row_sum_tolerance

_TOKEN = re.compile(r"\S+")
_COMMENT = re.compile(r"#[^\n]*+")
_SPARE_STATES = 1_000_000  # states that no table entry vouches for
_ROUNDING_LIMIT = 1.0001e-3  # of the sum of a row whose entries are printed with few decimals


def read(source: Source) -> WorldNet | FactorNet:
    """Read a UAI model.

    Raises:
        FormatError, NetError: naming file, line and node.
    """
    tokens = Tokens(source, without_comments(source.text()), _TOKEN, marks="")
    kind = tokens[0].upper()
    if kind not in ("BAYES", "MARKOV"):
        expected = "'BAYES' or 'MARKOV'"
        raise tokens.error(
            0, "no UAI model starts like this", found=shown(tokens[0]), expected=expected, mend="give a .uai model file"
        )
    variables = tokens.count(1, "the number of variables", len(tokens))
    sizes = [tokens.count(2 + v, "a number of states", node=str(v)) for v in range(variables)]
    if sum(sizes) > 2 * len(tokens) + _SPARE_STATES:
        mend = "correct the second and third lines: the file has too few entries for so many states"
        raise tokens.error(2, "too many states", found=sum(sizes), mend=mend)
    states = _states(sizes)
    scopes, i = _scopes(tokens, 2 + variables, variables)
    if kind == "MARKOV":
        factors: list[Factor] = []
        for scope, place in scopes:
            node = f"factor {len(factors)}"
            shape = tuple(sizes[v] for v in scope)
            if len(shape) > AXES_LIMIT:
                expected = f"at most {AXES_LIMIT}"
                raise tokens.error(
                    place, "too many variables in one factor", NetError, expected=expected, mend="split it"
                )
            if len(set(scope)) != len(scope):
                what = "a variable stands twice in one scope"
                raise tokens.error(place, what, NetError, node=node, found=scope, mend="name each variable once")
            first, i = _entries(tokens, i, shape, node)
            values = tokens.numbers(first, i, node=node)
            bad = np.flatnonzero(~(values >= 0) | ~np.isfinite(values))  # the first test is true of NaN
            if len(bad):
                found, mend = float(values[bad[0]]), "every entry must be a finite number ≥ 0"
                at = first + int(bad[0])
                raise tokens.error(at, "a negative or non-finite entry", NetError, node=node, found=found, mend=mend)
            factors.append(Factor(tuple(map(str, scope)), values.reshape(shape)))
        _end(tokens, i)
        try:
            return FactorNet(states, tuple(factors), source.stem)
        except NetError as error:
            line = tokens.line(2 + int(error.node)) if isinstance(error.node, str) and error.node in states else None
            raise error.at(file=source.file, line=line) from None
    draft = Draft(source, tokens)
    for v, labels in states.items():
        draft.declare(v, labels, 2 + int(v))
    for scope, place in scopes:
        if not scope:
            mend = "end each scope of a BAYES file with the child, or call the file MARKOV"
            raise tokens.error(place, "a table without a variable", NetError, mend=mend)
        *parents, node = map(str, scope)
        draft.define(node, parents, place)
        shape = draft.shape(node)
        first, i = _entries(tokens, i, shape, node)
        draft.tables[node] = _as_printed(tokens.words[first:i], tokens.numbers(first, i, node=node).reshape(shape))
    _end(tokens, i)
    return draft.net()


def without_comments(text: str) -> str:
    """The text without comments, lines kept: the format has none, but some programs write them behind scopes."""
    return _COMMENT.sub("", text) if "#" in text else text


def _as_printed(words: list[str], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """A table printed with few decimals, its rows made to sum to 1 where rounding alone explains that they do not.

    Half a unit of the last decimal for each entry, and never more than `_ROUNDING_LIMIT`; other rows stay as they are.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sums = table.sum(axis=-1, keepdims=True)
        error = float(np.abs(sums - 1).max())
    states = table.shape[-1]
    if not row_sum_tolerance(states) < error <= _ROUNDING_LIMIT or (table < 0).any():
        return table
    decimals = max(map(_decimals, words))
    return table / sums if error <= 0.5001 * states * 10.0**-decimals else table


def _decimals(word: str) -> int:
    mantissa, _, exponent = word.lower().partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or "0") if len(exponent) <= 4 else 400


def _states(sizes: list[int]) -> dict[str, tuple[str, ...]]:
    labels = tuple(map(str, range(max(sizes, default=0))))
    return {str(v): labels[:size] for v, size in enumerate(sizes)}


def _scopes(tokens: Tokens, i: int, variables: int) -> tuple[list[tuple[list[int], int]], int]:
    """Each table's scope and where it stands, and the index after the last."""
    tables = tokens.count(i, "the number of tables", len(tokens))
    scopes, i = [], i + 1
    for _ in range(tables):
        place, size = i, tokens.count(i, "the size of a scope", len(tokens))
        scope = []
        for k in range(i + 1, i + 1 + size):
            scope.append(tokens.count(k, "a variable of a scope"))
            if scope[-1] >= variables:
                mend = f"variables are numbered from 0 to {variables - 1}"
                raise tokens.error(k, "unknown variable", NetError, found=scope[-1], mend=mend)
        scopes.append((scope, place))
        i += 1 + size
    return scopes, i


def _entries(tokens: Tokens, i: int, shape: tuple[int, ...], node: str) -> tuple[int, int]:
    """Where a table's numbers start and end; `i` is at their declared count."""
    declared = tokens.count(i, "the number of entries", node=node)
    if declared != math.prod(shape):
        mend = "give one entry for each combination of states of the scope"
        what = "a table has the wrong number of entries"
        raise tokens.error(i, what, NetError, node=node, found=declared, expected=math.prod(shape), mend=mend)
    if i + 1 + declared > len(tokens):
        mend = "the file was cut off: fetch or export it again"
        found = len(tokens) - i - 1
        raise tokens.error(
            len(tokens), "the file ends inside a table", node=node, found=found, expected=declared, mend=mend
        )
    return i + 1, i + 1 + declared


def _end(tokens: Tokens, i: int) -> None:
    if i < len(tokens):
        mend = "correct the number of tables, or remove the rest; evidence belongs into a .evid file"
        raise tokens.error(i, "text after the last table", found=shown(tokens[i]), mend=mend)


def write(net: WorldNet | FactorNet, file: str) -> str:
    """The net as UAI text, numbers exact: BAYES for a WorldNet, MARKOV for a FactorNet. Names and labels are lost."""
    kind = "BAYES" if isinstance(net, WorldNet) else "MARKOV"
    lines = [kind, str(len(net.variables)), " ".join(map(str, net.cardinalities.tolist())), str(len(net.factors))]
    for scope, _ in net.factors:
        lines.append(" ".join(map(str, [len(scope), *(net.index[v] for v in scope)])))
    for _, table in net.factors:
        lines += ["", str(table.size), *number_rows(table.reshape(-1, table.shape[-1] if table.ndim else 1))]
    return "\n".join(lines) + "\n"
