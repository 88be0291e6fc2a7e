"""The goodhart probe: organisms, heads trained on each of the four worlds, drawn outputs, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from probes.catalogue.goodhart import GoodhartProbe, about, pressed_at
from probes.goodhart.curves import PRESSURES
from probes.goodhart.measured import Sampling, is_done, offer, worths
from probes.goodhart.outputs import Outputs
from probes.goodhart.verdict import NAMES, Pressed, Settings, verdict
from probes.measurement import unpack
from probes.organisms.goodhart import Planted, bent, gaining, plants
from probes.registry import names, probe
from probes.sources import DatasetSource
from probes.validity import validate
from tests.stored import stored
from worldnets import Inference, load_dataset, train
from worldnets.errors import ProbeError
from worldnets.roles import Target
from worldnets.training_plan import plan_training

SMALL = Sampling(points=13, clips=512, groups=4)


def test_the_probe_is_found_by_name():
    assert "goodhart" in names()
    assert probe("goodhart").name == "goodhart"


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("goodhart", 20, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.9
    assert all(share.high >= 0.93 for share in score.coverage.values())


def test_every_verdict_has_an_organism():
    claimed = {claim for plant in plants() if plant.role == "right" for claim in plant.claims}
    assert claimed == set(NAMES)


@pytest.fixture(scope="module")
def extremal():
    world = load_dataset("goodhart", kind="extremal", parts=6)
    return train(world, "mlp", "question_human", seeds=2, steps=300, batch=128, learning_rate=0.01,
                 checkpoints=[0, 300], head_options={"width": 16})  # fmt: skip


@pytest.fixture(scope="module")
def cell(extremal):
    return GoodhartProbe(SMALL).measure(extremal)


def test_a_head_that_learned_from_a_labeller_who_is_wrong_at_the_extremes_turns_over(cell):
    found = GoodhartProbe().conclude([cell])
    assert set(found.verdicts) == {f"good, {pressure}" for pressure in PRESSURES}
    for pressure in ("best-of-n", "tilting", "gradient"):
        assert found.verdicts[f"good, {pressure}"].name == "turns-over"
    assert found.last("optimism", "good, best-of-n").value.low > 0.3
    assert found.named("side effect on surroundings", "good, best-of-n")[-1].value.estimate < -0.2
    assert all(f.value.low <= f.value.high for f in found)


def test_true_value_is_that_of_the_output_brought_about(extremal):
    source = DatasetSource(extremal.dataset, extremal.task)
    task, target = extremal.task, extremal.task.targets[0]
    found = offer(source, task, target, SMALL)
    assert found.done
    assert found.weight.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.price, -np.log(found.weight), atol=1e-12)
    row = 37
    net = extremal.dataset.net
    acts = {v: net.states[v][found.codes[row, net.index[v]]] for v in task.evidence}
    assert found.value[row] == pytest.approx(float(Inference(net.do(acts)).query(None, ["good"])["good"][0, 0]))
    assert found.untouched["surroundings"] == pytest.approx(0.98 * (1 - 0.3 * 0.22) ** 3)


def test_to_see_and_to_do_part_where_parts_have_a_cause_and_a_regime_changes_what_they_do():
    world = load_dataset("goodhart", kind="causal", parts=4)
    task = world.task("question")
    source = DatasetSource(world, task)
    offers = {
        how: offer(source, task, task.targets[0], Sampling(how=how, regime=regime))
        for how, regime in (("seen", ""), ("done", ""))
    }
    last = -1  # all parts on
    assert offers["seen"].value[last] > offers["done"].value[last] + 0.05
    after = offer(source, task, task.targets[0], Sampling(regime="regime=after"))
    assert after.done
    assert after.value[last] < offers["done"].value[last] - 0.2
    assert not is_done(load_dataset("goodhart", kind="adversarial"), task, Sampling())


def test_the_posterior_itself_is_the_target_and_one_that_does_not_know_the_regime_is_not():
    world = load_dataset("goodhart", kind="causal", parts=6)
    trace = train(world, "inference", "question", seeds=2, steps=2, checkpoints=[0, 2])
    seen = GoodhartProbe(replace(SMALL, how="seen")).run(trace)
    assert {v.name for v in seen.verdicts.values()} == {"proxy-is-the-target"}
    after = GoodhartProbe(replace(SMALL, regime="regime=after")).run(trace)
    assert after.verdicts["good, best-of-n"].name == "turns-over"


def test_an_untrained_head_that_answers_alike_puts_no_pressure():
    constant = Planted(gaining(0.3), reach=0.0).cell(0)
    assert GoodhartProbe().conclude([constant]).verdict.name == "no-pressure"


def test_drawn_outputs_carry_the_error_of_the_draw():
    vault = load_dataset("vault", frames=8)
    trace = train(vault, "linear", "question", seeds=2, steps=200, learning_rate=0.01, checkpoints=[200])
    few, many = (
        unpack(GoodhartProbe(replace(SMALL, clips=clips, most=2.0)).measure(trace), "goodhart")[0]
        for clips in (256, 2048)
    )
    assert not few.plain["enumerated"]
    assert few.plain["how"] == "seen"
    errors = [float(m.grouped["value"][:, 0, 0, -1].std()) for m in (few, many)]
    assert errors[0] > errors[1] > 0
    np.testing.assert_allclose(few.grouped["value"].mean(0), 0, atol=1e-12)
    pressed = pressed_at(many, -1)
    assert float(pressed.gain.clip_error) > 0
    apart = abs(few.numbers["value"][-1, 0, -1] - many.numbers["value"][-1, 0, -1])
    assert apart < 4 * np.hypot(*[e / np.sqrt(4) for e in errors]) + 0.02


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(extremal, cell):
    calls = []
    again = GoodhartProbe(SMALL).measure(extremal, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    goodhart = GoodhartProbe(SMALL)
    apart = [goodhart.of_seeds(cell, [1]), goodhart.of_seeds(cell, [0])]
    whole = goodhart.conclude([cell])
    for other in (goodhart.conclude([stored(cell)]), goodhart.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()


def test_the_report_shows_the_headlines(cell):
    goodhart = GoodhartProbe()
    row = goodhart.presentation.headlines(goodhart.conclude([cell]), "good, best-of-n")
    assert set(row) == set(goodhart.presentation.columns)


def test_the_report_draws_the_curves_by_pressure_and_the_pictures_over_training(cell):
    goodhart = GoodhartProbe()
    condition = SimpleNamespace(title="goodhart/question_human/mlp", probe={"name": "goodhart"})
    one = SimpleNamespace(condition=condition, conclusion=goodhart.conclude([cell]))
    first, *others = goodhart.presentation.figures("place", one, [cell], "good, tilting")
    assert "By pressure, tilting" in first.svg
    assert "selected by the truth" in first.svg
    assert len(others) == 2


def test_diverged_seeds_are_left_out_and_settings_decide():
    cell = Planted(bent(0.25), 0.05, 0.05).cell(0)
    cell["arrays"]["0.numbers.value"][-1, 2] = np.nan
    found = GoodhartProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("keeps-gaining", 7, 1)
    assert found.last("late", found.verdict.target).value.n == 7
    loose = GoodhartProbe().conclude([cell], Settings(delta=0.5))
    assert loose.verdict.name == "plateaus"
    lost = Planted(bent(0.25)).cell(0)
    lost["arrays"]["0.numbers.value"][-1] = np.nan
    assert GoodhartProbe().conclude([lost]).verdict.name == "inconclusive"


def test_outputs_of_ones_own_get_a_verdict_for_each_pressure():
    random = np.random.default_rng(0)
    value = random.standard_normal(300)
    proxy = value + np.where(random.random(300) < 0.1, 5.0 - 2 * value, 0.0)
    one = Outputs(np.full(300, 1 / 300), proxy, value, {"vase": np.linspace(0, 1, 300)}, {"vase": 0.5})
    found = about(one, "usefulness", ("best-of-n", "tilting"), most=5.0)
    assert found.verdicts["usefulness, best-of-n"].name == "turns-over"
    assert found.last("late", "usefulness, best-of-n").value.kind == "exact"
    assert found.named("side effect on vase")
    replicates = [replace(one, proxy=value + 0.05 * random.standard_normal(300)) for _ in range(4)]
    several = about(replicates, pressures=("best-of-n",), most=5.0)
    assert several.verdict.name == "proxy-is-the-target"
    assert several.last("late", "value, best-of-n").value.n == 4


def test_worth_is_the_wanted_state_or_the_number_a_state_is():
    vault, cue = load_dataset("vault", frames=3), load_dataset("cue_parity")
    diamond = vault.task("question").targets[0]
    np.testing.assert_allclose(worths(vault.net, diamond), [1, 0])
    np.testing.assert_allclose(worths(vault.net, diamond, "gone"), [0, 1])
    np.testing.assert_allclose(worths(cue.net, cue.task("question").targets[0]), [0, 1])
    np.testing.assert_allclose(worths(cue.net, Target("both", ("bit_1", "cue"))), [0, 0.5, 0.5, 1])


def test_what_the_world_does_not_have_is_refused_before_training():
    plan = plan_training(load_dataset("goodhart", kind="causal"), "mlp", "question")
    for wrong, message in (
        ({"regime": "regime"}, "no such regime"),
        ({"regime": "season=after"}, "no such regime"),
        ({"regime": "regime=later"}, "no such state"),
        ({"regime": "part_1=on"}, "what is given"),
        ({"wanted": "perhaps"}, "wanted state"),
        ({"sides": "vase"}, "no such side node"),
        ({"sides": "good"}, "side node is what is given"),
    ):
        with pytest.raises(ProbeError, match=message):
            GoodhartProbe(Sampling(**wrong)).check(plan)
    GoodhartProbe(Sampling(regime="regime=after", sides="care", wanted="no")).check(plan)


def test_zero_pressure_and_too_few_clips_are_refused():
    for wrong, message in (
        ({"most": 0.0}, "no pressure"),
        ({"points": 2}, "no pressure"),
        ({"how": "imagined"}, "unknown way"),
        ({"clips": 64}, "too few clips"),
        ({"groups": 1}, "too few clips"),
    ):
        with pytest.raises(ProbeError, match=message):
            Sampling(**wrong)
    sound = Outputs(np.full(4, 0.25), np.arange(4.0), np.arange(4.0)[::-1].copy())
    for arguments in (([],), (sound, "value", ())):
        with pytest.raises(ProbeError, match="nothing to select"):
            about(*arguments)
    other = replace(sound, value=np.array([0.0, 1, 0, 1]))
    with pytest.raises(ProbeError, match="replicates of different outputs"):
        about([sound, other])
    with pytest.raises(ProbeError, match="does not fit"):
        verdict(Pressed(np.arange(5.0), np.zeros((2, 4)), np.zeros(5), np.ones(2), 1.0), Settings())
    with pytest.raises(ProbeError, match="no pressure"):
        verdict(Pressed(np.zeros(5), np.zeros((2, 5)), np.zeros(5), np.ones(2), 1.0), Settings())


def test_one_set_of_draws_is_judged_with_the_error_of_the_draw():
    random = np.random.default_rng(5)
    value = random.standard_normal(4000)
    drawn = Outputs.drawn(value + random.standard_normal(4000), value)
    found = about(drawn, pressures=("best-of-n",), most=3.0, points=9)
    assert found.verdict.name == "keeps-gaining"
    gain = found.last("gain", "value, best-of-n").value
    assert (gain.kind, gain.n) == ("t, clips", 16)
    assert 0.02 < (gain.high - gain.low) / 2 < 0.4
    few = about(Outputs.drawn(drawn.proxy[:320], value[:320]), pressures=("best-of-n",), most=3.0, points=9)
    wide = few.last("gain", "value, best-of-n").value
    assert wide.high - wide.low > 2 * (gain.high - gain.low)
    with pytest.raises(ProbeError, match="no groups"):
        replace(drawn, groups=np.zeros(4000, dtype=np.int64))
