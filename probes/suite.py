"""Suite files: what to run, with every setting that a conclusion rests on fixed before the run.

A suite is a TOML file. It is data: reading one runs no code, unknown keys and names are refused with the nearest known
one, and the settings of the verdicts stand in it, so that nobody can choose them after having seen the results.
"""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from probes.cells import GROUP
from probes.suites import suite_names
from worldnets.errors import SuiteError, did_you_mean
from worldnets.files import read_whole
from worldnets.toml import parsed

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

#: What a suite file may ask for, so that one from a stranger is refused before it fills the memory. Assign other
#: numbers to run a larger one.
SUITE_LIMIT = 1 << 22  # bytes of the file
MOST_SEEDS = 1_000_000
MOST_STEPS = 1_000_000_000
MOST_CONDITIONS = 1_000_000
MOST_CELLS = 10_000_000
DEEPEST = 32  # tables and lists inside one another


class Model(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Heading(Model):
    """The table `[suite]`: its name, a title for people, and the conditions over which multiplicity is controlled."""

    name: str = Field(pattern=NAME)
    title: str = ""
    #: Patterns of titles `world/objective/head/inputs`; Holm's correction runs over what they match.
    primary: tuple[str, ...] = ("*",)


class Training(Model):
    """How heads are trained. In `[defaults]` all are given; a job or one of its heads may give some of them anew."""

    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    batch: int | None = Field(default=None, ge=1, le=1_000_000)
    optimizer: str | None = None
    learning_rate: float | None = Field(default=None, gt=0)
    #: How many checkpoints the log-spaced schedule asks for.
    checkpoints: int | None = Field(default=None, ge=2, le=100_000)

    def settings(self) -> dict[str, Any]:
        """What is given here, without what is left to the next outer level."""
        return {name: value for name in Training.model_fields if (value := getattr(self, name)) is not None}


class Defaults(Training):
    """The table `[defaults]`."""

    seeds: int = Field(default=8, ge=2, le=MOST_SEEDS)
    probes: tuple[str, ...] = ("depth",)
    steps: int | None = Field(default=2000, ge=1, le=MOST_STEPS)
    batch: int | None = Field(default=128, ge=1, le=1_000_000)
    optimizer: str | None = "adam"
    learning_rate: float | None = Field(default=3e-3, gt=0)
    checkpoints: int | None = Field(default=16, ge=2, le=100_000)


class Head(Training):
    """One head of a job: a name, or a table with its options."""

    name: str
    options: dict[str, Any] = {}


def _head(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class Job(Training):
    """One `[[jobs]]`: a world and what is asked of which heads there; lists are crossed."""

    world: str
    #: Stands for the world in titles; needed where one world occurs with two sets of parameters.
    label: str | None = Field(default=None, pattern=NAME)
    parameters: dict[str, Any] = {}
    #: Evidence drawn anew, independently of everything else: the twin of a crowding-out comparison.
    redrawn: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    objective: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    heads: Annotated[
        tuple[Annotated[Head, BeforeValidator(_head)], ...], BeforeValidator(_listed), Field(min_length=1)
    ] = (Head(name="linear"), Head(name="mlp"))
    inputs: Annotated[tuple[Literal["evidence", "beliefs"], ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "evidence",
    )
    #: What is paid for besides the objective: tables such as `{ weight_decay = 1e-3 }`, crossed; `{}` is nothing.
    penalties: Annotated[
        tuple[dict[str, Any], ...] | None, BeforeValidator(lambda v: v if v is None else _listed(v))
    ] = None
    #: How what heads are given grows in training: tables such as `{ kind = "radius", order = "grown" }`, crossed;
    #: "none" is not at all. See `worldnets.learning.GrowthPlan`.
    growth: Annotated[
        tuple[dict[str, Any] | Literal["none"], ...] | None, BeforeValidator(lambda v: v if v is None else _listed(v))
    ] = None
    probes: Annotated[tuple[str, ...] | None, BeforeValidator(lambda v: v if v is None else _listed(v))] = None
    #: How probes measure here, by probe, over what `[probes.NAME.measure]` says: smaller samples, for example, for a
    #: head that is dear to ask.
    measure: dict[str, dict[str, Any]] = {}
    seeds: int | None = Field(default=None, ge=2, le=MOST_SEEDS)


class Settings(Model):
    """A table `[probes.NAME]`: fixed for measuring (part of a cell's key) and for concluding (not part)."""

    measure: dict[str, Any] = {}
    conclude: dict[str, Any] = {}


class Include(Model):
    """One `[[include]]`: all jobs of another suite, as they stand there (`probes.include`)."""

    #: A built-in name, or a file beside this one.
    suite: str
    #: Stands before the included labels, by default the suite's name: `low_end.vault/question/mlp/evidence`.
    prefix: str | None = Field(default=None, pattern=NAME)
    #: Instead of the numbers of seeds that stand there.
    seeds: int | None = Field(default=None, ge=2, le=MOST_SEEDS)


class Suite(Model):
    """A suite file as read. Frozen; `probes.resolve.resolve` says what it runs."""

    suite: Heading
    #: Other suites whose jobs stand before this one's own; none are left in a suite that has been read.
    include: Annotated[tuple[Include, ...], BeforeValidator(_listed)] = ()
    defaults: Defaults = Defaults()
    probes: dict[str, Settings] = {}
    #: Probe → repeats: how often it says of its planted organisms what is known of them, counted in the same run.
    organisms: dict[str, Annotated[int, Field(ge=1, le=MOST_SEEDS)]] = {}
    jobs: Annotated[tuple[Job, ...], BeforeValidator(_listed)] = ()

    @model_validator(mode="after")
    def _something(self) -> Suite:
        if not self.jobs and not self.include:
            raise PydanticCustomError("nothing", "jobs: a suite needs some")
        return self

    @property
    def name(self) -> str:
        """The suite's name, as in `probes list suites`."""
        return self.suite.name

    def with_seeds(self, seeds: int) -> Suite:
        """The same suite with this many seeds everywhere."""
        changed = self.model_dump()
        changed["defaults"]["seeds"] = seeds
        changed["jobs"] = [{**job, "seeds": None} for job in changed["jobs"]]
        return _validated(changed, self.name)

    def to_toml(self) -> str:
        """The suite with every default written out; reading it back gives an equal suite."""
        tables = self.model_dump(exclude_none=True)
        lines: list[str] = []
        for name in ("suite", "defaults"):
            lines += [f"[{name}]", *_assignments(tables[name]), ""]
        for probe, parts in tables["probes"].items():
            for part, settings in parts.items():
                lines += [f"[probes.{_key(probe)}.{part}]", *_assignments(settings), ""]
        if tables["organisms"]:
            lines += ["[organisms]", *_assignments(tables["organisms"]), ""]
        for job in tables["jobs"]:
            lines += ["[[jobs]]", *_assignments(job), ""]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Suite({self.name!r}, {len(self.jobs)} jobs)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [(job.label or job.world, job.objective, [head.name for head in job.heads]) for job in self.jobs]
        facts = {"title": self.suite.title, "probes": list(self.probes), "organisms": list(self.organisms)}
        return card(repr(self), facts, table(("world", "objective", "heads"), rows, most=40))


def load_suite(name: str | Path) -> Suite:
    """A built-in suite by its name, or the suite in a TOML file by its path.

    Raises:
        SuiteError: no such suite, not TOML, unknown keys, values of the wrong kind.
    """
    text = str(name)
    if isinstance(name, str) and re.match(NAME, text) and not text.endswith(".toml"):
        if text not in suite_names():
            if Path(text).is_file():
                return read_suite(_content(Path(text)), text, Path(text).parent)
            mend = did_you_mean(text, suite_names()) + "; a file is named with its path, ending in .toml"
            raise SuiteError("unknown suite", found=repr(text), mend=mend)
        return read_suite(built_in(text), f"{text}.toml")
    path = Path(name)
    return read_suite(_content(path), path, path.parent)


def _content(path: Path) -> bytes:
    try:
        return read_whole(path, SUITE_LIMIT)
    except (OSError, ValueError) as error:
        mend = f"give the path of a TOML file or one of: {', '.join(suite_names())}"
        if getattr(error, "errno", None) == errno.EFBIG:
            mend = "a suite is some pages of text; raise probes.suite.SUITE_LIMIT if this is one"
        found = getattr(error, "strerror", None) or str(error)
        raise SuiteError("cannot read the suite file", file=path, found=found, mend=mend) from error


def built_in(name: str) -> bytes:
    """The file of a suite that comes with the package."""
    return (files("probes") / "suites" / f"{name}.toml").read_bytes()


def read_suite(content: bytes | str, file: object = None, folder: Path | None = None) -> Suite:
    """The suite in the text of a TOML file, with those it includes.

    Args:
        content: the text.
        file: only says where errors are.
        folder: where included files are; None: only suites that come with the package can be included.

    Raises:
        SuiteError: as `load_suite`.
    """
    from probes.include import expanded

    return expanded(parse_suite(content, file), file, folder)


def parse_suite(content: bytes | str, file: object = None) -> Suite:
    """The suite in the text of a TOML file, as it stands there.

    Raises:
        SuiteError: as `load_suite`.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        if len(text) > SUITE_LIMIT:
            raise ValueError(f"{len(text):,} characters, more than {SUITE_LIMIT:,}")
        tables = parsed(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        place = re.search(r"\(at line (\d+)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error))
        mend = "see the suites that `probes list suites` names for examples"
        line = int(place.group(1)) if place else None
        raise SuiteError("not a TOML file", file=file, line=line, found=message, mend=mend) from error
    return _validated(tables, file)


_MODELS: Mapping[tuple[str, ...], type[Model]] = {
    (): Suite,
    ("suite",): Heading,
    ("defaults",): Defaults,
    ("jobs",): Job,
    ("jobs", "heads"): Head,
    ("include",): Include,
}


def _validated(tables: Mapping[str, Any], file: object) -> Suite:
    """Pydantic's first complaint as one of ours."""
    _refuse_values(tables, file)
    try:
        return Suite.model_validate(_tupled(tables))
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        path = tuple(part for part in first["loc"][:-1] if isinstance(part, str))
        model = _MODELS.get(path, Settings if path[:1] == ("probes",) else Suite)
        mend = did_you_mean(str(first["loc"][-1]), model.model_fields)
        raise SuiteError(f"unknown key {place}", file=file, mend=mend)
    if first["type"] == "nothing":
        mend = "add a table [[jobs]] with a world and an objective, or [[include]] another suite"
        raise SuiteError("a suite without jobs", file=file, mend=mend)
    if first["type"] == "missing":
        raise SuiteError(f"the key {place} is missing", file=file, mend="add it")
    if place.endswith("seeds") and first["type"] != "less_than_equal":
        mend = f"give 2 or more; {GROUP} and its multiples cost least, for seeds are trained in whole groups of {GROUP}"
        raise SuiteError(f"{place}: no number of seeds", file=file, found=repr(first["input"]), mend=mend)
    what = f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}"
    mend = "give a value of that kind; `probes show quick` prints a whole suite"
    raise SuiteError(what, file=file, found=repr(first["input"]), mend=mend)


def _refuse_values(tables: Any, file: object) -> None:
    """What TOML can hold and no setting can: dates, infinite numbers, numbers beyond 64 bits, tables without end."""
    level: list[tuple[tuple[str | int, ...], Any]] = [((), tables)]
    for _ in range(DEEPEST):
        inner: list[tuple[tuple[str | int, ...], Any]] = []
        for place, value in level:
            if isinstance(value, Mapping):
                inner += [((*place, str(key)), one) for key, one in value.items()]
            elif isinstance(value, list | tuple):
                inner += [((*place, number), one) for number, one in enumerate(value)]
            elif isinstance(value, float) and not math.isfinite(value):
                raise SuiteError(f"{_place(place)} is no number", file=file, found=repr(value), mend="give a number")
            elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
                raise SuiteError(f"{_place(place)} is beyond 64 bits", file=file, mend="give a smaller number")
            elif not isinstance(value, str | int | float | None):
                mend = "use text, numbers, true or false, lists and tables"
                raise SuiteError(
                    f"{_place(place)} is of no kind that settings have", file=file, found=repr(value), mend=mend
                )
        if not inner:
            return
        level = inner
    raise SuiteError(
        "tables inside tables too deep", file=file, expected=f"at most {DEEPEST} levels", mend="flatten it"
    )


def _place(location: Sequence[str | int]) -> str:
    """("jobs", 0, "heads", 1, "options") → jobs[1].heads[2].options, counting from 1 as people do."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _assignments(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A TOML basic string escapes as JSON does, and DEL besides.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_assignments(value)) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    mend = "use text, numbers, true or false, lists and tables"
    raise SuiteError("a value no suite file can hold", found=repr(value), mend=mend)


def _tupled(value: Any) -> Any:
    """Lists as tuples, all the way down: what is frozen holds nothing that can grow."""
    if isinstance(value, Mapping):
        return {name: _tupled(one) for name, one in value.items()}
    return tuple(_tupled(one) for one in value) if isinstance(value, list | tuple) else value
