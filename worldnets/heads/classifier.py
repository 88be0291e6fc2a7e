"""One scikit-learn estimator for one target: how it is made, updated, read, and kept as arrays."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.heads.estimator_state import Arrays, estimator_arrays, with_arrays
from worldnets.heads.floor import floored

if TYPE_CHECKING:
    from worldnets.heads.inputs import Features, Inputs

RANDOM_STATE = "random_state"


class Made(NamedTuple):
    """How an estimator is made.

    Attributes:
        kind: its class.
        options: arguments of the constructor.
        random_state: one more argument, where the head draws it. Part of the head's state, because some estimators look
            at it at every update.
    """

    kind: type
    options: Mapping[str, Any]
    random_state: int | None

    def fresh(self) -> Any:
        """One that has learned nothing."""
        draws = {} if self.random_state is None else {RANDOM_STATE: self.random_state}
        return quietly(self.kind, **{**self.options, **draws})


class Classifier:
    """One estimator for one target.

    Args:
        fitted: an estimator fitted to made-up rows of the right shape: what states are put into.
        count: outcomes.
        signed: columns of the features that may be negative, for an estimator that takes none; None if it takes all.
        estimator: the estimator that learns; None before its first update.
        made: what makes an estimator that has learned nothing.
    """

    def __init__(
        self, fitted: Any, count: int, signed: NDArray[np.intp] | None, made: Made, estimator: Any = None
    ) -> None:
        self.fitted, self.count, self.signed, self.made, self.estimator = fitted, count, signed, made, estimator

    @classmethod
    def built(cls, made: Made, inputs: Inputs, count: int) -> Self:
        """Find out on made-up rows what the estimator accepts, and that its arrays are all there is to it.

        Raises:
            TrainingError: as `ScikitLearn.build` says.
        """
        name = made.kind.__name__
        try:
            made.fresh()
        except TypeError as error:
            known = list(inspect.signature(made.kind).parameters)
            unknown = [key for key in made.options if key not in known]
            mend = did_you_mean(unknown[0], known) if unknown else 'give what it asks for: options={"…": …}'
            raise TrainingError("the estimator cannot be made so", node=name, found=str(error), mend=mend) from None
        wide = [group.start for group in inputs.groups.values() if group.stop - group.start == 1]
        for signed in (None, np.array(wide, dtype=np.intp)):
            trial = cls(None, count, signed, made)
            try:
                trial.fitted = trial._tried(inputs.width, seed=0, times=2)
                trial._scores(trial.fitted, trial._readable(_made_up(inputs.width, count, 0)[0]))
                break
            except (ValueError, TypeError, AttributeError, IndexError, NotImplementedError) as error:
                if signed is None and "egative" in str(error):  # "Negative values in data passed to MultinomialNB"
                    continue
                mend = "change options, or name another estimator"
                raise TrainingError("the estimator cannot learn so", node=name, found=str(error), mend=mend) from error
        trial._check_state(inputs.width)
        return trial

    def update(self, features: Features, outcomes: NDArray[np.int64]) -> bool:
        """One `partial_fit`; False if the estimator says that its numbers have overflown."""
        self.estimator = self.made.fresh() if self.estimator is None else self.estimator
        try:
            self._fit(self.estimator, self._readable(features), outcomes)
        except (ValueError, FloatingPointError) as error:
            if any(word in str(error).lower() for word in ("overflow", "non-finite", "nan", "infinity")):
                return False
            mend = "name another estimator or other options"
            name = type(self.estimator).__name__
            raise TrainingError("the estimator stopped learning", node=name, found=str(error), mend=mend) from error
        return True

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """ln q [rows, count], normalised; uniform before the first update."""
        if self.estimator is None:
            return np.full((len(features), self.count), -math.log(self.count))
        return floored(self._scores(self.estimator, self._readable(features)))

    def arrays(self) -> Arrays:
        """What the estimator has learned; zeros of the same shapes before the first update.

        Raises:
            TrainingError: the shapes change while it learns.
        """
        expected = estimator_arrays(self.fitted)
        draws = {} if self.made.random_state is None else {RANDOM_STATE: np.array(self.made.random_state)}
        if self.estimator is None:
            return {name: np.zeros_like(array) for name, array in expected.items()} | draws
        arrays = estimator_arrays(self.estimator)
        shapes = lambda named: {name: (array.shape, array.dtype) for name, array in named.items()}
        if shapes(arrays) != shapes(expected):
            grown = sorted(key for key in {*arrays, *expected} if shapes(arrays).get(key) != shapes(expected).get(key))
            mend = "name another estimator, or options that fix what it keeps"
            name = type(self.estimator).__name__
            raise TrainingError("the estimator's state changes its shape", node=name, found=grown, mend=mend)
        return arrays | draws

    def restored(self, arrays: Mapping[str, NDArray[Any]], learned: bool) -> Classifier:
        """The classifier that has learned these arrays, or nothing yet.

        Raises:
            TrainingError: the arrays are those of another estimator.
        """
        made, own = self.made, dict(arrays)
        if made.random_state is not None and RANDOM_STATE in own:
            made = made._replace(random_state=int(own.pop(RANDOM_STATE)))
        try:
            estimator = quietly(with_arrays, self.fitted, own) if learned else None
        except (ValueError, KeyError) as error:
            mend = "build the head with the options it was trained with"
            raise TrainingError(
                "the state of another estimator", node=made.kind.__name__, found=str(error), mend=mend
            ) from None
        if estimator is not None and made.random_state is not None:
            estimator.set_params(random_state=made.random_state)
        return Classifier(self.fitted, self.count, self.signed, made, estimator)

    def _check_state(self, width: int) -> None:
        """Put into an estimator that saw other rows, arrays must make it this one: what it predicts, what it learns."""
        rows, outcomes = _made_up(width, self.count, seed=2)
        found: list[Arrays] = []
        for estimator in (self.fitted, self._tried(width, seed=1, times=3)):
            try:
                estimator = quietly(with_arrays, estimator, estimator_arrays(self.fitted))
            except ValueError:
                continue  # what it keeps has another shape after other rows
            scores = [self._scores(estimator, self._readable(rows))]
            self._fit(estimator, self._readable(rows), outcomes)
            scores.append(self._scores(estimator, self._readable(rows)))
            found.append({**estimator_arrays(estimator), "scores": np.stack(scores)})
        if len(found) < 2 or any(not np.array_equal(found[0][k], found[1][k], equal_nan=True) for k in found[0]):
            mend = "name another estimator; traces keep arrays of numbers only"
            name = type(self.fitted).__name__
            raise TrainingError("the estimator's state is more than its arrays", node=name, mend=mend)

    def _tried(self, width: int, seed: int, times: int) -> Any:
        estimator = self.made.fresh()
        for time in range(times):
            rows, outcomes = _made_up(width, self.count, seed + 10 * time)
            self._fit(estimator, self._readable(rows), outcomes)
        return estimator

    def _readable(self, features: Features) -> NDArray[np.float64]:
        # Some estimators mix their features' type with their own float64 as they go, and change the type of their
        # state.
        rows = features.astype(np.float64)
        if self.signed is None:
            return rows
        return np.concatenate([np.maximum(rows, 0), np.maximum(-rows[:, self.signed], 0)], axis=1)

    def _fit(self, estimator: Any, features: NDArray[np.float64], outcomes: NDArray[np.int64]) -> None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # A perceptron swallows the user's Ctrl-C with a warning; it is handed on.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                estimator.partial_fit(features, outcomes, classes=np.arange(self.count))
            except UserWarning as interruption:
                raise KeyboardInterrupt from interruption

    def _scores(self, estimator: Any, features: NDArray[np.float64]) -> NDArray[np.floating]:
        """ln p up to a constant, [rows, count]."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if hasattr(estimator, "predict_log_proba"):
                return estimator.predict_log_proba(features)
            if hasattr(estimator, "predict_proba"):
                return np.log(estimator.predict_proba(features))
            scores = np.asarray(estimator.decision_function(features), dtype=np.float64)
        if scores.ndim == 1:
            return np.stack([-np.logaddexp(0, scores), -np.logaddexp(0, -scores)], axis=1)
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def quietly(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are deprecated and say so whenever one is made or copied
        return make(*arguments, **options)


def _made_up(width: int, count: int, seed: int) -> tuple[Features, NDArray[np.int64]]:
    """Rows in which every feature is −1 and 1 and every outcome occurs."""
    random = np.random.default_rng(seed)
    outcomes = np.arange(4 * count, dtype=np.int64) % count
    features = np.where(random.random((len(outcomes), width)) < 0.5, -1.0, 1.0).astype(np.float32)
    features[0], features[1] = 1.0, -1.0
    return features, outcomes
