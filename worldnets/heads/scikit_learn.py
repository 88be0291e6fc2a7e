"""The scikit-learn head: any of its classifiers that learns batch by batch (`partial_fit`), one per target."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.heads.estimator_state import Arrays, estimator_arrays, with_arrays
from worldnets.heads.floor import floored

if TYPE_CHECKING:
    from worldnets.heads.inputs import Features, Inputs
    from worldnets.training_plan import Plan

CHUNK = 1024  # rows predicted in one call, padded: then a row's bits do not depend on the rows beside it
# What an estimator needs to serve here, unless options say otherwise: probabilities; two categories per indicator.
NEEDED: dict[str, dict[str, Any]] = {"SGDClassifier": {"loss": "log_loss"}, "CategoricalNB": {"min_categories": 2}}


class ScikitLearn:
    """q(y | x) of classifiers that scikit-learn updates, one `partial_fit` per batch and target.

    Each target has a classifier of its own, which minimises its own loss in its own way: the run's optimizer and
    learning rate are not used, and the loss reported is the log score of its predictions, in bits. Before the first
    update q is uniform. A target of one outcome needs no classifier.

    Probabilities are `predict_log_proba`'s. A classifier that has only a `decision_function` (a perceptron, a support
    vector machine) is read as if its scores were logits: a logistic function of the one score for two outcomes, a softmax
    of one score per outcome else. Such scores rank outcomes but are on no scale, so that q is miscalibrated and its loss
    may exceed that of guessing; measures that refit a temperature set that right afterwards, and refusing such classifiers
    would be to lose them. One that has neither is refused. Probabilities are floored at `heads.floor.FLOOR`.

    A classifier that takes no negative features (naive Bayes on counts) is given −x beside x, both cut off at 0, so that a
    binary variable becomes two indicators.
    """

    def __init__(self, inputs: Inputs, classifiers: tuple[Classifier | None, ...], plan: Plan, updates: int = 0) -> None:
        self._inputs, self._classifiers, self._plan, self._updates = inputs, classifiers, plan, updates

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        plan: Plan,
        *,
        estimator: str = "SGDClassifier",
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Classifiers that have learned nothing yet.

        Args:
            generator: source of the `random_state` of each classifier that has such an option and is not given one.
            plan: the request.
            estimator: a classifier of scikit-learn's by its class name, or any by its dotted path, "package.module.Class".
            options: arguments of its constructor. "SGDClassifier" gets `loss="log_loss"` where they say nothing else, and
                "CategoricalNB" `min_categories=2`.

        Raises:
            TrainingError: an unknown estimator, one without `partial_fit` or without scores of outcomes, options that it
                does not have or refuses, an estimator whose state is more than numbers.
        """
        kind = _estimator(estimator)
        chosen = {**NEEDED.get(kind.__name__, {}), **_options(options)}
        draws = "random_state" in inspect.signature(kind).parameters and chosen.get("random_state") is None
        classifiers = []
        for count in plan.counts:
            own = {**chosen, "random_state": int(generator.integers(2**31))} if draws else chosen
            classifiers.append(Classifier.built(kind, own, plan.inputs, count) if count > 1 else None)
        return cls(plan.inputs, tuple(classifiers), plan)

    def state(self) -> Arrays:
        """Updates made, and what each classifier has learned; zeros before the first update."""
        arrays: Arrays = {"updates": np.array(self._updates)}
        for place, classifier in enumerate(self._classifiers):
            if classifier is not None:
                arrays |= {f"{place}.{name}": array for name, array in classifier.arrays().items()}
        return arrays

    def restored(self, state: Mapping[str, NDArray[Any]]) -> ScikitLearn:
        """The same head in another state.

        Raises:
            TrainingError: the state is that of other estimators.
        """
        updates = int(state["updates"])
        classifiers = []
        for place, classifier in enumerate(self._classifiers):
            own = {name.partition(".")[2]: array for name, array in state.items() if name.startswith(f"{place}.")}
            classifiers.append(None if classifier is None else classifier.restored(own if updates else None))
        return ScikitLearn(self._inputs, tuple(classifiers), self._plan, updates)

    def step(self, clips: NDArray[np.int16]) -> float:
        """One `partial_fit` of each classifier; NaN where one reports an overflow."""
        codes, outcomes = self._plan.examples(clips)
        features = self._inputs.at(self._updates).features(codes)
        nats = np.zeros(len(features))
        for classifier, truth in zip(self._classifiers, outcomes.T, strict=True):
            if classifier is None:
                continue
            nats -= classifier.log_probabilities(features)[np.arange(len(features)), truth]
            if not classifier.update(features, truth):
                return math.nan
        self._updates += 1
        return float(nats.mean()) * self._plan.per_clip / math.log(2)

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln q [rows, total outcomes]; a row's bits do not depend on the rows beside it."""
        log_q = np.zeros((len(codes), sum(self._plan.counts)))
        view = self._inputs.at(self._updates)
        for first in range(0, len(codes), CHUNK):
            part = view.features(codes[first : first + CHUNK])
            features = np.zeros((CHUNK, part.shape[1]), dtype=part.dtype)
            features[: len(part)] = part
            column = 0
            for classifier, count in zip(self._classifiers, self._plan.counts, strict=True):
                if classifier is not None:
                    own = classifier.log_probabilities(features)[: len(part)]
                    log_q[first : first + CHUNK, column : column + count] = own
                column += count
        return log_q

    def __repr__(self) -> str:
        kinds = ", ".join(sorted({type(own.fitted).__name__ for own in self._classifiers if own is not None}))
        return f"ScikitLearn({kinds}, {len(self._classifiers)} targets, {self._updates} updates)"


