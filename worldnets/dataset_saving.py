"""A dataset as a folder that `load_dataset` reads back: real clips and what was learned, or a net with its roles."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldnets.dataset_folder import FILE
from worldnets.episode_stream import EpisodeStream, write_episodes
from worldnets.episodes import Episodes
from worldnets.errors import DatasetError, StoreError
from worldnets.files import write_atomically
from worldnets.learned_world import write_learned
from worldnets.real_data import read_clips

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.roles import Task

EPISODES, LEARNED, NET, CARD = "episodes.parquet", "learned.npz", "net.bif", "README.md"


def save_dataset(dataset: Dataset, folder: Path) -> Path:
    """Write the folder; arguments and errors are those of `Dataset.save`."""
    if dataset.redrawn:
        raise DatasetError("a twin is not saved", node=dataset.name, mend="save the base, then with_redrawn")
    if dataset.episodes is None:
        return _save_net(dataset, folder)
    clips, candidates = dataset.episodes, dataset.candidates
    if candidates is None:
        mend = "make it with worldnets.from_episodes"
        raise DatasetError("no record of how the world-model was chosen", node=dataset.name, mend=mend)
    try:
        _made(folder)
        reading: dict[str, Any] = clips.split.to_json()
        if isinstance(clips, EpisodeStream):
            reading["memory"] = clips.memory
            shutil.copyfile(clips.path, folder / EPISODES)
        elif isinstance(clips, Episodes):
            write_episodes(clips, folder / EPISODES)
        else:
            raise DatasetError("clips of another kind", found=type(clips).__name__, mend="save Episodes or a stream")
    except OSError as error:
        mend = "check that the folder is writable and has space"
        raise StoreError("cannot write", file=folder, found=error.strerror or str(error), mend=mend) from error
    # Read back as it will be: large clips are a stream from now on, which the world-model must be marked with.
    world = replace(dataset.world, episodes=read_clips(folder / EPISODES, **reading))
    write_learned(folder / LEARNED, world)
    write_atomically(folder / CARD, _card(dataset))
    write_atomically(folder / FILE, _description(dataset, folder.name, reading))
    return folder


def _made(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError("the folder is there and not empty", file=folder, mend="save under another name")
    folder.mkdir(parents=True, exist_ok=True)


def _save_net(dataset: Dataset, folder: Path) -> Path:
    from worldnets.formats import write_net

    task = _only_task(dataset)
    try:
        _made(folder)
    except OSError as error:
        mend = "check that the folder is writable and has space"
        raise StoreError("cannot write", file=folder, found=error.strerror or str(error), mend=mend) from error
    write_net(dataset.net, folder / NET)
    tables: dict[str, dict[str, Any]] = {
        "dataset": {"name": folder.name, "title": dataset.title, "net": NET},
        "roles": {
            "objective": task.objective,
            "evidence": task.evidence,
            "latents": task.latents,
            "ladder": next(iter(task.ladders.values())),
        },
        "roles.targets": {target.name: target.variables for target in task.targets},
    }
    drawn = ", ".join(f"`{target.name}`" for target in task.targets)
    write_atomically(folder / CARD, f"# {folder.name}\n\n{dataset.title or 'A world of its own.'}\n\nAsked: {drawn}.\n")
    write_atomically(folder / FILE, _toml(tables))
    return folder


def _only_task(dataset: Dataset) -> Task:
    """The task of a world that a net file with roles can say all of.

    Raises:
        DatasetError: another world, naming what would be lost.
    """
    world, (task, *others) = dataset.world, dataset.world.tasks.values()
    numbers = [v for v, labels in dataset.net.states.items() if not all(isinstance(label, str) for label in labels)]
    lost = {
        f"its other tasks, {', '.join(one.objective for one in others)}": bool(others),
        "its labeller": world.labeller is not None,
        "its frames": bool(world.frames) or world.template is not None,
        "ladders that differ by target": len(set(task.ladders.values())) > 1,
        f"states that are no texts, of {', '.join(numbers[:3])}": bool(numbers),
    }
    for what, there in lost.items():
        if there:
            mend = "load it by its name; or leave that out: Dataset(name, {}, World(net, {objective: task}))"
            raise DatasetError(
                "a net file with roles would lose a part of it", node=dataset.name, found=what, mend=mend
            )
    return task


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Texts, numbers and lists of them, written alike in JSON and TOML."""

    def said(value: object) -> str:
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

    lines = []
    for section, table in tables.items():
        keys = (key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else said(key) for key in table)
        lines += [f"[{section}]", *(f"{k} = {said(v)}" for k, v in zip(keys, table.values(), strict=True)), ""]
    return "\n".join(lines)


def _description(dataset: Dataset, name: str, reading: dict[str, Any]) -> str:
    tables: dict[str, dict[str, Any]] = {
        "dataset": {"name": name, "title": dataset.title, "episodes": EPISODES, "net": LEARNED},
        "episodes": reading,
        "roles": {
            "context": _context(dataset),
            "questions": [target.name for target in _questions(dataset)],
        },
    }
    return _toml(tables)


def _context(dataset: Dataset) -> int:
    evidence = set(dataset.task("continuation").evidence)
    return sum(set(frame) <= evidence for frame in dataset.world.frames)


def _questions(dataset: Dataset) -> tuple[Any, ...]:
    return dataset.task("question").targets if "question" in dataset.objectives else ()


def _card(dataset: Dataset) -> str:
    assert dataset.candidates is not None
    return (
        f"# {dataset.name}\n\n{dataset.title or 'Real clips.'}\n\n`{dataset.episodes!r}`\n\n"
        f"World-models learned from the training clips, and their bits per held-out clip:\n\n"
        f"{dataset.candidates.to_markdown()}\n"
    )
