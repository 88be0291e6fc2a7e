"""Results no one here chose, in reduced form; `benchmarks/known_answers_j.py` has the whole table.

A cue against a parity: an MLP 2×64 by plain SGD .05, batch 128. For as long as the twin, whose cue says
nothing, takes to learn the parity, and longer, the head that has the cue behaves as if the parity were not there.
"""

import numpy as np
import pytest

import probes
from probes.catalogue.crowding import CrowdingProbe, deep_pull, runs_of
from probes.crowding.measured import Puller, Split, about, measure_run, measurement
from probes.crowding.verdict import Settings
from probes.ladder import Sampling, references
from probes.measurement import pack, unpack
from worldnets import load_dataset, train

STEPS = (0, 16, 200, 800, 1067, 1600)
DEEP = 1  # the second rung: the parity's bits


@pytest.fixture(scope="module")
def trace():
    sgd = {"optimizer": "sgd", "learning_rate": 0.05}
    return train(load_dataset("cue_parity"), "mlp", "question", seeds=8, steps=STEPS[-1], checkpoints=STEPS, **sgd)


@pytest.fixture(scope="module")
def cell(trace):
    return CrowdingProbe().measure(trace)


@pytest.fixture(scope="module")
def own_bits(cell):
    """Own bits of the deep rung, mean over seeds, by run and step."""
    (measured,) = unpack(cell, "crowding")
    return {
        name: dict(zip(STEPS, measured.numbers[f"{prefix}own"][..., DEEP].mean(1).tolist(), strict=True))
        for name, prefix in (("base", ""), ("twin", "twin "))
    }


def test_the_pie_and_the_ceilings_of_own_bits_are_the_published_ones(cell):
    (measured,) = unpack(cell, "crowding")
    np.testing.assert_allclose(measured.world["information"], [0.859, 0.097], atol=5e-4)
    assert measured.world["ceiling"][DEEP] == pytest.approx(0.553, abs=5e-4)
    assert measured.world["twin ceiling"][DEEP] == pytest.approx(0.859, abs=5e-4)


def test_the_twin_has_the_parity_long_before_the_base_has_any_of_it(own_bits):
    base, twin = own_bits["base"], own_bits["twin"]
    assert twin[200] < 0.1
    assert 0.65 < twin[800] < 0.85
    assert 0.84 < twin[1600] < 0.859
    assert max(base.values()) < 0.02


def test_after_1600_steps_the_verdict_on_the_base_is_stagnating_and_its_parity_is_crowded_out(trace, cell):
    assert probes.probe("depth").run(trace).verdicts["answer"].name == "stagnating"
    found = CrowdingProbe().conclude([cell])
    assert found.verdict.name == "crowded-out"
    assert found.last("crowding", "answer").value.low > 0.9
    assert found.last("starved", "answer").value.estimate == 1.0
    delay = found.last("delay", "answer").value
    assert delay.low > 2
    assert np.isinf(delay.high)


def test_a_bayes_head_has_all_the_own_bits_there_are_and_is_not_crowded(trace):
    split, numbers, world = Split(trace.task.ladders["answer"], 1), {}, {}
    for prefix, dataset in (("", trace.dataset), ("twin ", trace.dataset.with_redrawn(["cue"]))):
        known = references(dataset, trace.task, Sampling())
        reference = known.get(split.rungs, "answer")
        puller = Puller(reference, known.source, split, "answer")
        exact = np.log(reference.ladder[-1])[None].repeat(2, axis=0)
        curves, _ = measure_run(reference, puller, lambda _, exact=exact: exact, len(STEPS))
        np.testing.assert_allclose(curves["own"] - reference.about.own_ceiling, 0, atol=1e-12)
        np.testing.assert_allclose(curves["pull"], 0, atol=1e-12)
        numbers |= {prefix + name: values for name, values in curves.items()}
        world |= about(reference, prefix) | {f"{prefix}floored": np.array(puller.floored)}
    whole = measurement("answer", range(2), np.array(STEPS), split, numbers, world)
    assert CrowdingProbe().conclude([pack([whole], "crowding", 1)]).verdict.name == "not-crowded"


def test_spectral_decoupling_keeps_the_pull_on_the_parity_up_and_brings_its_own_bits_earlier():
    # The direction of Pezeshki et al. 2021: the same seeds and clips, with the penalty and without.
    bits, pull = [], []
    for penalties in ({}, {"spectral_decoupling": 0.01}):
        dataset = load_dataset("cue_parity")
        run = train(
            dataset,
            "mlp",
            "question",
            learning_rate=1e-3,
            seeds=8,
            steps=400,
            checkpoints=[0, 400],
            penalties=penalties,
        )
        known = references(dataset, run.task, Sampling())
        reference = known.get(run.task.ladders["answer"], "answer")
        puller = Puller(reference, known.source, Split(run.task.ladders["answer"], 1), "answer")
        predict = run.predictor(reference.inputs)
        curves, _ = measure_run(reference, puller, lambda t, predict=predict: predict(t, "answer"), 2)
        bits.append(curves["own"][-1, :, DEEP])
        pull.append(curves["pull"][-1, :, DEEP])
    assert (pull[1] > 1.4 * pull[0]).all()
    assert (bits[1] - bits[0] > 0).mean() >= 7 / 8
    assert bits[1].mean() > 1.5 * bits[0].mean()


def test_the_pull_on_the_parity_falls_in_the_base_while_it_has_no_own_bits_and_not_in_the_twin(cell):
    (measured,) = unpack(cell, "crowding")
    at, share = STEPS.index(200), runs_of(measured, Settings())
    base, twin = deep_pull(measured).mean(1), deep_pull(measured, "twin ").mean(1)
    assert base[at] < 0.15 * base[0]
    assert twin[at] > 0.9 * twin[0]
    assert max(share.base[at].max(), share.twin[at].max()) < 0.1
