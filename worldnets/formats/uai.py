"""UAI, the format of the inference competitions: `BAYES` reads as a WorldNet, `MARKOV` as a FactorNet.

Nothing has a name there: variables are "0", "1", … in file order, states too. A table runs over its scope with the last
variable fastest; in `BAYES` files the last variable of a scope is the child.

Source: UAI 2014 Inference Competition, file formats.
"""

from __future__ import annotations

import math
import re

from worldnets.errors import NetError
from worldnets.formats.reading import Draft, Source, Tokens, shown
from worldnets.formats.writing import number_rows
from worldnets.net import Factor, FactorNet, WorldNet

_TOKEN = re.compile(r"\S+")
_COMMENT = re.compile(r"#[^\n]*+")
_SPARE_STATES = 1_000_000  # states that no table entry vouches for


def read(source: Source) -> WorldNet | FactorNet:
    """Read a UAI model.

    Raises:
        FormatError, NetError: naming file, line and node.
    """
    # The format has no comments, but some programs write them behind scopes.
    tokens = Tokens(source, _COMMENT.sub("", source.text()), _TOKEN, marks="")
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
            shape = tuple(sizes[v] for v in scope)
            first, i = _entries(tokens, i, shape, f"factor {len(factors)}")
            values = tokens.numbers(first, i, node=f"factor {len(factors)}")
            if len(shape) > 64:
                raise tokens.error(
                    place, "too many variables in one factor", NetError, expected="at most 64", mend="split it"
                )
            factors.append(Factor(tuple(map(str, scope)), values.reshape(shape)))
        _end(tokens, i)
        try:
            return FactorNet(states, tuple(factors), source.stem)
        except NetError as error:
            raise error.at(file=source.file) from None
    draft = Draft(source, tokens)
    for v, labels in states.items():
        draft.declare(v, labels, 2 + int(v))
    for scope, place in scopes:
        if not scope:
            mend = "end each scope of a BAYES file with the child"
            raise tokens.error(place, "a table without a variable", NetError, mend=mend)
        *parents, node = map(str, scope)
        draft.define(node, parents, place)
        shape = draft.shape(node)
        first, i = _entries(tokens, i, shape, node)
        draft.tables[node] = tokens.numbers(first, i, node=node).reshape(shape)
    _end(tokens, i)
    return draft.net()


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
