"""`check_head`: every head of ours passes, and each broken promise is found."""

import equinox as eqx
import jax
import numpy as np
import pytest

from worldnets import check_head, load_dataset
from worldnets.errors import TrainingError, UnknownNameError
from worldnets.heads import REGISTRY
from worldnets.heads.linear import Linear
from worldnets.registry import RegistryError

# Small and quick, where the defaults are not.
OPTIONS = {
    "forecaster": {"through": 0.5, "horizon": 2},
    "gru": {"width": 8},
    "message_passing": {"rounds": 2},
    "transformer": {"width": 8, "depth": 1, "heads": 2},
    "mlp": {"width": 8, "depth": 1},
    "scikit_learn": {"estimator": "MLPClassifier", "options": {"hidden_layer_sizes": [8]}},
}


def failures(results):
    return {result.name: result for result in results if not result.ok}


@pytest.mark.parametrize("name", REGISTRY.names())
def test_every_head_passes(name):
    results = check_head(name, options=OPTIONS.get(name), steps=60)
    assert [str(result) for result in results if not result.ok] == []
    assert len(results) >= 8


class Twice(eqx.Module):
    """A custom head, complete: two affine maps of the features, the second of their squares."""

    first: Linear
    second: Linear
    scale: float = eqx.field(static=True)

    @classmethod
    def build(cls, generator, inputs, outputs, *, scale: float = 1.0):
        parts = [Linear.drawn(generator, inputs.width, outputs, 1.0) for _ in range(2)]
        return cls(*parts, scale)

    def __call__(self, features):
        return self.first(features) + self.scale * self.second(features**2)


def test_a_custom_head_is_one_small_class_that_passes_and_stays_unregistered():
    before = REGISTRY.names()
    results = check_head(Twice, options={"scale": 0.5}, steps=100)
    assert [str(result) for result in results if not result.ok] == []
    assert REGISTRY.names() == before


def test_a_head_is_checked_on_the_dataset_and_inputs_it_is_for():
    results = check_head(
        Twice, dataset=load_dataset("vault", frames=3), objective="question", inputs="beliefs", steps=100
    )
    assert failures(results) == {}
    assert any("on vault" in result.message for result in results)


class Global(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, *, scale: float = 1.0):
        return super().build(np.random.default_rng(), inputs, outputs, scale=scale)


class Personal(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, *, scale: float = 1.0):
        return super().build(generator, inputs, outputs, scale=float(generator.random()))


class Double(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, *, scale: float = 1.0):
        return jax.tree.map(lambda leaf: leaf.astype(np.float64), super().build(generator, inputs, outputs))


class Deaf(Twice):
    def __call__(self, features):
        return self.first(features) + jax.lax.stop_gradient(self.second(features))


class Stubborn(Twice):
    def __call__(self, features):
        return jax.lax.stop_gradient(self.first(features) + self.second(features))


class Long(Twice):
    def __call__(self, features):
        return jax.numpy.concatenate([self.first(features), self.second(features)])


class Broken(Twice):
    def __call__(self, features):
        return self.first(features) / 0.0


class Sociable(Twice):
    """Looks at the heads beside it."""

    def __call__(self, features):
        @jax.custom_batching.custom_vmap
        def mingled(bias):
            return bias

        @mingled.def_vmap
        def _(size, batched, biases):
            return biases + biases.sum(), True

        return self.first.weight @ features + mingled(self.first.bias + 1) + self.second(features)


class Positional(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, scale=1.0):
        return super().build(generator, inputs, outputs, scale=scale)


class Obligatory(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, *, scale):
        return super().build(generator, inputs, outputs, scale=scale)


class Opaque(Twice):
    @classmethod
    def build(cls, generator, inputs, outputs, *, scale=np.float32):
        return super().build(generator, inputs, outputs)


class Bare:
    def __call__(self, features):
        return features


