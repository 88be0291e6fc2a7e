"""The depth probe's organisms on its own road to a verdict: the six planted ones, heads exactly at every margin of the
rule, heads beyond it by a stated effect, and the awkward ones.

Everything lives in worlds small enough to write down. Deviations of seeds are of weights: sd .05 there is about .05 in
deep efficiency half way up, less near the ceiling.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import EnumeratedReference
from probes.organisms import names, organism
from probes.organisms.base import STEPS, Noise
from probes.organisms.mixtures import hidden_chain
from probes.organisms.populations import SIZE, Population, Runs, mixed, of_course
from probes.validity import Plant, Role
from probes.verdict import Settings

Floats = NDArray[np.float64]
CLIPS = 512
QUIET, USUAL, LOUD = Noise(0.02), Noise(0.05), Noise(0.07)
DEEP = ("deep-throughout", "deepening", "deep-with-shallow")
SHORT = ("stagnating", "delayed", "fading")
Row = tuple[str, str, Role, str | tuple[str, ...], Runs]  # a plant's fields, in their order
DELTA, EPSILON = Settings().delta, Settings().epsilon


@functools.cache
def chain() -> EnumeratedReference:
    """The hidden chain: 44 % of its pie lies beyond the last frame."""
    return hidden_chain()


@functools.cache
def twice_seen(noise: float = 0.2, copied: bool = False) -> EnumeratedReference:
    """A fair bit seen twice, shallow and deep, each time wrong with probability `noise`; or the deep one is a copy of
    the shallow one, and says nothing more.
    """
    see = np.array([[1 - noise, noise], [noise, 1 - noise]])
    if copied:
        return EnumeratedReference(0.5 * np.eye(2)[:, :, None] * see[:, None])
    return EnumeratedReference(0.5 * see[:, None] * see[None, :])


@functools.cache
def planted(name: str, noise: Noise) -> Population:
    """One of the six organisms on the chain, many of them."""
    random = np.random.default_rng([0, 3])
    size = (
        5 * SIZE if organism(name).field else SIZE
    )  # random functions scatter so widely that few are no sample of them
    return Population(chain(), organism(name).log_q(chain(), 1, size, noise, random), STEPS)


@functools.cache
def fixed(world: Callable[[], EnumeratedReference], weights: tuple[float, ...], noise: Noise = USUAL) -> Population:
    """Heads that have the same weights on the rungs from the first step on, but for their noise."""
    random, reference = np.random.default_rng([0, 5]), world()
    own = noise.seed * random.standard_normal((1, SIZE, len(weights)))
    new = noise.seed / 4 * random.standard_normal((len(STEPS), SIZE, len(weights)))
    return Population(reference, mixed(reference, np.array(weights) + own + new), STEPS)


@functools.cache
def course(*points: tuple[float, float], noise: Noise = USUAL, whole: bool = False) -> Population:
    """Heads whose mean deep efficiency goes through points (share of the run, efficiency), straight between them."""
    places, values = zip(*points, strict=True)
    return of_course(chain(), lambda progress: np.interp(progress, places, values), noise=noise, whole=whole)


@functools.cache
def swapped() -> Population:
    """The exact predictor with its two outcomes exchanged, at every step."""
    exact = fixed(chain, (1.0,) * 4)
    return Population(exact.reference, exact.log_q[..., ::-1], STEPS)


@functools.cache
def constant() -> Population:
    """Heads that say how the target is distributed and nothing else."""
    return fixed(chain, (0.0,) * 4, Noise(0.0))


@functools.cache
def dipping() -> Population:
    """Up to .95 of the deep bits, down to .5 in the middle of the run, and up to .97 again."""
    return course((0.0, 0.0), (0.02, 0.0), (0.1, 0.95), (0.35, 0.5), (0.6667, 0.97), (1.0, 0.97))


def plants() -> tuple[Plant, ...]:
    """All of them, each with random numbers of its own."""
    made = (*_six(), *_at_the_margins(), *_with_an_effect(), *_awkward(), *_wide())
    return tuple(
        Plant(name, about, role, claim, replace(runs, stream=zlib.crc32(name.encode())))
        for name, about, role, claim, runs in made
    )


def _six() -> list[Row]:
    made: list[Row] = []
    for ending, noise, clips, words in (
        ("", USUAL, 0, "sd .05"),
        ("_quiet", QUIET, 0, "sd .02"),
        ("_loud", LOUD, 0, "sd .07"),
        ("_on_clips", USUAL, CLIPS, f"sd .05, {CLIPS} evaluation clips shared by all seeds"),
    ):
        for name in names():
            one = organism(name)
            runs = Runs(_of(planted, name, noise), clips=clips, known=name == "frozen_half_way")
            made.append((f"{name}{ending}", f"{one.about}; {words}", "right", one.verdict, runs))
    return made


def _at_the_margins() -> list[Row]:
    closing = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 1 - EPSILON), (1.0, 1 - EPSILON))
    loud = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 1 - EPSILON), (1.0, 1 - EPSILON), noise=Noise(0.1))
    late = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.5), (2 / 3, 0.5), (1.0, 0.5 + DELTA), noise=Noise(0.05, 0.05))
    still = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.5), (1.0, 0.5), noise=Noise(0.05, 0.15))
    back = _of(course, (0.0, 0.0), (0.01, 0.97), (0.3, 0.7), (0.6, 0.97), (1.0, 0.97))
    tenth = _of(course, (0.0, 0.1), (1.0, 0.1), whole=True)
    once = _of(course, (0.0, 0.0), (0.4, 0.0), (0.5, 0.1), (0.6, 0.0), (1.0, 0.0), whole=True, noise=LOUD)
    gap, short = f"the gap is exactly ε = {EPSILON:g}", "ends exactly ε from the ceiling"
    rows: list[tuple[str, str, str | tuple[str, ...], Runs]] = [
        ("gap_at_the_margin_called_closed", f"{gap}, sd .05", DEEP, Runs(closing, known=True)),
        ("gap_at_the_margin_called_open", f"{gap}, sd .05", SHORT, Runs(closing)),
        ("loud_gap_called_closed", f"{gap}, sd .1", DEEP, Runs(loud, known=True)),
        ("loud_gap_called_open", f"{gap}, sd .1", SHORT, Runs(loud)),
        ("gap_on_clips_called_closed", f"{gap}, {CLIPS} shared clips", DEEP, Runs(closing, clips=CLIPS, known=True)),
        ("gap_on_clips_called_open", f"{gap}, {CLIPS} shared clips", SHORT, Runs(closing, clips=CLIPS)),
        ("two_seeds_called_closed", f"two seeds only, {short}", DEEP, Runs(closing, seeds=2, known=True)),
        ("two_seeds_called_open", f"two seeds only, {short}", SHORT, Runs(closing, seeds=2)),
        ("late_at_the_margin", f"rises by exactly δ = {DELTA:g} over the last third", "stagnating",
         Runs(late, known=True)),
        ("no_late_change", "half of the deep bits, nothing changes, checkpoints scatter with sd .15",
         ("delayed", "fading"), Runs(still, known=True)),
        ("no_drop", "the same, whose best checkpoint is best by chance", "regressing", Runs(still)),
        ("no_rise", "falls and comes back: no rise since the shallow evidence was learned", "deepening", Runs(back)),
        ("tenth_of_the_pie", "exactly a tenth of the pie at every checkpoint", "untrained", Runs(tenth)),
        ("tenth_once", "a tenth of the pie at one checkpoint, nothing at the others", "untrained", Runs(once)),
    ]  # fmt: skip
    return [(name, about, "null", claim, runs) for name, about, claim, runs in rows]


def _with_an_effect() -> list[Row]:
    nearly = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.95), (1.0, 0.95))
    always = _of(course, (0.0, 0.0), (0.01, 0.95), (1.0, 0.95))
    short = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.85), (1.0, 0.85))
    coming = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.4), (2 / 3, 0.4), (1.0, 0.55))
    falling = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.8), (0.5, 0.8), (1.0, 0.65))
    rows: list[tuple[str, str, str, Runs]] = [
        ("gap_half_the_margin", "ends .05 from the ceiling, ε is .10; rose from nothing", "deepening", Runs(nearly)),
        ("gap_half_the_margin_throughout", "the same from 1 % of the run on", "deep-throughout", Runs(always)),
        ("gap_beyond_the_margin", "ends .15 from the ceiling", "stagnating", Runs(short)),
        ("late_beyond_the_margin", "rises by .15 over the last third", "delayed", Runs(coming)),
        ("drop_beyond_the_margin", "falls by .15 from its best", "regressing", Runs(falling)),
        ("gap_beyond_the_margin_on_clips", f"ends .20 from the ceiling, {CLIPS} shared clips", "stagnating",
         Runs(_of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.8), (1.0, 0.8)), clips=CLIPS, known=True)),
    ]  # fmt: skip
    return [(name, f"{about}; sd .05, 8 seeds", "power", claim, runs) for name, about, claim, runs in rows]


def _awkward() -> list[Row]:
    exact = (1.0,) * 4
    together = _of(
        course, (0.0, 0.0), (0.0005, 0.3), (0.0025, 0.7), (0.005, 0.85), (0.01, 0.93), (0.025, 0.96), (1.0, 0.97)
    )
    halves = functools.cache(lambda: (planted("deepening", USUAL), planted("always_shallow", USUAL)))
    thin, slight = functools.partial(twice_seen, 0.37), functools.partial(twice_seen, 0.35)
    rows: list[tuple[str, str, str | tuple[str, ...], Runs]] = [
        ("seen_twice", "the same thing seen at two depths, with errors of their own; the exact predictor",
         "deep-throughout", Runs(_of(fixed, twice_seen, (1.0, 1.0)))),
        ("seen_twice_used_once", "the same world; only the shallow one is used", "stagnating",
         Runs(_of(fixed, twice_seen, (1.0, 0.0)))),
        ("copied", "what is deep is a copy of what is shallow; the exact predictor", "nothing-deep",
         Runs(_of(fixed, functools.partial(twice_seen, copied=True), (1.0, 1.0)))),
        ("together", "learns deep and shallow evidence at the same time", ("deep-with-shallow", "deep-throughout"),
         Runs(together)),
        ("rise_at_the_margin", f"rises by exactly δ = {DELTA:g} after the shallow evidence: either name is right",
         ("deepening", "deep-with-shallow"),
         Runs(_of(course, (0.0, 0.0), (0.01, 0.85), (0.02, 0.86), (0.3, 0.96), (1.0, 0.96)))),
        ("two_clusters", "half of the seeds deepen, half of them stay shallow", "inconclusive", Runs(halves)),
        ("shallow_too_much", "over-weights shallow evidence (1.6); the deep still tells 95 % of its bits",
         "deep-throughout", Runs(_of(fixed, chain, (1.6, 1.0, 1.0, 1.0)))),
        ("shallow_far_too_much", "over-weights shallow evidence so much (2.3) that a sixth of the deep bits is lost",
         "stagnating", Runs(_of(fixed, chain, (2.3, 1.0, 1.0, 1.0)), known=True)),
        ("deeper_than_shallow", "better on deep than on shallow evidence (weight .5): 94 % against 86 %",
         "deep-throughout", Runs(_of(fixed, chain, (0.5, 1.0, 1.0, 1.0)))),
        ("constant", "says how the target is distributed and nothing else", "untrained", Runs(_of(constant))),
        ("labels_swapped", "the exact predictor with its two outcomes exchanged", "untrained", Runs(_of(swapped))),
        ("hardly_anything_deep", "the exact predictor where what is deep offers .046 bits", "nothing-deep",
         Runs(_of(fixed, thin, (1.0, 1.0)))),
        ("little_that_is_deep", "the exact predictor where what is deep offers .060 bits", "deep-throughout",
         Runs(_of(fixed, slight, (1.0, 1.0)))),
        ("up_and_down", "nearly exact, half of it lost in the middle of the run, nearly exact again", "deepening",
         Runs(_of(dipping))),
        ("two_seeds_exact", "the exact predictor, two seeds only", ("deep-throughout", "inconclusive"),
         Runs(_of(fixed, chain, exact, QUIET), seeds=2)),
        ("two_seeds_shallow", "shallow rungs only, two seeds", ("stagnating", "inconclusive"),
         Runs(_of(planted, "always_shallow", QUIET), seeds=2)),
    ]  # fmt: skip
    return [(name, about, "right", claim, runs) for name, about, claim, runs in rows]


def _wide() -> list[Row]:
    # Nothing is claimed here but that intervals hold: any verdict of the two families is right at three quarters.
    rows: list[Row] = []
    for ending, seeds, clips, words in (
        ("", 8, 0, "8 seeds"),
        ("_two_seeds", 2, 0, "2 seeds"),
        ("_clips", 8, CLIPS, f"8 seeds, {CLIPS} shared clips"),
        ("_few_clips", 8, 256, "8 seeds, 256 shared clips"),
        ("_sixteen", 16, CLIPS, f"16 seeds, {CLIPS} shared clips"),
    ):
        still = _of(course, (0.0, 0.0), (0.02, 0.0), (0.3, 0.6), (1.0, 0.6))
        about = f"six tenths of the deep bits, sd .05, {words}"
        runs = Runs(still, seeds=seeds, clips=clips, known=True)
        rows.append((f"six_tenths{ending}", about, "right", (*SHORT, "inconclusive"), runs))
    return rows


def _of(make: Callable[..., Population], *arguments: object, **named: object) -> Callable[[], Sequence[Population]]:
    """Made when first needed, once in a process: listing plants builds nothing."""
    return functools.cache(lambda: (make(*arguments, **named),))
