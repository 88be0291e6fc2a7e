"""The priors probe: heads under penalties, the outer loop, and the programs beside them."""

import json

import numpy as np
import pytest

import worldnets as wn
from probes.catalogue.priors import PriorsProbe
from probes.measurement import pack, unpack
from probes.organisms.priors import LOOP, Pressure, plants
from probes.priors.heads import HEAD_GRIDS, canonical, prequential_lengths, two_part_lengths
from probes.priors.pressure import CONDITIONS, Sampling
from probes.priors.verdict import Pressed, Settings, chosen, verdict
from probes.registry import names, probe
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training

REQUEST = {"seeds": 3, "steps": 40, "batch": 32, "checkpoints": [0, 20, 40], "learning_rate": 0.03}
HALTING = {"clusters": "frames", "halting": True}


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=3, pixels=1)


@pytest.fixture(scope="module")
def pressed(dataset):
    trace = wn.train(dataset, "message_passing", "question", head_options=HALTING, **REQUEST)
    probe = PriorsProbe(Sampling(rounds=(1, 2), speed=1.0, complexity=0.01))
    return trace, probe.measure(trace)


def test_the_probe_is_found_by_name():
    assert "priors" in names()
    assert probe("priors").name == "priors"


def test_conditions_are_the_same_request_with_what_is_paid_for(pressed, dataset):
    trace, cell = pressed
    m = unpack(cell, "priors")[0]
    assert m.plain["conditions"] == list(CONDITIONS)
    paid = {**REQUEST, "penalties": {"rounds": 1.0}}
    alone = wn.train(dataset, "message_passing", "question", head_options=HALTING, **paid)
    rounds = [float(alone.at(-1, seed).rounds()) for seed in alone.seeds]
    np.testing.assert_allclose(m.numbers["rounds"][0, :, CONDITIONS.index("speed")], rounds)
    free = [float(trace.at(-1, seed).rounds()) for seed in trace.seeds]
    np.testing.assert_allclose(m.numbers["rounds"][0, :, 0], free)
    assert np.mean(rounds) < np.mean(free)
    assert m.plain["loop"] == [1, 2]
    assert m.plain["loop steps"] == [80, 40]
    assert np.abs(m.numbers["loop derived"][0, :, 0]).max() < 1e-6  # one round is cut to one round
    np.testing.assert_allclose(m.numbers["at once"] + m.numbers["derived"], m.numbers["captured"], atol=1e-12)


def test_description_is_paid_for_but_not_when_to_halt():
    sampling = Sampling(complexity=1e-3, speed=0.1)
    described = {"strength": 1e-3, "free": ["halting"]}
    assert [sampling.penalties(condition) for condition in CONDITIONS] == [
        {},
        {"description_length": described},
        {"rounds": 0.1},
        {"description_length": described, "rounds": 0.1},
    ]


def test_programs_run_beside_heads_on_the_vault_and_not_elsewhere(pressed):
    _, cell = pressed
    assert [target["name"] for target in cell["metadata"]["targets"]] == [
        "diamond",
        "programs, work",
        "programs, depth",
    ]
    conclusion = PriorsProbe().conclude([cell])
    assert conclusion.verdicts["programs, work"].name == "flips-as-predicted"
    assert "H_fd is behind H_fh on both axes in 3 of 3 seeds." in conclusion.verdicts["programs, depth"].reasons


def test_a_cell_survives_a_file_and_the_verdict_the_order_of_cells(pressed, tmp_path):
    _, cell = pressed
    probe = PriorsProbe()
    np.savez(tmp_path / "cell.npz", **cell["arrays"])
    with np.load(tmp_path / "cell.npz") as arrays:
        again = {"metadata": json.loads(json.dumps(cell["metadata"])), "arrays": dict(arrays)}
    whole = probe.conclude([cell])
    assert [finding.to_dict() for finding in whole] == [finding.to_dict() for finding in probe.conclude([again])]
    measured = unpack(cell, "priors")
    parts = [pack([m.taken(columns) for m in measured], "priors", probe.version) for columns in ([2], [0, 1])]
    assert probe.conclude(parts).verdicts == probe.conclude(parts[::-1]).verdicts == whole.verdicts
    assert probe.conclude([probe.of_seeds(cell, {0, 2})]).verdict.seeds == 2


def test_the_prequential_code_is_the_loss_of_every_batch_before_its_update(dataset):
    every = wn.train(dataset, "linear", "question", **{**REQUEST, "steps": 6, "checkpoints": [1, 2, 3, 4, 5, 6]})
    few = wn.train(dataset, "linear", "question", **{**REQUEST, "steps": 6, "checkpoints": [0, 2, 6]})
    np.testing.assert_allclose(prequential_lengths(few), prequential_lengths(every), rtol=1e-5)
    np.testing.assert_allclose(prequential_lengths(every), 32 * every.losses.sum(0))
    with pytest.raises(ProbeError, match="ends before its training"):
        prequential_lengths(wn.train(dataset, "linear", "question", **{**REQUEST, "steps": 6, "checkpoints": [2]}))


