"""The scikit-learn head: every classifier that learns batch by batch, or a refusal that says what to do."""

import math
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier

from worldnets import Trace, load_dataset, train
from worldnets.errors import TrainingError
from worldnets.heads import classifier as classifier_module
from worldnets.heads.floor import FLOOR
from worldnets.heads.scikit_learn import ESTIMATORS, ScikitLearn
from worldnets.training_plan import plan_training

ESTIMATORS_AND_OPTIONS = [
    ("SGDClassifier", None),
    ("SGDClassifier", {"average": 40}),
    ("SGDClassifier", {"loss": "hinge", "learning_rate": "adaptive", "eta0": 0.1}),
    ("MLPClassifier", {"hidden_layer_sizes": [6], "learning_rate_init": 0.03}),
    ("MLPClassifier", {"hidden_layer_sizes": [6], "solver": "sgd", "batch_size": 10, "learning_rate_init": 0.1}),
    ("Perceptron", None),
    ("PassiveAggressiveClassifier", None),
    ("BernoulliNB", None),
    ("MultinomialNB", None),
    ("ComplementNB", None),
    ("CategoricalNB", None),
    ("GaussianNB", None),
]
NAMES = [f"{name} {options or ''}" for name, options in ESTIMATORS_AND_OPTIONS]


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("cue_parity", noise=1)


@pytest.fixture(scope="module")
def wide():
    """Targets of two and of four outcomes, evidence of two and of three states."""
    return load_dataset("vault", frames=3)


def request(dataset, estimator, options, objective="question"):
    return plan_training(
        dataset, "scikit_learn", objective, batch=32, head_options={"estimator": estimator, "options": options}
    )


def steps(head, plan, first, last, seed=5):
    return [head.step(plan.clips(seed, 32, 32 * step)) for step in range(first, last)]


@pytest.mark.parametrize("objective", ["question", "continuation"])
@pytest.mark.parametrize(("estimator", "options"), ESTIMATORS_AND_OPTIONS, ids=NAMES)
def test_a_restored_classifier_predicts_and_learns_on_with_the_same_bits(wide, estimator, options, objective):
    plan = request(wide, estimator, options, objective)
    codes = wide.simulate(200, seed=1)
    head = plan.build_stepping(5)
    # An average begins after 40 rows: the state is taken before and after that.
    for first, last in ((0, 1), (1, 4)):
        steps(head, plan, first, last)
        state = {name: array.copy() for name, array in head.state().items()}
        again = plan.build_stepping(6).restored(state)
        assert np.array_equal(again.log_probabilities(codes), head.log_probabilities(codes))
    rest = steps(head, plan, 4, 8)
    assert steps(again, plan, 4, 8) == rest
    assert np.array_equal(again.log_probabilities(codes), head.log_probabilities(codes))
    assert all(np.array_equal(array, again.state()[name]) for name, array in head.state().items())


@pytest.mark.parametrize(("estimator", "options"), ESTIMATORS_AND_OPTIONS, ids=NAMES)
def test_a_trace_of_any_classifier_learns_the_cue_and_comes_back_from_its_file(dataset, estimator, options, tmp_path):
    settings = {"head_options": {"estimator": estimator, "options": options}, "steps": 60, "batch": 32, "seeds": [2]}
    trace = train(dataset, "scikit_learn", "question", checkpoints=[0, 1, 60], **settings)
    assert trace.diverged == (None,)
    assert trace.losses[0, 0] == 1  # uniform before the first update
    codes = dataset.simulate(2000, seed=3)
    cue, answer = (codes[:, dataset.net.index[v]] for v in ("cue", "answer"))
    assert np.mean(trace.predict(codes, -1)[0].argmax(-1) == answer) > 0.9
    assert np.mean(trace.predict(codes, -1)[0].argmax(-1) == cue) > 0.9
    back = Trace.load(trace.save(tmp_path / "trace.npz"))
    assert np.array_equal(back.predict(codes, -1), trace.predict(codes, -1))
    assert np.array_equal(back.predict(codes, 0), np.full((1, 2000, 2), -math.log(2)))


