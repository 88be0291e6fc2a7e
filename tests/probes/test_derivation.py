"""The derivation probe: its predictors are Bayes, its organisms are found, and where nothing can be told it says so."""

import math

import numpy as np
import pytest

from probes.catalogue.derivation import DerivationProbe, course_of
from probes.derivation.costs import costs, prequential
from probes.derivation.meta_worlds import Chains, HiddenChains, MetaWorld, meta_world
from probes.derivation.predictors import counted, retrieved, said, true_predictions
from probes.derivation.references import Sampling, known
from probes.derivation.verdict import Settings, verdict
from probes.measurement import unpack
from probes.organisms.derivation import DERIVER, HALF, MEMORIZER, WORLDS, Planted, meta_world_of, plants, steady
from probes.registry import names, probe
from tests.stored import stored
from worldnets import Inference, load_dataset, train
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training
from worldnets.worlds.chains import drawn_chains

SMALL = Sampling(clips=64, groups=8, positions=4, draws=256)
EACH = "continuation_each_step"
KINDS = {
    "chains": {"chains": 5, "tokens": 3, "alpha": 0.7, "frames": 7},
    "hidden_chains": {"chains": 5, "states": 3, "tokens": 3, "frames": 7},
}


def numbered(count, tokens, length, seed=0):
    """A meta-world without a dataset."""
    moves = drawn_chains(count, tokens, 1.0, seed)
    parameters = {"chains": count, "tokens": tokens, "alpha": 1.0, "start": "uniform", "seed": seed}
    worlds = Chains(moves, np.full((count, tokens), 1 / tokens))
    return MetaWorld("chains", worlds, parameters, length, np.zeros(0, np.intp), 0)


@pytest.fixture(scope="module")
def trained():
    dataset = load_dataset("chains", chains=2, tokens=3, alpha=1.0, frames=12, start="uniform", seed=1)
    return train(dataset, "gru", EACH, seeds=2, steps=150, batch=16, checkpoints=[0, 150], threads=1,
                 head_options={"width": 8})  # fmt: skip


@pytest.fixture(scope="module")
def cell(trained):
    return DerivationProbe(sampling=SMALL).measure(trained)


def test_the_probe_is_found_by_name():
    assert "derivation" in names()
    assert probe("derivation").name == "derivation"


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_memorizer_is_message_passing_in_the_net_at_every_prefix(kind):
    dataset = load_dataset(kind, **KINDS[kind])
    world, engine = meta_world(dataset), Inference(dataset.net)
    clips = dataset.simulate(9, seed=4)
    tokens = np.ascontiguousarray(clips[:, world.columns])
    memory = retrieved(world.trained, tokens, range(1, 7)).exact
    for t in range(1, 7):
        codes = world.codes(tokens, clips.shape[1])
        codes[:, world.columns[t:]] = -1
        exact = engine.query(codes, [f"token_{t + 1}"])[f"token_{t + 1}"]
        np.testing.assert_allclose(memory[:, t - 1], exact, atol=1e-10)


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_a_world_says_of_its_own_clips_is_message_passing_with_the_world_known(kind):
    dataset = load_dataset(kind, **KINDS[kind])
    world, engine = meta_world(dataset), Inference(dataset.net)
    clips = dataset.simulate(9, seed=4)
    tokens = np.ascontiguousarray(clips[:, world.columns])
    own = true_predictions(world.trained, clips[:, world.world].astype(np.int64), tokens, [3, 6])
    codes = world.codes(tokens, clips.shape[1])
    codes[:, world.world], codes[:, world.columns[6]] = clips[:, world.world], -1
    np.testing.assert_allclose(own[:, 1], engine.query(codes, ["token_7"])["token_7"], atol=1e-10)


