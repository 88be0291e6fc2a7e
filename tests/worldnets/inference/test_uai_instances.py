"""Instances of the UAI 2014 inference competition, with the competition's own answers.

They are not part of this repository: the tests read `../shared/data/uai` beside the checkout when it stands there.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from worldnets import Inference, read_evidence, read_net

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "uai"
LARGE = {"Alchemy_11", "Grids_11", "Promedus_11"}  # cliques of a million cells and more: seconds and gigabytes each
FOUND = sorted(path.stem for path in FOLDER.glob("*.uai"))


def marginals(path):
    """The competition's single-variable posteriors, in file order."""
    numbers = iter(path.read_text().split()[1:])
    for _ in range(int(next(numbers))):
        yield np.array([float(next(numbers)) for _ in range(int(next(numbers)))])


@pytest.mark.skipif(not FOUND, reason=f"no instances beside the checkout, in {FOLDER.parent.parent.name}/data/uai")
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in FOUND or ["none"]])
def test_posteriors_and_partition_function_are_those_published(name):
    path = FOLDER / f"{name}.uai"
    net = read_net(path)
    beliefs = Inference(net).query(read_evidence(f"{path}.evid", net))
    published = list(marginals(Path(f"{path}.MAR")))
    assert len(published) == len(net.variables)
    assert max(float(np.abs(beliefs[v][0] - p).max()) for v, p in zip(net.variables, published, strict=True)) <= 1e-6
    log10_z = float(Path(f"{path}.PR").read_text().split()[1])
    assert beliefs.log_evidence[0] / math.log(10) == pytest.approx(log10_z, rel=1e-4)
