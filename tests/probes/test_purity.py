"""The purity probe from a suite file to the report: world-models, penalties, and what is refused."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

import probes
import worldnets as wn
from probes.catalogue.purity import PurityProbe
from probes.cells import Condition, penalty_label
from probes.organisms.world_models import REGISTRY, drawn, small_truth, small_vault
from probes.purity.measured import measure_models, pack, unpack
from probes.purity.truth import Sampling
from probes.purity.verdict import Settings
from probes.resolve import resolve
from probes.results import Results
from probes.runner import plan
from probes.store import Store
from probes.suite import load_suite, read_suite
from probes.worker import work
from worldnets.errors import ProbeError, SuiteError, TrainingError, UnknownNameError
from worldnets.penalties import REGISTRY as PENALTIES

SUITE = """
[suite]
name = "tiny"

[defaults]
seeds = 8
steps = 6
batch = 16
checkpoints = 2
learning_rate = 0.05
probes = ["purity"]

[probes.purity.measure]
losses = ["likelihood"]

[probes.purity.conclude]
epsilon_latents = 0.2

[[jobs]]
world = "vault"
parameters = { frames = 3, pixels = 1 }
objective = ["likelihood", "question"]
heads = "world_model"
penalties = [{}, { weight_decay = 1e-3 }, { evidence_dropout = { strength = 0.2, variables = ["sensor_1"] } }]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    planned = plan(read_suite(SUITE), only="*likelihood*")
    made = Store.create(tmp_path_factory.mktemp("runs") / "run", planned.suite, planned.conditions)
    work(str(made.path), [asdict(cell) for cell in planned.cells])
    return made


@pytest.fixture(scope="module")
def trace():
    options = {"objective": "likelihood", "seeds": 2, "steps": 4, "batch": 8, "checkpoints": [0, 4]}
    return wn.train(small_vault(), head="world_model", **options)


def concluded(name, settings=None):
    before, after = drawn(REGISTRY.get(name), 8)
    nets = [before, after]
    found = measure_models(small_truth(), range(8), (0, 10), lambda checkpoint, seed: nets[checkpoint][seed])
    return PurityProbe().conclude([pack(found, 1)], settings)


