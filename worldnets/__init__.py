"""Generative world-models as Bayes nets, exact messages in them, and the heads trained on top.

>>> import pandas as pd
>>> import worldnets as wn
>>> net = wn.load_dataset("asia").net
>>> evidence = pd.DataFrame({"smoke": ["yes", None]})  # state labels, missing = unobserved
>>> wn.Inference(net).query(evidence)["lung"].round(3)  # [rows, states]
array([[0.1  , 0.9  ],
       [0.055, 0.945]])

Everything listed here is imported on first use: `import worldnets` itself loads no numerical library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldnets import errors, learning
    from worldnets.dataset import Dataset, dataset_names, load_dataset
    from worldnets.dataset_check import check_dataset
    from worldnets.draw import draw_messages, draw_net, draw_plan
    from worldnets.episode_stream import EpisodeStream, EpisodeWriter, read_episodes, write_episodes
    from worldnets.episodes import ClipLayout, Episodes, Split
    from worldnets.errors import WorldnetsError
    from worldnets.formats import read_evidence, read_net, write_evidence, write_net
    from worldnets.growth import Growth, Stage
    from worldnets.heads.check import check_head
    from worldnets.inference import (
        Beliefs,
        Inference,
        LoopyBeliefs,
        LoopyInference,
        MessageHistory,
        TemporalBeliefs,
        TemporalInference,
        beliefs_function,
        expected_counts,
        simulate,
    )
    from worldnets.net import Factor, FactorNet, WorldNet
    from worldnets.real_data import from_episodes, from_video
    from worldnets.roles import Target, Task
    from worldnets.temporal import TwoSliceNet, frame_name
    from worldnets.training import Trace, train

__version__ = "0.1.0"

__all__ = [
    "Beliefs",
    "ClipLayout",
    "Dataset",
    "EpisodeStream",
    "EpisodeWriter",
    "Episodes",
    "Factor",
    "FactorNet",
    "Growth",
    "Inference",
    "LoopyBeliefs",
    "LoopyInference",
    "MessageHistory",
    "Split",
    "Stage",
    "Target",
    "Task",
    "TemporalBeliefs",
    "TemporalInference",
    "Trace",
    "TwoSliceNet",
    "WorldNet",
    "WorldnetsError",
    "beliefs_function",
    "check_dataset",
    "check_head",
    "dataset_names",
    "draw_messages",
    "draw_net",
    "draw_plan",
    "errors",
    "expected_counts",
    "frame_name",
    "from_episodes",
    "from_video",
    "learning",
    "load_dataset",
    "read_episodes",
    "read_evidence",
    "read_net",
    "simulate",
    "train",
    "write_episodes",
    "write_evidence",
    "write_net",
]

# The same list for the running program; a test holds the two together.
_HOME = {
    "Beliefs": "worldnets.inference",
    "ClipLayout": "worldnets.episodes",
    "Dataset": "worldnets.dataset",
    "EpisodeStream": "worldnets.episode_stream",
    "EpisodeWriter": "worldnets.episode_stream",
    "Episodes": "worldnets.episodes",
    "Factor": "worldnets.net",
    "FactorNet": "worldnets.net",
    "Growth": "worldnets.growth",
    "Inference": "worldnets.inference",
    "LoopyBeliefs": "worldnets.inference",
    "LoopyInference": "worldnets.inference",
    "MessageHistory": "worldnets.inference",
    "Split": "worldnets.episodes",
    "Stage": "worldnets.growth",
    "Target": "worldnets.roles",
    "Task": "worldnets.roles",
    "TemporalBeliefs": "worldnets.inference",
    "TemporalInference": "worldnets.inference",
    "Trace": "worldnets.training",
    "TwoSliceNet": "worldnets.temporal",
    "WorldNet": "worldnets.net",
    "WorldnetsError": "worldnets.errors",
    "beliefs_function": "worldnets.inference",
    "check_dataset": "worldnets.dataset_check",
    "check_head": "worldnets.heads.check",
    "dataset_names": "worldnets.dataset",
    "draw_messages": "worldnets.draw",
    "draw_net": "worldnets.draw",
    "draw_plan": "worldnets.draw",
    "expected_counts": "worldnets.inference",
    "frame_name": "worldnets.temporal",
    "from_episodes": "worldnets.real_data",
    "from_video": "worldnets.real_data",
    "load_dataset": "worldnets.dataset",
    "read_episodes": "worldnets.episode_stream",
    "read_evidence": "worldnets.formats",
    "read_net": "worldnets.formats",
    "simulate": "worldnets.inference",
    "train": "worldnets.training",
    "write_episodes": "worldnets.episode_stream",
    "write_evidence": "worldnets.formats",
    "write_net": "worldnets.formats",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in ("errors", "learning"):
        value = importlib.import_module(f"worldnets.{name}")
    else:
        raise AttributeError(f"module 'worldnets' has no attribute {name!r}")
    globals()[name] = value  # asked for once only
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