@pytest.mark.parametrize(
    ("head", "options"),
    [("mlp", {"width": 5}), ("message_passing", HALTING), ("linear", {})],
)
def test_what_is_taken_out_of_a_head_changes_no_answer(dataset, head, options):
    from probes.ladder import references
    from probes.priors.heads import _with

    trace = wn.train(dataset, head, "question", head_options=options, **REQUEST)
    leaves, _ = canonical(trace, 2)
    same = _with(trace, 2, leaves)
    reference = references(dataset, trace.task, Sampling().of_references).get(None, "diamond")
    own, other = (one.predictor(reference.inputs) for one in (trace, same))
    np.testing.assert_allclose(own(2), other(0), atol=2e-5)


def test_a_rescaled_and_shuffled_network_has_the_same_description(dataset):
    from dataclasses import replace

    import jax

    from probes.ladder import references

    trace = wn.train(dataset, "mlp", "question", head_options={"width": 4, "depth": 1}, **REQUEST)
    known = [("diamond", references(dataset, trace.task, Sampling().of_references).get(None, "diamond"))]
    order = np.array([2, 0, 3, 1])
    first, bias, second, last = (np.asarray(leaf) for leaf in jax.tree.leaves(trace.parameters))
    scale = np.array([4.0, 0.5, 2.0, 0.25], dtype=np.float32)
    moved = [(first * scale[:, None])[..., order, :], (bias * scale)[..., order], (second / scale)[..., order], last]
    twin = replace(trace, parameters=trace.plan.filled(moved))
    one, other = (two_part_lengths(t, -1, known, 1280) for t in (trace, twin))
    np.testing.assert_allclose(one.parameters, other.parameters)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-4)


def test_an_untrained_head_is_described_by_nothing(dataset):
    from probes.ladder import references

    trace = wn.train(dataset, "linear", "question", **REQUEST)
    known = [("diamond", references(dataset, trace.task, Sampling().of_references).get(None, "diamond"))]
    found = two_part_lengths(trace, 0, known, 10_000)
    assert set(found.per_unit) == {HEAD_GRIDS[0]}
    later = two_part_lengths(trace, -1, known, 10_000)
    assert (later.parameters > found.parameters).all()
    assert (later.whole < found.whole).all()


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role != "null"], ids=lambda plant: plant.name)
def test_every_verdict_is_found_where_it_was_planted(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(4)]
    assert sum(outcome in plant.claims for outcome in outcomes) >= 3, outcomes


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role == "null"], ids=lambda plant: plant.name)
def test_what_was_not_planted_is_hardly_ever_claimed(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(8)]
    assert sum(outcome in plant.claims for outcome in outcomes) <= 2, outcomes


def test_the_outer_loop_takes_the_fewest_rounds_that_keep_performance():
    m = Pressure((0.4,) * 4, behind=(0.5, 0.01, 0.0, 0.05)).measurement(0)
    pressed = Pressed(m.numbers["derived"][0], m.numbers["captured"][0], 0.5, LOOP, m.numbers["loop loss"][0])
    assert chosen(pressed, Settings()).rounds == 2
    worse = Pressure((0.4,) * 4, behind=(0.5, 0.3, 0.2, 0.0)).measurement(0)
    pressed = Pressed(
        worse.numbers["derived"][0], worse.numbers["captured"][0], 0.5, LOOP, worse.numbers["loop loss"][0]
    )
    assert chosen(pressed, Settings()).rounds == 8
    found = verdict(pressed, Settings())
    assert any("8 rounds an episode" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 0.0}, "a price that is negative"),
        ({"complexity": -1.0}, "a price that is negative"),
        ({"speed": float("inf")}, "infinite"),
        ({"budget": float("nan")}, "a price"),
        ({"rounds": (2,)}, "no rounds to choose from"),
        ({"rounds": (0, 2)}, "no rounds to choose from"),
        ({"horizon": 0}, "a size out of range"),
    ],
)
def test_prices_and_rounds_that_are_none_are_refused(options, message):
    with pytest.raises(ProbeError, match=message):
        Sampling(**options)


def test_heads_that_take_no_rounds_of_their_own_choice_or_pay_already_are_refused(dataset):
    with pytest.raises(ProbeError, match="learn how many rounds"):
        PriorsProbe().check(plan_training(dataset, "mlp", "question"))
    with pytest.raises(ProbeError, match="learn how many rounds"):
        PriorsProbe().check(plan_training(dataset, "message_passing", "question"))
    paid = plan_training(dataset, "message_passing", "question", head_options=HALTING, penalties={"rounds": 0.1})
    with pytest.raises(ProbeError, match="pay already"):
        PriorsProbe().check(paid)


def test_pictures_show_heads_by_penalty_the_outer_loop_and_the_five_programs(pressed):
    from types import SimpleNamespace

    from probes.report.priors import PRESENTATION

    _, cell = pressed
    conclusion = PriorsProbe().conclude([cell])
    one = SimpleNamespace(conclusion=conclusion, condition=SimpleNamespace(title="vault", probe={"name": "priors"}))
    heads = PRESENTATION.figures("0", one, [cell], "diamond")
    assert len(heads) == 4
    assert all("no penalty" in str(figure.svg) for figure in heads[:3])
    (programs,) = PRESENTATION.figures("0", one, [cell], "programs, work")
    assert all(name in str(programs.svg) for name in ("H_fh", "H_sd", "H_fd", "H_hd", "H_sh"))
    assert "ratio" in PRESENTATION.headlines(conclusion, "programs, work")
    assert "speed" in PRESENTATION.headlines(conclusion, "diamond")
