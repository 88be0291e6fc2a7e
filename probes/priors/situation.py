"""Where the five programs run: a vault that is acted in, and an outer net from which its objective can be found.

The inner world is the vault (`worldnets.worlds.vault`, a fixed camera with one pixel per region): c frames are seen,
then an act is chosen: wait, send a guard, restore the camera, or take the diamond. Acts change a latent before nature
moves on. The base objective is a table U(z, a) of levels over the 24 states z = (robber, door, diamond, tampering) and
4 acts; what is chosen maximises the expected sum over a horizon, by sum-product over the frames seen and Bellman
recursion over those to come.

The outer net (`outer_net`) is a Bayes net of what surrounds the vault: a stage (training or deployed) with clues, and
for every entry of U a level that is wanted, with reports of it by overseers who, if they are fooled by a picture before
the camera, report the level turned round. Whether they are fooled hangs on the vault's own latent `tampering`: so to
find what is wanted, the belief about the vault is needed.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError
from worldnets.inference import Inference
from worldnets.net import WorldNet
from worldnets.temporal import frame_name
from worldnets.worlds.vault import LATENTS, REGIONS, vault

Floats = NDArray[np.float64]
ACTS = ("wait", "guard", "restore", "take")
STATES = (3, 2, 2, 2)  # robber, door, diamond, tampering
SHAPE = (*STATES, len(ACTS))
TRAINING, DEPLOYED = 0, 1
SEEN = (*(f"{region}_pixel1" for region in REGIONS), "sensor")  # of every frame
STAY = 0.7  # of training: the chance that the next episode is one of training again
TAKES_HOLD = 0.9  # chance that a guard drives the robber away, that a restored camera shows what is there


@dataclass(frozen=True)
class Sizes:
    """How large the vault's and the outer net's problems are.

    Attributes:
        frames: seen before the act, c.
        horizon: steps planned ahead, ≥ 1.
        levels: of an entry of the objective.
        reports: of every entry, by overseers.
        report_error: chance that a report is drawn at random.
        clues: binary signs of the stage.
        clue_error: chance that one is wrong.
        outer_horizon: episodes planned ahead in the outer world, ≥ 1.
        episodes: N, over which losses are counted.
    """

    frames: int = 3
    horizon: int = 4
    levels: int = 8
    reports: int = 4
    report_error: float = 0.05
    clues: int = 8
    clue_error: float = 0.1
    outer_horizon: int = 4
    episodes: int = 1000

    def __post_init__(self) -> None:
        least = {"frames": 1, "horizon": 1, "levels": 2, "reports": 1, "clues": 1, "outer_horizon": 1, "episodes": 1}
        most = {"frames": 4, "clues": 12}  # beyond, evidence is no longer enumerated
        for name, low in least.items():
            value, high = getattr(self, name), most.get(name, 10_000)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                expected, mend = f"a whole number from {low} to {high}", f"give {name}={low} or more"
                raise ProbeError("a size out of range", node=name, found=value, expected=expected, mend=mend)
        for name in ("report_error", "clue_error"):
            if not 0 < getattr(self, name) < 0.5:
                mend = "an error of 0 leaves nothing to infer, one of ½ nothing to infer from"
                raise ProbeError("an error rate out of range", node=name, found=getattr(self, name), mend=mend)


@dataclass(frozen=True, eq=False)
class Vault:
    """The inner world as tables, and all evidence there can be.

    Attributes:
        start: joint of the latents in frame 1, [robber, door, diamond, tampering].
        robber: [robber, door, robber']; door, diamond, tampering: [own, robber', own'].
        sees_diamond: [diamond, tampering, pixel]; sees_door: [door, pixel]; sees_person: [robber, pixel]; senses:
            [diamond, sensor].
        guard: [robber, robber']; restore: [tampering, tampering']; take: [diamond, diamond']: what acts do.
        evidence: every clip of c frames, [rows, c, 4], pixels in the order of `SEEN`.
        weight: its probability, [rows].
        belief: exact posterior of the last frame's latents, [rows, 24].
    """

    start: Floats
    robber: Floats
    door: Floats
    diamond: Floats
    tampering: Floats
    sees_diamond: Floats
    sees_door: Floats
    sees_person: Floats
    senses: Floats
    guard: Floats
    restore: Floats
    take: Floats
    evidence: NDArray[np.int16]
    weight: Floats
    belief: Floats

    @functools.cached_property
    def nature(self) -> Floats:
        """How the vault moves on, [24, 24]."""
        joint = np.einsum("rdR,dRD,mRM,pRP->rdmpRDMP", self.robber, self.door, self.diamond, self.tampering)
        return joint.reshape(24, 24)

    @functools.cached_property
    def effects(self) -> Floats:
        """What each act does before that, [acts, 24, 24]."""
        one = [np.eye(n) for n in STATES]
        parts = [one, [self.guard, *one[1:]], [*one[:3], self.restore], [*one[:2], self.take, one[3]]]
        return np.stack([functools.reduce(lambda a, b: np.kron(a, b), part) for part in parts])

    def plan(self, objective: Floats, horizon: int) -> Floats:
        """Q(z, a) = U(z, a) + Σ_z' P(z' | z, a) max_a' Q'(z', a') over a horizon, [..., 24, 4] for such objectives."""
        value = objective
        for _ in range(horizon - 1):
            onward = value.max(-1) @ self.nature.T
            value = objective + np.einsum("azy,...y->...za", self.effects, onward)
        return value

    def acts(self, objective: Floats, horizon: int) -> NDArray[np.intp]:
        """The act chosen on every row of evidence, [..., rows], for objectives [..., 24, 4]."""
        return np.asarray((self.belief @ self.plan(objective, horizon)).argmax(-1))


@functools.lru_cache(maxsize=4)
def the_vault(frames: int) -> Vault:
    """The vault after so many frames, by the tables of `worldnets.worlds.vault` and exact inference in its net."""
    world = vault(frames=frames + 1, context=frames, pixels=1, camera="fixed")
    net, template = world.net, world.template
    assert template is not None
    robber, door, diamond, tampering = (np.asarray(template.cpts[v], dtype=np.float64) for v in LATENTS)
    sees_diamond, sees_door, sees_person, senses = (np.asarray(template.cpts[v], dtype=np.float64) for v in SEEN)
    seen = [frame_name(v, t) for t in range(1, frames + 1) for v in SEEN]
    rows = np.array(list(itertools.product((0, 1), repeat=len(seen))), dtype=np.int16)
    codes = np.full((len(rows), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in seen]] = rows
    inference = Inference(net)
    belief = inference.joint(codes, [frame_name(v, frames) for v in LATENTS]).reshape(len(rows), 24)
    first = WorldNet(
        {frame_name(v, 1): net.states[frame_name(v, 1)] for v in LATENTS},
        {frame_name(v, 1): net.parents(frame_name(v, 1)) for v in LATENTS},
        {frame_name(v, 1): net.cpt(frame_name(v, 1)) for v in LATENTS},
    )
    start = Inference(first).joint(np.full((1, 4), -1, dtype=np.int16), [frame_name(v, 1) for v in LATENTS])
    away = np.full((3, 3), 0.0) + np.eye(3) * (1 - TAKES_HOLD)
    away[:, 0] += TAKES_HOLD
    put = np.array([[1.0, 0.0], [TAKES_HOLD, 1 - TAKES_HOLD]])
    return Vault(
        np.asarray(start, dtype=np.float64).reshape(STATES),
        robber,
        door,
        diamond,
        tampering,
        sees_diamond,
        sees_door,
        sees_person,
        senses,
        guard=away,
        restore=put,
        take=np.array([[1 - TAKES_HOLD, TAKES_HOLD], [0.0, 1.0]]),
        evidence=rows.reshape(len(rows), frames, len(SEEN)),
        weight=np.exp(inference.log_evidence(codes)),
        belief=np.asarray(belief, dtype=np.float64),
    )


def levels_prior(levels: int) -> Floats:
    """How likely each level is before anything is reported, by whether the diamond is there, [2, levels]."""
    rising = np.arange(1, levels + 1, dtype=np.float64)
    rising /= rising.sum()
    return np.stack([rising, rising[::-1]])


def report_table(sizes: Sizes) -> Floats:
    """P(report | overseers fooled?, level wanted), [2, levels, levels]."""
    right = np.eye(sizes.levels)
    noise = sizes.report_error / sizes.levels
    return np.stack([(1 - sizes.report_error) * table + noise for table in (right, right[::-1])])


FOOLED = np.array([[0.98, 0.02], [0.1, 0.9]])  # P(overseers fooled? | tampering)


def clue_table(sizes: Sizes) -> Floats:
    """P(clue | stage), [2, 2]."""
    e = sizes.clue_error
    return np.array([[1 - e, e], [e, 1 - e]])


@dataclass(frozen=True, eq=False)
class Situation:
    """One draw of everything: what is wanted, what is reported, what is seen in one episode of training.

    Attributes:
        sizes: how large.
        seed: of the draw.
        wanted: levels of the base objective, [24, 4].
        reports: [24, 4, reports].
        clues: of the stage, [clues].
        row: which row of the vault's evidence the episode shows.
    """

    sizes: Sizes
    seed: int
    wanted: NDArray[np.int64]
    reports: NDArray[np.int64]
    clues: NDArray[np.int64]
    row: int

    @property
    def vault(self) -> Vault:
        """The inner world."""
        return the_vault(self.sizes.frames)

    @property
    def base(self) -> Floats:
        """The base objective U, from 0 to 1, [24, 4]."""
        return self.wanted / (self.sizes.levels - 1)

    @property
    def simplest(self) -> Floats:
        """The simplest objective there is here: take the diamond, whatever the state, [4]."""
        return np.array([0.0, 0.0, 0.0, 1.0])

    @property
    def seen(self) -> NDArray[np.int16]:
        """The episode's frames, [c, 4]."""
        return self.vault.evidence[self.row]


def situation(seed: int, sizes: Sizes | None = None) -> Situation:
    """Draw one: levels from their prior, an episode from the vault, overseers, reports and clues of training."""
    sizes = sizes or Sizes()
    random = np.random.default_rng([12, seed])
    vault = the_vault(sizes.frames)
    there = np.arange(24) // 2 % 2  # the diamond of each state: 0 there, 1 gone
    prior = levels_prior(sizes.levels)
    wanted = np.stack([random.choice(sizes.levels, len(ACTS), p=prior[gone]) for gone in there])
    row = int(random.choice(len(vault.weight), p=vault.weight / vault.weight.sum()))
    tampered = int(random.random() < vault.belief[row].reshape(-1, 2)[:, 1].sum())
    fooled = int(random.random() < FOOLED[tampered, 1])
    chances = report_table(sizes)[fooled][wanted].cumsum(-1)
    draws = random.random((24, len(ACTS), sizes.reports, 1))
    reports = (draws > chances[:, :, None, :]).sum(-1).clip(0, sizes.levels - 1)
    clues = (random.random(sizes.clues) < clue_table(sizes)[TRAINING, 1]).astype(np.int64)
    return Situation(sizes, seed, wanted, reports, clues, row)


def outer_net(given: Situation, tampering: Floats) -> WorldNet:
    """What surrounds the vault, as a Bayes net whose evidence is `outer_evidence`.

    Args:
        given: sizes.
        tampering: belief about the vault's tampering, [2]: the prior of that node here.
    """
    sizes = given.sizes
    level = tuple(range(sizes.levels))
    states: dict[str, tuple[object, ...]] = {"stage": ("training", "deployed"), "tampering": ("none", "picture"),
                                             "fooled": ("no", "yes")}  # fmt: skip
    parents: dict[str, tuple[str, ...]] = {"fooled": ("tampering",)}
    cpts: dict[str, Floats] = {"stage": np.array([0.5, 0.5]), "tampering": tampering, "fooled": FOOLED}
    for k in range(sizes.clues):
        states[f"clue{k}"], parents[f"clue{k}"], cpts[f"clue{k}"] = ("no", "yes"), ("stage",), clue_table(sizes)
    prior, table = levels_prior(sizes.levels), report_table(sizes)
    for z, a in itertools.product(range(24), range(len(ACTS))):
        want = f"want{z}_{a}"
        states[want], cpts[want] = level, prior[z // 2 % 2]
        for r in range(sizes.reports):
            report = f"report{z}_{a}_{r}"
            states[report], parents[report], cpts[report] = level, ("fooled", want), table
    return WorldNet(states, parents, cpts, "outer")


def outer_evidence(given: Situation, net: WorldNet) -> NDArray[np.int16]:
    """Clues and reports as one row of codes of the outer net, [1, variables]."""
    codes = np.full((1, len(net.variables)), -1, dtype=np.int16)
    for k, clue in enumerate(given.clues.tolist()):
        codes[0, net.index[f"clue{k}"]] = clue
    for (z, a, r), report in np.ndenumerate(given.reports):
        codes[0, net.index[f"report{z}_{a}_{r}"]] = report
    return codes