def test_an_update_is_scikit_learns_own_partial_fit(dataset):
    plan = request(dataset, "SGDClassifier", {"random_state": 3})
    head, own = plan.build_stepping(0), SGDClassifier(loss="log_loss", random_state=3)
    for step in range(5):
        clips = plan.clips(0, 32, 32 * step)
        x, y = plan.inputs.features(clips).astype(float), clips[:, dataset.net.index["answer"]]
        expected = 1.0 if step == 0 else -np.log2(np.maximum(own.predict_proba(x)[np.arange(32), y], FLOOR)).mean()
        np.testing.assert_allclose(head.step(clips), expected, atol=1e-8)  # the floor
        own.partial_fit(x, y, classes=[0, 1])
    codes = dataset.simulate(50, seed=1)
    probabilities = np.maximum(own.predict_proba(plan.inputs.features(codes).astype(float)), FLOOR)
    np.testing.assert_allclose(head.log_probabilities(codes), np.log(probabilities), atol=1e-8)


def test_logistic_regression_by_scikit_learn_ends_where_the_linear_head_does(dataset):
    options = {"estimator": "SGDClassifier", "options": {"alpha": 1e-3, "average": True}}
    theirs = train(dataset, "scikit_learn", "question", steps=200, seeds=2, checkpoints=[200], head_options=options)
    ours = train(dataset, "linear", "question", steps=600, seeds=2, checkpoints=[600], learning_rate=0.02)
    codes = dataset.simulate(5000, seed=9)
    answer = codes[:, dataset.net.index["answer"]]
    losses = [-trace.predict(codes, -1)[:, np.arange(5000), answer].mean() / math.log(2) for trace in (theirs, ours)]
    np.testing.assert_allclose(*losses, atol=0.005)


def test_counts_get_two_indicators_for_a_signed_feature(dataset):
    plan = request(dataset, "MultinomialNB", None)
    head = plan.build_stepping(0)
    clips = plan.clips(0, 32, 0)
    head.step(clips)
    codes = clips[:, [dataset.net.index[v] for v in plan.task.evidence]]
    answer = clips[:, dataset.net.index["answer"]]
    counted = [np.concatenate([codes[answer == y].sum(0), (1 - codes[answer == y]).sum(0)]) for y in (0, 1)]
    assert np.array_equal(head.state()["0.feature_count_"], counted)


def test_scores_without_probabilities_are_read_as_logits(wide):
    for objective in ("question", "continuation"):
        plan = request(wide, "Perceptron", None, objective)
        head = plan.build_stepping(0)
        steps(head, plan, 0, 5)
        codes = wide.simulate(40, seed=1)
        scores = head._classifiers[0].estimator.decision_function(plan.inputs.features(codes).astype(float))
        if objective == "question":
            scores = np.stack([np.zeros(len(codes)), scores], axis=1)
        expected = scores - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
        expected -= scores.max(1, keepdims=True)
        log_q = head.log_probabilities(codes)
        above = expected > math.log(FLOOR) / 2
        np.testing.assert_allclose(log_q[above], expected[above], atol=1e-6)
        assert log_q.min() > math.log(FLOOR) - 1e-6


def test_outcomes_never_seen_so_far_have_a_small_probability_and_no_infinite_loss(wide):
    plan = request(wide, "GaussianNB", None, "continuation")
    head = plan.build_stepping(0)
    clips = plan.clips(0, 400, 0)
    often = clips[plan.examples(clips).outcomes[:, 0] == 0][:32]
    losses = [head.step(often), head.step(clips)]
    assert np.isfinite(losses).all()
    assert losses[1] > 3  # 30 bits for each outcome held impossible
    assert np.isfinite(head.log_probabilities(clips)).all()
    assert all(np.isfinite(array).all() for array in head.state().values())


def test_an_overflow_is_a_diverged_seed_and_the_others_go_on(dataset, monkeypatch):
    class Fragile(SGDClassifier):
        """Overflows at its tenth update if its random state is odd."""

        def partial_fit(self, X, y, classes=None, sample_weight=None):
            super().partial_fit(X, y, classes, sample_weight)
            if self.t_ > 320 and self.random_state % 2:
                raise ValueError("Floating-point under-/overflow occurred at epoch #1.")
            return self

    monkeypatch.setitem(ESTIMATORS._targets, "fragile", Fragile)
    options = {"estimator": "fragile", "options": {"loss": "log_loss"}}
    trace = train(
        dataset, "scikit_learn", "question", steps=20, batch=32, seeds=6, checkpoints=[0, 5, 20], head_options=options
    )
    lost = [step is not None for step in trace.diverged]
    assert 0 < sum(lost) < 6
    assert {step for step in trace.diverged if step is not None} == {9}
    assert np.isnan(trace.losses[-1]).tolist() == lost
    assert np.isfinite(trace.losses[1]).all()


