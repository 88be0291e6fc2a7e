"""The forecaster: a table of forecasts, trained in a world that hears them.

Its loss is that of its own published forecasts over the frames to come. What the world does depends on what is
published, and so has the loss two gradients: the honest one takes the world's answers as given (`"stopped"`), the whole
one goes on through the world (`"through"`), and can lower the loss by moving the world. Both are exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError, TrainingError
from worldnets.feedback import Feedback, feedback_of, played
from worldnets.heads.base import checked_integer, checked_number
from worldnets.temporal import frame_name

if TYPE_CHECKING:
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]


class _Setting(NamedTuple):
    """What is the same for all seeds."""

    feedback: Feedback
    states: NDArray[np.intp]  # columns of frame 1's nodes, in the order of the feedback's variables
    sizes: tuple[int, ...]
    shown: NDArray[np.intp]  # columns of what is seen
    shown_sizes: tuple[int, ...]
    first: Any
    update: Any


class Forecaster:
    """q(y | x) = softmax of a row of logits for every configuration x of the evidence.

    L = −Σ P̄_q(x, y) log q(y | x), P̄_q the mean over `horizon` frames of what is seen and what then comes while q itself
    is published (`worldnets.feedback.played`), from the batch's clips' first frames on. A share `through` of the
    gradient goes through P̄_q; the rest takes P̄_q as given. Each update is the run's optimizer's.
    """

    def __init__(self, setting: _Setting, logits: Any, memory: list[Any]) -> None:
        self._setting, self._logits, self._memory = setting, logits, memory

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        plan: Plan,
        *,
        through: float = 0.0,
        horizon: int = 8,
        spread: float = 1.0,
    ) -> Self:
        """Draw logits from N(0, spread²).

        Args:
            generator: source of the draws.
            plan: the request; its dataset has feedback, its task asks for what the first forecast is about.
            through: share of the gradient that goes through the world: 0 honest, 1 the whole gradient.
            horizon: frames of published forecasts.
            spread: standard deviation of the first logits.

        Raises:
            TrainingError: an option out of range, a dataset without feedback, another task, beliefs as inputs.
        """
        checked_number("through", through, "forecaster", 0.0, math.nextafter(1.0, 2.0))
        checked_integer("horizon", horizon, "forecaster", highest=1000)
        checked_number("spread", spread, "forecaster")
        setting = _setting(plan, float(through), horizon)
        shape = (setting.feedback.configurations, setting.feedback.forecasts)
        logits = (spread * generator.standard_normal(shape)).astype(np.float32)
        return cls(setting, logits, setting.first(logits))

    def state(self) -> dict[str, NDArray[Any]]:
        """The logits, and what the optimizer remembers."""
        memory = {f"optimizer_{i}": np.asarray(leaf) for i, leaf in enumerate(self._memory)}
        return {"logits": np.array(self._logits)} | memory

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Forecaster:
        """The same head in another state."""
        memory = [np.asarray(state[f"optimizer_{i}"]) for i in range(len(self._memory))]
        return Forecaster(self._setting, np.asarray(state["logits"]), memory)

    def step(self, clips: NDArray[np.int16]) -> float:
        """One update; the loss in bits per forecast, from the first frames of these clips on."""
        own = self._setting
        place = np.ravel_multi_index(tuple(clips[:, own.states].T), own.sizes)
        start = np.bincount(place, minlength=len(own.feedback.start)) / len(clips)
        self._logits, self._memory, bits = own.update(self._logits, self._memory, start.astype(np.float32))
        return float(bits)

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> Floats:
        """ln q [rows, outcomes]."""
        own = self._setting
        rows = np.ravel_multi_index(tuple(codes[:, own.shown].T), own.shown_sizes)
        logits = np.asarray(self._logits, dtype=np.float64)
        logs = logits - logits.max(-1, keepdims=True)
        return np.asarray((logs - np.log(np.exp(logs).sum(-1, keepdims=True)))[rows])

    def __repr__(self) -> str:
        return f"Forecaster({self._setting.feedback.predicted} from {', '.join(self._setting.feedback.seen)})"


def forecast_task(plan: Plan, feedback: Feedback) -> None:
    """Refuse a task that is not the forecast: the evidence is what is seen in frame 1, the target what it is about.

    Raises:
        TrainingError: another task, or inputs that are not the evidence itself.
    """
    seen = tuple(frame_name(v, 1) for v in feedback.seen)
    asked = tuple(v for target in plan.task.targets for v in target.variables)
    if set(plan.task.evidence) != set(seen) or asked != (frame_name(feedback.predicted, 2),):
        found, expected = f"{asked} from {plan.task.evidence}", f"{frame_name(feedback.predicted, 2)} from {seen}"
        mend = 'train on the "continuation" of a world whose task this is, such as "echo"'
        raise TrainingError("this task is not what the forecast is about", found=found, expected=expected, mend=mend)


@functools.lru_cache(maxsize=8)
def _setting(plan: Plan, through: float, horizon: int) -> _Setting:
    import jax
    from jax import numpy as jnp

    try:
        feedback = feedback_of(plan.dataset)
    except DatasetError as error:
        raise TrainingError("a forecaster needs a world that hears it", found=str(error), mend='load "echo"') from error
    forecast_task(plan, feedback)
    if plan.inputs.name != "evidence":
        mend = 'train with inputs="evidence"'
        raise TrainingError("a forecaster is given evidence, not beliefs", found=plan.inputs.name, mend=mend)
    import optax

    how = plan.optimizer.transformation(plan.learning_rate)

    def loss(logits: Any, start: Any) -> Any:
        log_q = jax.nn.log_softmax(logits)
        pairs = played(feedback, jnp.exp(log_q), horizon, start, jnp)
        pairs = through * pairs + (1 - through) * jax.lax.stop_gradient(pairs)
        return -(pairs * log_q).sum()

    structure = jax.tree.structure(how.init(jnp.zeros((feedback.configurations, feedback.forecasts), jnp.float32)))

    @jax.jit
    def update(logits: Any, memory: list[Any], start: Any) -> Any:
        nats, slope = jax.value_and_grad(loss)(logits, start)
        moved, after = how.update(slope, jax.tree.unflatten(structure, memory), logits)
        return optax.apply_updates(logits, moved), jax.tree.leaves(after), nats / math.log(2)

    net = plan.dataset.net
    columns = lambda names: np.array([net.index[frame_name(v, 1)] for v in names], dtype=np.intp)
    states, shown = columns(feedback.variables), columns(feedback.seen)
    sizes, shown_sizes = (tuple(net.cardinalities[part].tolist()) for part in (states, shown))
    first = lambda logits: [np.asarray(leaf) for leaf in jax.tree.leaves(how.init(jnp.asarray(logits)))]
    return _Setting(feedback, states, sizes, shown, shown_sizes, first, update)
