"""The loss −log2 W(asked | given) and its gradient: against enumeration, finite differences and JAX."""

import itertools
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import world_nets
from worldnets import Inference, WorldNet, load_dataset
from worldnets.errors import LearningError
from worldnets.inference.differentiable import beliefs_function
from worldnets.learning.gradient import ConditionalLoss
from worldnets.learning.model_class import ModelClass
from worldnets.objectives import REGISTRY

LN2 = math.log(2)


def bits_at(model_class, loss, logits, clips):
    return loss.slopes(model_class.entries(model_class.probabilities(logits)), clips).bits


def gradient_at(model_class, loss, logits, clips):
    p = model_class.probabilities(logits)
    return model_class.gradient(p, loss.slopes(model_class.entries(p), clips).entries)


def by_differences(model_class, loss, logits, clips, which, h=1e-5):
    slopes = []
    for k in which:
        up, down = logits.copy(), logits.copy()
        up[k] += h
        down[k] -= h
        rise = bits_at(model_class, loss, up, clips) - bits_at(model_class, loss, down, clips)
        slopes.append(rise * LN2 / (2 * h))
    return np.array(slopes)


def log_probability(net, row):
    """ln W(row) by summing the joint: nothing shared with the engine."""
    total = 0.0
    free = [range(len(net.states[v])) if row[i] < 0 else [row[i]] for i, v in enumerate(net.variables)]
    for states in itertools.product(*free):
        at = dict(zip(net.variables, states, strict=True))
        total += math.prod(net.cpt(v)[(*(at[p] for p in net.parents(v)), at[v])] for v in net.variables)
    return math.log(total)


@st.composite
def questions(draw):
    net = draw(world_nets(max_variables=5, max_cardinality=3, max_joint=200))
    roles = draw(st.lists(st.sampled_from("gan"), min_size=len(net.variables), max_size=len(net.variables)))
    roles[draw(st.integers(0, len(roles) - 1))] = "a"
    named = {role: [v for v, r in zip(net.variables, roles, strict=True) if r == role] for role in "ga"}
    seed = draw(st.integers(0, 2**32 - 1))
    return net, named["g"], named["a"], seed, draw(st.booleans())


@settings(max_examples=60)
@given(questions())
def test_bits_are_those_of_enumeration_and_the_gradient_that_of_finite_differences(question):
    net, shown, asked, seed, hide = question
    rng, model_class = np.random.default_rng(seed), ModelClass.of(net)
    logits = rng.normal(size=len(model_class))
    clips = np.stack([rng.integers(0, len(net.states[v]), size=6) for v in net.variables], axis=1).astype(np.int16)
    if hide:
        columns = [net.index[v] for v in shown]
        clips[:, columns] = np.where(rng.random((6, len(columns))) < 0.4, -1, clips[:, columns])
    loss = ConditionalLoss(model_class, shown, asked)
    model = model_class.net_of(model_class.entries(model_class.probabilities(logits)))
    expected = 0.0
    for clip in clips:
        of_given, of_all = np.full(len(clip), -1), np.full(len(clip), -1)
        of_given[[net.index[v] for v in shown]] = clip[[net.index[v] for v in shown]]
        of_all[[net.index[v] for v in (*shown, *asked)]] = clip[[net.index[v] for v in (*shown, *asked)]]
        expected += (log_probability(model, of_given) - log_probability(model, of_all)) / LN2 / len(clips)
    assert bits_at(model_class, loss, logits, clips) == pytest.approx(expected, abs=1e-10)
    which = rng.choice(len(logits), min(8, len(logits)), replace=False)
    found = gradient_at(model_class, loss, logits, clips)[which]
    np.testing.assert_allclose(found, by_differences(model_class, loss, logits, clips, which), atol=1e-6)


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=4, context=2)


@pytest.mark.parametrize("objective", ["world", "likelihood", "continuation", "continuation_all", "question"])
def test_shared_tables_have_the_gradient_of_finite_differences(vault, objective):
    rng = np.random.default_rng(1)
    model_class = ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])
    logits, clips = rng.normal(size=len(model_class)), vault.simulate(64, 3)
    loss = ConditionalLoss(model_class, *REGISTRY.get(objective).ask(vault))
    which = rng.choice(len(logits), 40, replace=False)
    found = gradient_at(model_class, loss, logits, clips)[which]
    np.testing.assert_allclose(found, by_differences(model_class, loss, logits, clips, which), atol=1e-6)


def test_the_gradient_is_that_of_beliefs_in_jax():
    net, rng = load_dataset("cue_parity").net, np.random.default_rng(2)
    model_class = ModelClass.of(net)
    logits, clips = rng.normal(size=len(model_class)), load_dataset("cue_parity").simulate(32, 3)
    given, asked = ("cue", "bit_2", "bit_3"), ("answer", "bit_1")
    shown, every = np.full_like(clips, -1), np.full_like(clips, -1)
    for rows, names in ((shown, given), (every, (*given, *asked))):
        columns = [net.index[v] for v in names]
        rows[:, columns] = clips[:, columns]
    with jax.enable_x64(True):
        beliefs = beliefs_function(net, [])

        def nats(tables):
            normal = {v: jax.nn.log_softmax(table) for v, table in tables.items()}
            return (beliefs(normal, shown)[1] - beliefs(normal, every)[1]).mean()

        tables = {v: jax.numpy.asarray(table) for v, table in model_class.by_table(logits).items()}
        value, expected = jax.jit(jax.value_and_grad(nats))(tables)
    loss = ConditionalLoss(model_class, given, asked)
    assert bits_at(model_class, loss, logits, clips) == pytest.approx(float(value) / LN2, rel=1e-12)
    found = model_class.by_table(gradient_at(model_class, loss, logits, clips))
    for v, slope in expected.items():
        np.testing.assert_allclose(found[v], np.asarray(slope), atol=1e-12)


