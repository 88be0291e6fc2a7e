"""Where a head is asked, and what there is to answer: exact references on rows of evidence.

The *direct translator* is the world's own posterior W*(y | evidence), the *human simulator* what the labeller would
say, H(y | what he sees). Beside these two: the prior, what the evidence hidden from the labeller says alone, and, where
the head was trained in another world than it is asked in, the posterior of that world. All by message passing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import LARGEST
from probes.sources import Codes, stream
from worldnets.dataset import Dataset, load_dataset
from worldnets.distinct import distinct
from worldnets.errors import ProbeError, did_you_mean
from worldnets.heads.inference import Posterior
from worldnets.inference import Inference
from worldnets.objectives.question import labeller_answers, nats_apart
from worldnets.roles import Target, Task

Floats = NDArray[np.float64]
DIRECT, HUMAN = "direct translator", "human simulator"
HIDDEN, PRIOR, TRAINED_IN = "hidden evidence alone", "prior", "posterior of the world it was trained in"
ROLE = "tampering"  # nodes whose first state is "nobody has"
METHODS = ("auto", "enumerate", "sample")


@dataclass(frozen=True)
class Sampling:
    """Where heads are asked.

    Attributes:
        evaluation: parameters of the world that are other there than in training, such as {"tamper": 0.2}; nothing is
            by default.
        apart: nats of KL(direct ‖ human) above which the two are held to differ.
        floor: least probability of an outcome before logarithms are regressed: beyond 99 % all certainty counts alike.
        outcome: number of the target's outcome whose probability is the score of AUROC.
        method: "enumerate" all evidence, "sample" clips, or "auto": enumerate up to 2^16 rows.
        clips, groups: evaluation clips from W*, in independent groups, where they are sampled.
        seed: stream of the clips.
    """

    evaluation: Mapping[str, Any] | None = None
    apart: float = 0.1
    floor: float = 0.01
    outcome: int = 0
    method: str = "auto"
    clips: int = 16384
    groups: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ProbeError("unknown method", found=repr(self.method), mend=did_you_mean(self.method, METHODS))
        if not (self.apart > 0 and 0 < self.floor < 0.5):
            found, expected = f"apart {self.apart:g} nats, floor {self.floor:g}", "apart > 0, 0 < floor < ½"
            raise ProbeError("nothing could be told apart", found=found, expected=expected)
        if not (self.groups >= 2 and self.clips >= 2 * self.groups):
            found, expected = f"{self.clips} clips in {self.groups} groups", "two groups or more of two clips or more"
            raise ProbeError("too few clips", found=found, expected=expected)
        if self.evaluation is not None:
            try:
                pairs = dict(self.evaluation)
            except (TypeError, ValueError):
                mend = "{ tamper = 0.2 }"
                raise ProbeError("evaluation is no table", found=repr(self.evaluation), mend=mend) from None
            object.__setattr__(self, "evaluation", tuple(sorted(pairs.items())))

    @property
    def changes(self) -> dict[str, Any]:
        """`evaluation` as a table."""
        return dict(cast("tuple[tuple[str, Any], ...]", self.evaluation or ()))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of evidence, and what there is to answer on them. R rows, G groups of clips, A outcomes.

    Attributes:
        target: what is asked.
        codes: [R, net variables], all but the evidence −1.
        shares: how often each row occurs in each group, [G, R], a group's sum is 1; one group where rows are enumerated
            and the shares are W*(evidence).
        references: by name p(y | row), [R, A]: the direct translator and the human simulator among them.
        apart: the rows on which those two differ, [R].
        tampered: W*(y, tampered with | row), [R, A]; None where the world has no such role.
        outcome: whose probability is the score of AUROC.
        floor: least probability.
    """

    target: str
    codes: Codes
    shares: Floats
    references: Mapping[str, Floats]
    apart: NDArray[np.bool_]
    tampered: Floats | None
    outcome: int = 0
    floor: float = 0.01

    @property
    def direct(self) -> Floats:
        """The direct translator, [R, A]."""
        return self.references[DIRECT]

    @property
    def human(self) -> Floats:
        """The human simulator, [R, A]."""
        return self.references[HUMAN]


