"""From a trace to curves: the heads' answers are the proxy by which outputs are selected; the world says what is true.

An output is a state of all the evidence that a head is given. How often it comes by itself is W*(x). It is worth
W*(wanted | x) where outputs are *seen*, selected among those that come; W*(wanted | do(x)) where they are *done*,
brought about by whoever selects; in both cases after do() on a factor that the model held fixed, where a regime is
named. All exact. Outputs are enumerated where there are few enough; otherwise clips are drawn, the same for every
checkpoint, seed and head, and the error they leave is that of a delete-a-group jackknife.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.goodhart.curves import PRESSURES, curves, grid, jackknifed
from probes.goodhart.outputs import features
from probes.measurement import Measurement
from probes.sources import Codes, DatasetSource, stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError, did_you_mean
from worldnets.inference import Inference
from worldnets.net import Label, WorldNet
from worldnets.roles import Target, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from worldnets.dataset import Dataset
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
LARGEST = 4096  # outputs that are enumerated; of larger worlds clips are drawn
LEAST_OUTPUTS = 32  # how many drawn clips the most pressure must leave
HOW = ("as the world says", "seen", "done")
ACTS, VALUED = "acts", "valued"  # roles: evidence that a selector brings about; nodes that the objective values besides


@dataclass(frozen=True)
class Sampling:
    """How outputs are selected.

    Attributes:
        most: nats of KL up to which they are pressed.
        points: of each curve.
        clips: drawn where outputs are too many to enumerate.
        groups: of clips, for the error they leave.
        wanted: state that the true objective wants of the target's variables. Where it is left out: of a variable whose
            states are numbers the number itself is its worth, of others the first state is wanted.
        how: "seen", "done", or "as the world says": done where all evidence has the world's role "acts".
        regime: "variable=state" that is set by do() when values are taken, and not when the heads were trained.
        sides: names, by commas, of nodes that the true objective values besides, each for its first state; where it is
            left out those of the world's role "valued".
        side_weight: what a side node counts in the true value, where the target counts 1.
        seed: stream of the clips.
    """

    most: float = 10.0
    points: int = 31
    clips: int = 4096
    groups: int = 8
    wanted: str = ""
    how: str = HOW[0]
    regime: str = ""
    sides: str = ""
    side_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        grid(self.most, self.points)
        if self.how not in HOW:
            raise ProbeError("unknown way of selecting", found=repr(self.how), mend=did_you_mean(self.how, HOW))
        if not (self.groups >= 2 and self.clips >= LEAST_OUTPUTS * self.groups):
            found, expected = f"{self.clips} clips in {self.groups} groups", f"two groups of {LEAST_OUTPUTS} or more"
            raise ProbeError("too few clips to select among", found=found, expected=expected)


@dataclass(frozen=True, eq=False)
class Offer:
    """What heads select among, the same for all of them. R outputs.

    Attributes:
        codes: evidence rows, [R, net variables].
        weight: base distribution, [R].
        price: −ln W*(x) in nats, [R], what a plan costs.
        shares: how often each comes in each group of clips, [G, R]; None where outputs are enumerated.
        worth: of each outcome of the target, [Y].
        value: true value, [R].
        sides: by node, worth given do(x), [R]; and in the world left alone.
        untouched: see `sides`.
        parts: one-hot codes of the evidence, [R, F].
        at: pressures √KL, [D].
        done: whether outputs are brought about.
    """

    codes: Codes
    weight: Floats
    price: Floats
    shares: Floats | None
    worth: Floats
    value: Floats
    sides: dict[str, Floats]
    untouched: dict[str, float]
    parts: Floats
    at: Floats
    done: bool

    @property
    def scale(self) -> float:
        """Standard deviation of the true value under no pressure."""
        mean = self.weight @ self.value
        return float(np.sqrt(self.weight @ (self.value - mean) ** 2))


def offer(source: DatasetSource, task: Task, target: Target, sampling: Sampling) -> Offer:
    """Outputs of a task, and what they are worth.

    Raises:
        ProbeError: a regime or side node that the world does not have, an output that cannot be under the regime.
    """
    dataset, net = source.dataset, source.dataset.net
    codes, weight, shares = _outputs(source, task, sampling)
    price = -np.asarray(source.engine.log_evidence(codes), dtype=np.float64)
    done = is_done(dataset, task, sampling)
    under = after_regime(net, task, target, sampling)
    acting = under.without_causes(task.evidence)
    worth = worths(net, target, sampling.wanted)
    engine = Inference(acting if done else under)
    beliefs = np.asarray(engine.joint(codes, target.variables), dtype=np.float64).reshape(len(codes), -1)
    possible = beliefs.sum(-1) > 0
    if not possible.all():
        row = int(np.flatnonzero(~possible)[0])
        mend = 'bring outputs about with how = "done", or name another regime'
        raise ProbeError("an output that cannot be under the regime", row=row, found=sampling.regime, mend=mend)
    value = (beliefs / beliefs.sum(-1, keepdims=True)) @ worth
    names = side_nodes(dataset, task, target, sampling)
    sides: dict[str, Floats] = {}
    untouched: dict[str, float] = {}
    if names:
        brought, alone = Inference(acting).query(codes, names), Inference(under).query(None, names)
        sides = {v: np.asarray(brought[v], dtype=np.float64)[:, 0] for v in names}
        untouched = {v: float(alone[v][0, 0]) for v in names}
        value = value + sampling.side_weight * np.sum([sides[v] for v in names], axis=0)
    most = sampling.most if shares is None else min(sampling.most, math.log(sampling.clips / LEAST_OUTPUTS))
    parts = features(codes[:, [net.index[v] for v in task.evidence]], len(codes))
    return Offer(codes, weight, price, shares, worth, value, sides, untouched, parts, grid(most, sampling.points), done)


def _outputs(source: DatasetSource, task: Task, sampling: Sampling) -> tuple[Codes, Floats, Floats | None]:
    net = source.dataset.net
    columns = [net.index[v] for v in task.evidence]
    sizes = [len(net.states[v]) for v in task.evidence]
    if math.prod(sizes) <= LARGEST:
        codes = np.full((math.prod(sizes), len(net.variables)), -1, dtype=np.int16)
        codes[:, columns] = np.indices(sizes).reshape(len(sizes), -1).T
        weight = np.exp(np.asarray(source.engine.log_evidence(codes), dtype=np.float64))
        return codes[weight > 0], weight[weight > 0] / weight.sum(), None
    size = sampling.clips // sampling.groups
    codes, which = distinct(source.simulate(size * sampling.groups, stream(sampling.seed, 71)))
    shares = np.zeros((sampling.groups, len(codes)))
    np.add.at(shares, (np.arange(len(which)) // size, which), 1.0 / size)
    return codes, shares.mean(0), shares


def is_done(dataset: Dataset, task: Task, sampling: Sampling) -> bool:
    """Whether outputs are brought about rather than found."""
    if sampling.how == HOW[0]:
        return set(task.evidence) <= set(dataset.roles.get(ACTS, ()))
    return sampling.how == "done"


def after_regime(net: WorldNet, task: Task, target: Target, sampling: Sampling) -> WorldNet:
    """The world in which values are taken: after do() on the regime, where one is named.

    Raises:
        ProbeError: no such variable or state; one that is evidence or asked for.
    """
    if not sampling.regime:
        return net
    variable, equals, state = sampling.regime.partition("=")
    if not equals or variable not in net.states:
        mend = f'write regime = "variable=state"; {did_you_mean(variable, net.variables)}'
        raise ProbeError("no such regime", found=repr(sampling.regime), mend=mend)
    if variable in task.evidence or variable in target.variables:
        mend = "name a factor that is neither"
        raise ProbeError("the regime is what is given, or what is asked for", node=variable, mend=mend)
    return net.do({variable: labelled(net, variable, state)})


def labelled(net: WorldNet, variable: str, state: str) -> Label:
    """The state of a variable that reads so.

    Raises:
        ProbeError: there is none.
    """
    for label in net.states[variable]:
        if str(label) == state:
            return label
    mend = did_you_mean(state, [str(label) for label in net.states[variable]])
    raise ProbeError("no such state", node=variable, found=repr(state), mend=mend)


def worths(net: WorldNet, target: Target, wanted: str = "") -> Floats:
    """What each outcome of a target is worth, [Y]: the mean over its variables.

    Raises:
        ProbeError: a wanted state that none of its variables has.
    """
    having = [v for v in target.variables if not wanted or wanted in map(str, net.states[v])]
    if not having:
        mend = did_you_mean(wanted, [str(label) for v in target.variables for label in net.states[v]])
        raise ProbeError("no variable of the target has the wanted state", found=repr(wanted), mend=mend)
    sizes = [len(net.states[v]) for v in target.variables]
    coordinates = np.indices(sizes).reshape(len(sizes), -1)
    found = np.zeros(coordinates.shape[1])
    for v in having:
        states = net.states[v]
        if wanted:
            own = np.array([str(label) == wanted for label in states], dtype=np.float64)
        elif all(isinstance(label, int | float) and not isinstance(label, bool) for label in states):
            own = np.array(states, dtype=np.float64)
        else:
            own = np.eye(len(states))[0]
        found += own[coordinates[target.variables.index(v)]] / len(having)
    return found


def side_nodes(dataset: Dataset, task: Task, target: Target, sampling: Sampling) -> tuple[str, ...]:
    """Nodes that the true objective values and the proxy does not.

    Raises:
        ProbeError: one that the world does not have, or that is given or asked for.
    """
    names = tuple(name.strip() for name in sampling.sides.split(",") if name.strip())
    for v in names:
        if v not in dataset.net.states:
            raise ProbeError("no such side node", found=repr(v), mend=did_you_mean(v, dataset.net.variables))
        if v in task.evidence or v in target.variables:
            raise ProbeError("a side node is what is given, or what is asked for", node=v, mend="name another")
    taken = {*task.evidence, *target.variables}
    return names or tuple(v for v in dataset.roles.get(VALUED, ()) if v not in taken)


def measured(
    trace: Trace, source: DatasetSource, target: Target, sampling: Sampling, told: Callable[[int], None]
) -> list[Measurement]:
    """Curves of one target under every pressure.

    Args:
        trace: its checkpoints' answers are the proxy.
        source: the world.
        target: what is asked.
        sampling: how outputs are selected.
        told: called with the number of checkpoints done.
    """
    found = offer(source, trace.task, target, sampling)
    predict = trace.predictor(found.codes)
    rows = np.stack([found.value, *found.sides.values()])
    seeds, steps = len(trace.seeds), len(trace.steps)
    points = len(found.at)
    value, proxy = (np.full((len(PRESSURES), steps, seeds, points), np.nan) for _ in range(2))
    sides = np.full((len(PRESSURES), steps, seeds, points, len(found.sides)), np.nan)
    reach = np.full((len(PRESSURES), steps, seeds), np.nan)
    moved: list[Floats] = []
    for t in range(steps):
        answers = np.exp(predict(t, target.name)) @ found.worth  # [S, R]
        kept: NDArray[np.bool_] = np.asarray(np.isfinite(answers).all(-1))
        for i, pressure in enumerate(PRESSURES):
            if kept.any():
                curve, far = _selected(pressure, found, answers[kept], rows, found.weight)
                value[i, t, kept], proxy[i, t, kept] = curve[..., 0], curve[..., -1]
                sides[i, t, kept] = curve[..., 1:-1] - np.array(list(found.untouched.values()))
                reach[i, t, kept] = far
            if t == steps - 1 and found.shares is not None:
                moved.append(_jackknife(pressure, found, np.where(kept[:, None], answers, 0.0), kept))
        told(t + 1)
    parts = []
    for i, pressure in enumerate(PRESSURES):
        ideal = _selected(pressure, found, found.value[None], rows, found.weight)[0][0, :, 0]
        numbers = {"value": value[i], "proxy": proxy[i], "reach": reach[i]}
        numbers |= {f"side: {v}": sides[i, ..., k] for k, v in enumerate(found.sides)}
        world = {"at": found.at, "ideal": ideal, "scale": np.array(found.scale)}
        plain = {
            "pressure": pressure,
            "outputs": len(found.codes),
            "enumerated": found.shares is None,
            "how": "done" if found.done else "seen",
            "regime": sampling.regime,
            "sides": list(found.sides),
        }
        grouped = (
            {} if found.shares is None else {"value": moved[i][:, None, ..., 0], "short": moved[i][:, None, ..., 1]}
        )
        name = f"{target.name}, {pressure}"
        parts.append(Measurement(name, trace.seeds, trace.steps, numbers, grouped=grouped, world=world, plain=plain))
    return parts


def _selected(pressure: str, found: Offer, proxy: Floats, rows: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Value, sides and proxy along a pressure, [S, D, K + 1], and how far it goes, [S]."""
    of = np.concatenate([np.broadcast_to(rows, (len(proxy), *rows.shape)), proxy[:, None]], axis=1)
    return curves(pressure, weight, proxy, of, found.at, found.parts, found.price)


def _jackknife(pressure: str, found: Offer, proxy: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Deviations of value and of ideal − value in groups of clips, [G, S, D, 2], mean 0 over groups."""
    assert found.shares is not None
    left: list[Sequence[Floats]] = []
    both = np.concatenate([found.value[None], proxy])
    for g in range(len(found.shares)):
        weight = np.delete(found.shares, g, axis=0).mean(0)
        curve = _selected(pressure, found, both, found.value[None], weight)[0][..., 0]
        left.append((curve[1:], curve[0] - curve[1:]))
    replicates = np.moveaxis(np.array(left), 1, -1)  # [G, S, D, 2]
    moved = jackknifed(replicates)
    moved[:, ~kept] = np.nan
    return moved
