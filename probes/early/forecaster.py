"""Probabilities of what will become of a run, from features of its first tenth: ridge logistic regression, as numbers.

A forecaster is plain data: scikit-learn fits it, a JSON file keeps it, NumPy applies it. So a forecast made today is
made again from the file, whatever version of whatever library is installed.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
SHIPPED = Path(__file__).with_name("forecaster.json")
FORMAT = 1
#: Part of every forecast that is spread evenly over all outcomes: what was never seen is not impossible.
HEDGE = 0.05
LEAST_RUNS = 4


@dataclass(frozen=True)
class Forecaster:
    """P(outcome | features) = (1 − h)·softmax(W·(x − m)/s + b) + h/n, and the base rates to beat.

    Attributes:
        outcomes: all that may happen, n.
        mean, scale: of the features, [F].
        weights, bias: [n, F], [n]; outcomes that were never seen have bias −inf, kept as None in files.
        base: base rates of the outcomes in the runs it was fitted on, hedged the same way, [n].
        fitted_on: how many.
    """

    outcomes: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float | None, ...]
    base: tuple[float, ...]
    fitted_on: int

    def probabilities(self, features: Floats) -> Floats:
        """Of every outcome, [..., n], for features [..., F]."""
        z = (np.asarray(features) - np.array(self.mean)) / np.array(self.scale)
        bias = np.array([-math.inf if b is None else b for b in self.bias])
        logits = z @ np.array(self.weights).T + bias
        p = np.exp(logits - logits.max(-1, keepdims=True))
        return (1 - HEDGE) * p / p.sum(-1, keepdims=True) + HEDGE / len(self.outcomes)

    def score(self, features: Floats, outcomes: Sequence[str]) -> tuple[Floats, Floats]:
        """log2 P(outcome) in bits, of the forecast and of the base rates, one each per row: both ≤ 0."""
        where = [self.outcomes.index(outcome) for outcome in outcomes]
        own = self.probabilities(features)[np.arange(len(where)), where]
        return np.log2(own), np.log2(np.array(self.base)[where])


def fitted(features: Floats, happened: Sequence[str], outcomes: Sequence[str], strength: float = 1.0) -> Forecaster:
    """Fit on finished runs.

    Args:
        features: [runs, F].
        happened: what became of each.
        outcomes: all that may.
        strength: ridge penalty, 1/C of scikit-learn's `LogisticRegression`, on standardised features.

    Raises:
        ProbeError: fewer than four runs, features that are not finite, or an outcome not on the list.
    """
    x = np.asarray(features, dtype=np.float64)
    unknown = sorted(set(happened) - set(outcomes))
    if unknown:
        raise ProbeError("an outcome that is not on the list", found=unknown[0], expected=", ".join(outcomes))
    if len(x) < LEAST_RUNS or not np.isfinite(x).all():
        found = f"{len(x)} runs" if len(x) < LEAST_RUNS else "features that are not finite"
        mend = f"give {LEAST_RUNS} or more finished runs"
        raise ProbeError("too little to fit a forecast on", found=found, mend=mend)
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    seen = sorted(set(happened), key=list(outcomes).index)
    weights, bias = _logistic((x - mean) / scale, happened, seen, strength)
    full = np.zeros((len(outcomes), x.shape[1]))
    full_bias: list[float | None] = [None] * len(outcomes)
    for i, name in enumerate(seen):
        place = list(outcomes).index(name)
        full[place], full_bias[place] = weights[i], float(bias[i])
    counts = np.array([list(happened).count(name) for name in outcomes], dtype=np.float64)
    base = (1 - HEDGE) * counts / counts.sum() + HEDGE / len(outcomes)
    rows = tuple(tuple(map(float, row)) for row in full)
    return Forecaster(
        tuple(outcomes),
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        rows,
        tuple(full_bias),
        tuple(base.tolist()),
        len(x),
    )


def _logistic(z: Floats, happened: Sequence[str], seen: Sequence[str], strength: float) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression

    if len(seen) == 1:
        return np.zeros((1, z.shape[1])), np.zeros(1)
    labels = [seen.index(name) for name in happened]
    model = LogisticRegression(C=1.0 / strength, max_iter=1000).fit(z, labels)
    if len(seen) == 2:  # one row there: the second class against the first
        return np.concatenate([-model.coef_, model.coef_]) / 2, np.concatenate(
            [-model.intercept_, model.intercept_]
        ) / 2
    return model.coef_, model.intercept_


@dataclass(frozen=True)
class Library:
    """Forecasters of the verdict of a run and of the arrival of depth in a seed, each also without one world's runs.

    Attributes:
        verdicts, arrivals: by the name of the world whose runs were left out; "" is fitted on all.
        about: where they come from: the suite, versions, date.
    """

    verdicts: Mapping[str, Forecaster]
    arrivals: Mapping[str, Forecaster]
    about: Mapping[str, Any]

    def of(self, world: str) -> tuple[Forecaster | None, Forecaster | None]:
        """The forecasters that have not seen a world: of the verdict and of the arrival; None where there is none."""
        return tuple(kind.get(world, kind.get("")) for kind in (self.verdicts, self.arrivals))  # type: ignore[return-value]

    def save(self, path: Path) -> None:
        """Write it; the same forecasters give the same bytes."""
        from worldnets.files import write_atomically

        kinds = {
            name: {world: asdict(forecaster) for world, forecaster in sorted(kind.items())}
            for name, kind in (("verdicts", self.verdicts), ("arrivals", self.arrivals))
        }
        page = {"format": FORMAT, "about": dict(self.about), **kinds}
        write_atomically(path, (json.dumps(page, indent=1, ensure_ascii=False) + "\n").encode())


def read_library(path: Path) -> Library:
    """Read a library of forecasters.

    Raises:
        ProbeError: no such file, or none of ours.
    """
    try:
        page = json.loads(path.read_bytes())
        if page["format"] != FORMAT:
            raise KeyError("format")
        kinds = [
            {
                world: Forecaster(**{key: _frozen(value) for key, value in one.items()})
                for world, one in page[kind].items()
            }
            for kind in ("verdicts", "arrivals")
        ]
        return Library(kinds[0], kinds[1], page["about"])
    except OSError as error:
        mend = "fit one on a finished run: python benchmarks/early.py RUN"
        raise ProbeError("no forecasters there", file=path, found=error.strerror, mend=mend) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "fit them again: python benchmarks/early.py RUN"
        raise ProbeError("not a file of forecasters", file=path, found=repr(error), mend=mend) from None


@functools.cache
def shipped() -> Library | None:
    """The forecasters that come with the package, fitted on the suite `low_end`; None where they are not there."""
    return read_library(SHIPPED) if SHIPPED.exists() else None


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
