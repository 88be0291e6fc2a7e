"""External predictors: any function from evidence rows to probabilities is measured like a head of this project."""

import numpy as np
import pandas as pd
import pytest

import probes
from probes.ladder import Sampling, reference
from probes.sources import DatasetSource
from worldnets import load_dataset
from worldnets.errors import ProbeError, UnknownNameError
from worldnets.inference.evidence import decode


@pytest.fixture(scope="module")
def parity():
    return load_dataset("cue_parity", noise=1)


@pytest.fixture(scope="module")
def bayes(parity):
    """The exact answer, as someone outside would write it: from codes."""
    task = parity.task("question")
    source = DatasetSource(parity, task)

    def predict(codes):
        full = np.full((len(codes), len(parity.net.variables)), -1, dtype=np.int16)
        full[:, [parity.net.index[v] for v in task.evidence]] = codes
        return source.posterior(full, "answer")[1]

    return predict


def test_the_exact_predictor_captures_every_rung_and_is_deep_throughout(parity, bayes):
    wrapped = probes.wrap([bayes, bayes], parity, takes="codes")
    pie, about = wrapped.pie(), wrapped.information()
    np.testing.assert_allclose(pie.captured, [about.information] * 2, atol=1e-9)
    found = wrapped.run()
    assert found.verdict.name == "deep-throughout"
    assert probes.probe("depth").run(wrapped).verdict.to_dict() == found.verdict.to_dict()


def test_a_predictor_that_reads_the_cue_alone_stagnates(parity):
    seen = []

    def predict(rows):
        seen.append(rows)
        cue = rows["cue"].map({label: i for i, label in enumerate(parity.net.states["cue"])}).to_numpy()
        return np.stack([np.where(cue == 0, 0.98, 0.02), np.where(cue == 0, 0.02, 0.98)], axis=1)

    found = probes.wrap([predict, predict], parity).run()
    assert found.verdict.name == "stagnating"
    deepest = [f for f in found.named("captured bits") if f.rung == 2]
    assert all(f.value.estimate == pytest.approx(0, abs=1e-9) for f in deepest)
    assert isinstance(seen[0], pd.DataFrame)
    assert list(seen[0].columns) == list(parity.task("question").evidence)
    assert set(seen[-1]["cue"]) == set(parity.net.states["cue"])


def test_what_is_given_are_the_clips_of_a_table_of_labels(parity):
    wrapped = probes.wrap(lambda rows: np.full((len(rows), 2), 0.5), parity)
    codes = parity.simulate(20, seed=3)
    table = decode(parity.net, codes)[list(wrapped.task.evidence)]
    assert wrapped.given(codes).astype(object).equals(table.astype(object).reset_index(drop=True))


def test_checkpoints_are_a_course_of_training(parity, bayes):
    ignorant = lambda codes: np.full((len(codes), 2), 0.5)
    cue = parity.task("question").evidence.index("cue")
    shallow = lambda codes: np.where(codes[:, [cue]] == 0, [0.98, 0.02], [0.02, 0.98])
    table = [[ignorant] * 2, [shallow] * 2, [shallow] * 2, [bayes] * 2, [bayes] * 2]
    wrapped = probes.wrap(table, parity, takes="codes", steps=[0, 10, 100, 600, 1000], seeds=[3, 4])
    assert (wrapped.seeds, wrapped.steps.tolist()) == ((3, 4), [0, 10, 100, 600, 1000])
    assert wrapped.run().verdict.name == "deepening"
    early = probes.wrap(table[:3], parity, takes="codes", steps=[0, 10, 100])
    assert early.run().verdict.name == "stagnating"


def test_one_predictor_has_a_pie_but_no_interval_over_seeds(parity, bayes):
    wrapped = probes.wrap(bayes, parity, takes="codes")
    assert wrapped.pie().captured.shape == (1, len(wrapped.information().information))
    verdict = wrapped.run().verdict
    assert verdict.name == "inconclusive"
    assert "Fewer than two seeds" in verdict.reasons[0]


