"""What the documents show is what happens: every block of code on every page is run, or read, in order.

`SMALLER` are the numbers with which long ones run in CI; without CI they run as they stand. `INSTEAD` is what no test
can run as it stands. An entry of either that matches nothing is an error, as is a block that says no language.
"""

import ast
import dataclasses
import fnmatch
import importlib.util
import itertools
import json
import re
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from probes.cli import main
from tests import videos
from tests.documents import DATA, ROOT, RUN, blocks, pages, words_in_text
from tests.environments import checkout, clean, cluster, command, layered

TIMEOUT = 900.0
#: Verbs whose command is called in the page's process in the small form: starting Python takes longer than they do.
HERE = ("list", "show", "check", "new", "report", "compare")
#: Commands that say something by their exit status.
MAY_SAY_NO = ("probes compare", "probes validate")


@dataclass(frozen=True)
class Other:
    """Another form of something on pages."""

    pages: str
    found: str
    instead: str
    why: str = ""

    def of(self, block):
        if not fnmatch.fnmatch(block.page, self.pages) or block.text.startswith("compile("):  # `without`
            return block
        return dataclasses.replace(block, text=re.sub(self.found, self.instead, block.text, flags=re.MULTILINE))


#: In the small form no head is trained longer, or for more seeds.
MOST = {"steps": 40, "seeds": 2}


