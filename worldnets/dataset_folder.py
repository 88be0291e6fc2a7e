"""Dataset folders: a `dataset.toml` that names a builder with parameters, a net file with roles, or a file of episodes.

Data, never code.

```toml
[dataset]
name = "vault"                  # the folder's name
title = "one line for tables"
builder = "vault"               # a name of worldnets.worlds.REGISTRY
                                # or: net = "file.bif" in the same folder
                                # or: episodes = "clips.parquet" (or .csv) in the same folder, and maybe
                                #     net = "learned.npz", the world-model that was learned from them

[parameters]                    # defaults for the builder
frames = 6

[roles]                         # only beside a net file
evidence = ["A", "B"]
targets = ["Y"]                 # or a table of name = [variables]: one outcome per joint state
latents = ["Z"]                 # optional; default every other node
ladder = [["A"], ["B"]]         # optional; default by moral-graph distance from each target
objective = "question"          # optional

[episodes]                      # only beside episodes: how to read a table, options of `worldnets.from_episodes`
form = "long"                   # episode, frame, source, latents, kinds, quantise, states, missing, frames, stride
seed = 0                        # and validation, test: the split; memory: of a stream

[roles]                         # beside episodes, these two, both optional
context = 5                     # frames shown
questions = ["digit"]           # known latents to ask for

[citation]                      # optional: text, url, doi, bibtex, license
```
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from worldnets.errors import DatasetError, did_you_mean
from worldnets.files import read_whole
from worldnets.toml import parsed

FILE = "dataset.toml"
LARGEST = 1 << 20  # bytes; a description is a page of text
_KEYS: Mapping[str, Sequence[str]] = {
    "dataset": ("name", "title", "builder", "net", "episodes"),
    "episodes": (
        *(
            "form",
            "episode",
            "frame",
            "source",
            "latents",
            "kinds",
            "quantise",
            "states",
            "missing",
            "frames",
            "stride",
        ),
        *("seed", "validation", "test", "memory"),
    ),
    "roles": ("evidence", "targets", "latents", "ladder", "objective", "context", "questions"),
    "citation": ("text", "url", "doi", "bibtex", "license"),
}


@dataclass(frozen=True)
class Description:
    """A checked `dataset.toml`: a builder, a net, or episodes with or without the net learned from them."""

    path: Path
    name: str
    title: str
    builder: str | None
    net: Path | None
    parameters: Mapping[str, Any]
    roles: Mapping[str, Any]
    citation: Mapping[str, str]
    episodes: Path | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)


def built_in_folders() -> dict[str, Path]:
    """Folders of the datasets that come with the package, by name."""
    inside = Path(str(files("worldnets"))) / "_datasets"
    home = inside if inside.is_dir() else Path(str(files("worldnets"))).parent / "datasets"
    return {path.parent.name: path.parent for path in sorted(home.glob(f"*/{FILE}"))}


def read_description(folder: Path) -> Description:
    """Read and check the description of a dataset folder.

    Raises:
        DatasetError: no such folder or file, no TOML, an unknown or misplaced key, a value of the wrong kind, a net
            file that is missing or outside the folder.
    """
    path = folder / FILE
    if not folder.is_dir():
        raise DatasetError(
            "no such dataset folder",
            file=folder,
            mend=f"give a folder with a {FILE}; paths start where the command is run",
        )
    if not path.is_file():
        raise DatasetError(f"the folder has no {FILE}", file=folder, mend="see worldnets.dataset_folder for its format")
    try:
        _inside(folder, FILE)
        return _checked(path, _parsed(path))
    except DatasetError as error:
        raise error.at(file=path) from None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return parsed(read_whole(path, LARGEST))
    except (ValueError, RecursionError) as error:  # what tomllib and decoding raise are ValueErrors
        raise DatasetError("not a TOML file", found=str(error), mend="see https://toml.io") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            mend = "keep tables in a net file beside it"
            raise DatasetError("the file is too large for a description", found=error.strerror, mend=mend) from None
        raise DatasetError("cannot be read", found=error.strerror, mend="check its permissions") from None


def _checked(path: Path, content: dict[str, Any]) -> Description:
    _known(content, (*_KEYS, "parameters"), "section")
    for section, table in content.items():
        if not isinstance(table, dict):
            raise DatasetError("a key outside every section", found=repr(section), mend="put it under [dataset]")
        _known(table, _KEYS.get(section, tuple(table)), f"key of [{section}]")
    head = content.get("dataset", {})
    for key in head:
        _text(head[key], f"[dataset] {key}")
    name = head.get("name")
    if not name:
        raise DatasetError("the dataset has no name", mend='write name = "…" under [dataset]')
    builder, net, episodes = head.get("builder"), head.get("net"), head.get("episodes")
    given = [key for key in ("builder", "net", "episodes") if key in head]
    if given not in (["builder"], ["net"], ["episodes"], ["net", "episodes"]):
        found = " and ".join(given) or "none of them"
        mend = "give one; beside episodes, net is the world-model learned from them"
        what = "a dataset is made by a builder, read from a net file, or made of episodes"
        raise DatasetError(what, found=found, mend=mend)
    roles = content.get("roles", {})
    if builder is not None and roles:
        raise DatasetError("[roles] belong to a net file or to episodes", mend="drop them: the builder sets the roles")
    if builder is None and "parameters" in content:
        raise DatasetError("[parameters] belong to a builder", mend="drop them: a file has none")
    if episodes is None and "episodes" in content:
        raise DatasetError("[episodes] belong to a file of episodes", mend='name it: episodes = "…" under [dataset]')
    citation = content.get("citation", {})
    for key, value in citation.items():
        _text(value, f"[citation] {key}")
    folder = path.parent
    return Description(
        path,
        name,
        head.get("title", ""),
        builder,
        None if net is None else _file(folder, net, "net"),
        content.get("parameters", {}),
        {} if builder is not None else _roles(roles) if episodes is None else _episode_roles(roles),
        citation,
        None if episodes is None else _file(folder, episodes, "episodes"),
        content.get("episodes", {}),
    )


def _file(folder: Path, name: str, kind: str) -> Path:
    path = _inside(folder, name)
    if not path.is_file():
        here = [p.name for p in folder.iterdir() if p.is_file() and p.name != FILE]
        raise DatasetError(f"the {kind} file is missing", found=repr(name), mend=did_you_mean(name, here))
    return path


def _inside(folder: Path, name: str) -> Path:
    path = folder if "\0" in name else (folder / name).resolve()
    if "\0" in name or Path(name).is_absolute() or not path.is_relative_to(folder.resolve()):
        mend = "name a file inside the folder; neither '..' nor a link may lead out"
        raise DatasetError("a file outside the dataset folder", found=repr(name), mend=mend)
    return path


def _episode_roles(roles: dict[str, Any]) -> dict[str, Any]:
    for key in roles:
        if key not in ("context", "questions"):
            mend = "frames and latents of the episodes set the rest"
            raise DatasetError(
                "a role that episodes do not have", found=repr(key), expected="context, questions", mend=mend
            )
    return {**roles, **({"questions": _names(roles["questions"], "questions")} if "questions" in roles else {})}


def _roles(roles: dict[str, Any]) -> dict[str, Any]:
    for key in ("context", "questions"):
        if key in roles:
            raise DatasetError("a role of episodes", found=repr(key), mend="a net file has evidence and targets")
    for key in ("evidence", "targets"):
        if not roles.get(key):
            raise DatasetError(f"[roles] names no {key}", mend=f'write {key} = ["…"] under [roles]')
    checked: dict[str, Any] = {key: _names(roles[key], key) for key in ("evidence", "latents") if key in roles}
    targets = roles["targets"]
    if isinstance(targets, dict):
        checked["targets"] = {name: _names(variables, f"targets.{name}") for name, variables in targets.items()}
    else:
        checked["targets"] = {name: (name,) for name in _names(targets, "targets")}
    if "ladder" in roles:
        if not isinstance(roles["ladder"], list):
            raise DatasetError("the ladder is not a list of lists", found=repr(roles["ladder"]), mend='[["A"], ["B"]]')
        checked["ladder"] = tuple(_names(rung, "ladder") for rung in roles["ladder"])
    if "objective" in roles:
        checked["objective"] = _text(roles["objective"], "[roles] objective")
    return checked


def _names(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DatasetError(f"[roles] {key} is not a list of names", found=repr(value), mend=f'{key} = ["A", "B"]')
    return tuple(value)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise DatasetError(f"{place} is not a text", found=repr(value), mend="put it in quotes")
    return value


def _known(table: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in table:
        if key not in known:
            raise DatasetError(f"unknown {what}", found=repr(key), mend=did_you_mean(key, known))