def test_several_targets_are_answered_by_name():
    asia = load_dataset("asia")
    source = DatasetSource(asia, asia.task("question"))
    task = asia.task("question")

    def predict(codes):
        full = np.full((len(codes), len(asia.net.variables)), -1, dtype=np.int16)
        full[:, [asia.net.index[v] for v in task.evidence]] = codes
        return {target.name: source.posterior(full, target.name)[1] for target in task.targets}

    wrapped = probes.wrap(predict, "asia", takes="codes")
    for target in task.targets:
        about = reference(asia, task, target.name).about
        np.testing.assert_allclose(wrapped.pie(target.name).captured[0], about.information, atol=1e-7)
    with pytest.raises(ProbeError, match="several targets"):
        probes.wrap(lambda codes: np.full((len(codes), 2), 0.5), asia)
    with pytest.raises(ProbeError, match="fit the targets"):
        probes.wrap(lambda codes: {"lung": np.full((len(codes), 2), 0.5)}, asia)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda n: np.full((n, 3), 1 / 3), "wrong shape"),
        (lambda n: np.full(n, 0.5), "wrong shape"),
        (lambda n: np.full((n, 2), np.nan), "NaN or infinity"),
        (lambda n: np.full((n, 2), 0.4), "no distribution"),
        (lambda n: np.tile([1.5, -0.5], (n, 1)), "no distribution"),
        (lambda n: np.log(np.full((n, 2), 0.5)), "no distribution"),
        (lambda n: [["yes", "no"]] * n, "no array"),
        (lambda n: None, "no array|wrong shape"),
    ],
)
def test_what_is_no_distribution_is_refused_at_once(parity, returned, message):
    with pytest.raises(ProbeError, match=message) as caught:
        probes.wrap(lambda rows: returned(len(rows)), parity)
    assert caught.value.mend


def test_a_row_that_goes_wrong_later_is_named(parity):
    calls = []

    def predict(rows):
        calls.append(len(rows))
        q = np.full((len(rows), 2), 0.5)
        if len(calls) > 1:
            q[7] = [0.9, 0.9]
        return q

    wrapped = probes.wrap(predict, parity)
    with pytest.raises(ProbeError, match="row 7"):
        wrapped.run()


def test_float32_softmaxes_and_certain_predictors_are_taken(parity):
    single = lambda rows: np.tile(np.array([[1 / 3, 2 / 3]], dtype=np.float32), (len(rows), 1))
    assert np.isfinite(probes.wrap(single, parity).pie().rung_loss).all()
    certain = probes.wrap(lambda rows: np.tile([1.0, 0.0], (len(rows), 1)), parity)
    assert 10 < certain.pie().loss[0] < 20  # wrong half of the time, at 30 bits


def test_functions_steps_and_seeds_that_do_not_fit_are_refused(parity):
    half = lambda rows: np.full((len(rows), 2), 0.5)
    with pytest.raises(ProbeError, match="no function"):
        probes.wrap([], parity)
    with pytest.raises(ProbeError, match="no function"):
        probes.wrap("mlp", parity)
    with pytest.raises(ProbeError, match="neither functions"):
        probes.wrap([[half], half], parity)
    with pytest.raises(ProbeError, match="unequally many"):
        probes.wrap([[half, half], [half]], parity)
    with pytest.raises(ProbeError, match="steps do not fit"):
        probes.wrap([[half], [half]], parity, steps=[5, 5])
    with pytest.raises(ProbeError, match="seeds do not fit"):
        probes.wrap([half, half], parity, seeds=[1, 1])
    with pytest.raises(ProbeError, match="unknown takes"):
        probes.wrap(half, parity, takes="tensors")
    with pytest.raises(ProbeError, match="no world"):
        probes.wrap(half, None)
    with pytest.raises(UnknownNameError):
        probes.wrap(half, "no such world")


def test_a_classifier_of_scikit_learn_is_measured_from_features_and_from_labels(parity):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = parity.sample(2000, seed=1)
    task = parity.task("question")
    labelled = make_pipeline(OneHotEncoder(drop="if_binary"), LogisticRegression())
    labelled.fit(rows[list(task.evidence)], rows["answer"])
    order = [list(labelled.classes_).index(label) for label in parity.net.states["answer"]]
    from_labels = probes.wrap(lambda table: labelled.predict_proba(table)[:, order], parity)

    codes = parity.simulate(2000, seed=1)
    plain = LogisticRegression().fit(from_labels.inputs.features(codes), codes[:, parity.net.index["answer"]])
    from_features = probes.wrap(plain.predict_proba, parity, takes="features")
    np.testing.assert_allclose(from_labels.pie().captured, from_features.pie().captured, atol=0.02)
    shallow, deep = from_features.pie().captured[0]
    assert shallow > 0.8
    assert deep < 0.02  # no linear model has a parity


def test_a_network_of_torch_is_measured(parity):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

    def predict(features):
        with torch.no_grad():
            return torch.softmax(network(torch.from_numpy(features)), dim=-1).numpy()

    wrapped = probes.wrap(predict, parity, takes="features")
    assert np.isfinite(wrapped.pie().rung_loss).all()


def test_sampled_references_are_asked_alike():
    vault = load_dataset("vault", frames=3)
    uniform = lambda rows: np.full((len(rows), 4), 0.25)
    small = Sampling(method="sample", clips=64, candidates=256, pool=128, holders=16, partners=16, groups=4)
    pie = probes.wrap(uniform, vault, "continuation").pie(sampling=small)
    np.testing.assert_allclose(pie.captured, 0, atol=1e-9)
