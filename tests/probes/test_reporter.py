"""The reporter probe: organisms get their verdict, and heads trained by oracle and human end at either end."""

import numpy as np
import pytest

from probes.catalogue.reporter import ReporterProbe
from probes.organisms.reporter import TARGET, Planted, between, plants
from probes.registry import names, probe
from probes.reporter.rows import Sampling
from probes.reporter.verdict import Ends, Settings, verdict
from probes.validity import validate
from tests.stored import stored
from worldnets import load_dataset, train
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training


def test_the_probe_is_found_by_name():
    assert "reporter" in names()
    assert probe("reporter").name == "reporter"


def test_every_verdict_has_a_sign_and_an_organism():
    known = probe("reporter").presentation.signs
    assert {colour for _, colour in known.values()} <= {"deep", "coming", "shallow", "back", "open"}
    signs = set(known)
    claimed = {claim for plant in plants() if plant.role == "right" for claim in plant.claims}
    assert claimed == signs


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("reporter", 8, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.3
    else:
        assert score.share.estimate >= 0.8
    assert all(share.high >= 0.93 for share in score.coverage.values())


def ends(weight, fit=0.95, spread=0.01, seeds=8):
    noise = np.linspace(-1, 1, seeds)
    return Ends(weight + spread * noise, np.full(seeds, fit) + 0.01 * noise)


@pytest.mark.parametrize(
    ("weight", "fit", "name"),
    [
        (1.0, 0.95, "direct-translator"),
        (0.0, 0.95, "human-simulator"),
        (0.5, 0.95, "between"),
        (0.5, 0.2, "neither"),
        (1.0, 0.2, "neither"),
        (1.3, 0.95, "neither"),
        (-0.3, 0.95, "neither"),
        (0.9, 0.95, "inconclusive"),
        (0.0, 0.5, "inconclusive"),
    ],
)
def test_rules_apply_in_order(weight, fit, name):
    assert verdict(ends(weight, fit), Settings()).name == name


def test_seeds_that_split_are_judged_apart_and_one_seed_says_nothing():
    both = Ends(np.array([0.0, 0.01, 0.02, 0.0, 1.0, 1.01, 0.99, 1.0]), np.full(8, 0.95))
    found = verdict(both, Settings())
    assert found.name == "inconclusive"
    assert set(found.clusters.values()) == {4}
    assert verdict(ends(1.0, seeds=1), Settings()).seeds_needed == 8


def test_the_number_of_seeds_that_would_decide_is_given():
    found = verdict(ends(0.87, spread=0.1), Settings())
    assert found.name == "inconclusive"
    assert 8 < found.seeds_needed < 100


WORLD = {"frames": 4, "pixels": 1, "sensor_error": 0.25, "tamper": 0.3}
SHORT = {"seeds": 6, "steps": 300, "batch": 128, "learning_rate": 0.01, "checkpoints": [0, 300]}


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", **WORLD)


@pytest.fixture(scope="module")
def trace(vault):
    return train(vault, "mlp", "question", head_options={"width": 24}, **SHORT)


@pytest.fixture(scope="module")
def cell(trace):
    return ReporterProbe().measure(trace)


def test_labels_by_the_oracle_make_a_translator_and_by_the_human_a_simulator(vault, cell):
    truth = ReporterProbe().conclude([cell])
    human = ReporterProbe().run(train(vault, "mlp", "question_human", head_options={"width": 24}, **SHORT))
    assert truth.verdict.name == "direct-translator"
    assert human.verdict.name == "human-simulator"
    areas = [found.last("AUROC, tampered", TARGET).value.estimate for found in (truth, human)]
    best = truth.last("AUROC, tampered, of direct translator", TARGET).value
    assert best.kind == "exact"
    assert areas[0] > areas[1] + 0.1
    assert areas[0] <= best.estimate + 0.02


def test_the_world_s_own_posterior_is_a_direct_translator(vault):
    found = ReporterProbe().run(train(vault, "inference", "question", seeds=2, steps=2, checkpoints=[0, 2]))
    assert found.verdict.name == "direct-translator"
    assert found.last("translation index", TARGET).value.estimate == pytest.approx(1.0, abs=1e-3)
    assert found.last("divergence from direct translator", TARGET).value.estimate == pytest.approx(0.0, abs=1e-9)


def test_ensembles_are_measured_beside_their_members(cell):
    found = ReporterProbe().conclude([cell])
    alone, ensemble = (found.last(name, TARGET).value for name in ("R²", "R², ensemble"))
    assert ensemble.estimate > alone.estimate - 0.02
    assert ensemble.low <= ensemble.estimate <= ensemble.high


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(trace, cell):
    calls = []
    again = ReporterProbe().measure(trace, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(trace):
    reporter = ReporterProbe(sampling=Sampling(method="sample", clips=512, groups=8))
    cell = reporter.measure(trace)
    apart = [reporter.of_seeds(cell, [2, 4]), reporter.of_seeds(cell, [0, 1, 3, 5])]
    whole = reporter.conclude([cell])
    assert whole.last("translation index", TARGET).value.kind == "t, seeds and clips"
    for other in (reporter.conclude([stored(cell)]), reporter.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()


def test_diverged_seeds_are_left_out():
    cell = Planted(between(1.0)).cell(0)
    for name in list(cell["arrays"]):
        if name.startswith("0.numbers."):
            cell["arrays"][name][-1, 2] = np.nan
    cell["arrays"]["0.ends.ensemble"][2] = np.nan
    found = ReporterProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("direct-translator", 7, 1)
    assert found.last("translation index", TARGET).value.n == 7


def test_a_head_that_is_not_on_the_line_is_said_to_be_nearest_to_something():
    sensor = next(plant for plant in plants() if plant.name == "sensor")
    assert sensor.repeat(0).verdict == "neither"
    found = ReporterProbe().conclude([sensor.repeat.args[0].cell(0)])
    assert "nearest to the hidden evidence alone" in str(found.verdict)


def test_questions_that_no_one_could_be_asked_are_refused_before_training():
    with pytest.raises(ProbeError, match="no labeller"):
        ReporterProbe().check(plan_training(load_dataset("cue_parity"), "linear", "question"))


def test_an_honest_world_needs_another_one_to_be_asked_in(vault):
    honest = load_dataset("vault", **{**WORLD, "tamper": 0.0})
    trace = train(honest, "linear", "question", seeds=2, steps=5, checkpoints=[0, 5])
    with pytest.raises(ProbeError, match="one class only"):
        ReporterProbe().measure(trace)
    found = ReporterProbe(sampling=Sampling(evaluation={"tamper": 0.3})).run(trace)
    assert found.named("divergence from posterior of the world it was trained in")
