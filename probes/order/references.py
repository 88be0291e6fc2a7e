"""Reference predictors, from simple to rich, and the evidence they are compared on, in distribution and out of it.

In distribution evidence comes from W*: all contexts, or the clips of the shared reference (`probes.ladder.references`).
Out of distribution its parts are drawn independently of each other: what goes together in W* no longer does, so that
predictors that agree on W*'s evidence part. Evidence that W* holds impossible has no exact posterior and is passed
over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes.design import masked
from probes.enumerated import EnumeratedReference
from probes.ladder import Reference
from probes.ladder import Sampling as LadderSampling
from probes.order.tree import tree_posterior
from probes.sources import Codes, Source, posterior_of_distinct, stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError, did_you_mean

Floats = NDArray[np.float64]
#: A named predictor, evidence whose exact posterior it is, or a function of evidence rows.
Given = str | Sequence[str] | Callable[[Any], Any]
#: A function (codes of rows) → probabilities [rows, outcomes], made of a function of one's own.
Asked = Callable[[Codes], Floats]

NAMED = ("marginals", "last frame", "pairwise tree", "naive Bayes", "full")
DEFAULT = ("marginals", "last frame", "pairwise tree", "full")
CONTROLS = ("answers permuted", "evidence shuffled")
RUNG = re.compile(r"rung (\d+)")
FLOOR = 1e-6  # of the uniform predictor in every reference: what a head may hold possible that a reference does not
TRIES = 8  # rows drawn for each row wanted, where many are impossible


@dataclass(frozen=True)
class Sampling:
    """What heads are compared with, and on what evidence.

    Attributes:
        references: names, simple first and the richest last: "marginals", "last frame", "pairwise tree", "naive Bayes",
            "full", "rung 2", …
        ladder, method, clips, seed: as of the depth probe, whose clips are the same.
        independent: what is drawn independently out of distribution: each variable of the "evidence" from its own
            distribution, whole "rungs", or each variable from the "uniform" distribution.
        least_apart: bits, E KL(richer ‖ simpler) below which two references are one.
        most_condition: largest condition number of the references' (scaled) differences at which their weights are
            told apart.
        handicap: bits that a control must pay for each unit of weight.
    """

    references: tuple[str, ...] = DEFAULT
    ladder: str = "task"
    method: Literal["auto", "enumerate", "sample"] = "auto"
    clips: int = 1024
    seed: int = 0
    independent: Literal["evidence", "rungs", "uniform"] = "evidence"
    least_apart: float = 0.01
    most_condition: float = 30.0
    handicap: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "references", tuple(self.references))
        if self.independent not in ("evidence", "rungs", "uniform"):
            mend = did_you_mean(self.independent, ["evidence", "rungs", "uniform"])
            raise ProbeError("unknown kind of independence", found=repr(self.independent), mend=mend)
        if not (self.least_apart > 0 and self.most_condition > 1 and self.handicap >= 0):
            found = (self.least_apart, self.most_condition, self.handicap)
            raise ProbeError(
                "not a tolerance", found=found, expected="least_apart > 0, most_condition > 1, handicap ≥ 0"
            )
        _ = self.own_ladder

    @property
    def own_ladder(self) -> LadderSampling:
        """Of the shared references."""
        return LadderSampling(ladder=self.ladder, method=self.method, clips=self.clips, seed=self.seed)


@dataclass(frozen=True)
class Part:
    """Evidence in distribution, or out of it, and what predictors say there. N rows, M references, C controls.

    Attributes:
        codes: evidence, [N, width].
        weight: of each row; sums to 1.
        group: of each row; None where nothing is sampled.
        predictors: [M + C, N, outcomes], floored.
        posterior, prior: p_K and p_0 of the ladder, for the bits on offer.
        skipped: share of the evidence that W* holds impossible.
    """

    codes: Codes
    weight: Floats
    group: NDArray[np.int64] | None
    predictors: Floats
    posterior: Floats
    prior: Floats
    skipped: float = 0.0

    @property
    def offer(self) -> Floats:
        """E KL(p_K ‖ p_0) in bits: of all rows, and then of each group."""
        rows = _divergence(self.posterior, self.prior)
        whole = [float(self.weight @ rows)]
        if self.group is not None:
            groups = int(self.group.max()) + 1
            whole += [groups * float(self.weight[self.group == g] @ rows[self.group == g]) for g in range(groups)]
        return np.array(whole)

    def apart(self) -> Floats:
        """E KL(p_i ‖ p_j) in bits, [M + C, M + C]."""
        p = self.predictors
        return np.array([[float(self.weight @ _divergence(one, other)) for other in p] for one in p])

    def condition(self, members: Sequence[int]) -> float:
        """Condition number of the scaled differences of some predictors from the first of them.

        Columns √(W(x)/mix)·(p_i − p_first), each of length 1: infinite where two of them coincide, or one lies on the
        line between others.
        """
        if len(members) < 2:
            return 1.0
        p = self.predictors[list(members)]
        columns = ((p[1:] - p[0]) * np.sqrt(self.weight[:, None] / p.mean(0))).reshape(len(p) - 1, -1)
        size = np.linalg.norm(columns, axis=1)
        if not np.all(size > 1e-12):
            return math.inf
        values = np.linalg.svd(columns / size[:, None], compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 1e-14 else math.inf


@dataclass(frozen=True)
class Comparison:
    """What heads on one target are compared with.

    Attributes:
        groups: names of references that are told apart, simple first; those that are not stand together, and the last
            of them is the one that is fitted.
        close: whether the last group holds together by closeness, and not by condition alone.
        chosen: places in `Part.predictors` of what is fitted: one for each group, then the controls.
        controls: names of the controls that differ from every reference.
        inside, outside: evidence in distribution and out of it; None where it is impossible nearly always.
        apart: E KL between references in distribution, bits, [M, M].
        condition: of what is fitted, in distribution and out of it.
        weights_outside: whether weights are told apart there too.
    """

    groups: tuple[tuple[str, ...], ...]
    close: bool
    chosen: tuple[int, ...]
    controls: tuple[str, ...]
    inside: Part
    outside: Part | None
    apart: Floats
    condition: tuple[float, float]
    weights_outside: bool
    skipped: float


def comparison(
    source: Source,
    reference: Reference,
    target: str,
    sampling: Sampling,
    given: Mapping[str, Given | Asked] | None = None,
) -> Comparison:
    """Build references, controls and evidence of one target.

    Args:
        source, reference, target: as the ladder of the target has them.
        sampling: which references, which evidence.
        given: references of one's own, by name; instead of those of `sampling`.

    Raises:
        ProbeError: fewer than two references, an unknown one, or one that returns what are no probabilities.
    """
    rungs = reference.about.rungs
    wanted: dict[str, Given | Asked] = dict(given) if given else {name: name for name in sampling.references}
    check_given(wanted, len(rungs), [name for rung in rungs for name in rung])
    known = _Predictors(source, rungs, target)
    codes, weight, group, ladder = _clips(reference)
    inside = known.part(codes, weight, group, wanted, sampling, ladder)
    outside, skipped = _outside(source, reference, known, wanted, sampling)
    count = len(wanted)
    apart = inside.apart()
    groups, close = told_apart(inside, apart[:count, :count], sampling.least_apart, sampling.most_condition)
    chosen = [group[-1] for group in groups]
    controls = [
        place
        for place in range(count, count + len(CONTROLS))
        if min(float(apart[chosen, place].min()), float(apart[place, chosen].min())) >= sampling.least_apart
    ]
    names = list(wanted)
    conditions, told = (inside.condition(chosen), math.nan), False
    if outside is not None:
        beyond = outside.apart()
        nearest = min((beyond[j, i] for n, i in enumerate(chosen) for j in chosen[n + 1 :]), default=math.inf)
        conditions = (conditions[0], outside.condition(chosen))
        told = bool(conditions[1] <= sampling.most_condition and nearest >= sampling.least_apart)
    return Comparison(
        tuple(tuple(names[i] for i in group) for group in groups),
        close,
        (*chosen, *controls),
        tuple(CONTROLS[place - count] for place in controls),
        inside,
        outside,
        apart[:count, :count],
        conditions,
        told,
        skipped,
    )


def check_given(wanted: Mapping[str, Any], rungs: int, evidence: Sequence[str]) -> None:
    """Refuse lists of references that are none.

    Raises:
        ProbeError: fewer than two; an unknown name, rung, or evidence.
    """
    if len(wanted) < 2:
        mend = "name at least two, simple first: " + ", ".join(DEFAULT)
        raise ProbeError("too few references to tell apart", found=list(wanted), mend=mend)
    for name, one in wanted.items():
        if callable(one):
            continue
        if isinstance(one, str):
            rung = RUNG.fullmatch(one)
            if rung is not None and not 1 <= int(rung[1]) <= rungs:
                raise ProbeError("no such rung", node=name, found=one, expected=f"rung 1 to rung {rungs}")
            if rung is None and one not in NAMED:
                raise ProbeError("unknown reference", node=name, found=repr(one), mend=did_you_mean(one, NAMED))
            continue
        for variable in one:
            if variable not in evidence:
                mend = did_you_mean(variable, evidence)
                raise ProbeError("a reference names unknown evidence", node=name, found=variable, mend=mend)


class _Predictors:
    """The references of a source, on any evidence."""

    def __init__(self, source: Source, rungs: Sequence[Sequence[str]], target: str) -> None:
        self.source, self.rungs, self.target = source, rungs, target
        self.evidence = [name for rung in rungs for name in rung]
        self.trees: dict[str, Any] = {}

    def given_evidence(self, codes: Codes, names: Sequence[str]) -> Floats:
        """The exact posterior of the target when only some evidence is seen."""
        columns = np.array([self.source.columns[name] for name in names], dtype=np.int64)
        return posterior_of_distinct(self.source, masked(codes, columns), self.target)[1]

    def on(self, codes: Codes, one: Given | Asked, ladder: Floats | None) -> Floats:
        """What a reference says, [rows, outcomes]."""
        if isinstance(one, str):
            rung = RUNG.fullmatch(one)
            if one in ("pairwise tree", "naive Bayes"):
                if one not in self.trees:
                    self.trees[one] = tree_posterior(self.source, self.evidence, self.target, one == "naive Bayes")
                return np.asarray(self.trees[one](codes))
            k = int(rung[1]) if rung else {"marginals": 0, "last frame": 1, "full": len(self.rungs)}[one]
            if ladder is not None:
                return ladder[k]
            return self.given_evidence(codes, [name for part in self.rungs[:k] for name in part])
        if not callable(one):
            return self.given_evidence(codes, list(one))
        p = np.asarray(one(codes), dtype=np.float64)
        expected = (len(codes), self.source.outcome_count(self.target))
        if p.shape != expected or not np.all(p >= 0) or not np.allclose(p.sum(1), 1.0, atol=1e-3):
            mend = "return probabilities [rows, outcomes] whose rows sum to 1"
            raise ProbeError("a reference returned no probabilities", found=p.shape, expected=expected, mend=mend)
        return p / p.sum(1, keepdims=True)

    def part(
        self,
        codes: Codes,
        weight: Floats,
        group: NDArray[np.int64] | None,
        wanted: Mapping[str, Given | Asked],
        sampling: Sampling,
        ladder: Floats | None,
        skipped: float = 0.0,
    ) -> Part:
        """References and controls on some evidence."""
        found = [self.on(codes, one, ladder) for one in wanted.values()]
        posterior, prior = self.on(codes, "full", ladder), self.on(codes, "marginals", ladder)
        order = _shuffled(len(codes), group, stream(sampling.seed, 5))
        every = np.stack([*found, np.roll(posterior, 1, axis=-1), posterior[order]])
        floored = (1 - FLOOR) * every + FLOOR / every.shape[-1]
        return Part(codes, weight, group, floored, posterior, prior, skipped)


def _clips(reference: Reference) -> tuple[Codes, Floats, NDArray[np.int64] | None, Floats]:
    if isinstance(reference, EnumeratedReference):
        return reference.inputs, reference.weight, None, reference.ladder
    design = reference.design
    group = np.arange(len(design.clips)) // (len(design.clips) // design.groups)
    return design.clips, _balanced(design.weight, group), group, reference.ladder


def _outside(
    source: Source, reference: Reference, known: _Predictors, wanted: Mapping[str, Given | Asked], sampling: Sampling
) -> tuple[Part | None, float]:
    sets = [list(rung) for rung in known.rungs]
    if sampling.independent != "rungs":
        sets = [[name] for name in known.evidence]
    columns = [[source.columns[name] for name in one] for one in sets]
    if isinstance(reference, EnumeratedReference):
        codes, weight = reference.inputs, np.ones(len(reference.inputs))
        for one, at in zip(sets, columns, strict=True):
            if sampling.independent == "uniform":
                weight = weight / math.prod(source.cardinalities[name] for name in one)
            else:
                which = distinct(np.ascontiguousarray(codes[:, at]))[1]
                weight = weight * np.bincount(which, weights=reference.weight)[which]
        share = float(weight.sum())
        part = known.part(codes, weight / share, None, wanted, sampling, reference.ladder, max(0.0, 1 - share))
        return part, part.skipped
    design = reference.design
    count = len(design.clips)
    random = np.random.default_rng(stream(sampling.seed, 6))
    codes = source.simulate(TRIES * count, stream(sampling.seed, 7))
    for one, at in zip(sets, columns, strict=True):
        if sampling.independent == "uniform":
            for name, column in zip(one, at, strict=True):
                codes[:, column] = random.integers(source.cardinalities[name], size=len(codes))
        else:
            codes[:, at] = codes[random.permutation(len(codes))][:, at]
    possible = np.isfinite(posterior_of_distinct(source, codes, known.target)[0])
    kept = codes[possible][:count]
    skipped = float(1 - possible.mean())
    size = len(kept) // design.groups
    if size < 2:
        return None, skipped
    kept = kept[: size * design.groups]
    group = np.arange(len(kept)) // size
    return known.part(kept, np.full(len(kept), 1 / len(kept)), group, wanted, sampling, None, skipped), skipped


def told_apart(part: Part, apart: Floats, least_apart: float, most_condition: float) -> tuple[list[list[int]], bool]:
    """References whose weights can be told from each other.

    Args:
        part: what they say.
        apart: E KL between them, bits, [M, M].
        least_apart: bits below which two are one.
        most_condition: largest condition number of their scaled differences.

    Returns:
        Groups of references, simple first in each; and whether the last holds together by closeness.
    """
    groups = [[i] for i in range(len(apart))]

    def distance(one: list[int], other: list[int]) -> float:
        simple, rich = sorted((one[-1], other[-1]))
        return float(apart[rich, simple])

    def nearest() -> tuple[float, int, int]:
        pairs = [(distance(groups[i], groups[j]), i, j) for j in range(len(groups)) for i in range(j)]
        return min(pairs, default=(math.inf, 0, 0))

    def merge(i: int, j: int) -> None:
        groups[j] = sorted(groups[i] + groups[j])
        del groups[i]
        groups.sort(key=lambda group: group[-1])

    while len(groups) > 1 and nearest()[0] < least_apart:
        merge(*nearest()[1:])
    close = len(groups[-1]) > 1
    while len(groups) > 1 and part.condition([group[-1] for group in groups]) > most_condition:
        before = groups[-1][:]
        merge(*nearest()[1:])
        close = close and groups[-1] == before
    return groups, close


def _divergence(p: Floats, q: Floats) -> Floats:
    # KL of each row, bits; q is above 0 wherever p is.
    return np.asarray((p * np.log2(np.where(p > 0, p, 1.0) / np.where(p > 0, q, 1.0))).sum(-1))


def _balanced(weight: Floats, group: NDArray[np.int64]) -> Floats:
    total = np.bincount(group, weights=weight)
    return np.asarray(weight / total[group] / len(total))


def _shuffled(count: int, group: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    # A random order of rows, each within its group.
    random = np.random.default_rng(seed).random(count)
    if group is None:
        return np.argsort(random, kind="stable")
    order, answer = np.lexsort((random, group)), np.empty(count, dtype=np.int64)
    answer[np.argsort(group, kind="stable")] = order
    return answer
