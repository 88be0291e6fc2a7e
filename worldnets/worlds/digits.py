"""temp"""

import gzip, importlib.util
from pathlib import Path
import numpy as np
from worldnets.episodes import *


def images():
    spec = importlib.util.find_spec("sklearn")
    p = Path(spec.submodule_search_locations[0]) / "datasets/data/digits.csv.gz"
    D = np.loadtxt(gzip.open(p, "rt"), delimiter=",", dtype=np.int16)
    return D[:, :64].reshape(-1, 8, 8), D[:, 64]


def episodes(frames=6, window=2, velocities=(-1, 0, 1), starts=3, threshold=7, rows=4):
    X, y = images()
    B = (X.reshape(-1, rows, 8 // rows, 8).mean(2) > threshold).astype(np.int16)
    reach = frames * 2 + 8
    P = np.zeros((len(B), rows, 8 + 2 * reach), np.int16)
    P[:, :, reach : reach + 8] = B
    codes = []
    src = []
    for vi, v in enumerate(velocities):
        for s in range(starts):
            if v > 0:
                at = reach - window + 1 + s
            elif v < 0:
                at = reach + 7 - s
            else:
                at = reach + round((8 - window) * (s + 0.5) / starts)
            f = [P[:, :, at + v * t : at + v * t + window].reshape(len(B), -1) for t in range(frames)]
            codes.append(np.concatenate([y[:, None], np.full((len(B), 1), vi), *f], 1))
            src.append(np.arange(len(B)))
    kinds = {f"r{r}c{c}": ("blank", "ink") for r in range(1, rows + 1) for c in range(1, window + 1)}
    return Episodes(
        ClipLayout(kinds, frames, {"digit": tuple(range(10)), "velocity": tuple(velocities)}),
        np.concatenate(codes),
        np.concatenate(src),
    )
