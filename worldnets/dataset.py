"""Datasets: a world with its tasks, under a name and parameters that rebuild it anywhere.

`load_dataset` finds one by name or folder; `Dataset` draws clips from it. What is wrong with one says
`worldnets.dataset_check`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset_folder import Description, built_in_folders, read_description
from worldnets.errors import DatasetError, UnknownNameError, WorldnetsError, did_you_mean
from worldnets.net import WorldNet
from worldnets.permutation import key_of, permuted
from worldnets.registry import Registry, normalised
from worldnets.roles import (
    Target,
    Task,
    World,
    outcome_count,
    outcome_index,
    outcome_labels,
    static_task,
)
from worldnets.temporal import TwoSliceNet
from worldnets.twin import COPY, UNSEEN, second_seed, twin_codes, twin_net
from worldnets.worlds import REGISTRY, Builder

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.candidates import Candidates
    from worldnets.draw.explorer import Explorer
    from worldnets.draw.inspection import NetDrawing
    from worldnets.episodes import Part, RealClips

__all__ = [
    "Dataset",
    "Spec",
    "Target",
    "Task",
    "World",
    "dataset_names",
    "load_dataset",
    "outcome_count",
    "outcome_index",
    "outcome_labels",
]

PLUGINS: Registry[Builder | str | Path] = Registry("dataset", group="worldnets.datasets")


class Spec(TypedDict):
    """What `load_dataset(**spec)` rebuilds a dataset from; plain JSON."""

    name: str
    parameters: dict[str, Any]
    redrawn: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A world under a name: what heads are trained and measured on.

    Args:
        name: the name or folder that `load_dataset` takes.
        parameters: every parameter of the builder, JSON-able; those by keyword alone only where they are not at their
            default.
        world: the net and its tasks.
        redrawn: evidence that this *twin* draws jointly from its own distribution, independently of all else.
        title: one line for tables.

    Raises:
        DatasetError: parameters that are no JSON, redrawn variables that are no evidence.
    """

    name: str
    parameters: Mapping[str, Any]
    world: World
    redrawn: tuple[str, ...] = ()
    title: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(_as_json(self.parameters)))
        evidence = {v for task in self.world.tasks.values() for v in task.evidence}
        given = set(self.redrawn)
        for v in self.redrawn:
            if v not in evidence:
                mend = did_you_mean(v, sorted(evidence))
                raise DatasetError("only evidence can be redrawn", node=self.name, found=repr(v), mend=mend)
        ordered = tuple(v for v in self.world.net.variables if v in given)
        object.__setattr__(self, "redrawn", ordered)

    @functools.cached_property
    def net(self) -> WorldNet:
        """The distribution clips are drawn from, W*; of a twin, the net in which the redrawn evidence is cut off.

        A twin's net has the base's variables first, in the base's order. Of a dataset of real clips (`reference` is
        "learned") it is the best world-model learned from them, and clips come from elsewhere: the `episodes`.
        """
        return twin_net(self.world.net, self.redrawn) if self.redrawn else self.world.net

    @property
    def template(self) -> TwoSliceNet | None:
        """The two-slice net the world was unrolled from; None for static worlds and twins."""
        return None if self.redrawn else self.world.template

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]:
        """Named groups of nodes."""
        return self.world.roles

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(self.world.tasks)

    @property
    def reference(self) -> Literal["exact", "learned"]:
        """What the ladder's reference is: "exact", `net` is the world itself; "learned", `net` is the best held-out
        world-model learned from `episodes`, and what is said of the ladder holds under it.
        """
        return "exact" if self.world.episodes is None else "learned"

    @property
    def episodes(self) -> RealClips | None:
        """The real clips; None where the world is known."""
        return self.world.episodes

    @property
    def candidates(self) -> Candidates | None:
        """The world-models that `net` was chosen from, with their held-out bits; None where the world is known."""
        return self.world.candidates

    @functools.cached_property
    def unknown(self) -> tuple[str, ...]:
        """Variables of `net` that clips do not have, the hidden states of a learned world-model: always −1 in clips."""
        if self.world.episodes is None:
            return ()
        known = self.world.episodes.layout.states
        return tuple(v for v in self.net.variables if _original(v) not in known)

    def task(self, objective: str) -> Task:
        """The task of that name.

        Raises:
            UnknownNameError: the dataset has no such task.
        """
        try:
            return self.world.tasks[objective]
        except (KeyError, TypeError):
            mend = did_you_mean(objective, self.objectives)
            raise UnknownNameError("no such task", node=self.name, found=repr(objective), mend=mend) from None

    def simulate(self, rows: int, seed: int, first: int = 0) -> NDArray[np.int16]:
        """Clips to train on, as a code array [rows, net variables]; row i depends only on (seed, first + i).

        Of a known world: drawn from it, never the same twice. Of real clips: training clips, each once before any comes
        again, in another order each time; what clips do not have (`unknown`) is −1.

        A twin's clip differs from the base's of the same seed in the redrawn columns only: they come from a second,
        independent draw.
        """
        if self.world.episodes is None:
            return self.simulate_model(rows, seed, first)
        return self._twin(lambda s: self._in_net(self._episodes.draw(rows, s, first)), seed)

    def simulate_model(self, rows: int, seed: int, first: int = 0) -> NDArray[np.int16]:
        """Clips drawn from `net`, the ladder's reference; the same as `simulate` where the world is known."""
        from worldnets.inference.sampling import simulate

        return self._twin(lambda s: simulate(self.world.net, rows, s, first), seed)

    def _twin(self, draw: Callable[[int], NDArray[np.int16]], seed: int) -> NDArray[np.int16]:
        if not self.redrawn:
            return draw(seed)
        return twin_codes(self.world.net, self.net, self.redrawn, draw(seed), draw(second_seed(seed)))

    @property
    def _episodes(self) -> RealClips:
        if self.world.episodes is None:
            mend = "its clips are never seen twice: draw fresh ones with simulate(rows, seed)"
            raise DatasetError("a known world holds no clips back", node=self.name, mend=mend)
        return self.world.episodes

    def _in_net(self, clips: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clips with the columns of the world's net."""
        net = self.world.net
        codes = np.full((len(clips), len(net.variables)), -1, dtype=np.int16)
        codes[:, [net.index[v] for v in self._episodes.layout.variables]] = clips
        return codes

    def held_out(self, part: Part = "test", most: int | None = None) -> NDArray[np.int16]:
        """Real clips of sources that no one learned from, as a code array [clips, net variables].

        Args:
            part: "test", or "validation" (on which the world-model was chosen).
            most: no more than so many, drawn without replacement.

        A twin's redrawn columns are those of another clip of the part.

        Raises:
            DatasetError: a known world holds no clips back.
        """
        clips = self._in_net(self._episodes.take(part, most).codes)
        if not self.redrawn:
            return clips
        other = permuted(np.arange(len(clips)), len(clips), key_of(second_seed(0)))
        return twin_codes(self.world.net, self.net, self.redrawn, clips, clips[other])

    def sample(self, rows: int, seed: int = 0) -> pd.DataFrame:
        """Clips as a table of state labels, one row per clip, observed and latent nodes alike."""
        from worldnets.inference.evidence import decode

        return decode(self.net, self.simulate(rows, seed))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the dataset to a new folder, with a description and a card; `load_dataset` then loads it by that path.

        Of real clips, the clips and what was learned are written, so that nothing is learned again. Of a known world,
        its net (BIF) and the roles of its one task.

        Raises:
            DatasetError: a twin; a folder that is there and not empty; a known world that is more than a net with
                roles: several tasks, frames, a labeller, ladders that differ by target, states that are no texts.
            FormatError: a name that BIF cannot hold.
            StoreError: it cannot be written.
        """
        from worldnets.dataset_saving import save_dataset

        return save_dataset(self, Path(folder))

    def with_redrawn(self, variables: Iterable[str]) -> Dataset:
        """The twin in which `variables` are drawn jointly from W*(variables), independently of everything else.

        They then carry nothing about any target (theory: crowding out). Redrawing nothing gives the base back.

        Raises:
            DatasetError: a variable that is no evidence.
        """
        return Dataset(self.name, self.parameters, self.world, tuple(variables), self.title)

    @property
    def spec(self) -> Spec:
        """Name, parameters and redrawn evidence: `load_dataset(**spec)` is this dataset again."""
        return {"name": self.name, "parameters": dict(self.parameters), "redrawn": list(self.redrawn)}

    @functools.cached_property
    def digest(self) -> str:
        """Hash of what the dataset *is* (states, arrows, tables to 12 digits, tasks), whatever it is called."""
        net = self.net
        text = [[v, [repr(s) for s in net.states[v]], net.parents(v)] for v in net.variables]
        tasks = [
            [
                task.objective,
                task.evidence,
                [[target.name, target.variables] for target in task.targets],
                sorted(task.ladders.items()),
                task.latents,
            ]
            for task in self.world.tasks.values()
        ]
        digest = hashlib.sha256(json.dumps([text, tasks, self.redrawn]).encode())
        for v in net.variables:
            # Adding zero makes −0 and 0 the same bytes.
            digest.update(np.ascontiguousarray(np.round(net.cpt(v), 12) + 0.0, dtype="<f8").tobytes())
        if self.world.episodes is not None:
            digest.update(self.world.episodes.digest.encode())
        return digest.hexdigest()

    def to_pandas(self) -> pd.DataFrame:
        """One row per variable: its number of states and its part in each task."""
        import pandas as pd

        rows = {}
        for v in self.net.variables:
            parts: dict[str, Any] = {"states": len(self.net.states[v])}
            for objective, task in self.world.tasks.items():
                asked = [target.name for target in task.targets if v in target.variables]
                part = "evidence" if v in task.evidence else "latent" if v in task.latents else ""
                parts[objective] = f"target {', '.join(asked)}" if asked else part
            rows[v] = parts
        return pd.DataFrame.from_dict(rows, orient="index")

    def draw(self, beliefs: Any = None, evidence: Any = None, **options: Any) -> NetDrawing:
        """The world's net in the colours of its roles: see `WorldNet.draw`."""
        return self.net.draw(beliefs, evidence, **{"groups": self._drawn_roles(), **options})

    def explore(self, evidence: Mapping[str, Any] | None = None, **options: Any) -> Explorer:
        """The world's net with controls to change the evidence: see `worldnets.draw.explore`."""
        return self.net.explore(evidence, **{"groups": self._drawn_roles(), **options})

    def _drawn_roles(self) -> dict[str, tuple[str, ...]]:
        named = {name: tuple(v for v in group if v in self.net.index) for name, group in self.roles.items()}
        asked = {v for task in self.world.tasks.values() for target in task.targets for v in target.variables}
        return {"targets": tuple(v for v in self.net.variables if v in asked), **named}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, dict(self.parameters), self.world, self.redrawn, self.title)

    def __repr__(self) -> str:
        twin = f", redrawn {', '.join(self.redrawn)}" if self.redrawn else ""
        real = ", real clips, reference learned" if self.world.episodes is not None else ""
        return f"Dataset({self.name!r}, {len(self.net.variables)} variables, {' | '.join(self.objectives)}{twin}{real})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        parameters = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        facts = {"title": self.title, "parameters": parameters, "reference": self.reference}
        return card(repr(self), facts, frame(self.to_pandas()))