def test_the_probe_is_found_by_name_and_measures_a_trace_the_same_twice(trace):
    calls = []
    first = probes.probe("purity").measure(trace, lambda done, total: calls.append((done, total)))
    again = probes.probe("purity").measure(trace)
    assert calls == [(1, 2), (2, 2)]
    assert first["metadata"] == json.loads(json.dumps(again["metadata"], allow_nan=False))
    for name, array in first["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    found = unpack(first)
    assert found.objective == "likelihood"
    assert found.about.objectives[0] == "likelihood"
    np.testing.assert_array_equal(found.training, trace.losses)
    # What is measured is the world-model of that seed and checkpoint, and no other.
    alone = measure_models(small_truth(), (1,), (4,), lambda checkpoint, seed: trace.world_model(1, 1))
    assert alone.numbers.divergence[0, 0] == found.numbers.divergence[1, 1]


def test_findings_of_the_world_itself_are_what_it_has():
    found = concluded("the_world")
    assert found.verdict.name == "pure"
    last = {f.name: f for f in found if f.step in (None, 10)}
    assert last["structure captured"].value.estimate > 0.99
    assert last["information about the latent, diamond"].value.kind == "exact"
    assert last["effect of do(robber_2 = inside)"].note.endswith("not demanded")
    assert last["accuracy of do(diamond_2 = gone), of who takes seeing for doing"].value.estimate < 0.9
    assert last["loss, world"].note == f"W* itself has {small_truth().losses[0].least:.3f}"
    assert not [f for f in found if f.name == "configurations held impossible"]
    frame = found.to_pandas()
    assert {"structure captured", "latent recovery, tampering", "do() accuracy, robber"} <= set(frame["name"])
    figure = found.plot()
    assert len(figure.axes[0].lines) == 3


def test_settings_fixed_before_the_run_decide():
    assert concluded("the_world", Settings(epsilon_observables=1e-6)).verdict.name != "pure"
    assert concluded("hazy", Settings(0.5, 0.5, 0.9)).verdict.name == "pure"
    none = Settings(least_bits=100.0)
    assert concluded("hazy", none).verdict.name == "nothing-to-model"


def test_seeds_that_name_states_otherwise_are_counted():
    found = concluded("other_labels")
    shares = [found.last(f"seeds that name states otherwise, {kind}", "world-model") for kind in ("robber", "door")]
    assert all(0 < share.value.estimate < 1 for share in shares)
    assert found.verdict.name == "pure"


def test_heads_that_are_no_world_models_are_refused_before_and_after_training():
    with pytest.raises(ProbeError, match="purity is of world-models"):
        resolve(read_suite(SUITE.replace('"world_model"', '"linear"').replace("weight_decay", "spectral_decoupling")))
    linear = wn.train(small_vault(), head="linear", objective="question", seeds=1, steps=1, checkpoints=[0, 1])
    with pytest.raises(ProbeError, match="world_model"):
        probes.probe("purity").measure(linear)
    with pytest.raises(ProbeError, match="nothing was measured"):
        PurityProbe().conclude([])


def test_penalties_are_crossed_stand_in_titles_and_only_then_in_keys():
    conditions = resolve(read_suite(SUITE))
    assert [condition.title for condition in conditions] == [
        f"vault/{objective}/world_model{paid}/evidence"
        for objective in ("likelihood", "question")
        for paid in ("", "+weight_decay=0.001", "+evidence_dropout=0.2(variables=sensor_1)")
    ]
    assert "penalties" not in conditions[0].identity
    assert conditions[1].identity["penalties"] == {"weight_decay": {"strength": 0.001}}
    assert conditions[1].names["head"] == "world_model+weight_decay=0.001"
    assert len({condition.cells[0].key for condition in conditions}) == 6


def test_a_suite_with_penalties_reads_back_equal_and_one_without_does_not_mention_them():
    suite = read_suite(SUITE)
    assert read_suite(suite.to_toml()) == suite
    assert "penalties" not in read_suite(SUITE.split("penalties = ")[0]).to_toml()
    single = SUITE.replace(SUITE[SUITE.index("penalties = ") :], "penalties = { weight_decay = 0.1 }")
    assert [c.title.split("/")[2] for c in resolve(read_suite(single))] == ["world_model+weight_decay=0.1"] * 2


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("weight_decay", "weight_decya", UnknownNameError, "did you mean 'weight_decay'"),
        ("1e-3", "-1.0", TrainingError, "a strength is no number"),
        ("weight_decay = 1e-3", "rounds = 1.0", TrainingError, "cannot pay"),
        ("penalties = [{}, ", "penalties = [{}, {}, ", SuiteError, "the same condition stands there twice"),
        ("penalties = [{}, ", "penalties = [3, ", SuiteError, r"jobs\[1\]\.penalties\[1\]"),
        ('losses = ["likelihood"]', 'losses = ["likelyhood"]', UnknownNameError, "did you mean 'likelihood'"),
        ("epsilon_latents", "epsilon_latent", SuiteError, "did you mean 'epsilon_latents'"),
        ('"question"]', '"continuatoin"]', UnknownNameError, "did you mean 'continuation'"),
    ],
)
def test_wrong_suites_are_refused_before_anything_is_trained(old, new, error, message):
    assert old in SUITE
    with pytest.raises(error, match=message):
        resolve(read_suite(SUITE.replace(old, new, 1)))


