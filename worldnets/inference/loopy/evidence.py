"""Soft and interventional evidence as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.net import FactorNet, WorldNet


def log_likelihoods(net: WorldNet | FactorNet, likelihood: Mapping[str, ArrayLike], rows: int) -> NDArray[np.float64]:
    """Natural logarithms of the weights of all states side by side, 0 for variables not named; [rows, states].

    Raises:
        EvidenceError: an unknown variable; weights of another shape than [states] or [rows, states], negative or not
            finite.
    """
    net.check_variables(likelihood)
    bounds = np.cumsum([0, *net.cardinalities])
    table = np.zeros((rows, int(bounds[-1])))
    for variable, given in likelihood.items():
        states = len(net.states[variable])
        try:
            weights = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            weights = np.full(1, np.nan).reshape(())
        if weights.shape not in ((states,), (rows, states)):
            expected = f"[{states}] or [{rows}, {states}]"
            mend = "give one weight per state, or one row of weights per row of evidence"
            raise EvidenceError(
                "likelihood of the wrong shape", node=variable, found=list(weights.shape), expected=expected, mend=mend
            )
        wrong = np.argwhere(~((weights >= 0) & np.isfinite(weights)))
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            row = place[0] if len(place) == 2 else None
            mend = "weights are finite and ≥ 0; they need not sum to 1"
            raise EvidenceError(
                "a negative or non-finite likelihood", node=variable, row=row, found=float(weights[place]), mend=mend
            )
        at = net.index[variable]
        with np.errstate(divide="ignore"):
            table[:, bounds[at] : bounds[at + 1]] = np.log(weights)
    return table


def intervention_codes(net: WorldNet | FactorNet, do: Mapping[str, Any], rows: int) -> Codes:
    """The states variables are set to, int16 [rows, variables], −1 where nothing is done.

    A value that is a state's label is that label in every row; otherwise it is a sequence of labels, one per row, with
    None, NaN or pd.NA for rows without this intervention.

    Raises:
        QueryError: a `FactorNet`, which has no tables of its own variables to drop.
        EvidenceError: an unknown variable or label, or as many labels as there are not rows.
    """
    if isinstance(net, FactorNet):
        mend = "intervene on a WorldNet"
        raise QueryError("a factor graph has no arrows to cut", found=f"do={dict(do)!r}", mend=mend)
    net.check_variables(do)
    codes = np.full((rows, len(net.variables)), UNOBSERVED, dtype=np.int16)
    for variable, given in do.items():
        codes[:, net.index[variable]] = _column(net, variable, given, rows)
    return codes


def _column(net: WorldNet, variable: str, given: Any, rows: int) -> Any:
    known = net.label_codes[variable]
    try:
        if given in known:
            return known[given]
    except TypeError:  # not hashable: a sequence
        pass
    if isinstance(given, str) or not hasattr(given, "__len__"):
        net.refuse_label(variable, given)
    if len(given) != rows:
        mend = "give one label, or one per row of evidence"
        raise EvidenceError("too few or too many labels", node=variable, found=len(given), expected=rows, mend=mend)
    return [_code(net, variable, label, row) for row, label in enumerate(given)]


def _code(net: WorldNet, variable: str, label: Any, row: int) -> int:
    if label is None or repr(label) in ("<NA>", "NaT") or label != label:
        return UNOBSERVED
    try:
        return net.label_codes[variable][label]
    except (KeyError, TypeError):
        net.refuse_label(variable, label, row=row)
