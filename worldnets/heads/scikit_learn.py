"""The scikit-learn head: any of its classifiers that learns batch by batch (`partial_fit`), one per target."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.heads.classifier import RANDOM_STATE, Classifier, Made, quietly
from worldnets.heads.estimator_state import Arrays
from worldnets.registry import Registry

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs
    from worldnets.training_plan import Plan

CHUNK = 1024  # rows predicted in one call, padded: then a row's bits do not depend on the rows beside it
# What an estimator needs to serve here, unless options say otherwise: probabilities; two categories per indicator.
NEEDED: dict[str, dict[str, Any]] = {"SGDClassifier": {"loss": "log_loss"}, "CategoricalNB": {"min_categories": 2}}
# Estimators of other packages, by names of their own; installed packages add theirs by the entry point group.
ESTIMATORS: Registry[type] = Registry("estimator", group="worldnets.estimators")


class ScikitLearn:
    """q(y | x) of classifiers that scikit-learn updates, one `partial_fit` per batch and target.

    Each target has a classifier of its own, which minimises its own loss in its own way: the run's optimizer and
    learning rate are not used, and the loss reported is the log score of its predictions, in bits. Before the first
    update q is uniform. A target of one outcome needs no classifier.

    Probabilities are `predict_log_proba`'s, floored at `heads.floor.FLOOR`. A classifier that has only a
    `decision_function` (a perceptron, a support vector machine) is read as if its scores were logits: a logistic
    function of the one score for two outcomes, else a softmax. Such scores rank outcomes but are on no scale, so that
    q is miscalibrated and its loss may exceed that of guessing. Measures that refit a temperature set that right
    afterwards; to refuse such classifiers would be to lose them. One that has neither is refused.

    A classifier that takes no negative features (naive Bayes on counts) is given −x beside x, both cut off at 0: a
    binary variable becomes two indicators.
    """

    grows = True

    def __init__(
        self, inputs: Inputs, classifiers: tuple[Classifier | None, ...], plan: Plan, updates: int = 0
    ) -> None:
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
            estimator: a classifier of scikit-learn's by its class name, one registered in `ESTIMATORS`, or the dotted
                path of one whose module is imported.
            options: arguments of its constructor. Where they say nothing else, "SGDClassifier" gets `loss="log_loss"`
                and "CategoricalNB" `min_categories=2`.

        Raises:
            TrainingError: an unknown estimator, one without `partial_fit` or without scores of outcomes, options that
                it does not have or refuses, an estimator whose state is more than numbers.
        """
        kind = _estimator(estimator)
        chosen = {**NEEDED.get(kind.__name__, {}), **_options(options)}
        draws = RANDOM_STATE in inspect.signature(kind).parameters and chosen.get(RANDOM_STATE) is None
        classifiers = []
        for count in plan.counts:
            own = Made(kind, chosen, int(generator.integers(2**31)) if draws else None)
            classifiers.append(Classifier.built(own, plan.inputs, count) if count > 1 else None)
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
            classifiers.append(None if classifier is None else classifier.restored(own, learned=updates > 0))
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


def _options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        mend = 'write options={"alpha": 1e-4}'
        raise TrainingError("options are no table", node="scikit_learn", found=repr(options), mend=mend)
    return dict(options)


def _estimator(name: str) -> type:
    """A class with `partial_fit`: scikit-learn's of that name, a registered one, or the dotted path of a loaded one.

    Raises:
        TrainingError: there is none, or it does not learn batch by batch.
    """
    if not isinstance(name, str):
        raise TrainingError(
            "an estimator is named by a text", node="scikit_learn", found=repr(name), mend="give its name"
        )
    known = _classifiers()
    kind = known.get(name) or (ESTIMATORS.get(name) if name in ESTIMATORS else _loaded(name))
    able = [*(own for own, its in known.items() if hasattr(its, "partial_fit")), *ESTIMATORS.names()]
    if kind is None:
        mend = f"{did_you_mean(name, able)} Your own: ESTIMATORS.register(name, class), or import its module first"
        raise TrainingError("unknown estimator", node="scikit_learn", found=repr(name), mend=mend)
    if not (inspect.isclass(kind) and hasattr(kind, "partial_fit") and hasattr(kind, "get_params")):
        mend = f"name one that does: {', '.join(able)}"
        raise TrainingError("the estimator does not learn batch by batch", node=name, found="no partial_fit", mend=mend)
    return kind


def _loaded(path: str) -> Any:
    # Only what is imported already: a saved trace names its estimator, and reading a trace must not run code.
    module, _, attribute = path.rpartition(".")
    return getattr(sys.modules.get(module), attribute, None) if module else None


@functools.cache
def _classifiers() -> dict[str, type]:
    from sklearn.utils.discovery import all_estimators

    return dict(quietly(all_estimators, type_filter="classifier"))  # imports all of its modules, deprecated ones too
