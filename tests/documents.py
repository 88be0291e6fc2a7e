"""The code in the documents, and how a reader would run it.

A page's blocks run in the order they stand in, in one folder: `python` blocks in one namespace, `sh` blocks command by
command in one shell, so that a `cd` lasts. `toml` and `json` are read by the readers they are meant for. What a test
cannot run as it stands is replaced by a table of the test (`tests/test_documents.py`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from worldnets.errors import WorldnetsError

ROOT = Path(__file__).resolve().parents[1]
#: Everything that people read and copy from.
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/**/*.md", "datasets/*/README.md")
RUN = ("python", "sh")
DATA = ("toml", "json", "text")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its first line of code, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """All documents, as paths from the root."""
    return sorted({path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)})


def blocks(page: str) -> list[Block]:
    """The code of a page, as a reader of Markdown sees it; an indented block has no language."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    return [
        Block(page, token.map[0] + (2 if token.type == "fence" else 1), token.info.strip(), token.content)
        for token in tokens
        if token.type in ("fence", "code_block") and token.map is not None
    ]


def words_in_text(page: str) -> list[tuple[str, str]]:
    """Commands named on a page, wherever they stand: in shell blocks, lists of commands and code within sentences."""
    tokens = MarkdownIt().enable("table").parse((ROOT / page).read_text(encoding="utf-8"))
    found: list[tuple[str, str]] = []
    for token in tokens:
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence" and token.info.strip() in ("sh", "text"):
            lines = token.content.splitlines()
        else:
            lines = [child.content for child in token.children or () if child.type == "code_inline"]
        for text in lines:
            words = re.split(r"  |#", text)[0].strip()  # an explanation stands behind it
            if re.match(r"(\S*bin/)?(probes|make|python) [^=]", words):
                found.append((f"{page}:{line}", words.removeprefix(".venv/bin/")))
    return found


def commands(text: str) -> Iterator[tuple[int, str]]:
    """The commands of a shell block with their lines within it: a quote or a backslash goes on over the line's end."""
    begun: list[str] = []
    for number, line in enumerate(text.splitlines()):
        begun.append(line)
        whole = "\n".join(begun)
        if line.endswith("\\") or not _closed(whole):
            continue
        if shlex.split(whole, comments=True):
            yield number + 1 - len(begun), whole
        begun = []
    if begun:
        raise ValueError(f"a command that does not end: {begun[0]}")


def _closed(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


class Shell:
    """Runs commands one by one, as in one terminal: folder and variables last from one to the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.state = folder.parent / f"{folder.name}.state"
        self.state.write_text(f"cd {shlex.quote(str(folder))}\n", encoding="utf-8")
        self.environment = environment

    def run(self, command: str, timeout: float) -> tuple[int, str]:
        """Runs one; exit status and all that was said."""
        state = shlex.quote(str(self.state))
        script = f'. {state}\n{command}\n__said=$?\n{{ printf "cd %q\\n" "$PWD"; export -p; }} > {state}\nexit $__said'
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=timeout,
        )
        return done.returncode, done.stdout


@dataclass(frozen=True)
class Outcome:
    """What running a page came to: what each block said by its place, or where and how it failed."""

    said: dict[str, str]
    failed: str | None = None


def run_page(
    todo: list[Block],
    folder: str,
    environment: dict[str, str],
    timeout: float = 600.0,
    here: Sequence[str] = (),
    may_say_no: Sequence[str] = (),
) -> Outcome:
    """Run a page's blocks in order, up to the first that fails.

    Args:
        todo: its blocks, with what is run instead already in them.
        folder: an empty one, or with what a checkout has.
        environment: of the shell.
        timeout: seconds a command may take.
        here: verbs of `probes` that are called in this process, and `--dry-run`: the same, but for its start.
        may_say_no: how commands begin whose exit status 1 is an answer.
    """
    os.chdir(folder)
    namespace: dict[str, object] = {"__name__": "__main__"}
    shell = Shell(Path(folder), environment)
    said: dict[str, str] = {}
    for block in todo:
        if block.language == "python":
            failed, said[block.place] = _python(block, namespace)
            if failed:
                return Outcome(said, f"{block.place}: {failed}")
        elif block.language == "sh":
            for offset, command in commands(block.text):
                words = shlex.split(command, comments=True)
                if "install" in words:
                    here = ()  # only a process that starts after it sees what is new
                light = (
                    words[0] == "probes"
                    and bool(here)
                    and "$" not in command
                    and (words[1] in here or "--dry-run" in words)
                )
                run = _called if light else _typed
                code, text = run(command, shell, timeout)
                said[f"{block.page}:{block.line + offset}"] = text
                said_no = code == 1 and command.startswith(tuple(may_say_no))
                if (code and not said_no) or "Traceback (most recent call last)" in text:
                    return Outcome(said, f"{block.page}:{block.line + offset}: `{command}` exits with {code}:\n{text}")
        else:
            try:
                read(block)
            except (WorldnetsError, ValueError) as error:
                return Outcome(said, f"{block.place}: {error}")
    return Outcome(said)


def _typed(command: str, shell: Shell, timeout: float) -> tuple[int, str]:
    return shell.run(command, timeout)


def _called(command: str, shell: Shell, timeout: float) -> tuple[int, str]:
    from click.testing import CliRunner

    from probes.cli import main

    done = CliRunner().invoke(main, shlex.split(command, comments=True)[1:])
    return done.exit_code, done.output


def _python(block: Block, namespace: dict[str, object]) -> tuple[str | None, str]:
    heard = io.StringIO()
    # Lines before it, so that a traceback names the line of the page; the path, so that it shows that line.
    code = "\n" * (block.line - 1) + block.text
    try:
        with contextlib.redirect_stdout(heard), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "`pgmpy", FutureWarning)
            exec(compile(code, str(ROOT / block.page), "exec"), namespace)
    except (Exception, SystemExit):  # noqa: BLE001 (whatever a page does wrong is what the test wants to hear)
        return traceback.format_exc(), heard.getvalue()
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    return None, heard.getvalue()


def read(block: Block) -> None:
    """Read a block of data with the reader of whatever it is.

    A suite is a table of jobs or of what belongs to it; a part of one is read with the parts it lacks.
    """
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        from probes.suite import read_suite

        tables = tomllib.loads(block.text)
        if "dataset" in tables:
            folder = Path("described")
            folder.mkdir()
            (folder / "dataset.toml").write_text(block.text, encoding="utf-8")
            for key in ("net", "episodes"):
                if key in tables["dataset"]:
                    (folder / tables["dataset"][key]).touch()  # what it names is not looked into here
            from worldnets.dataset_folder import read_description

            read_description(folder)
        elif not tables.keys() & {"project", "build-system"}:  # a package's
            missing = [] if "suite" in tables else ['[suite]\nname = "part"\n']
            missing += [] if "jobs" in tables else ['[[jobs]]\nworld = "vault"\nobjective = "question"\n']
            read_suite("\n".join([block.text, *missing]), block.place)


def main() -> None:
    """Run pages as they are asked for, one line of JSON each, in one process: imports and compiled code are shared."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever programs print goes to the log
    for line in sys.stdin:
        asked = json.loads(line)
        todo = [Block(**block) for block in asked.pop("todo")]
        outcome = run_page(todo, **asked)
        print(json.dumps(asdict(outcome)), file=replies, flush=True)


if __name__ == "__main__":
    main()