def test_counting_is_bayes_under_the_dirichlet_distribution():
    # The mixture over very many chains of the prior is the integral, to Monte-Carlo error.
    world = numbered(2, 2, 7)
    clips = world.from_prior(6).drawn(np.arange(6), 7, seed=3)
    counts = counted(clips, 2, 1.0, [2, 6])[1]
    found = retrieved(world.from_prior(20_000, 1 << 30), clips, [2, 6])
    error = 4 * np.sqrt(counts * (1 - counts) / found.effective[..., None])
    assert (np.abs(found.exact - counts) < np.maximum(error, 1e-3)).all()
    assert np.abs(found.exact - counts).max() < 0.02


def test_the_search_for_a_hidden_chain_comes_nearer_with_more_draws():
    world = meta_world(load_dataset("hidden_chains", frames=17, seed=3))
    clips = world.from_prior(32).drawn(np.arange(32), 17, seed=1)
    few, many = (said(world, clips, np.array([4, 16]), draws, 0) for draws in (64, 1024))
    assert many.halves < 0.3 * few.halves
    assert many.searched > 3 * few.searched


def test_held_out_worlds_are_none_that_were_trained_on():
    world = meta_world(load_dataset("chains", chains=50, start="uniform"))
    trained, strange = world.trained.moves, world.from_prior(50).moves
    assert np.abs(trained[:, None] - strange[None]).max((2, 3)).min() > 1e-3
    np.testing.assert_array_equal(strange[:20], world.from_prior(20).moves)


def test_drawn_clips_go_as_their_world_says():
    for kind in KINDS:
        world = meta_world(load_dataset(kind, **KINDS[kind]))
        which = np.zeros(40_000, dtype=np.int64)
        clips = world.trained.drawn(which, 3, seed=8)
        said_by_world = true_predictions(world.trained, which, clips, [2])[:, 0]
        # What came on average is what was expected on average, prefix by prefix.
        for prefix in range(9):
            rows = (clips[:, 0] * 3 + clips[:, 1]) == prefix
            if rows.sum() > 500:
                share = np.bincount(clips[rows, 2], minlength=3) / rows.sum()
                np.testing.assert_allclose(share, said_by_world[rows].mean(0), atol=5 / math.sqrt(rows.sum()))


def test_the_least_plausible_clip_still_has_a_posterior():
    moves = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    worlds = Chains(moves, np.full((2, 2), 0.5))
    clips = np.array([[0, 1, 0, 1]], dtype=np.int16)  # no world allows it
    found = retrieved(worlds, clips, [4]).exact
    np.testing.assert_allclose(found.sum(-1), 1.0)
    hidden = HiddenChains(np.full((1, 2, 2), 0.5), np.array([[[1.0, 0.0], [1.0, 0.0]]]))
    np.testing.assert_allclose(retrieved(hidden, clips, [4]).exact.sum(-1), 1.0)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_every_verdict_is_that_of_an_organism(plant):
    if plant.role != "null":
        found = plant.repeat(0)
        assert found.verdict in plant.claims


def test_every_verdict_name_has_an_organism():
    claimed = {name for plant in plants() for name in plant.claims}
    shown = set(DerivationProbe().presentation.signs)
    assert claimed == shown


def test_pure_predictors_planted_mixtures_and_silly_ones_are_weighed_right():
    for world in ("few", "hidden"):
        about, _ = meta_world_of(world)
        pure = np.eye(len(about.names))
        for weights in (*pure, *np.random.default_rng(2).dirichlet(np.ones(len(about.names)), size=3)):
            cell = Planted(steady(tuple(weights)), spread=0.0, field=0.0, seeds=2, world=world).cell(0)
            (m,) = unpack(cell, "derivation")
            found = m.numbers["outside weights"][-1, 0]
            count = len(m.plain["groups"])
            planted = np.array([sum(weights[about.names.index(n)] for n in group) for group in m.plain["groups"]])
            if weights.max() == 1 and len(m.plain["groups"]) == len(about.names):
                assert found[weights.argmax()] >= 0.95
            np.testing.assert_allclose(found[:count], planted, atol=0.05)
            assert found[count:].sum() <= 0.05


