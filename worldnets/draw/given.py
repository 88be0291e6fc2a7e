"""What pictures of beliefs are given, checked: one row of beliefs, the evidence behind it, and the bars they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference.beliefs import Beliefs
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd

Net = WorldNet | FactorNet
Row = dict[str, NDArray[np.float64]]  # variable → probabilities [states]
STATES_SHOWN = 8
SUM_TOLERANCE = 1e-3  # loopy beliefs in float32 add up to 1 within this


class Bar(NamedTuple):
    """One line of a variable's box: a state, or several unlikely ones together."""

    label: str
    now: float | None  # None where only the observed state is known
    other: float | None
    likelihood: float | None  # of soft evidence, largest = 1


def one_row(net: Net, beliefs: Beliefs | Mapping[str, ArrayLike] | None, row: int) -> Row:
    """Row `row` of a query's answer, or the probabilities given by variable.

    Raises:
        QueryError: no such row; variables or states of another net; numbers that are no distribution. A row of zeros
            (impossible evidence) is let through.
    """
    if beliefs is None:
        return {}
    if isinstance(beliefs, Beliefs):
        if not -len(beliefs) <= row < len(beliefs):
            raise QueryError(
                "no such row of beliefs", found=row, expected=f"0 to {len(beliefs) - 1}", mend="change `row`"
            )
        net.check_variables(beliefs.variables, error=QueryError)
        for v, labels in beliefs.states.items():
            if tuple(labels) != tuple(net.states[v]):
                mend = "draw them on the net that was queried"
                raise QueryError(
                    "beliefs of another net", node=v, found=list(labels), expected=list(net.states[v]), mend=mend
                )
        given: Mapping[str, Any] = {v: beliefs[v][row] for v in beliefs.variables}
    else:
        given = beliefs
    net.check_variables(given, error=QueryError)
    found = {v: np.asarray(table, dtype=float) for v, table in given.items()}
    for v, table in found.items():
        check_distributions(net, v, table)
    return found


def check_distributions(net: Net, v: str, table: NDArray[np.float64]) -> None:
    """Refuse what is no distribution over the states of v (last axis), nor zero throughout.

    Raises:
        QueryError: naming the variable.
    """
    if table.ndim == 0 or table.shape[-1] != len(net.states[v]):
        mend = "give one probability per state"
        raise QueryError(
            "beliefs of the wrong shape", node=v, found=table.shape, expected=len(net.states[v]), mend=mend
        )
    total = table.sum(axis=-1)
    wrong = ~(np.isfinite(total) & (table >= 0).all(axis=-1) & ((abs(total - 1) <= SUM_TOLERANCE) | (total == 0)))
    if wrong.any():
        found = table[wrong].ravel()[: table.shape[-1]].tolist()
        mend = "normalise them, or leave the variable out"
        raise QueryError("beliefs that are no distribution", node=v, found=found, expected="a sum of 1", mend=mend)


def one_evidence(net: Net, evidence: Mapping[str, Label] | pd.DataFrame | None, row: int) -> dict[str, int]:
    """Variable → position of its observed state.

    Raises:
        EvidenceError: an unknown variable or state, or a table without that row.
    """
    if evidence is None:
        return {}
    if isinstance(evidence, Mapping):
        return {v: net.code(v, label) for v, label in evidence.items()}
    from worldnets.inference.evidence import encode

    if not -len(evidence) <= row < len(evidence):
        mend = "change `row`, or give the evidence as a mapping"
        raise EvidenceError("no such row of evidence", found=row, expected=f"0 to {len(evidence) - 1}", mend=mend)
    codes = encode(net, evidence.iloc[[row]])[0]
    return {v: int(code) for v, code in zip(net.variables, codes, strict=True) if code >= 0}


def one_likelihood(net: Net, likelihood: Mapping[str, ArrayLike] | None, row: int) -> Row:
    """Soft evidence of one row: variable → likelihood of each state, largest = 1.

    Raises:
        EvidenceError: an unknown variable, a wrong shape, no such row, or numbers that are negative or not finite.
    """
    found = {}
    net.check_variables(likelihood or {})
    for v, values in (likelihood or {}).items():
        table = np.asarray(values, dtype=float)
        if table.ndim not in (1, 2) or table.shape[-1] != len(net.states[v]):
            expected = f"[{len(net.states[v])}] or [rows, {len(net.states[v])}]"
            mend = "give one number per state"
            raise EvidenceError(
                "a likelihood of the wrong shape", node=v, found=table.shape, expected=expected, mend=mend
            )
        if table.ndim == 2:
            if not -len(table) <= row < len(table):
                expected = f"0 to {len(table) - 1}"
                raise EvidenceError(
                    "no such row of a likelihood", node=v, found=row, expected=expected, mend="change `row`"
                )
            table = table[row]
        if not np.isfinite(table).all() or (table < 0).any():
            mend = "a likelihood is p(finding | state)"
            raise EvidenceError("a likelihood must be finite and not negative", node=v, found=table.tolist(), mend=mend)
        if (table != table[0]).any():  # the same for all states says nothing
            found[v] = table / table.max()
    return found


def distance(now: NDArray[np.float64], other: NDArray[np.float64], kind: Literal["kl", "tv"]) -> float:
    """How far two distributions lie apart.

    "kl": Σ_s now(s) log2(now(s) / other(s)) in bits, infinite where `other` excludes what `now` holds possible.
    "tv": ½ Σ_s |now(s) − other(s)|, between 0 and 1. NaN where either is zero throughout (impossible evidence).
    """
    if not now.any() or not other.any():
        return float("nan")
    if kind == "tv":
        return float(0.5 * np.abs(now - other).sum())
    held = now > 0
    with np.errstate(divide="ignore"):
        return max(0.0, float((now[held] * np.log2(now[held] / other[held])).sum()))


def bars(
    labels: Sequence[Label],
    now: NDArray[np.float64],
    other: NDArray[np.float64] | None = None,
    likelihood: NDArray[np.float64] | None = None,
) -> list[Bar]:
    """A bar per state; of many states the likely ones, in their order, and the sum of the others."""
    kept, rest = likely_states(now if other is None else np.maximum(now, other))

    def at(table: NDArray[np.float64] | None, i: int) -> float | None:
        return None if table is None else float(table[i])

    found = [Bar(str(labels[i]), float(now[i]), at(other, i), at(likelihood, i)) for i in kept]
    if rest:
        together = None if other is None else float(other[rest].sum())
        found.append(Bar(f"{len(rest)} others", float(now[rest].sum()), together, None))
    return found


def likely_states(weight: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """The states that get a bar of their own, and those that share one."""
    if len(weight) <= STATES_SHOWN:
        return list(range(len(weight))), []
    kept = sorted(int(i) for i in np.argsort(-weight, kind="stable")[: STATES_SHOWN - 1])
    return kept, [i for i in range(len(weight)) if i not in kept]


def percent(probability: float) -> str:
    """A probability in per cent that is never rounded to certainty."""
    if 0 < probability < 0.01:
        return "<1%"
    if 0.99 < probability < 1 - 1e-12:
        return ">99%"
    return f"{100 * probability:.0f}%"


def shortened(text: str, most: int) -> str:
    """A text on one line of at most `most` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "␣" * bool(text)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