class Classifier:
    """One estimator for one target.

    Args:
        fitted: an estimator fitted to made-up rows of the right shape: what states are put into.
        count: outcomes.
        signed: columns of the features that may be negative, for an estimator that takes none; None if it takes all.
        estimator: the estimator that learns; None before its first update.
        fresh: makes an estimator that has learned nothing.
    """

    def __init__(self, fitted: Any, count: int, signed: NDArray[np.intp] | None, fresh: Any, estimator: Any = None) -> None:
        self.fitted, self.count, self.signed, self.fresh, self.estimator = fitted, count, signed, fresh, estimator

    @classmethod
    def built(cls, kind: type, options: Mapping[str, Any], inputs: Inputs, count: int) -> Self:
        """Find out on made-up rows what the estimator accepts, and that its arrays are all there is to it.

        Raises:
            TrainingError: as `ScikitLearn.build` says.
        """
        name = kind.__name__
        try:
            kind(**options)
        except TypeError as error:
            known = [key for key in inspect.signature(kind).parameters if key != "self"]
            unknown = [key for key in options if key not in known]
            mend = did_you_mean(unknown[0], known) if unknown else 'give what it asks for: options={"…": …}'
            raise TrainingError("the estimator cannot be made so", node=name, found=str(error), mend=mend) from None
        fresh = functools.partial(kind, **options)
        wide = [group.start for group in inputs.groups.values() if group.stop - group.start == 1]
        for signed in (None, np.array(wide, dtype=np.intp)):
            trial = cls(None, count, signed, fresh)
            try:
                trial.fitted = trial._tried(inputs.width, seed=0, times=2)
                trial._scores(trial.fitted, trial._readable(_made_up(inputs.width, count, 0)[0]))
                break
            except (ValueError, TypeError, AttributeError, IndexError, NotImplementedError) as error:
                if signed is None and "egative" in str(error):  # as scikit-learn says it in all of its naive Bayes classes
                    continue
                mend = "change options, or name another estimator"
                raise TrainingError("the estimator cannot learn so", node=name, found=str(error), mend=mend) from error
        trial._check_state(inputs.width)
        return trial

    def update(self, features: Features, outcomes: NDArray[np.int64]) -> bool:
        """One `partial_fit`; False if the estimator says that its numbers have overflown."""
        self.estimator = self.fresh() if self.estimator is None else self.estimator
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
        if self.estimator is None:
            return {name: np.zeros_like(array) for name, array in expected.items()}
        arrays = estimator_arrays(self.estimator)
        shapes = lambda named: {name: (array.shape, array.dtype) for name, array in named.items()}
        if shapes(arrays) != shapes(expected):
            grown = sorted(key for key in {*arrays, *expected} if shapes(arrays).get(key) != shapes(expected).get(key))
            mend = "name another estimator, or options that fix what it keeps"
            name = type(self.estimator).__name__
            raise TrainingError("the estimator's state changes its shape", node=name, found=grown, mend=mend)
        return arrays

    def restored(self, arrays: Mapping[str, NDArray[Any]] | None) -> Classifier:
        """The classifier that has learned these arrays, or nothing."""
        try:
            estimator = None if arrays is None else with_arrays(self.fitted, arrays)
        except ValueError as error:
            mend = "build the head with the options it was trained with"
            name = type(self.fitted).__name__
            raise TrainingError("the state of another estimator", node=name, found=str(error), mend=mend) from None
        return Classifier(self.fitted, self.count, self.signed, self.fresh, estimator)

    def _check_state(self, width: int) -> None:
        """Arrays put into an estimator that saw other rows must make it the same: predictions, and what it learns next."""
        other = with_arrays(self._tried(width, seed=1, times=2), estimator_arrays(self.fitted))
        original = with_arrays(self.fitted, estimator_arrays(self.fitted))
        rows, outcomes = _made_up(width, self.count, seed=2)
        for estimator in (original, other):
            self._fit(estimator, self._readable(rows), outcomes)
        scores = [self._scores(estimator, self._readable(rows)) for estimator in (original, other)]
        left, right = estimator_arrays(original), estimator_arrays(other)
        if not np.array_equal(*scores, equal_nan=True) or any(
            not np.array_equal(left[name], right[name], equal_nan=True) for name in left
        ):
            mend = "name another estimator; traces keep arrays of numbers only"
            name = type(self.fitted).__name__
            raise TrainingError("the estimator's state is more than its arrays", node=name, mend=mend)

    def _tried(self, width: int, seed: int, times: int) -> Any:
        estimator = self.fresh()
        for time in range(times):
            rows, outcomes = _made_up(width, self.count, seed + 10 * time)
            self._fit(estimator, self._readable(rows), outcomes)
        return estimator

    def _readable(self, features: Features) -> Features:
        if self.signed is None:
            return features
        return np.concatenate([np.maximum(features, 0), np.maximum(-features[:, self.signed], 0)], axis=1)

    def _fit(self, estimator: Any, features: Features, outcomes: NDArray[np.int64]) -> None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # A perceptron swallows the user's Ctrl-C with a warning; it is handed on.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                estimator.partial_fit(features, outcomes, classes=np.arange(self.count))
            except UserWarning as interruption:
                raise KeyboardInterrupt from interruption

    def _scores(self, estimator: Any, features: Features) -> NDArray[np.floating]:
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