def test_memorizer_and_deriver_of_very_many_worlds_are_not_told_apart():
    about, _ = meta_world_of("many")
    assert any({"retrieval, bigram", "inference, bigram"} <= set(group) for group in about.comparison.groups)
    found = DerivationProbe().conclude([Planted(steady(MEMORIZER), world="many").cell(0)])
    assert found.verdict.name == "not-identifiable"
    assert "one predictor here" in found.verdict.reasons[0]
    few, _ = meta_world_of("few")
    assert len(few.comparison.groups) == 4


def test_the_net_itself_is_a_memorizer():
    dataset = load_dataset("chains", chains=4, tokens=4, alpha=1.0, frames=12, start="uniform", seed=2)
    trace = train(dataset, "inference", seeds=2, steps=1, batch=4, checkpoints=[1])
    found = DerivationProbe(sampling=Sampling(clips=64, groups=8)).run(trace)
    assert found.verdict.name == "memorizing"
    for ending in ("", ", training worlds"):
        last = found.last(f"weight of memorizers{ending}", "next token")
        assert last.value.estimate >= 0.95
        assert found.last(f"left by the mixture{ending}", "next token").value.estimate < 1e-3


def test_a_real_trace_is_measured_and_survives_its_file(cell):
    found, again = DerivationProbe().conclude([cell]), DerivationProbe().conclude([stored(cell)])
    assert [str(finding) for finding in found] == [str(finding) for finding in again]
    assert found.verdict == again.verdict
    assert found.verdict.name in DerivationProbe().presentation.signs
    before, after = found.named("excess, training worlds")
    assert after.value.estimate < before.value.estimate  # it has learned something
    assert found.last("description, head", "next token").value.estimate > 0
    assert found.last("work, head", "next token").value.estimate == 3 * 8 * 3 + 3 * 8 * 8 + 8 * 3


def test_measuring_again_gives_the_same_bits(trained, cell):
    again = DerivationProbe(sampling=SMALL).measure(trained)
    assert all(np.array_equal(array, again["arrays"][name], equal_nan=True) for name, array in cell["arrays"].items())


def test_the_verdict_does_not_depend_on_the_order_of_cells():
    one = Planted(steady(HALF)).cell(3)
    parts = [DerivationProbe().of_seeds(one, range(4)), DerivationProbe().of_seeds(one, range(4, 8))]
    forward, backward = (DerivationProbe().conclude(order) for order in (parts, parts[::-1]))
    assert forward.verdict == backward.verdict == DerivationProbe().conclude([one]).verdict


def test_a_seed_that_diverged_is_left_out():
    cell = Planted(steady(DERIVER)).cell(0)
    for name, array in cell["arrays"].items():
        if ".numbers." in name:
            array[-1, 2] = np.nan
    found = DerivationProbe().conclude([cell]).verdict
    assert (found.name, found.seeds, found.diverged) == ("deriving", 7, 1)


def test_one_seed_alone_decides_nothing():
    cell = DerivationProbe().of_seeds(Planted(steady(DERIVER)).cell(0), [0])
    assert DerivationProbe().conclude([cell]).verdict.name == "inconclusive"


def test_when_a_head_switched_is_said():
    found = DerivationProbe().conclude([Planted((MEMORIZER, MEMORIZER, DERIVER, DERIVER)).cell(1)])
    assert found.verdict.name == "switched-to-deriving"
    assert "had been memorizing at step 10" in found.verdict.reasons[-1]
    assert found.last("switch to the deriver", "next token").value.estimate == 100
    assert found.last("switched to the deriver", "next token").value.estimate == 1.0
    assert not found.named("switch to the memorizer")


def test_a_margin_decides_what_counts_as_deriving():
    (m,) = unpack(Planted(steady((0.0, 0.35, 0.0, 0.65))).cell(0), "derivation")
    assert verdict(course_of(m), Settings(), m.target).name == "between"
    assert verdict(course_of(m), Settings(margin=0.45), m.target).name == "deriving"


