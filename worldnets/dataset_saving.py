"""A dataset of real clips as a folder: what `load_dataset` reads back without learning anything again."""

from __future__ import annotations

import json
import shutil
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

EPISODES, LEARNED, CARD = "episodes.parquet", "learned.npz", "README.md"


def save_dataset(dataset: Dataset, folder: Path) -> Path:
    """Write the folder; arguments and errors are those of `Dataset.save`."""
    clips, candidates = dataset.episodes, dataset.candidates
    if clips is None or candidates is None:
        raise DatasetError("only a dataset of real clips is saved", node=dataset.name, mend="load others by their name")
    if dataset.redrawn:
        raise DatasetError("a twin is not saved", node=dataset.name, mend="save the base, then with_redrawn")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DatasetError("the folder is there and not empty", file=folder, mend="save under another name")
        folder.mkdir(parents=True, exist_ok=True)
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


def _description(dataset: Dataset, name: str, reading: dict[str, Any]) -> str:
    tables: dict[str, dict[str, Any]] = {
        "dataset": {"name": name, "title": dataset.title, "episodes": EPISODES, "net": LEARNED},
        "episodes": reading,
        "roles": {
            "context": _context(dataset),
            "questions": [target.name for target in _questions(dataset)],
        },
    }
    # Texts, numbers and lists of texts are written alike in JSON and TOML.
    lines = []
    for section, table in tables.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


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
