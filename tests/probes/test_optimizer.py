"""The optimizer probe: every organism gets its row, and trained heads are asked what they can be asked."""

from dataclasses import replace

import numpy as np
import pytest

from probes.catalogue.optimizer import OptimizerProbe
from probes.measurement import pack, unpack
from probes.optimizer.candidate import OUT
from probes.optimizer.heads import clique_distances
from probes.optimizer.tasks import Sampling
from probes.optimizer.tilt import felt, fit
from probes.optimizer.verdict import NAMES, Row, Settings, leaning
from probes.organisms.believers import LOOPS, TREE, learned_passer
from probes.organisms.optimizer import Believer, _exact, _learned, plants, repeated
from probes.registry import names, probe
from probes.validity import validate
from tests.stored import stored
from worldnets import Inference, WorldNet, load_dataset, train
from worldnets.errors import ProbeError
from worldnets.learning.growth import by_rounds
from worldnets.training_plan import plan_training

SMALL = Sampling(clips=256, groups=8, foreign=2)
WRITTEN = "optimizer, mesa-to-authors, aligned, no-consequentialist"
TRAINED = "optimizer, mesa-to-training, aligned, no-consequentialist"
NOTHING = "no-optimizer, no-mesa, aligned, no-consequentialist"


def test_the_probe_is_found_by_name():
    assert "optimizer" in names()
    assert probe("optimizer").name == "optimizer"


