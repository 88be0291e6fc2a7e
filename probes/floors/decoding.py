"""How much of a belief is linearly decodable: cross-validated ridge regression over evaluation clips.

    R² = 1 − Σ w |b − b̂|² / Σ w |b − b̄|²

over clips, all states of a latent together, b̂ from fits that have not seen the clip's evidence. Folds are made of
distinct evidence: a head is a function of its evidence, and what was seen once would be recognised again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.sources import Codes, DatasetSource, stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError
from worldnets.heads.inputs import EvidenceInputs

if TYPE_CHECKING:
    from worldnets.dataset import Dataset, Task

Floats = NDArray[np.float64]
LEAST_PROBABILITY = 1e-6  # below it a log-probability of the readout floor counts as this
CONSTANT = 1e-10  # standard deviation of a feature, relative to the largest, below which it is left out


@dataclass(frozen=True)
class Sampling:
    """How decodability is measured.

    Attributes:
        clips: evaluation clips, drawn from W*, the same for every checkpoint, seed, head and floor.
        groups: groups of clips, whose spread is the error that clips leave.
        folds: of the cross-validation.
        draws: random subspaces that an ablation is compared with.
        penalties: of the ridge regression on standardised features, per clip; each fold takes the one that does best on
            the other folds. The largest predicts little but the mean.
        seed: stream of clips, folds and random subspaces.
    """

    clips: int = 2048
    groups: int = 16
    folds: int = 4
    draws: int = 8
    penalties: tuple[float, ...] = (1e-6, 1e-4, 1e-2, 1.0, 100.0)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Clips, what W* says of them, and what is decoded from. R distinct rows, G groups.

    Attributes:
        codes: distinct evidence rows, [R, net variables].
        shares: how often each occurs in each group, as a share of the group's clips, [G, R].
        fold: of the cross-validation, [R].
        folds: how many.
        penalties: of the ridge regression, per clip.
        beliefs: W*(z | evidence) of each latent z, [R, states].
        history: the raw evidence as numbers, [R, features].
        readout: the exact answer to the task, W*(y | evidence) of all targets, as probabilities and as their
            logarithms, [R, 2·outcomes].
        answer: the exact answer as probabilities, [R, outcomes].
    """

    codes: Codes
    shares: Floats
    fold: NDArray[np.int64]
    folds: int
    penalties: tuple[float, ...]
    beliefs: Mapping[str, Floats]
    history: Floats
    readout: Floats
    answer: Floats
    weight: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", self.shares.mean(0))

    def variance(self, latent: str) -> float:
        """Σ_states of the variance of the exact belief over clips: what there is to be decoded."""
        belief = self.beliefs[latent]
        return float(self.weight @ ((belief - self.weight @ belief) ** 2).sum(1))

    def residuals(self, features: NDArray[np.floating], latents: Sequence[str]) -> Floats:
        """1 − R² of each latent's belief decoded from features, in each group of clips, [latents, G].

        Numerators are the group's own, denominators the whole variance, so that the mean over groups is 1 − R².
        Features that are not finite give NaN.
        """
        if not np.isfinite(features).all():
            return np.full((len(latents), len(self.shares)), np.nan)
        wanted = np.concatenate([self.beliefs[z] for z in latents], axis=1)
        left = (wanted - self._out_of_fold(np.asarray(features, dtype=np.float64), wanted)) ** 2  # [penalties, R, …]
        ends = np.cumsum([0, *(self.beliefs[z].shape[1] for z in latents)])
        found = []
        for z, a, b in zip(latents, ends[:-1], ends[1:], strict=True):
            own = left[:, :, a:b].sum(2)
            chosen = np.empty(own.shape[1])
            for fold in range(self.folds):
                held = self.fold == fold
                best = int((own[:, ~held] @ self.weight[~held]).argmin())
                chosen[held] = own[best, held]
            found.append(self.shares @ chosen / max(self.variance(z), 1e-12))
        return np.stack(found)

    def _out_of_fold(self, features: Floats, wanted: Floats) -> Floats:
        """Predictions of each fold's rows by ridge regressions on the others, [penalties, R, columns of `wanted`]."""
        from sklearn import config_context
        from sklearn.linear_model import Ridge

        # One fit for all penalties: every column of `wanted` once under each.
        several = np.tile(wanted, (1, len(self.penalties)))
        alphas = np.repeat(np.asarray(self.penalties, dtype=np.float64), wanted.shape[1])
        answer = np.empty_like(several)
        for fold in range(self.folds):
            held = self.fold == fold
            weight = self.weight[~held] / self.weight[~held].sum()
            mean = weight @ features[~held]
            scale = np.sqrt(weight @ (features[~held] - mean) ** 2)
            kept = scale > CONSTANT * max(scale.max(initial=0.0), 1e-30)
            if not kept.any():
                answer[held] = weight @ several[~held]
                continue
            rows = (features[:, kept] - mean[kept]) / scale[kept]
            with config_context(assume_finite=True, skip_parameter_validation=True):
                ridge = Ridge(alpha=alphas, solver="cholesky")
                ridge.fit(rows[~held], several[~held], sample_weight=weight)
            answer[held] = rows[held] @ ridge.coef_.T + ridge.intercept_
        return np.moveaxis(answer.reshape(len(wanted), len(self.penalties), -1), 1, 0)


def evaluation(dataset: Dataset, task: Task, source: DatasetSource, sampling: Sampling) -> Evaluation:
    """Draw the clips and ask W* about them.

    Raises:
        ProbeError: a task without latents; too few clips, or too little different evidence, for the folds.
    """
    if not task.latents:
        mend = "name latents in the dataset"
        raise ProbeError("the task names no latents to decode beliefs about", node=task.objective, mend=mend)
    groups, folds = sampling.groups, sampling.folds
    if groups < 2 or folds < 2 or sampling.clips < 2 * groups:
        found, expected = (sampling.clips, groups, folds), "≥ 2 groups of ≥ 2 clips, ≥ 2 folds"
        raise ProbeError("too few clips, groups or folds", found=found, expected=expected)
    size = -(-sampling.clips // groups)
    clips = source.simulate(size * groups, stream(sampling.seed, 21))
    rows, which = distinct(clips)
    if len(rows) < 4 * folds:
        seen, least = f"{len(rows)} different rows of evidence", f"at least {4 * folds}"
        mend = "take fewer folds, or a world with more evidence"
        raise ProbeError(
            "too little evidence to hold any out", node=dataset.name, found=seen, expected=least, mend=mend
        )
    group = np.arange(len(clips)) // size
    shares = np.zeros((groups, len(rows)))
    np.add.at(shares, (group, which), 1.0 / size)
    order = np.random.default_rng(stream(sampling.seed, 22)).permutation(len(rows))
    fold = np.empty(len(rows), dtype=np.int64)
    fold[order] = np.arange(len(rows)) % folds
    known = source.engine.query(rows, variables=task.latents)
    beliefs = {z: np.asarray(known[z], dtype=np.float64) for z in task.latents}
    answer = np.concatenate([source.posterior(rows, target.name)[1] for target in task.targets], axis=1)
    logs = np.log(np.maximum(answer, LEAST_PROBABILITY))
    history = EvidenceInputs(dataset.net, task, partial=True).features(rows).astype(np.float64)
    readout = np.concatenate([answer, logs], axis=1)
    return Evaluation(rows, shares, fold, folds, sampling.penalties, beliefs, history, readout, answer)