def _made_up(width: int, count: int, seed: int) -> tuple[Features, NDArray[np.int64]]:
    """Rows in which every feature is −1 and 1 and every outcome occurs."""
    random = np.random.default_rng(seed)
    outcomes = np.arange(4 * count, dtype=np.int64) % count
    features = np.where(random.random((len(outcomes), width)) < 0.5, -1.0, 1.0).astype(np.float32)
    features[0], features[1] = 1.0, -1.0
    return features, outcomes


def _options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        mend = 'write options={"alpha": 1e-4}'
        raise TrainingError("options are no table", node="scikit_learn", found=repr(options), mend=mend)
    return dict(options)


def _estimator(name: str) -> type:
    """A class with `partial_fit`, by scikit-learn's name for it or by its dotted path.

    Raises:
        TrainingError: there is none, or it does not learn batch by batch.
    """
    if not isinstance(name, str):
        raise TrainingError("an estimator is named by a text", node="scikit_learn", found=repr(name), mend="give its name")
    known = _classifiers()
    if name in known:
        kind = known[name]
    elif "." in name:
        kind = _imported(name)
    else:
        able = [known_name for known_name, known_kind in known.items() if hasattr(known_kind, "partial_fit")]
        mend = did_you_mean(name, able) + ' Or give a dotted path, "package.module.Class"'
        raise TrainingError("scikit-learn has no such classifier", node="scikit_learn", found=repr(name), mend=mend)
    if not (hasattr(kind, "partial_fit") and hasattr(kind, "get_params")):
        able = [known_name for known_name, known_kind in known.items() if hasattr(known_kind, "partial_fit")]
        mend = f"one that does: {', '.join(able)}"
        raise TrainingError("the estimator does not learn batch by batch", node=name, found="no partial_fit", mend=mend)
    return kind


@functools.cache
def _classifiers() -> dict[str, type]:
    from sklearn.utils.discovery import all_estimators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all of its modules are imported, deprecated ones too
        return dict(all_estimators(type_filter="classifier"))


def _imported(path: str) -> type:
    module, _, attribute = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        mend = "give the path of a class that can be imported here"
        raise TrainingError("cannot import the estimator", node=path, found=str(error), mend=mend) from error
    if not inspect.isclass(kind):
        raise TrainingError("the estimator is no class", node=path, found=repr(kind), mend="give the path of a class")
    return kind