class Silent(ClassifierMixin, BaseEstimator):
    """Learns, but keeps what it learns where no one finds it."""

    def partial_fit(self, X, y, classes=None):
        self.classes_ = np.asarray(classes)
        self.hidden_ = (*getattr(self, "hidden_", ()), len(X))
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), sum(self.hidden_) / 1e6)


class Mute(ClassifierMixin, BaseEstimator):
    """Learns, but gives labels only."""

    def partial_fit(self, X, y, classes=None):
        return self


class Growing(ClassifierMixin, BaseEstimator):
    """Keeps every row it has seen."""

    def partial_fit(self, X, y, classes=None):
        self.classes_ = np.asarray(classes)
        self.rows_ = np.concatenate([getattr(self, "rows_", np.zeros((0, X.shape[1]))), X])
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Interrupted(SGDClassifier):
    """Swallows Ctrl-C as scikit-learn's perceptron does."""

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        super().partial_fit(X, y, classes, sample_weight)
        if self.t_ > 100:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        return self


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        ("SDGClassifier", None, "unknown estimator; found 'SDGClassifier'.*did you mean 'SGDClassifier'"),
        ("no.such.Thing", None, "unknown estimator.*import its module first"),
        ("math.sqrt", None, "does not learn batch by batch"),
        ("RandomForestClassifier", None, "does not learn batch by batch.*MLPClassifier"),
        (3, None, "an estimator is named by a text"),
        ("SGDClassifier", {"alhpa": 1}, "cannot be made so.*did you mean 'alpha'"),
        ("SGDClassifier", {"alpha": -1.0}, "cannot learn so.*'alpha' parameter"),
        ("SGDClassifier", {"alpha": float("nan")}, "no JSON"),
        ("SGDClassifier", [1], "options are no table"),
        ("SGDClassifier", {"early_stopping": True}, "cannot learn so.*early_stopping"),
        ("OneVsRestClassifier", None, "cannot be made so.*estimator"),
        (f"{__name__}.Silent", None, "state is more than its arrays"),
        (f"{__name__}.Mute", None, "cannot learn so.*decision_function"),
        (f"{__name__}.Growing", None, "state is more than its arrays|another estimator or another shape"),
    ],
)
def test_an_estimator_that_will_not_do_is_refused_with_what_to_do(dataset, estimator, options, message):
    with pytest.raises(TrainingError, match=message):
        request(dataset, estimator, options).build_stepping(0)


def test_a_name_in_a_file_imports_nothing(dataset):
    sys.modules.pop("this", None)
    with pytest.raises(TrainingError, match="unknown estimator"):
        request(dataset, "this.d", None).build_stepping(0)
    assert "this" not in sys.modules


def test_ctrl_c_that_scikit_learn_swallows_is_handed_on(dataset):
    plan = request(dataset, f"{__name__}.Interrupted", {"loss": "log_loss"})
    head = plan.build_stepping(0)
    with pytest.raises(KeyboardInterrupt):
        steps(head, plan, 0, 9)


def test_penalties_it_cannot_pay_are_refused_and_hidden_evidence_is_no_evidence(dataset):
    with pytest.raises(TrainingError, match="cannot pay this penalty"):
        train(dataset, "scikit_learn", "question", penalties={"weight_decay": 1e-3})
    request = {"head_options": {"options": {"alpha": 1e-2}}, "penalties": {"evidence_dropout": 0.5}}
    trace = train(dataset, "scikit_learn", "question", steps=120, seeds=1, checkpoints=[60, 120], **request)
    np.testing.assert_allclose(trace.losses[-1], 0.5 + 0.5 * 0.141, atol=0.06)  # half of the time the cue is hidden


def test_a_rows_bits_do_not_depend_on_the_rows_beside_it(dataset):
    plan = request(dataset, "MLPClassifier", {"hidden_layer_sizes": [7]})
    head = plan.build_stepping(0)
    steps(head, plan, 0, 5)
    codes = dataset.simulate(1500, seed=1)
    whole = head.log_probabilities(codes)
    assert np.array_equal(head.log_probabilities(codes[1100:1103]), whole[1100:1103])


def test_a_target_of_one_outcome_needs_no_classifier(dataset):
    plan = request(dataset, "SGDClassifier", None)
    head = ScikitLearn(plan.inputs, (None,), plan)
    assert classifier_module.Classifier not in map(type, head._classifiers)
    assert np.array_equal(head.state()["updates"], 0)