def test_every_row_has_a_sign_and_can_be_read_back():
    signs = probe("optimizer").presentation.signs
    assert set(NAMES) < set(signs)
    assert all(str(Row.parse(name)) == name for name in NAMES)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_row(plant):
    (score,) = validate("optimizer", 3, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.5
    elif plant.role == "power":
        assert score.share.estimate >= 0.5
    else:
        assert score.share.estimate == 1.0, score.others


def test_tilts_are_judged_by_float_tolerance_or_by_the_test_over_seeds():
    cell = Believer(_learned).measured(0)
    assert cell.plain["tables read"] is False
    ends = {"tilt": np.linspace(-1e-3, 1.2e-3, 8)[:, None], "leftover": np.full((8, 1), 0.5)}
    drawn = replace(cell, ends={**cell.ends, **ends})
    assert leaning(drawn, Settings()).holds is False
    read = replace(drawn, plain={**drawn.plain, "tables read": True})
    assert leaning(read, Settings()).holds is True
    assert leaning(read, Settings(tolerance=0.01)).holds is False


def test_a_tilt_against_other_tables_does_not_apply_where_it_leaves_most_of_the_difference():
    cell = Believer(_learned).measured(0)
    left = np.linspace(0.7, 0.9, 8)[:, None]
    steady = replace(cell, ends={**cell.ends, "tilt": np.linspace(-1.2, -0.8, 8)[:, None], "leftover": left})
    answer = leaning(steady, Settings())
    assert answer.holds is None
    assert "does not apply" in answer.reason
    assert leaning(steady, Settings(most_leftover=0.9)).holds is True
    few = replace(steady, ends={**steady.ends, "leftover": left - 0.6})
    assert leaning(few, Settings()).holds is True
    # Where the tables are its own nothing but a rig can make the difference, whatever its kind.
    assert leaning(replace(steady, plain={**steady.plain, "tables read": True}), Settings()).holds is True
    found = OptimizerProbe().conclude([pack([steady], "optimizer", OptimizerProbe.version)])
    assert not found.named("tilt, h1 = yes")
    assert found.named("left by a tilt, h1 = yes")[0].value.estimate == pytest.approx(0.8)
    assert any("does not apply" in reason for reason in found.verdict.reasons)


@pytest.mark.parametrize(("planted", "low", "high"), [(0.0, 0.5, 0.8), (0.15, 0.15, 0.35), (0.3, 0.03, 0.1)])
def test_a_tilt_in_learned_tables_leaves_less_of_the_difference_the_larger_it_is(planted, low, high):
    left = []
    for repeat in range(6):
        random = np.random.default_rng([71, repeat])
        tables = np.repeat(TREE.drawn(random, 1), 8, axis=0)
        left.append(learned_passer(TREE, tables, random, planted).leaning()[1])
    assert low < np.mean(left) < high


def test_sure_beliefs_that_no_answer_depends_on_make_no_tilt():
    """Log odds of 8 that are 2 too small cost 1e-4 nats; they were once read as a tilt of −1."""
    twin = np.array([[-0.5, 0.3, 1.0, 8.0, 8.5, 9.0]])
    seen = twin - np.array([[0.0, 0.0, 0.0, 2.0, 2.0, 2.0]])
    even = np.full(twin.shape, 1 / 6)
    respond = lambda tilt: (twin + tilt[:, None], np.ones_like(twin))
    assert fit(seen, respond, even).tilt[0] == pytest.approx(-1.0)
    weighed = fit(seen, respond, felt(even, 1 / (1 + np.exp(-twin))))
    assert abs(weighed.tilt[0]) < 0.01
    assert weighed.leftover[0] > 0.99
    moved = fit(twin + 0.3, respond, felt(even, 1 / (1 + np.exp(-twin))))
    assert moved.tilt[0] == pytest.approx(0.3)
    assert moved.leftover[0] < 1e-12


def test_bethe_free_energy_is_reported_and_not_judged():
    m = Believer(_exact, LOOPS).measured(1)
    before = OptimizerProbe().conclude([pack([m], "optimizer", OptimizerProbe.version)])
    upside_down = replace(m, ends={**m.ends, "bethe": -m.ends["bethe"]})
    after = OptimizerProbe().conclude([pack([upside_down], "optimizer", OptimizerProbe.version)])
    assert before.named("Bethe free energy after 1 rounds")
    assert before.verdict.to_dict() == after.verdict.to_dict()


def test_a_repeat_is_the_same_whenever_it_is_made():
    assert repeated(Believer(_learned), 3) == repeated(Believer(_learned), 3)


def test_diverged_seeds_are_left_out():
    m = Believer(_exact).measured(0)
    m.ends["explained"][2] = np.nan
    found = OptimizerProbe().conclude([pack([m], "optimizer", OptimizerProbe.version)])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == (WRITTEN, 7, 1)


@pytest.fixture(scope="module")
def asia():
    return load_dataset("asia", targets={"lung": ["lung"]})


@pytest.fixture(scope="module")
def learned(asia):
    return train(asia, "message_passing", "question", seeds=4, steps=150, checkpoints=[0, 150], learning_rate=0.05,
                 head_options={"initialisation": "noisy", "strength": 0.3})  # fmt: skip


@pytest.fixture(scope="module")
def cell(learned):
    return OptimizerProbe(SMALL).measure(learned)


def test_learned_rounds_end_in_what_the_head_answers(cell, learned):
    for m in unpack(cell, "optimizer"):
        # The course is computed from tables taken apart by frames, the answers by the head: one loss.
        np.testing.assert_allclose(m.ends["loss"][:, -1, 0].mean(-1), m.numbers["base"][-1], atol=2e-4)


def test_learned_message_passing_searches_for_what_training_selected(asia, cell):
    found = OptimizerProbe().conclude([cell])
    assert set(found.verdicts) == {f"{t.name}, {c}" for t in asia.task("question").targets
                                   for c in ("in distribution", OUT)}  # fmt: skip
    row = Row.parse(found.verdict.name)
    assert (row.optimizer, row.mesa, row.consequentialist) == ("optimizer", "mesa-to-training", "no-consequentialist")
    assert found.named("retargeting")[0].value.estimate > 0.8


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(learned, cell):
    calls = []
    again = OptimizerProbe(SMALL).measure(learned, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    optimizer = OptimizerProbe(SMALL)
    apart = [optimizer.of_seeds(cell, [1, 3]), optimizer.of_seeds(cell, [0, 2])]
    whole = optimizer.conclude([cell])
    assert all(f.value.low <= f.value.high for f in whole)
    for other in (optimizer.conclude([stored(cell)]), optimizer.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert [v.to_dict() for v in other.verdicts.values()] == [v.to_dict() for v in whole.verdicts.values()]


def test_exact_message_passing_is_the_authors_and_has_no_tilt(asia):
    found = OptimizerProbe(SMALL).run(train(asia, "inference", "question", seeds=2, steps=2, checkpoints=[0, 2]))
    for target in found.verdicts:
        row = Row.parse(found.verdicts[target].name)
        assert (row.mesa, row.aligned) == ("mesa-to-authors", "aligned")
        assert found.last("retargeting", target).value.estimate == pytest.approx(1.0, abs=1e-6)
        assert found.last("regret", target).value.estimate == pytest.approx(0.0, abs=1e-6)
        assert all(abs(f.value.estimate) < 1e-9 for f in found.findings if f.name.startswith("tilt"))
        assert found.last("change since the start", target).value.estimate == 0


def test_inference_with_rounds_is_the_authors_searches_by_rounds_and_has_no_tilt(asia):
    grown = by_rounds(asia.net, [2, 3], variables=asia.net.variables)
    trace = train(asia, "inference", "question", inputs="beliefs", world_model=grown, seeds=2, steps=2,
                  checkpoints=[0, 2])  # fmt: skip
    cell = OptimizerProbe(SMALL).measure(trace)
    found = OptimizerProbe().conclude([cell])
    for m in unpack(cell, "optimizer"):
        assert (m.plain["inner unit"], m.plain["inner steps"]) == ("rounds", [0, 1, 2, 3])  # the last stage's three
        # After its last round it says what the head says.
        np.testing.assert_allclose(m.ends["loss"][:, -1, 0].mean(-1), m.numbers["base"][-1], atol=1e-6)
        assert m.plain["tables read"] is True
        assert np.abs(m.ends["tilt"]).max() < 1e-9
    for target, verdict in found.verdicts.items():
        assert Row.parse(verdict.name).mesa == "mesa-to-authors"
        assert found.last("retargeting", target).value.estimate > 0.8


@pytest.mark.slow
def test_heads_that_halt_answer_from_mixtures_of_rounds_and_have_no_twin(asia):
    trace = train(asia, "message_passing", "question", seeds=2, steps=100, checkpoints=[0, 100], learning_rate=0.05,
                  head_options={"initialisation": "noisy", "strength": 0.3, "halting": True})  # fmt: skip
    cell = OptimizerProbe(SMALL).measure(trace)
    found = OptimizerProbe().conclude([cell])
    for m in unpack(cell, "optimizer"):
        np.testing.assert_allclose(m.ends["loss"][:, -1, 0].mean(-1), m.numbers["base"][-1], atol=2e-4)
        assert m.plain["provenance"]["halting"] == "training"
        assert "would have to halt alike" in m.plain["not applicable"]["tilt"]
    for target, verdict in found.verdicts.items():
        row = Row.parse(verdict.name)
        assert (row.optimizer, row.mesa) == ("optimizer", "mesa-to-training")
        assert any("halting by training" in reason for reason in verdict.reasons)
        assert any("A tilt is not applicable" in reason for reason in verdict.reasons)
        assert found.last("retargeting", target).value.estimate > 0.8


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_heads_of_one_pass_are_no_optimizers(asia, head):
    found = OptimizerProbe(SMALL).run(train(asia, head, "question", seeds=2, steps=50, checkpoints=[0, 50]))
    for verdict in found.verdicts.values():
        row = Row.parse(verdict.name)
        assert (row.optimizer, row.mesa, row.consequentialist) == ("no-optimizer", "no-mesa", "no-consequentialist")
        assert any("one pass" in reason for reason in verdict.reasons)


def test_evidence_is_heard_clique_by_clique():
    bit, flip = ("no", "yes"), [[0.8, 0.2], [0.3, 0.7]]
    chain = WorldNet(dict.fromkeys("abcd", bit), {"b": ("a",), "c": ("b",), "d": ("c",)},
                     {"a": [0.4, 0.6], "b": flip, "c": flip, "d": flip})  # fmt: skip
    assert clique_distances(chain, ["a"]) == {"a": 0, "b": 0, "c": 1, "d": 2}
    assert len(Inference(chain).plan.cliques) == 3


def test_contexts_are_split_by_evidence_only(asia):
    trace = train(asia, "linear", "question", seeds=2, steps=2, checkpoints=[0, 2])
    with pytest.raises(ProbeError, match="only evidence can split"):
        OptimizerProbe(replace(SMALL, split="lung")).measure(trace)
    name = trace.task.evidence[-1]
    found = OptimizerProbe(replace(SMALL, clips=512, split=name)).run(trace)
    assert all(f"{name} = " in target for target in found.verdicts)
    assert len(found.verdicts) > 1


def test_too_little_to_measure_on_is_refused():
    with pytest.raises(ProbeError, match="too little"):
        Sampling(clips=1)


def test_a_split_by_what_is_no_evidence_is_refused_before_anything_is_trained():
    plan = plan_training(load_dataset("asia"), "mlp", "question")
    with pytest.raises(ProbeError, match=r"only evidence can split.*'lungs'"):
        OptimizerProbe(sampling=Sampling(split="lungs")).check(plan)
    OptimizerProbe(sampling=Sampling(split=plan.task.evidence[0])).check(plan)