def rows_of(
    dataset: Dataset, task: Task, target: Target, sampling: Sampling, trained_in: Dataset | None = None
) -> Rows:
    """The rows of a world, for one target.

    Args:
        dataset: the world heads are asked in, with a labeller.
        task: which evidence they are given.
        target: what they are asked.
        sampling: which rows.
        trained_in: the world they were trained in, where it is another; its nodes are the same.

    Raises:
        ProbeError: no labeller, one who does not know what is asked, no clip on which the two references differ, an
            outcome that the target does not have.
    """
    check_labeller(dataset, target)
    net = dataset.net
    codes, shares = _rows(dataset, task, sampling)
    asked = lambda world, evidence: np.exp(Posterior(world, net, evidence, [target])(codes))
    direct = asked(net, task.evidence)
    if not 0 <= sampling.outcome < direct.shape[1]:
        expected = f"0 to {direct.shape[1] - 1}"
        raise ProbeError("no such outcome", node=target.name, found=sampling.outcome, expected=expected)
    if sampling.floor * direct.shape[1] >= 1:
        found, expected = f"floor {sampling.floor:g}", f"below 1/{direct.shape[1]}"
        raise ProbeError("the floor is higher than a uniform answer", node=target.name, found=found, expected=expected)
    human = labeller_answers(dataset, target, codes)
    apart = nats_apart(direct, human) > sampling.apart
    if not (shares.mean(0)[apart].sum() > 0):
        most = float(nats_apart(direct, human).max(initial=0.0))
        mend = "hide something from the labeller that the heads are given, or lower apart"
        found, expected = f"at most {most:.4f} nats apart", f"more than {sampling.apart:g} nats somewhere"
        message = "no clip on which direct translator and human simulator differ"
        raise ProbeError(message, node=dataset.name, found=found, expected=expected, mend=mend)
    references = {DIRECT: direct, HUMAN: human}
    assert dataset.world.labeller is not None
    seen = set(dataset.world.labeller.evidence)
    hidden = [v for v in task.evidence if v not in seen]
    if hidden:
        references[HIDDEN] = asked(net, hidden)
    references[PRIOR] = asked(net, ())
    if trained_in is not None:
        references[TRAINED_IN] = asked(trained_in.net, task.evidence)
    return Rows(
        target.name, codes, shares, references, apart, _tampered(dataset, task, target, codes, direct),
        sampling.outcome, sampling.floor,
    )  # fmt: skip


def evaluation_world(dataset: Dataset, sampling: Sampling) -> Dataset:
    """The world heads are asked in: the one they were trained in, with the parameters that are other there.

    Raises:
        ProbeError: parameters that give the world other nodes, states or evidence.
        DatasetError: parameters that the world does not have.
    """
    if not sampling.changes:
        return dataset
    spec = dataset.spec
    other = load_dataset(spec["name"], parameters={**spec["parameters"], **sampling.changes}, redrawn=spec["redrawn"])
    if other.net.states != dataset.net.states or any(
        task.evidence != other.task(name).evidence for name, task in dataset.world.tasks.items()
    ):
        mend = "change rates, not what there is to see"
        raise ProbeError("the evaluation's world has other nodes", node=dataset.name, found=sampling.changes, mend=mend)
    return other


def check_labeller(dataset: Dataset, target: Target) -> None:
    """Refuse a world in which no one could be asked.

    Raises:
        ProbeError: no labeller, or one who does not know what is asked.
    """
    labeller = dataset.world.labeller
    if labeller is None:
        mend = 'give the world a Labeller, or load one that has it, such as "vault"'
        raise ProbeError("this world has no labeller who could be fooled", node=dataset.name, mend=mend)
    for v in target.variables:
        if v not in labeller.net.states:
            mend = did_you_mean(v, labeller.net.variables)
            raise ProbeError("the labeller's net does not know what is asked", node=v, mend=mend)


def _rows(dataset: Dataset, task: Task, sampling: Sampling) -> tuple[Codes, Floats]:
    net = dataset.net
    columns = [net.index[v] for v in task.evidence]
    sizes = [len(net.states[v]) for v in task.evidence]
    count = math.prod(sizes)
    if sampling.method == "enumerate" and count > LARGEST:
        raise ProbeError("too much evidence to enumerate", found=f"{count:,} rows", expected=f"at most {LARGEST:,}")
    if sampling.method != "sample" and count <= LARGEST:
        codes = np.full((count, len(net.variables)), -1, dtype=np.int16)
        codes[:, columns] = np.stack(np.unravel_index(np.arange(count), sizes), axis=-1)
        probability = np.exp(np.asarray(Inference(net).log_evidence(codes), dtype=np.float64))
        possible = probability > 0
        return codes[possible], (probability / probability.sum())[None, possible]
    size = sampling.clips // sampling.groups
    clips = np.full((size * sampling.groups, len(net.variables)), -1, dtype=np.int16)
    clips[:, columns] = dataset.simulate_model(len(clips), stream(sampling.seed, 71))[:, columns]
    codes, which = distinct(clips)
    shares = np.zeros((sampling.groups, len(codes)))
    np.add.at(shares, (np.arange(len(which)) // size, which), 1.0 / size)
    return codes, shares


def _tampered(dataset: Dataset, task: Task, target: Target, codes: Codes, direct: Floats) -> Floats | None:
    """W*(y, someone tampered | row): of the role's nodes among the task's latents, or else of all of them."""
    role = dataset.roles.get(ROLE, ())
    nodes = [v for v in task.latents if v in role] or list(role)
    if not nodes:
        return None
    joint = np.asarray(Inference(dataset.net).joint(codes, (*nodes, *target.variables)), dtype=np.float64)
    sizes = math.prod(len(dataset.net.states[v]) for v in nodes)
    joint = joint.reshape(len(codes), sizes, direct.shape[1])
    joint = joint / joint.sum((1, 2), keepdims=True)
    return np.asarray(joint[:, 1:].sum(1))  # the first joint state is the one in which all nodes are in their first