def test_a_memorizer_of_chains_costs_as_many_times_more_as_there_are_worlds():
    few, many = (costs(numbered(n, 4, 64), 1, 10_000) for n in (2, 200))
    assert many.memorizer == 100 * few.memorizer
    assert many.deriver == few.deriver < few.memorizer
    assert many.memorizer_bits > 50 * few.memorizer_bits
    assert many.break_even < few.break_even < math.inf
    # From n* clips on, and not before, deriving once and running is less work.
    for price in (few, many):
        for clips, cheaper in ((1.01 * price.break_even, True), (0.99 * price.break_even, False)):
            assert (price.once + 64 * clips * price.derived < 64 * clips * price.memorizer) == cheaper


def test_of_hidden_chains_it_is_the_deriver_that_has_to_search():
    world = meta_world(load_dataset("hidden_chains", chains=8, frames=32))
    price = costs(world, 4096, 10_000)
    assert price.deriver == 512 * price.memorizer
    assert price.break_even > 100
    one = costs(meta_world(load_dataset("hidden_chains", chains=1, frames=32)), 4096, 10_000)
    assert one.break_even > 50 * price.break_even


def test_counting_sends_a_clip_in_the_bits_of_its_ordered_counts():
    # Of pairs after one token: (k − 1)! Π n_j! / (n + k − 1)! under Dirichlet(1), for each token followed.
    world = numbered(2, 2, 6)
    bits = prequential(world, np.array([[0, 0, 1, 0, 0, 0]], dtype=np.int16))["counts"]
    after_0, after_1 = math.factorial(3) * math.factorial(1) / math.factorial(5), 1 / 2
    assert bits[0] == pytest.approx(1 - math.log2(after_0 * after_1))


def test_counting_learns_a_world_faster_than_gradient_descent():
    world = numbered(2, 4, 96)
    bits = prequential(world, world.from_prior(64).drawn(np.arange(64), 96, seed=5))
    assert (bits["sgd"] - bits["counts"]).mean() > 2.0


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("vault", {}, "not a meta-world"),
        ("mess3", {"head": "gru", "objective": EACH}, "not a meta-world"),
        ("chains", {"objective": "question"}, "not asked for the next token; found question"),
        ("chains", {"inputs": "beliefs"}, "heads that are not given the tokens"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(dataset, options, message):
    plan = plan_training(load_dataset(dataset), **options)
    with pytest.raises(ProbeError, match=message) as caught:
        DerivationProbe().check(plan)
    assert caught.value.mend


def test_a_twin_has_no_worlds_to_be_told_apart():
    twin = load_dataset("chains").with_redrawn(["token_8"])
    with pytest.raises(ProbeError, match=r"not a meta-world.*twin"):
        known(twin, SMALL, (8,))


def test_a_meta_world_of_no_worlds_is_refused():
    for worlds in (Chains, HiddenChains):
        with pytest.raises(ProbeError, match="a meta-world of no worlds"):
            worlds(np.zeros((0, 3, 3)), np.zeros((0, 3)))
    with pytest.raises(ProbeError, match="a meta-world of no worlds; found 0"):
        numbered(2, 3, 8).from_prior(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "no such sampling"),
        ({"groups": 1}, "no such sampling"),
        ({"clips": 100, "groups": 16}, "clips a multiple of them"),
        ({"positions": 0}, "no such sampling"),
        ({"draws": 0}, "no such sampling"),
        ({"least_apart": 0.0}, "not a tolerance"),
        ({"handicap": -0.1}, "not a tolerance"),
    ],
)
def test_a_sampling_that_is_none_is_refused(options, message):
    with pytest.raises(ProbeError, match=message):
        Sampling(**options)


def test_two_shown_tokens_are_the_least():
    plan = plan_training(load_dataset("chains", frames=2), "gru", EACH)
    with pytest.raises(ProbeError, match="nothing to derive a world from"):
        DerivationProbe().check(plan)


def test_the_worlds_of_organisms_are_datasets_that_can_be_trained_on():
    for options, _ in WORLDS.values():
        plan = plan_training(load_dataset(**options), "gru", EACH)
        DerivationProbe().check(plan)
