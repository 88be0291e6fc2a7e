"""Archives, and environments to install them in: as clean as a new one, and made in a tenth of a second."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def layered(folder, *front):
    """An environment with nothing in it, over the packages of the one that runs the tests.

    Those are seen through one line of a `.pth` file, which is not followed further: what is installed there from a
    checkout cannot be imported here. What is installed here goes before, and `pip` is the one from below.

    Args:
        folder: where it is made.
        front: folders whose packages go before those below, such as a checkout.

    Returns:
        The folder of its commands, with `python` and `pip`; with `probes` where a checkout is in front.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    places = {"base": str(folder), "platbase": str(folder)}
    site, commands = (Path(sysconfig.get_path(name, "venv", places)) for name in ("purelib", "scripts"))
    below = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "below.pth").write_text("\n".join([*map(str, front), *below, ""]), encoding="utf-8")
    command(commands, "pip", "from pip._internal.cli.main import main")
    if front:
        command(commands, "probes", "from probes.cli import main")
    return commands


def command(commands, name, start):
    """A command as an installer writes it."""
    # Processes that it starts import it as a module: what it does stands behind a condition.
    text = f"#!{commands / 'python'}\nimport sys\n{start}\nif __name__ == '__main__':\n    sys.exit(main())\n"
    (commands / name).write_text(text, encoding="utf-8")
    (commands / name).chmod(0o755)


def clean(commands, **more):
    """Variables of a shell in which that environment is active, without what the tests' own shell has set for itself.

    Installers look at nothing but what is here: pip is given no index, and builds with what is below.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHONPATH", "VIRTUAL_ENV", "MAKE", "MFLAGS", "PYTEST", "COVERAGE", "CI"))
    }
    path = os.pathsep.join([str(commands), os.environ.get("PATH", os.defpath)])
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**kept, **offline, "PATH": path, "VIRTUAL_ENV": str(commands.parent), "MPLBACKEND": "Agg", **more}


def checkout(folder):
    """What commands of the documents read from a checkout, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".pre-commit-config.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


def say(words, environment, cwd, timeout=600):
    """Runs one command; what it did."""
    return subprocess.run(
        [str(word) for word in words],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )


def build(kind, source, out):
    """The sdist or the wheel of a source folder."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", out, source]
    done = say(command, {**os.environ}, source, 300)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (path for path in Path(out).iterdir() if path.name.endswith((".whl", ".tar.gz")))
    return built


def unpacked(archive, folder):
    """The one folder within a source archive."""
    with tarfile.open(archive) as opened:
        # Python 3.11 knows filters only from its fourth patch on.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        opened.extractall(folder, **safely)
    (source,) = Path(folder).iterdir()
    return source


def lend_kernels(package):
    """Give an installed `worldnets` the compiled code of the checkout, if its sources are the same.

    Compiling takes twenty seconds and is not what these tests are about. Numba files code under its source's folder,
    and looks at the source's content before it takes any.
    """
    for kept in (ROOT / "worldnets" / "inference" / "__pycache__").glob("kernels-*"):
        for folder in (ROOT / "worldnets" / "inference", *(ROOT / "worldnets" / "inference").iterdir()):
            theirs = package / folder.relative_to(ROOT / "worldnets")
            source, target = (
                f"{place.name}_{hashlib.sha1(str(place).encode()).hexdigest()}" for place in (folder, theirs)
            )
            if (kept / source).is_dir():
                lent = package / "inference" / "__pycache__" / kept.name / target
                shutil.copytree(kept / source, lent, dirs_exist_ok=True)


@contextmanager
def begun(words, environment, folder):
    """A program that goes on until the end of the block, in a group of its own that is ended with it."""
    log = folder / f"{Path(words[0]).name}-{words[1]}.log"
    with open(log, "a", encoding="utf-8") as heard:
        process = subprocess.Popen(
            [str(word) for word in words],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=heard,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def awaited(log, pattern):
    """The first match of a pattern in a file that is being written."""
    for _ in range(600):
        found = re.search(pattern, log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


@contextmanager
def cluster(dask, environment, folder):
    """A Dask scheduler on loopback and two workers of one thread each, until the end of the block; its address."""
    quiet = ("--no-dashboard",)
    with begun([dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *quiet], environment, folder) as log:
        address = awaited(log, r"Scheduler at:\s*(tcp://\S+)")
        with begun([dask, "worker", address, "--nworkers", "2", "--nthreads", "1", *quiet], environment, folder):
            yield address
