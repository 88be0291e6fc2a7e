"""A world made of real clips: its net is the best world-model learned from them, its tasks are set by their frames.

What was learned can be kept in a file, so that it is learned once and is the same on every machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.archive import read_archive, write_archive
from worldnets.candidates import HIDDEN, MOST_PARENTS, Candidates, learn
from worldnets.clip_models import Neighbours, hidden_name
from worldnets.episodes import RealClips
from worldnets.errors import DatasetError, StoreError, did_you_mean
from worldnets.net import WorldNet
from worldnets.net_archive import pack_net, unpack_net
from worldnets.roles import World
from worldnets.temporal import frame_name
from worldnets.worlds.clips import clip_tasks

KIND, FORM = "worldnets learned world-model", 1


def learned_world(
    clips: RealClips,
    *,
    context: int | None = None,
    questions: Iterable[str] | None = None,
    neighbours: Neighbours | None = None,
    parents: int = MOST_PARENTS,
    hidden: Iterable[int] = HIDDEN,
    stored: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> World:
    """A world from real clips.

    Tasks, both from frames 1 … c = `context`, on the ladder of the last k frames (rung 1 = frame c, rung 2 adds c − 1):
        continuation  the nodes of frame c + 1, as one joint target if it has at most 64 outcomes, else one each.
        question      each of the known latents, if there are some.
    Beliefs are about the known latents that are not asked for, and about the hidden state of frame c where the
    world-model has one.

    Args:
        clips: what there is of the world.
        context: c, 1 … T − 1; default T − 1.
        questions: known latents to ask for; default all.
        neighbours, parents, hidden, progress: as `candidates.learn` takes them.
        stored: a file that `write_learned` wrote; taken if it was learned from these clips, else the world-model is
            learned now.

    Raises:
        DatasetError: a context that leaves nothing to predict, an unknown question, no usable world-model.
    """
    layout = clips.layout
    last = layout.length - 1 if context is None else context
    if isinstance(last, bool) or not isinstance(last, int | np.integer) or not 1 <= last < layout.length:
        expected = f"a whole number from 1 to {layout.length - 1}"
        raise DatasetError("a context", found=repr(context), expected=expected, mend="leave a frame to predict")
    asked = tuple(layout.latents) if questions is None else tuple(questions)
    for z in asked:
        if z not in layout.latents:
            mend = did_you_mean(z, layout.latents) if layout.latents else "name known latents when reading the clips"
            raise DatasetError("a question about what is not known", found=repr(z), mend=mend)
    known = None if stored is None else _of_these(Path(stored), clips)
    net, candidates = known or learn(clips, neighbours=neighbours, parents=parents, hidden=hidden, progress=progress)
    frames = layout.frames
    hidden_last = frame_name(hidden_name(layout), last)
    believed = [hidden_last] if hidden_last in net.states else []
    others = [z for z in layout.latents if z not in asked]
    latents = {"continuation": [*layout.latents, *believed], "question": [*others, *believed]}
    tasks = clip_tasks(net, frames, int(last), {z: (z,) for z in asked}, latents)
    roles = {
        "observed": tuple(v for frame in frames for v in frame),
        "latents": tuple(v for v in net.variables if not any(v in frame for frame in frames)),
    }
    return World(net, tasks, roles, None, frames, None, clips, candidates)


def write_learned(path: str | os.PathLike[str], world: World) -> Path:
    """Write what was learned to a file: net, candidates, and a mark of the clips it was learned from.

    Raises:
        DatasetError: the world was not learned.
        StoreError: the file cannot be written.
    """
    if world.episodes is None or world.candidates is None:
        raise DatasetError("nothing was learned", mend="give a world made of episodes")
    page, tables = pack_net(world.net)
    arrays: dict[str, NDArray[Any]] = {}
    place: dict[str, str] = {}
    for v, table in tables.items():  # frames share tables: each is written once
        mark = hashlib.sha256(repr(table.shape).encode() + table.tobytes()).hexdigest()
        place[v] = mark[:16]
        arrays[place[v]] = table
    metadata = {
        "net": {"name": page["name"], "parents": page["parents"]},
        "states": page["states"],
        "tables": place,
        "candidates": world.candidates.to_json(),
        "episodes": world.episodes.digest,
    }
    return write_archive(path, KIND, FORM, metadata, arrays)


def read_learned(path: str | os.PathLike[str]) -> tuple[WorldNet, Candidates, str]:
    """Net, candidates and the mark of the clips of a file that `write_learned` wrote.

    Raises:
        StoreError: no such file, another kind of file, damage.
    """
    metadata, arrays = read_archive(path, KIND, FORM)
    try:
        states = {v: tuple(labels) for v, labels in metadata["states"]}
        tables = {v: arrays[name] for v, name in metadata["tables"].items()}
        net = unpack_net({**metadata["net"], "states": states}, tables)
        return net, Candidates.from_json(metadata["candidates"]), str(metadata["episodes"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        mend = "delete it: the world-model will be learned again"
        raise StoreError("a damaged world-model", file=path, found=str(error), mend=mend) from None


def _of_these(path: Path, clips: RealClips) -> tuple[WorldNet, Candidates] | None:
    if not path.is_file():
        return None
    net, candidates, mark = read_learned(path)
    return (net, candidates) if mark == clips.digest else None
