"""The public nets that can be read without a download: alarm, asia, hailfinder, insurance, munin and others."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from worldnets.errors import FormatError, did_you_mean

DATA_VARIABLE = "WORLDNETS_DATA"


def public_nets() -> dict[str, Path]:
    """Name → path of every public net on this machine, sorted by name.

    A folder named by the environment variable `WORLDNETS_DATA` comes first, then the `.bif.gz` files inside the
    installed pgmpy 1.1 wheel, which is located without importing it. Nothing is ever downloaded.
    """
    found: dict[str, Path] = {}
    for folder in _folders():
        for ending in (".bif", ".bif.gz"):
            for path in sorted(folder.glob(f"*{ending}")):
                found.setdefault(path.name.removesuffix(ending), path)
    return dict(sorted(found.items()))


def public_net(name: str) -> Path:
    """Path of one public net.

    Raises:
        FormatError: no such net on this machine.
    """
    known = public_nets()
    if name not in known:
        mend = did_you_mean(name, known) if known else f"install pgmpy 1.1, or set {DATA_VARIABLE} to a folder of .bif"
        raise FormatError("no public net of that name", found=repr(name), mend=mend)
    return known[name]


def _folders() -> list[Path]:
    folders = [Path(os.environ[DATA_VARIABLE])] if os.environ.get(DATA_VARIABLE) else []
    # find_spec on the top-level package alone does not run any of its code.
    spec = importlib.util.find_spec("pgmpy")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        folders.append(Path(place) / "utils" / "example_models")
    return [folder for folder in folders if folder.is_dir()]