def bring_clips(folder):
    """A video and a table, as small as they may be."""
    videos.write(folder / "street.mp4", videos.blinking(400)[1], codec="mpeg4")
    random = np.random.default_rng(0)
    rows = [(f"day {i // 4}", i % 4, ["wet", "dry"][i // 4 % 2], random.integers(0, 90)) for i in range(160)]
    pd.DataFrame(rows, columns=["episode", "frame", "weather", "people"]).to_csv(folder / "visits.csv", index=False)


def without(library):
    """Blocks that need what no extra brings are only compiled where it is not installed."""
    found = importlib.util.find_spec(library) is not None
    return lambda match: match[0] if found else f"compile({match[0]!r}, {library!r}, 'exec')"


CLUSTER = "docs/running.md"
#: Never run as it stands: why, and what is run instead.
INSTEAD = (
    Other("*", r"^make (\w+)", r"make --dry-run \1", "makes an environment or takes hours; test_newcomer.py makes run"),
    Other(
        "CONTRIBUTING.md",
        r"^\S*pre-commit install",
        "python -m pre_commit validate-config .pre-commit-config.yaml",
        "would change the hooks of git",
    ),
    Other(
        "docs/external-predictors.md",
        r"(?s)\Aimport copy\n\nimport torch.*",
        without("torch"),
        "in no extra; tests/probes/test_external.py trains a network where it is installed",
    ),
    Other(CLUSTER, "tcp://10.0.0.1:8786", "$SCHEDULER", "a scheduler on loopback, with two workers"),
    Other(CLUSTER, "/shared/", "shared/", "a folder here"),
    Other(CLUSTER, "^probes run low_end", "probes run quick --only 'cue_parity/*'", "takes half an hour"),
    Other(CLUSTER, "from dask_jobqueue import", "from distributed import LocalCluster as", "there is no SLURM"),
    Other(
        CLUSTER,
        r"SLURMCluster\(.*\)",
        "SLURMCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)",
        "the same",
    ),
    Other(CLUSTER, "maximum_jobs=32", "maximum=2", "the same"),
    Other(
        CLUSTER,
        r'probes.run\("low_end", "/?shared/low_end",',
        'probes.run("quick", "shared/python", only="cue_parity/*",',
        "half an hour",
    ),
)

#: In CI, beside what `briefly` does.
SMALLER = (
    Other("README.md", "^probes run harbour/suite.toml", r"\g<0> --dry-run"),  # test_newcomer.py runs such a one
    Other(CLUSTER, "^probes run low_end", "probes run quick --dry-run"),
    Other(CLUSTER, " --scheduler [^ ]*", ""),
    Other(CLUSTER, "^probes report .*", "probes report --help"),
    Other(CLUSTER, r"(?s)\Afrom dask_jobqueue.*", without("dask_jobqueue")),
    # All but fingerprint, which needs combinations that training never showed.
    Other(
        "docs/probes/*[!t].md", r'dataset\("vault"(?!, frames=3)(, frames=4)?', 'dataset("vault", frames=3, pixels=1'
    ),
    Other("docs/probes/order.md", "sensor_5", "sensor_2"),
    Other("docs/probes/derivation.md", "chains=64, tokens=4, alpha=1.0, frames=33", "chains=8, tokens=3, frames=6"),
    Other("docs/external-predictors.md", "RandomForestClassifier.100", "RandomForestClassifier(10"),
    Other("datasets/digits/README.md", "columns=1, frames=8", "columns=2"),
    Other("docs/learning.md", "20_000", "2_000"),
    # test_plugin.py runs the suite, and counts.
    Other("examples/lighthouse/README.md", "^probes run", r"\g<0> --dry-run"),
    Other("examples/lighthouse/README.md", "^probes validate confidence", r"\g<0> --repeats 2"),
    Other("docs/probes/optimizer.md", '"message_passing"', '"linear"'),
    # Each has a file of tests of its own.
    *(
        Other(f"docs/probes/{page}.md", r"^print\(probes.probe\((.*)\).run\(trace\).*", r"probes.probe(\1).check")
        for page in ("modularity", "optimizer", "priors")
    ),
)
#: What readers are to bring, by page: made before it is run.
BROUGHT = {"docs/real-data.md": bring_clips}


def briefly(block):
    """The block with every training cut down: what heads become is of no account then, that all of it runs is."""
    if block.language != "python":
        return block
    lines, edits = block.text.splitlines(keepends=True), []
    starts = [0, *itertools.accumulate(len(line.encode()) for line in lines)]
    for call in ast.walk(ast.parse(block.text)):
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("wn.train"):
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if None in given or "save_to" in given:  # options=…: said elsewhere
            continue
        end = starts[call.end_lineno - 1] + call.end_col_offset - 1
        comma = "" if block.text.encode()[:end].rstrip().endswith(b",") else ","
        edits += [(end, end, f"{comma} {name}={most}") for name, most in MOST.items() if name not in given]
        for name, most in (*MOST.items(), ("checkpoints", MOST["steps"])):
            value = given.get(name)
            if isinstance(value, ast.Constant | ast.List):
                spelled = ast.literal_eval(value)
                few = [step for step in spelled if step <= most] if isinstance(spelled, list) else min(spelled, most)
                place = starts[value.lineno - 1] + value.col_offset, starts[value.end_lineno - 1] + value.end_col_offset
                edits.append((*place, str(few)))
    text = block.text.encode()
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new.encode() + text[end:]
    return dataclasses.replace(block, text=text.decode())


class Reader:
    """A process that runs pages, one after another, in the order asked for."""

    def __init__(self, folder, **more):
        self.folder, self.log = folder, folder / "log"
        self.commands = layered(folder / "environment", ROOT)
        self.environment = clean(self.commands, SLURM_CPUS_PER_TASK="1", SLURM_ARRAY_TASK_ID="2", **more)
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.commands / "python", ROOT / "tests" / "documents.py"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=self.environment,
                cwd=folder,
            )

    def read(self, page, todo, here=()):
        """What became of it."""
        scratch = checkout(self.folder / re.sub(r"\W", "_", page) / "checkout")
        BROUGHT.get(page, str)(scratch)
        asked = {"todo": [dataclasses.asdict(block) for block in todo], "folder": str(scratch), "here": here}
        asked |= {"environment": self.environment, "timeout": TIMEOUT, "may_say_no": MAY_SAY_NO}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{page}: the process ended\n{self.log.read_text(encoding='utf-8')[-3000:]}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Started at the first page that is run."""
    started = Reader(tmp_path_factory.mktemp("documents"))
    yield started
    started.close()


def asked(page, small=False):
    """What is run of a page."""
    found = [briefly(block) for block in blocks(page)] if small else blocks(page)
    for other in (*(SMALLER if small else ()), *INSTEAD):
        found = [other.of(block) for block in found]
    return found


WITH_CODE = [page for page in pages() if any(block.language in (*RUN, "toml", "json") for block in blocks(page))]
LONGER = [page for page in WITH_CODE if asked(page, small=True) != asked(page)]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs_in_order(page, reader):
    outcome = reader.read(page, asked(page, small=True), HERE)
    assert outcome["failed"] is None, outcome["failed"]


@pytest.mark.slow
@pytest.mark.parametrize("page", LONGER)
def test_the_code_of_a_page_runs_as_it_stands(page, tmp_path):
    with ExitStack() as stack:
        more = {}
        if page == CLUSTER:
            dask = layered(tmp_path / "workers", ROOT) / "dask"
            command(dask.parent, "dask", "from dask.__main__ import main")
            more["SCHEDULER"] = stack.enter_context(cluster(dask, clean(dask.parent), tmp_path))
        reader = Reader(tmp_path, **more)
        stack.callback(reader.close)
        outcome = reader.read(page, asked(page))
    assert outcome["failed"] is None, outcome["failed"]


def test_every_block_says_what_it_is():
    found = [block for page in pages() for block in blocks(page)]
    assert len(found) > 80
    assert [f"{block.place} {block.language!r}" for block in found if block.language not in (*RUN, *DATA)] == []


@pytest.mark.parametrize("other", [*INSTEAD, *SMALLER], ids=lambda other: f"{other.pages}: {other.found}")
def test_what_is_run_in_another_form_is_still_there(other):
    found = [block for page in pages() if fnmatch.fnmatch(page, other.pages) for block in blocks(page)]
    assert any(other.of(block) != block for block in found)
    assert other.why or other in SMALLER


def named():
    """Every command that is named anywhere: in a block, in a list of commands, in a sentence."""
    for page in pages():
        yield from words_in_text(page)


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_every_verb_is_shown_somewhere(verb):
    assert any(re.match(rf"probes {verb}\b", text) for _, text in named())


def test_every_command_that_is_named_exists_with_the_options_it_is_given():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    wrong = []
    for place, text in named():
        words = text.split()
        if words[0] == "make":
            wrong += [f"{place}: {text}" for word in words[1:2] if word not in targets]
        elif words[0] in ("python", ".venv/bin/python") and words[1:2] and words[1].endswith(".py"):
            wrong += [] if (ROOT / words[1]).exists() else [f"{place}: {text}"]
        elif words[0] == "probes" and len(words) > 1:
            verb = main.commands.get(words[1])
            if verb is None:
                wrong.append(f"{place}: {text}")
                continue
            group = getattr(verb, "commands", {})
            verb = group.get(words[2]) if len(words) > 2 and group else verb
            known = {option for parameter in verb.params for option in parameter.opts} | {"--help", "-h"}
            wrong += [f"{place}: {text}" for word in words if word.startswith("-") and word.split("=")[0] not in known]
    assert wrong == []
