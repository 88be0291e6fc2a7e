"""Findings as labelled arrays: curves over steps, rung by rung, with intervals. Needs xarray, the extra `xarray`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import MissingDependencyError, StoreError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_ALONG = ("world", "objective", "head", "inputs")


def labelled(findings: pd.DataFrame, probe: str | None = None) -> xr.Dataset:
    """The findings of one probe, one variable per number that it reports.

    Variables: the number under its name, its limits under "NAME, low" and "NAME, high"; float64, NaN where there is no
    such number. Dimensions: `condition` and `target`, then `rung` and `step` where the number has them. A name that
    stands for a number with a step or rung and for one without is the second under "NAME, overall". Coordinates:
    `condition` (titles) with `world`, `objective`, `head`, `inputs` along it; `target`; `rung` from 1; `step`, all at
    which any condition was measured. Attributes of a variable: `units`, and `level` and `interval` where all its
    intervals are alike; of the whole: `probe`, and `suite` and `schema` of findings that were read from a file.

    Args:
        findings: `Results.findings`, or what `probes.read_findings` gives.
        probe: whose; may be left out where there is one.

    Raises:
        MissingDependencyError: xarray is not installed.
        StoreError: findings of several probes and none named, or none of that probe.
    """
    try:
        import xarray as xr
    except ImportError:
        mend = "pip install 'worldnets[xarray]'"
        raise MissingDependencyError("labelled arrays need xarray", mend=mend) from None
    known = list(dict.fromkeys(findings["probe"]))
    if probe is None and len(known) != 1:
        mend = f"name one: {', '.join(map(repr, known))}" if known else "run the suite first"
        raise StoreError("findings of one probe are needed", found=f"those of {len(known)}", mend=mend)
    name = known[0] if probe is None else probe
    if name not in known:
        raise StoreError("no findings of this probe", found=repr(name), mend=did_you_mean(name, known))
    frame = findings[findings["probe"] == name]
    about = findings.attrs.get("worldnets", {})
    labels = {"condition": list(dict.fromkeys(frame["title"])), "target": list(dict.fromkeys(frame["target"]))}
    labels |= {dim: sorted({int(value) for value in frame[dim].dropna()}) for dim in ("rung", "step")}
    first = frame.drop_duplicates("title")
    coordinates: dict[str, Any] = {dim: values for dim, values in labels.items() if values}
    coordinates |= {key: ("condition", first[key].astype(object).to_numpy()) for key in _ALONG}
    places = {dim: _places(frame["title" if dim == "condition" else dim], values) for dim, values in labels.items()}
    variables: dict[str, Any] = {}
    forms = frame["rung"].notna().to_numpy() * 2 + frame["step"].notna().to_numpy()
    for number in dict.fromkeys(frame["name"]):
        own = (frame["name"] == number).to_numpy()
        for form in sorted(set(forms[own].tolist()), reverse=True):
            rows = np.flatnonzero(own & (forms == form))
            dims = ("condition", "target", *(("rung",) if form & 2 else ()), *(("step",) if form & 1 else ()))
            title = number if number not in variables else f"{number}, overall"
            if title in variables:  # one with rungs alone beside one with steps alone: both say what they are over
                title = f"{number}, over {dims[-1]}s"
            where = tuple(places[dim][rows] for dim in dims)
            attributes = _attributes(frame.iloc[rows])
            for ending, column in (("", "estimate"), (", low", "low"), (", high", "high")):
                values = np.full([len(labels[dim]) for dim in dims], np.nan)
                values[where] = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
                variables[title + ending] = (dims, values, attributes)
    described = {"probe": name, **{key: about[key] for key in ("suite", "schema") if key in about}}
    return xr.Dataset(variables, coordinates, described)


def _places(column: pd.Series, labels: list[Any]) -> NDArray[np.int64]:
    """Position of each entry among the labels; −1 where it is missing."""
    where = {label: place for place, label in enumerate(labels)}
    return np.array([where.get(value, -1) for value in column.tolist()], dtype=np.int64)


def _attributes(rows: pd.DataFrame) -> Mapping[str, Any]:
    """What all these numbers have in common."""
    found: dict[str, Any] = {}
    for key, column in (("units", "unit"), ("interval", "kind"), ("level", "level")):
        values = rows[column].unique()
        if len(values) == 1 and values[0] == values[0]:
            found[key] = values[0] if isinstance(values[0], str) else float(values[0])
    return found