def _as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(dict(parameters), allow_nan=False, default=_plain)))
    except (TypeError, ValueError) as error:
        mend = "parameters are numbers, texts, true/false and lists or tables of these"
        raise DatasetError("parameters that are no JSON", found=str(error), mend=mend) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r}")


def dataset_names() -> list[str]:
    """Names `load_dataset` knows: the built-in folders and those of installed packages; nothing is imported."""
    return sorted({*built_in_folders(), *PLUGINS.names()})


def load_dataset(
    name: str | os.PathLike[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    redrawn: Iterable[str] = (),
    **options: Any,
) -> Dataset:
    """A dataset by built-in name, folder path or installed package, with parameters changed as asked.

    Args:
        name: e.g. "vault"; or a folder with a `dataset.toml` (anything with a path separator, or a Path); or a name
            of the entry point group "worldnets.datasets".
        parameters: parameters of the builder, as a mapping (how `Dataset.spec` gives them).
        redrawn: evidence to redraw: the twin, `Dataset.with_redrawn`.
        **options: more parameters; they win over `parameters`.

    Raises:
        UnknownNameError: no dataset of that name.
        DatasetError: an unreadable or ill-formed folder, an unknown parameter, a value out of range.

    Loading reads data only: no code of a folder is ever executed.
    """
    given = {**(parameters or {}), **options}
    folder = _folder(name)
    if folder is None:
        builder: Builder | str | Path = _plugin(str(name))
        if not callable(builder):
            folder = Path(builder)
    if folder is not None:
        # A path of one part is written so that its text, which is what `spec` keeps, is no name.
        text = str(name) if isinstance(name, str) or _is_path(str(name)) else os.path.join(os.curdir, name)
        return _from_folder(text, folder, given).with_redrawn(redrawn)
    assert callable(builder)
    return _build(normalised(str(name)), builder, {}, given).with_redrawn(redrawn)


def _folder(name: str | os.PathLike[str]) -> Path | None:
    if isinstance(name, os.PathLike):
        return Path(name)
    if not isinstance(name, str):
        raise UnknownNameError("a dataset is named by a text or a path", found=repr(name), mend="give its name")
    if _is_path(name):
        return Path(name)
    return built_in_folders().get(normalised(name))


def _is_path(name: str) -> bool:
    return os.sep in name or "/" in name or name.startswith(".")


def _plugin(name: str) -> Builder | str | Path:
    if name not in PLUGINS:
        folder = " (a folder here is named with a separator: './" + name + "')" if Path(name).is_dir() else ""
        mend = did_you_mean(normalised(name), dataset_names()) + folder
        raise UnknownNameError("unknown dataset", found=repr(name), mend=mend)
    return PLUGINS.get(name)


def _from_folder(name: str, folder: Path, given: Mapping[str, Any]) -> Dataset:
    description = read_description(folder)
    # A built-in name is kept in its one spelling; a path stays as the caller wrote it.
    name = folder.name if built_in_folders().get(normalised(name)) == folder else name
    try:
        if description.builder is not None:
            builder = REGISTRY.get(description.builder)
            return _build(name, builder, description.parameters, given, description.title)
        if given:
            mend = "leave parameters out; edit dataset.toml"
            raise DatasetError("a file takes no parameters", found=sorted(given), mend=mend)
        world = _world_of_file(description) if description.episodes is None else _world_of_episodes(description)
        return Dataset(name, {}, world, title=description.title)
    except WorldnetsError as error:
        if given:  # then the file may well be right
            raise
        raise error.at(file=description.path) from None


def _world_of_file(description: Description) -> World:
    from worldnets.formats import read_net

    assert description.net is not None
    net = read_net(description.net)
    if not isinstance(net, WorldNet):
        mend = "give a Bayes net: BIF, XMLBIF, NET, XDSL or a BAYES file"
        raise DatasetError("the net has no conditional tables to draw clips from", file=description.net, mend=mend)
    roles = description.roles
    objective = roles.get("objective", "question")
    task = static_task(net, roles["evidence"], roles["targets"], roles.get("latents"), roles.get("ladder"), objective)
    return World(net, {objective: task}, {"observed": task.evidence, "latents": task.latents})


def _world_of_episodes(description: Description) -> World:
    from worldnets.learned_world import learned_world, read_learned
    from worldnets.real_data import read_clips

    assert description.episodes is not None
    clips = read_clips(description.episodes, **description.reading)
    if description.net is not None and read_learned(description.net)[2] != clips.digest:
        mend = "take net = … out of dataset.toml: then it is learned when the dataset is loaded"
        raise DatasetError("the world-model was learned from other clips", file=description.net, mend=mend)
    return learned_world(clips, **description.roles, stored=description.net)


def _build(
    name: str, builder: Builder, defaults: Mapping[str, Any], given: Mapping[str, Any], title: str = ""
) -> Dataset:
    known = inspect.signature(builder).parameters
    for key in (*defaults, *given):
        if key not in known:
            mend = did_you_mean(key, known)
            raise DatasetError("unknown parameter", node=name, found=repr(key), mend=mend)
    own = {key: p.default for key, p in known.items() if p.default is not inspect.Parameter.empty}
    parameters = _as_json({**own, **defaults, **given})
    missing = [key for key in known if key not in parameters]
    # A parameter by keyword alone came later than the others: at its default it is not named, so that what was stored
    # before there was one is still found.
    for key, p in known.items():
        if p.kind is inspect.Parameter.KEYWORD_ONLY and key in parameters and parameters[key] == p.default:
            del parameters[key]
    if missing:
        raise DatasetError("a parameter is missing", node=name, found=missing, mend=f"give {missing[0]}=…")
    try:
        world = builder(**parameters)
    except WorldnetsError as error:
        raise error.at(node=name) from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError) as error:
        if parameters == own:  # then it is no parameter's fault
            raise
        found, mend = f"{type(error).__name__}: {error}", f"give values of the kind and size of the defaults, {own}"
        what = "its builder cannot work with these parameters"
        raise DatasetError(what, node=name, found=found, mend=mend) from error
    return Dataset(name, parameters, world, title=title)


def _original(variable: str) -> str:
    """The base's name of a twin's variable."""
    return variable.removesuffix(COPY).removesuffix(UNSEEN)
