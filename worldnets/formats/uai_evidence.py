"""UAI evidence files (.evid): which variables of a UAI model are observed, in which state.

Two forms are in use: one row, `n variable state variable state …` (2014 and later), or a number of rows and then as
many of these (before). The number of entries tells them apart, and the line breaks where both would fit. An empty file
observes nothing.

Source: UAI 2014 Inference Competition, file formats.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from worldnets.errors import EvidenceError
from worldnets.formats.reading import Source, Tokens
from worldnets.formats.uai import without_comments
from worldnets.formats.writing import write_text
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"\S+")


def read_evidence(path: str | os.PathLike[str], net: WorldNet | FactorNet) -> pd.DataFrame:
    """Evidence of a UAI file as a table of state labels, for `Inference(net).query`; packed (`.gz`) or not.

    Variables and states are counted from 0 in the net's order, as in its .uai file.

    Returns:
        One row per row of evidence; one column per variable observed in any of them, missing where it is not.

    Raises:
        FormatError: the file cannot be read, or is no evidence file; names file and line.
        EvidenceError: a variable or state the net does not have, or a variable observed twice in a row.
    """
    import pandas as pd

    source = Source.of(path)
    tokens = Tokens(source, without_comments(source.text(may_be_empty=True)), _NUMBER, marks="")
    starts = _starts(tokens) if len(tokens) else []
    table = [_observed(tokens, i, net) for i in starts] or [{}]
    seen = set[str]().union(*table)
    return pd.DataFrame(table, columns=[v for v in net.variables if v in seen], index=pd.RangeIndex(len(table)))


def write_evidence(
    evidence: pd.DataFrame, path: str | os.PathLike[str], net: WorldNet | FactorNet, counted: bool | None = None
) -> None:
    """Write evidence as a UAI file, whole or not at all: the inverse of `read_evidence`. An ending .gz packs it.

    Args:
        evidence: one row per row of evidence and one column per observed variable, holding state labels of `net`; None,
            NaN and NA are not observed. Its row labels are not kept.
        counted: whether the number of rows stands first: True for the form before 2014, False for the form since then,
            which holds one row; by default False for one row and True for several.

    Raises:
        EvidenceError: an unknown or repeated column, an unknown state (naming column and row), no rows at all, or
            several rows in the form that holds one.
        StoreError: the file cannot be written; nothing is left behind.
    """
    net.check_variables(evidence.columns)
    if not evidence.columns.is_unique:
        twice = evidence.columns[evidence.columns.duplicated()][0]
        raise EvidenceError("a column stands twice in the evidence", node=twice, mend="keep one of the two")
    rows = len(evidence)
    if rows == 0:  # "0" means one row that observes nothing
        mend = "give a row; one without observations is pd.DataFrame(index=[0])"
        raise EvidenceError("a UAI evidence file cannot hold a table without rows", mend=mend)
    counted = rows > 1 if counted is None else counted
    if rows > 1 and not counted:
        mend = "let the number of rows stand first: counted=True"
        raise EvidenceError("this form of evidence file holds one row", found=rows, expected=1, mend=mend)
    pairs: list[list[str]] = [[] for _ in range(rows)]
    for variable in sorted(evidence.columns, key=net.index.__getitem__):
        for row, label in enumerate(evidence[variable].tolist()):
            if not _missing(label):
                pairs[row].append(f"{net.index[variable]} {_code(net, variable, label, evidence.index[row])}")
    lines = [" ".join([str(len(row)), *row]) for row in pairs]
    write_text("\n".join([str(rows), *lines] if counted else lines) + "\n", path)


def _missing(label: Any) -> bool:
    return label is None or repr(label) in ("<NA>", "NaT") or (isinstance(label, float) and label != label)


def _code(net: WorldNet | FactorNet, variable: str, label: Any, row: object) -> int:
    try:
        return net.code(variable, label)
    except EvidenceError as error:
        raise error.at(row=row) from None


def _starts(tokens: Tokens) -> list[int]:
    """Where each row of evidence starts, at the number of its observations."""
    first = tokens.count(0, "the number of observed variables", len(tokens))
    if len(tokens) == 1 + 2 * first and not _lines_count_rows(tokens):
        return [0]
    starts: list[int] = []
    i = 1
    for _ in range(first):
        starts.append(i)
        i += 1 + 2 * tokens.count(i, "the number of observed variables")
        if i > len(tokens):
            mend = "the file was cut off, or the number of rows or of observations is wrong"
            raise tokens.error(len(tokens), "the evidence ends too early", mend=mend)
    if i < len(tokens):
        raise tokens.error(i, "text after the last row of evidence", mend="correct the number of rows or pairs")
    return starts


def _lines_count_rows(tokens: Tokens) -> bool:
    """Whether the first line is the number of lines that follow, each with as many pairs as it says."""
    head, *rows = [line.split() for line in tokens.text.splitlines() if line.strip()]
    return head == [str(len(rows))] and all(row[0] == str(len(row) // 2) and len(row) % 2 == 1 for row in rows)


def _observed(tokens: Tokens, i: int, net: WorldNet | FactorNet) -> dict[str, object]:
    """Variable → state label of the row of evidence that starts at `i`."""
    labels: dict[str, object] = {}
    for k in range(i + 1, i + 1 + 2 * int(tokens[i]), 2):
        variable = tokens.count(k, "a variable")
        state = tokens.count(k + 1, "a state", node=str(variable))
        if variable >= len(net.variables):
            mend = f"variables are numbered from 0 to {len(net.variables) - 1}"
            raise tokens.error(k, "unknown variable", EvidenceError, found=variable, mend=mend)
        name = net.variables[variable]
        if state >= len(net.states[name]):
            mend = f"its states are numbered from 0 to {len(net.states[name]) - 1}"
            raise tokens.error(k + 1, "unknown state", EvidenceError, node=name, found=state, mend=mend)
        if name in labels:
            raise tokens.error(k, "a variable observed twice", EvidenceError, node=name, mend="name it once a row")
        labels[name] = net.states[name][state]
    return labels