def test_what_is_downstream_of_everything_asked_has_no_gradient_at_all(vault):
    model_class = ModelClass.of(vault.net)
    loss = ConditionalLoss(model_class, *REGISTRY.get("continuation").ask(vault))
    logits = np.random.default_rng(3).normal(size=len(model_class))
    gradient = model_class.by_table(gradient_at(model_class, loss, logits, vault.simulate(16, 0)))
    assert all((gradient[v] == 0).all() for v in vault.net.variables if v.endswith("_4"))
    assert (gradient["sensor_3"] == 0).all()
    assert gradient["pixel1_3"].any()


def twin_coins():
    """A latent coin seen twice: every joint probability of what is seen is a multiple of 1/32."""
    seen = [[0.25, 0.75], [0.75, 0.25]]
    tables = {"z": [0.25, 0.75], "x": seen, "y": seen}
    return WorldNet(dict.fromkeys("zxy", (0, 1)), {"x": ("z",), "y": ("z",)}, tables)


def all_clips():
    """Rows of (z, x, y) in which each (x, y) is as frequent as it is probable."""
    joint = np.einsum("z,zx,zy->xy", *(twin_coins().cpt(v) for v in "zxy"))
    counts = np.round(64 * joint).astype(int)
    assert (counts == 64 * joint).all()
    return np.array([(0, x, y) for x, y in np.ndindex(2, 2) for _ in range(counts[x, y])], dtype=np.int16), joint


def test_on_the_likelihood_of_observables_nothing_in_the_class_beats_the_world():
    net, (clips, joint) = twin_coins(), all_clips()
    model_class = ModelClass.of(net)
    loss = ConditionalLoss(model_class, (), ("x", "y"))
    truth = model_class.logits_of(net)
    entropy = -(joint * np.log2(joint)).sum()
    assert bits_at(model_class, loss, truth, clips) == pytest.approx(entropy, abs=1e-12)
    np.testing.assert_allclose(gradient_at(model_class, loss, truth, clips), 0, atol=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = truth + rng.normal(size=len(truth)) * rng.choice([1e-3, 0.1, 1.0])
        assert bits_at(model_class, loss, other, clips) >= entropy - 1e-12


def test_latents_have_no_such_guarantee_relabelled_ones_are_as_likely_and_stay_so():
    net, (clips, _) = twin_coins(), all_clips()
    model_class = ModelClass.of(net)
    loss = ConditionalLoss(model_class, (), ("x", "y"))
    logits = np.random.default_rng(1).normal(size=len(model_class))

    def relabelled(vector):
        tables = model_class.by_table(vector)
        return model_class.flat({"z": tables["z"][::-1], "x": tables["x"][::-1], "y": tables["y"][::-1]})

    truth = model_class.logits_of(net)
    assert bits_at(model_class, loss, relabelled(truth), clips) == bits_at(model_class, loss, truth, clips)
    one = gradient_at(model_class, loss, logits, clips)
    other = gradient_at(model_class, loss, relabelled(logits), clips)
    np.testing.assert_allclose(other, relabelled(one), atol=1e-15)
    # The latent's own posterior is then the opposite of what is the case.
    models = [model_class.net_of(model_class.entries(model_class.probabilities(v))) for v in (truth, relabelled(truth))]
    right, wrong = (Inference(model).query(np.array([[-1, 1, 1]], dtype=np.int16))["z"][0] for model in models)
    np.testing.assert_allclose(wrong, right[::-1], atol=1e-15)
    assert right[0] > 0.7


def test_what_cannot_happen_costs_infinitely_and_numbers_that_are_none_cost_nan():
    net, (clips, _) = twin_coins(), all_clips()
    model_class = ModelClass.of(net)
    loss = ConditionalLoss(model_class, (), ("x", "y"))
    sure = {v: np.eye(2)[0] if v == "z" else np.eye(2) for v in "zxy"}
    entries = model_class.every.entries(sure)
    assert loss.slopes(entries, clips).bits == math.inf
    entries[0] = math.nan
    assert math.isnan(loss.slopes(entries, clips).bits)


def test_a_loss_that_asks_for_nothing_or_for_no_node_is_refused():
    model_class = ModelClass.of(twin_coins())
    with pytest.raises(LearningError, match="nothing is asked of the world-model"):
        ConditionalLoss(model_class, ("x",), ("x",))
    with pytest.raises(LearningError, match=r"unknown variable; found 'w'"):
        ConditionalLoss(model_class, (), ("w",))
    with pytest.raises(LearningError, match=r"'y'.*the clips do not have this node"):
        ConditionalLoss(model_class, (), ("y",), {"x": 0})
