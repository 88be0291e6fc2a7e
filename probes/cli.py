"""The command line, `probes`. One verb each for what `probes.run`, `probes.load` and their kin do from Python.

Exit status: 0 complete, 1 some cells failed or are missing, 2 bad usage or input, 130 stopped by Ctrl-C (the same
command goes on). Results go to standard output, progress and errors to standard error. Nothing heavy is imported
before it is needed: listing names takes no numerical library.
"""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from probes.backend import NAMES
from worldnets.errors import SuiteError, UnknownNameError, WorldnetsError, did_you_mean
from worldnets.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from probes.results import Results
    from probes.runner import Plan
    from probes.validity import Score

#: Lines about cells that are not there, on a terminal.
SHOWN = 40

KINDS = ("worlds", "heads", "objectives", "penalties", "probes", "suites")


class Group(click.Group):
    """Turns every error raised on purpose into one line and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that has no ▬ shows a question mark, and the verdict
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except WorldnetsError as error:
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(2)
        except (MemoryError, RecursionError) as error:
            mend = "what was asked for is too large for this machine, or a file asks for too much (docs/untrusted.md)"
            click.echo(f"error: {type(error).__name__}: {printable(str(error))}. Mend: {mend}.", err=True)
            ctx.exit(2)
        except BrokenPipeError:  # `probes list | head`
            sys.stderr.close()
            ctx.exit(0)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise SuiteError(
                "unknown command", found=repr(args[0]), mend=did_you_mean(args[0], self.list_commands(ctx))
            )
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from worldnets import __version__

        click.echo(f"probes, worldnets {__version__}")
        ctx.exit()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def main() -> None:
    r"""Do heads trained on a proxy deepen into their world-model, or stagnate on its surface?

    \b
    probes list                          what there is
    probes run quick --out runs/quick    train, measure, report; again = go on where it stopped
    probes show runs/quick               its verdicts
    probes compare runs/a runs/b         what changed from one run to another, beyond noise
    probes validate depth                planted heads with known answers: does the probe get them right?
    """


@main.command("list")
@click.argument("kind", required=False, metavar="[worlds|heads|objectives|penalties|probes|suites]")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_names(kind: str | None, as_json: bool) -> None:
    """Names of worlds, heads, objectives, penalties, probes and suites."""
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("no such kind of thing to list", found=repr(kind), mend=did_you_mean(kind, KINDS))
    found = {name: names(name) for name in (KINDS if kind is None else (kind,))}
    if as_json:
        click.echo(json.dumps(found if kind is None else found[kind], indent=1))
        return
    for name, listed in found.items():
        if kind is None:
            click.echo(f"{name:<11} {', '.join(listed)}")
        else:
            click.echo("\n".join(listed))


def names(kind: str) -> list[str]:
    """The names of one kind, of `KINDS`."""
    if kind == "worlds":
        from worldnets.dataset import dataset_names

        return dataset_names()
    if kind == "heads":
        from worldnets.heads import REGISTRY as heads

        return heads.names()
    if kind == "objectives":
        from worldnets.objectives import REGISTRY as objectives

        return objectives.names()
    if kind == "penalties":
        from worldnets.penalties import REGISTRY as penalties

        return penalties.names()
    if kind == "probes":
        from probes.registry import REGISTRY as registered

        return registered.names()
    from probes.suites import suite_names

    return suite_names()


@main.command()
@click.argument("name", metavar="NAME|FOLDER|RUN")
def show(name: str) -> None:
    """What a name or a dataset folder stands for, or the verdicts of a run directory."""
    from pathlib import Path

    described_here = (Path(name) / "dataset.toml").exists()
    if (Path(name) / "manifest.json").exists() or ("/" in name and Path(name).is_dir() and not described_here):
        from probes.results import load

        results = load(name)
        _table(results)
        _failures(results)
        sys.exit(0 if results.failures.empty else 1)
    from probes.describe import described

    if Path(name).suffix == ".toml":
        click.echo(printable(described("suites", name)))
        return
    if "/" in name and described_here:
        _say_what_comes_first()
        click.echo(printable(described("worlds", name)))
        return
    # A world and a probe may have one name: then both are meant.
    meant = [kind for kind in KINDS if {name, name.replace("-", "_")} & set(names(kind))]
    if meant:
        if "worlds" in meant:
            _say_what_comes_first()
        click.echo(printable("\n\n".join(described(kind, name) for kind in meant)))
        return
    known = [known for kind in KINDS for known in names(kind)]
    raise UnknownNameError("neither a name nor a run directory", found=repr(name), mend=did_you_mean(name, known))


@main.command()
@click.argument("suite")
@click.option("--out", "-o", metavar="RUN", help="Run directory; if it is there already, the run goes on.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Worker processes; by default one per core.")
@click.option("--seeds", type=int, help="Instead of the suite's own number of seeds; multiples of 8 cost least.")
@click.option("--only", metavar="PATTERN", help="Conditions whose title world/objective/head/inputs matches.")
@click.option("--shard", metavar="I/N", help="The I-th of N parts, for several machines on one folder.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first cell that fails.")
@click.option(
    "--time-limit", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="What a cell may take at most."
)
@click.option("--backend", type=click.Choice(NAMES), default="processes", show_default=True, help="Where cells run.")
@click.option("--scheduler", metavar="ADDRESS", help="Of Dask, such as tcp://10.0.0.1:8786; by default a local one.")
@click.option("--dry-run", is_flag=True, help="Print the cells and stop.")
def run(
    suite: str,
    out: str | None,
    jobs: int | None,
    seeds: int | None,
    only: str | None,
    shard: str | None,
    fail_fast: bool,
    time_limit: float | None,
    backend: str,
    scheduler: str | None,
    dry_run: bool,
) -> None:
    """Train, measure and report what a SUITE asks for: a built-in name or a TOML file."""
    from probes.runner import execute, plan

    if out is None and not dry_run:
        raise SuiteError(
            "no run directory given", mend=f"add --out runs/{suite.rsplit('/', 1)[-1].removesuffix('.toml')}"
        )
    planned = plan(suite, only, shard, seeds)
    if dry_run:
        _dry(planned, out)
        return
    assert out is not None
    _say_what_comes_first()
    if scheduler is not None:
        click.echo(f"asking {printable(scheduler)} for workers, a minute at most", err=True)
    results, outcome = execute(planned, out, jobs, _progress(), fail_fast, time_limit, backend, scheduler)
    if outcome.interrupted:
        done = outcome.done + outcome.reused
        click.echo(
            f"stopped: {done} of {len(planned.cells)} cells are stored in {out}; the same command goes on", err=True
        )
        sys.exit(130)
    _table(results)
    _organisms(results)
    _failures(results, part=bool(only or shard))
    click.echo(f"report: {results.path / 'report.html'}")
    if not outcome.complete:
        sys.exit(1)


@main.command()
@click.argument("run", metavar="RUN")
@click.option("--output", "-o", metavar="FILE", help="By default RUN/report.html.")
def report(run: str, output: str | None) -> None:
    """Rebuild the tables and the HTML report of a run directory."""
    from probes.results import load

    results = load(run)
    if output is None:
        results.compact()
    click.echo(results.report(output))


@main.command()
@click.argument("run", metavar="RUN")
def pack(run: str) -> None:
    """Pack the cells of a run directory by the thousand, so that millions of small files become hundreds.

    Every command reads packed cells as it reads loose ones, and a run goes on.
    """
    from probes.store import Store

    done = Store.open(run).pack()
    click.echo(f"{done.packed:,} cells packed now; {done.cells:,} finished cells, {done.packs:,} packs")
    for key in done.damaged:
        click.echo(f"damaged: {key}, left as it is", err=True)
    if done.damaged:
        sys.exit(1)


@main.command()
@click.argument("a", metavar="RUN")
@click.argument("b", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def compare(a: str, b: str, as_json: bool) -> None:
    """What changed from one RUN to another, beyond noise.

    Exit status: 0 nothing, 1 something, 2 the two cannot be compared.
    """
    from probes.compare import compare as compared
    from probes.results import load

    found = compared(load(a), load(b))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    else:
        from probes.terminal import comparison

        comparison(found)
    if not found.same:
        sys.exit(1)


@main.command()
@click.argument("dataset")
def check(dataset: str) -> None:
    """Check that a dataset (a name or a folder) keeps what heads and probes rely on."""
    from worldnets.dataset import load_dataset
    from worldnets.dataset_check import check_dataset

    loaded = load_dataset(dataset)
    _say_what_comes_first()
    found = check_dataset(loaded)
    for result in found:
        click.echo(printable(f"{'ok  ' if result.ok else 'FAIL'}  {result.name}: {result.message}"))
        if not result.ok and result.mend:
            click.echo(printable(f"      mend: {result.mend}"))
    if not all(result.ok for result in found):
        sys.exit(1)


@main.group(cls=Group)
def new() -> None:
    """Write something to start from."""


@new.command("dataset")
@click.argument("name")
@click.option("--in", "where", metavar="FOLDER", default=".", show_default=True, help="Where its folder is made.")
def new_dataset(name: str, where: str) -> None:
    """A dataset folder that works: a net, its roles, a card, and a suite that probes it."""
    from pathlib import Path

    from probes.skeleton import new_dataset as written

    folder = written(name, where)
    path = str(folder) if folder.is_absolute() or folder.parent != Path() else f"./{folder}"
    click.echo(f"{folder}: change it piece by piece; `probes check {shlex.quote(path)}` says whether it is fit for use")


@main.command()
@click.argument("probe", nargs=-1)
@click.option("--repeats", "-n", type=click.IntRange(min=1), default=1000, show_default=True, help="Of each organism.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first repeat.")
@click.option("--only", multiple=True, metavar="ORGANISM", help="This organism; may be given again.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Worker processes; by default one per core.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option(
    "--output", "-o", metavar="FILE", help="Write the probes' sections of this page, such as docs/validity.md."
)
def validate(
    probe: tuple[str, ...],
    repeats: int,
    first: int,
    only: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
    output: str | None,
) -> None:
    """How often PROBE says of planted organisms what is known of them; all probes by default.

    Exit status: 0 every claim and coverage holds, 1 some do not (yet: a few repeats leave them open), 2 bad usage,
    130 stopped.
    """
    from probes.validity import chosen, row, validate_all

    if only and output:
        raise SuiteError(
            "a page of some organisms only", found=f"--only {only[0]}", mend="leave out --only or --output"
        )
    asked = chosen(probe or None, only or None)
    try:
        with _counting({name: len(own) for name, own in asked.items()}) as finished:
            scores = validate_all(list(asked), repeats, first, only or None, finished, jobs or _cores(repeats))
    except KeyboardInterrupt:
        click.echo("stopped: nothing was written", err=True)
        sys.exit(130)
    if output:
        from probes.validity_page import write

        write(output, scores, first)
    if as_json:
        click.echo(json.dumps({name: [row(score) for score in own] for name, own in scores.items()}, indent=1))
    else:
        from probes.terminal import validity_table

        for name, own in scores.items():
            validity_table(name, own)
    if not all(score.passed for own in scores.values() for score in own):
        sys.exit(1)


def _cores(repeats: int) -> int:
    from probes.backend import cores
    from probes.validity import LEAST_CHUNK

    return cores() if repeats > LEAST_CHUNK else 1  # a few repeats are counted before a worker has started


def _counting(organisms: Mapping[str, int]) -> AbstractContextManager[Callable[[str, Score], None]]:
    from probes.progress import counting_bar, counting_lines

    if not sys.stderr.isatty():
        return counting_lines(sum(organisms.values()))
    from rich.console import Console

    return counting_bar(Console(stderr=True), organisms)


def _dry(planned: Plan, out: str | None) -> None:
    from pathlib import Path

    from probes.store import Store

    finished = Store.open(out).finished() if out and (Path(out) / "manifest.json").exists() else ()
    done = 0
    lines: list[str] = []
    for cell in planned.cells:
        there = cell.key in finished
        done += there
        state = "done " if there else "to do"
        lines.append(f"{cell.key[:12]}  {state}  {printable(cell.name, newlines=False)}")
        if len(lines) == 4096:
            click.echo("\n".join(lines))
            lines.clear()
    if lines:
        click.echo("\n".join(lines))
    click.echo(f"{len(planned.cells)} cells of {len(planned.conditions)} conditions; {done} done", err=True)


def _say_what_comes_first() -> None:
    """Say what a first command waits for: make compiles when it installs, pip cannot."""
    from worldnets.inference.compiled import nothing_compiled

    if nothing_compiled():
        click.echo("compiling the inference kernels, this once: about half a minute", err=True)


def _progress() -> Any:
    from probes.progress import Lines, Live

    if not sys.stderr.isatty():
        return Lines()
    from rich.console import Console

    return Live(Console(stderr=True))


def _table(results: Results) -> None:
    from probes.terminal import verdict_table

    verdict_table(results)


def _organisms(results: Results) -> None:
    from probes.terminal import validity_table

    for name, scores in results.scores.items():
        validity_table(f"organisms of {name}", scores)


def _failures(results: Results, part: bool = False) -> None:
    """Say which cells are not there, and why; where only a part was asked for, of the others how many."""
    failures = results.failures
    if part and (waiting := int((failures["state"] == "missing").sum())):
        failures = failures[failures["state"] != "missing"]
        cells = "cell of the suite has" if waiting == 1 else "cells of the suite have"
        click.echo(f"{waiting:,} {cells} not run yet: `probes show {shlex.quote(str(results.path))}`", err=True)
    # Those that failed first: what has not run yet needs no explanation.
    ordered = failures.sort_values("state", key=lambda states: states == "missing", kind="stable")
    for row in ordered.head(SHOWN).to_dict("records"):
        said = ": " + " ".join(str(row["error"]).split()) if row["error"] else ""
        click.echo(printable(f"{row['state']}: {row['cell']}{said}", newlines=False), err=True)
    if len(failures) > SHOWN:
        click.echo(f"… and {len(failures) - SHOWN:,} more; `probes.load(RUN).failures` has all of them", err=True)
    if not failures.empty and (failures["state"] == "failed").any():
        from probes.suites import suite_names

        name = results.store.suite.name
        suite = name if name in suite_names() else shlex.quote(str(results.path / "suite.toml"))
        command = f"probes run {suite} --out {shlex.quote(str(results.path))}"
        click.echo(f"tracebacks: {results.path / 'failed'}; `{command}` tries them again", err=True)
