"""UAI evidence files (.evid): which variables of a UAI model are observed, in which state.

Two forms are in use and told apart by their length: one row, `n variable state variable state …` (2014), or a number of
rows and then as many of these (before). An empty file observes nothing.

Source: UAI 2014 Inference Competition, file formats.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from worldnets.errors import EvidenceError
from worldnets.formats.reading import Source, Tokens
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"\S+")


def read_evidence(path: str | os.PathLike[str], net: WorldNet | FactorNet) -> pd.DataFrame:
    """Evidence of a UAI file as a table of state labels, for `Inference(net).query`.

    Variables and states are counted from 0 in the net's order, as in its .uai file.

    Returns:
        One row per row of evidence; one column per variable observed in any of them, missing where it is not.

    Raises:
        FormatError: the file cannot be read, or is no evidence file; names file and line.
        EvidenceError: a variable or state the net does not have, or a variable observed twice in a row.
    """
    import pandas as pd

    source = Source.of(path)
    text = source.text() if source.data.strip() else "0"
    tokens = Tokens(source, text, _NUMBER, marks="")
    rows, i = 1, 0
    if len(tokens) != 1 + 2 * tokens.count(0, "the number of observed variables", len(tokens)):
        rows, i = tokens.count(0, "the number of rows", len(tokens)), 1
    table: list[dict[str, object]] = []
    for _ in range(rows):
        observed = tokens.count(i, "the number of observed variables", len(net.variables))
        labels: dict[str, object] = {}
        for k in range(i + 1, i + 1 + 2 * observed, 2):
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
        table.append(labels)
        i += 1 + 2 * observed
    if i != len(tokens):
        raise tokens.error(i, "text after the last row of evidence", mend="correct the number of rows or pairs")
    columns = [v for v in net.variables if any(v in labels for labels in table)]
    return pd.DataFrame(table, columns=columns, index=pd.RangeIndex(rows))
