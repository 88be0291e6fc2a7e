"""Evidence as rounds of messages read it: states set by interventions apart, soft evidence over all states at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.evidence import Observed, intervene, observe
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Given:
    """What is known in each row.

    Attributes:
        codes: int16 [rows, variables], observed and set states, −1 where neither.
        done: int16 [rows, variables], the states variables are set to, −1 where nothing is done.
        log_likelihood: [rows, states], logarithms of likelihoods over the states of all variables side by side, 0 for
            variables without, the largest of each variable 0; None where no variable has any.
        log_scale: [rows], nats: the logarithm of what the likelihoods were divided by.
        index: row labels; None for code arrays.
    """

    codes: Codes
    done: Codes
    log_likelihood: NDArray[np.float64] | None
    log_scale: NDArray[np.float64]
    index: pd.Index | None


def what_is_given(
    net: WorldNet | FactorNet,
    evidence: pd.DataFrame | Codes | None,
    likelihood: Mapping[str, ArrayLike] | None = None,
    do: Mapping[str, Any] | None = None,
) -> Given:
    """Hard, soft and interventional evidence, checked as `observe` and `intervene` do.

    An intervention given as one label per row may be missing (None, NaN, pd.NA) in some: nothing is done there.

    Raises:
        EvidenceError: as `observe` and `intervene`.
    """
    seen = observe(net, evidence, likelihood)
    codes, done = seen.codes, np.full_like(seen.codes, UNOBSERVED)
    if do:
        everywhere, left_out = _without_gaps(net, seen, do)
        forced = intervene(net, seen, everywhere).codes
        for v in everywhere:
            done[:, net.index[v]] = np.where(left_out[v], UNOBSERVED, forced[:, net.index[v]])
        codes = np.where(done != UNOBSERVED, done, codes)
    return Given(codes, done, _log_likelihood(net, seen), seen.log_scale, seen.index)


def _without_gaps(
    net: WorldNet | FactorNet, seen: Observed, do: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, NDArray[np.bool_]]]:
    """Interventions with a label in every row, one that agrees with the evidence where none was given; and where."""
    import pandas as pd

    labels, left_out = dict(do), {v: np.zeros(len(seen), bool) for v in do}
    for v, asked in do.items():
        if isinstance(asked, str | bytes) or np.ndim(asked) == 0 or len(asked) != len(seen) or v not in net.index:
            continue  # the same in every row, or for `intervene` to refuse
        missing = pd.Series(list(asked), dtype=object).isna().to_numpy()
        states, column = net.states[v], seen.codes[:, net.index[v]]
        labels[v] = [states[max(column[row], 0)] if missing[row] else label for row, label in enumerate(asked)]
        left_out[v] = missing
    return labels, left_out


def _log_likelihood(net: WorldNet | FactorNet, seen: Observed) -> NDArray[np.float64] | None:
    if not len(seen.likelihood):
        return None
    bounds = np.cumsum([0, *net.cardinalities])
    table = np.zeros((len(seen), int(bounds[-1])))
    for v in np.flatnonzero(seen.soft_start >= 0):
        begin, states = seen.soft_start[v], int(net.cardinalities[v])
        with np.errstate(divide="ignore"):
            table[:, bounds[v] : bounds[v + 1]] = np.log(seen.likelihood[begin : begin + states].T)
    return table