@pytest.mark.parametrize(
    ("head", "name", "message"),
    [
        (Global, "is built", "two builds from equal generators differ"),
        (Personal, "is built", "what is no parameter differs from seed to seed"),
        (Double, "parameters are float32", "float64"),
        (Deaf, "gradients", r"\.second\.weight, \.second\.bias"),
        (Stubborn, "gradients", r"\.first\.weight, \.first\.bias, \.second"),
        (Long, "outputs", r"\(2,\) for one row"),
        (Broken, "outputs", "not finite"),
        (Sociable, "seeds side by side", "depends? on the seeds beside it"),
        (Positional, "options", "scale=1.0"),
        (Obligatory, "options", "options without a default: scale"),
        (Opaque, "options", "float32"),
        (Bare, "options", "no `build`"),
    ],
)
def test_a_broken_promise_is_found_with_its_mend(head, name, message):
    found = failures(check_head(head, steps=20))
    assert name in found
    assert found[name].mend
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found[name].message)


class Marginal:
    """A stepping head, complete: the add-one estimate of the first target's outcomes."""

    def __init__(self, plan, counts):
        self.plan, self.counts = plan, counts

    @classmethod
    def build(cls, generator, plan, *, prior: float = 1.0):
        return cls(plan, np.full(plan.counts[0], prior + generator.random()))

    def state(self):
        return {"counts": self.counts.copy()}

    def restored(self, state):
        return type(self)(self.plan, np.array(state["counts"]))

    def step(self, clips):
        outcomes = self.plan.examples(clips).outcomes[:, 0]
        bits = -np.log2(self.counts / self.counts.sum())[outcomes].mean()
        self.counts += np.bincount(outcomes, minlength=len(self.counts))
        return float(bits)

    def log_probabilities(self, codes):
        return np.tile(np.log(self.counts / self.counts.sum()), (len(codes), 1))


class Swelling(Marginal):
    def state(self):
        return {f"count{i}": count for i, count in enumerate(np.arange(self.counts.sum()))}

    def restored(self, state):
        return type(self)(self.plan, np.ones(self.plan.counts[0]))


class Sloppy(Marginal):
    def log_probabilities(self, codes):
        return super().log_probabilities(codes) + 0.1


class Forgetful(Marginal):
    def restored(self, state):
        return type(self)(self.plan, np.ones(self.plan.counts[0]))


class Crowded(Marginal):
    def log_probabilities(self, codes):
        log_q = np.tile(self.counts * len(codes), (len(codes), 1))
        return log_q - np.logaddexp.reduce(log_q, axis=1, keepdims=True)


class Raising(Marginal):
    def step(self, clips):
        raise ZeroDivisionError("the third bit")


class Wrong(Twice):
    """Learns, but the other way round."""

    def __call__(self, features):
        return turned(self.first(features) + self.second(features))


@jax.custom_jvp
def turned(x):
    return x


turned.defjvps(lambda slope, answer, x: -slope)


def test_a_head_whose_training_raises_the_loss_fails():
    found = failures(check_head(Wrong, steps=60))
    assert list(found) == ["training lowers the loss"]
    first, last = (float(word) for word in found["training lowers the loss"].message.split()[:3:2])
    assert last > first


@pytest.mark.parametrize(
    ("head", "name", "message"),
    [
        (Swelling, "state is fixed", r"count\d+: None becomes float64 \(\)"),
        (Sloppy, "q is a distribution", "not normalised"),
        (Forgetful, "a restored head", "predicts otherwise"),
        (Crowded, "rows are independent", "depends on the rows beside it"),
        (Raising, "is built", "ZeroDivisionError: the third bit"),
    ],
)
def test_a_broken_promise_of_a_stepping_head_is_found_with_its_mend(head, name, message):
    skewed = load_dataset("vault", frames=3)
    found = failures(check_head(head, dataset=skewed, objective="question", steps=20))
    assert name in found
    assert found[name].mend
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found[name].message)


def test_a_complete_stepping_head_passes():
    skewed = load_dataset("vault", frames=3)
    assert failures(check_head(Marginal, dataset=skewed, objective="question", steps=100)) == {}


def test_a_request_that_no_head_can_answer_is_an_error_and_no_result():
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        check_head("mpl")
    with pytest.raises(TrainingError, match="no such option"):
        check_head("mlp", options={"widht": 3})
    with pytest.raises(TrainingError, match="unknown inputs"):
        check_head("mlp", inputs="raw")


def test_a_name_lent_is_gone_afterwards_and_a_name_taken_is_not_lent():
    with pytest.raises(RegistryError, match="is taken"), REGISTRY.lent("mlp", Twice):
        pass
    with REGISTRY.lent("twice", Twice):
        assert REGISTRY.get("twice") is Twice
    assert "twice" not in REGISTRY