def test_every_penalty_has_a_label_and_defaults_are_left_out_of_it():
    for name in PENALTIES:
        settings = PENALTIES.get(name)(0.25).settings()
        assert penalty_label({name: settings}) == f"+{name}=0.25"
    both = {"weight_decay": {"strength": 1e-3}, "description_length": {"strength": 1e-4, "step": 0.1}}
    assert penalty_label(both) == "+description_length=0.0001(step=0.1)+weight_decay=0.001"
    assert penalty_label({}) == ""


def test_conditions_stored_before_there_were_penalties_read_back(store):
    old = [{k: v for k, v in asdict(condition).items() if k != "penalties"} for condition in store.conditions[:1]]
    assert Condition(**old[0]).cells[0].key == store.conditions[0].cells[0].key


def test_a_run_of_the_suite_has_its_columns_table_and_figures(store):
    results = Results(store)
    verdicts = results.verdicts
    done = verdicts[verdicts["objective"] == "likelihood"]
    assert {"divergence", "divergence_low", "recovery", "do_accuracy_high"} <= set(verdicts.columns)
    assert "efficiency" not in verdicts.columns
    assert set(done["verdict"]) <= {"impure", "untrained", "inconclusive"}
    assert set(verdicts[verdicts["objective"] == "question"]["verdict"]) == {"missing"}
    assert done["divergence"].between(0, 10).all()
    page = (store.path / "page.html", results.report(store.path / "page.html"))[1].read_text()
    assert "by objective and penalty" in page
    assert "likelihood, weight_decay=0.001" in page
    assert "Divergence on observables: vault/likelihood/world_model/evidence" in page
    assert "deep efficiency" not in page.lower()
    assert Results(store).report(store.path / "again.html").read_text() == page
    assert pd.notna(done["divergence_high"]).all()


def test_evidence_that_is_dropped_trains_another_world_model(store):
    results = Results(store)
    plain, decayed, dropped = (results.measured(condition)[0] for condition in store.conditions[:3])
    ends = [unpack(cell).numbers.divergence[-1] for cell in (plain, decayed, dropped)]
    assert not np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])
    starts = [unpack(cell).numbers.divergence[0] for cell in (plain, decayed, dropped)]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])


def test_five_seeds_of_a_group_conclude_alone(store):
    cell = Results(store).measured(store.conditions[0])[0]
    probe = probes.probe("purity")
    few = probe.of_seeds(cell, range(5))
    assert probe.conclude([few]).verdict.seeds == 5


def test_both_probes_on_one_condition_stand_side_by_side_in_tables_and_report(tmp_path):
    both = SUITE.replace('probes = ["purity"]', 'probes = ["depth", "purity"]')
    planned = plan(read_suite(both), only="vault/question/world_model/evidence")
    made = Store.create(tmp_path / "run", planned.suite, planned.conditions)
    work(str(made.path), [asdict(cell) for cell in planned.cells])
    results = Results(made)
    done = results.verdicts[results.verdicts["verdict"] != "missing"]
    assert list(done["probe"]) == ["depth", "purity"]
    assert done["efficiency"].notna().tolist() == [True, False]
    assert done["divergence"].notna().tolist() == [False, True]
    page = results.report().read_text()
    assert page.count("<caption>Deep efficiency") == page.count("<caption>Divergence") == 1
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    assert "Divergence" in results._repr_html_() or "divergence" in results._repr_html_()


def test_the_purity_suite_crosses_five_objectives_with_at_least_three_penalties_over_eight_seeds():
    suite = load_suite("purity")
    conditions = resolve(suite)
    assert {condition.objective for condition in conditions} == {
        "world",
        "likelihood",
        "continuation_all",
        "question",
        "scorer",
    }
    paid = {tuple(condition.penalties) for condition in conditions}
    assert {(), ("weight_decay",), ("description_length",), ("evidence_dropout",)} <= paid
    assert {condition.seeds for condition in conditions} == {8}
    assert {condition.probe["name"] for condition in conditions} == {"purity"}
    assert "losses" in suite.probes["purity"].measure
    assert Sampling(**suite.probes["purity"].measure).losses[0] == "world"
