"""The early probe: what the first tenth may look at, what it says, and what may be claimed of it."""

import io
import json

import numpy as np
import pytest

import probes
from probes.catalogue.early import EarlyProbe, Settings, conclude_target
from probes.early import features
from probes.early.forecaster import HEDGE, Library, fitted, read_library
from probes.early.study import as_run, concluded, held_out, library
from probes.organisms.early import ENDS, FIRST, STEPS, a_run, plants
from worldnets import load_dataset, train
from worldnets.errors import ProbeError


@pytest.fixture(scope="module")
def runs():
    random = np.random.default_rng(0)
    return [as_run(a_run(random, f"world {i % 7}", ENDS[i % 4]), FIRST) for i in range(28)]


@pytest.fixture(scope="module")
def cell():
    trace = train(load_dataset("cue_parity", noise=1), "mlp", "question", steps=300, batch=32, seeds=2, checkpoints=12)
    return EarlyProbe().measure(trace)


def test_features_look_at_the_first_tenth_only():
    m = a_run(np.random.default_rng(1), "w", 300.0)
    before = features.of_seeds(m, FIRST), features.of_run(m, FIRST)
    for values in m.numbers.values():
        values[FIRST * STEPS[-1] < STEPS] = 77.0
    assert np.array_equal(features.of_seeds(m, FIRST), before[0])
    assert np.array_equal(features.of_run(m, FIRST), before[1])


def test_depth_arrives_where_half_of_it_is_reached_between_checkpoints():
    m = a_run(np.random.default_rng(1), "w", 300.0)
    m.numbers["deep"][:] = np.array([0, 0, 0, 0, 0, 0, 0, 0.25, 0.75, 1, 1, 1, 1])[:, None]
    found = features.arrival_steps(m)
    assert np.allclose(np.log1p(found), (np.log1p(300) + np.log1p(400)) / 2)
    m.numbers["deep"][:, 0] = 0.4
    m.numbers["deep"][:, 1] = 1.0
    assert features.arrival_steps(m)[0] == np.inf
    assert features.arrivals(m, FIRST)[:3] == [features.NEVER, features.BEFORE, "20–50 %"]


def test_a_forecaster_finds_what_is_there_and_hedges_what_was_never_seen():
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 3))
    names = ["a" if row[0] > 0 else "b" for row in x]
    forecaster = fitted(x, names, ("a", "b", "c"))
    p = forecaster.probabilities(np.array([[2.0, 0, 0], [-2.0, 0, 0]]))
    assert np.allclose(p.sum(-1), 1)
    assert p[0, 0] > 0.9
    assert p[1, 1] > 0.9
    assert np.allclose(p[:, 2], HEDGE / 3)
    assert forecaster.base[2] == pytest.approx(HEDGE / 3)
    own, base = forecaster.score(x, names)
    assert own.mean() > base.mean() + 0.5


def test_a_world_is_scored_by_what_was_fitted_without_it(runs):
    scores = held_out(runs, "arrivals")
    one = [run for run in runs if run.world == "world 3"]
    others = [run for run in runs if run.world != "world 3"]
    forecaster = library(others, {}, without=()).arrivals[""]
    rows = np.concatenate([run.seeds for run in one])
    own, base = forecaster.score(rows, [name for run in one for name in run.arrivals])
    place = scores.worlds.index("world 3")
    assert scores.own[place] == pytest.approx(own.mean())
    assert scores.base[place] == pytest.approx(base.mean())
    assert concluded(scores).name == "foreseen"


def test_too_few_worlds_have_no_interval(runs):
    few = [run for run in runs if run.world in ("world 0", "world 1")]
    assert concluded(held_out(few, "arrivals")).name == "too-few-worlds"


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_what_was_planted(plant):
    given = [plant.repeat(seed).verdict in plant.claims for seed in range(12)]
    if plant.role == "null":
        assert sum(given) <= 3  # 4 of 12 would happen in 2 of 1,000 cases at α = .05
    else:
        assert sum(given) >= 9


def test_a_file_of_forecasters_comes_back_as_it_was(runs, tmp_path):
    known = library(runs, {"suite": "planted"})
    known.save(tmp_path / "f.json")
    again = read_library(tmp_path / "f.json")
    assert again == known
    m = a_run(np.random.default_rng(9), "world 2", 300.0)
    assert conclude_target(m, Settings(), again)[1] == conclude_target(m, Settings(), known)[1]


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"format": 9}', b'{"format": 1, "verdicts": {"": {}}}'])
def test_what_is_no_file_of_forecasters_is_refused(tmp_path, content, cell):
    path = tmp_path / "f.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProbeError, match=r"f\.json.*forecasters"):
        EarlyProbe().conclude([cell], Settings(forecaster=str(path)))


def test_too_few_runs_are_refused():
    with pytest.raises(ProbeError, match="too little to fit"):
        fitted(np.zeros((3, 2)), ["a", "a", "b"], ("a", "b"))
    with pytest.raises(ProbeError, match=r"not on the list; found 'z'|not on the list; found z"):
        fitted(np.zeros((5, 2)), ["z"] * 5, ("a", "b"))


def test_a_measured_cell_agrees_with_the_depth_probe_and_survives_a_store(cell, runs, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, **cell["arrays"])
    buffer.seek(0)
    stored = {"metadata": json.loads(json.dumps(cell["metadata"])), "arrays": dict(np.load(buffer))}
    library(runs, {}).save(tmp_path / "f.json")
    settings = Settings(forecaster=str(tmp_path / "f.json"))
    one, other = EarlyProbe().conclude([cell], settings), EarlyProbe().conclude([stored], settings)
    assert one == other
    assert one.verdict.name in ("called", "miscalled", "no-call")
    total = sum(f.value.estimate for f in one if f.name.startswith("forecast: "))
    assert total == pytest.approx(1.0)


def test_deep_efficiency_is_that_of_the_depth_probe():
    trace = train(load_dataset("cue_parity", noise=1), "mlp", "question", steps=100, batch=32, seeds=2, checkpoints=6)
    early = EarlyProbe().run(trace).named("deep efficiency")
    depth = probes.probe("depth").run(trace).named("efficiency, deep")
    assert [f.value.estimate for f in early] == pytest.approx([f.value.estimate for f in depth])


def test_without_a_forecaster_nothing_is_forecast(cell):
    assert conclude_target_of(cell, None).name == "no-forecast"
    assert conclude_target_of(cell, Library({}, {}, {})).name == "no-forecast"


def conclude_target_of(cell, known):
    from probes.measurement import by_target

    (m,) = by_target([cell], "early")
    return conclude_target(m, Settings(), known)[1]
