"""A dataset to start from: `probes new dataset NAME` writes a folder that works, to be changed piece by piece."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldnets.errors import DatasetError
from worldnets.files import write_atomically

if TYPE_CHECKING:
    from worldnets.net import WorldNet

NAME = r"[A-Za-z][A-Za-z0-9_]*"

DESCRIPTION = """\
# What this folder is, for `worldnets.load_dataset("./{name}")` and for suites. Data only: nothing here is ever run.
[dataset]
name = "{name}"
title = "Is the road icy? What a driver sees, and what is behind it"
net = "net.bif"  # BIF, XMLBIF, NET, XDSL or UAI; instead of a net: episodes = "clips.parquet", and maybe [episodes]

[roles]
evidence = ["gritter", "thermometer", "sky"]  # what heads are shown
targets = ["road"]  # what they are asked; or a table, name = ["several", "variables"]: one outcome per joint state
latents = ["night"]  # neither; left out, every other node
# Evidence from the surface down: what stands next to the target, and what only counts through the world behind it.
# Left out, rungs are distances from the target.
ladder = [["gritter"], ["thermometer"], ["sky"]]

[citation]
text = "Where these numbers come from"
"""

CARD = """\
# {name}

Is the road icy? A small world to start from: `night` is hidden; a clear `sky` in a cold one makes the road freeze, the
`thermometer` shows some of that, and the `gritter` is sent out when somebody believes it.

```sh
probes check ./{name}                               # is it fit for use? what is not, and how to mend it
probes show ./{name}                                # what there is to be known, rung by rung
probes run {name}/suite.toml --out runs/{name}      # from the folder above: train, measure, report
```

To make it your own: put your net into `net.bif` (or name another file), the roles into `dataset.toml`, and run
`probes check` until it says ok. Real clips instead of a net: a table of episodes; see the page on real clips.
"""

SUITE = """\
# Run from the folder that holds {name}: probes run {name}/suite.toml --out runs/{name}
[suite]
name = "{name}"
title = "Does a head look behind the surface of {name}?"

[defaults]
probes = ["depth"]
seeds = 8
steps = 500
checkpoints = 8

# Fixed before the run.
[probes.depth.conclude]
delta = 0.10
epsilon = 0.10
alpha = 0.05

[[jobs]]
world = "./{name}"
objective = "question"
heads = ["linear", "mlp"]
"""


def new_dataset(name: str, where: str | os.PathLike[str] = ".") -> Path:
    """Write a working dataset folder: description, net, card and a suite that probes it.

    Args:
        name: of the dataset and its folder: a letter, then letters, digits and underscores.
        where: the folder to write it in.

    Returns:
        The new folder.

    Raises:
        DatasetError: another kind of name, or a folder that is there already.
        StoreError: it cannot be written.
    """
    from worldnets import write_net

    if not re.fullmatch(NAME, name):
        mend = "give a letter, then letters, digits and underscores; where it stands is said by --in"
        raise DatasetError("no name for a dataset", found=repr(name), mend=mend)
    folder = Path(where) / name
    if folder.exists():
        raise DatasetError("something of that name is there already", file=folder, mend="give another name")
    try:
        folder.mkdir()
    except OSError as error:
        mend = "give a folder that is there and writable, with --in"
        raise DatasetError("cannot make the folder", file=folder, found=error.strerror, mend=mend) from error
    write_net(_net(), folder / "net.bif")
    for file, text in (("dataset.toml", DESCRIPTION), ("README.md", CARD), ("suite.toml", SUITE)):
        write_atomically(folder / file, text.format(name=name))
    return folder


def _net() -> WorldNet:
    from worldnets import WorldNet

    states = {
        "night": ("warm", "cold"),
        "sky": ("clear", "cloudy"),
        "road": ("wet", "icy"),
        "thermometer": ("above", "below"),
        "gritter": ("parked", "out"),
    }
    parents = {"road": ("night", "sky"), "thermometer": ("night",), "gritter": ("road",)}
    tables: dict[str, Any] = {
        "night": [0.5, 0.5],
        "sky": [0.5, 0.5],
        "road": [[[0.9, 0.1], [0.95, 0.05]], [[0.1, 0.9], [0.7, 0.3]]],
        "thermometer": [[0.9, 0.1], [0.2, 0.8]],
        "gritter": [[0.75, 0.25], [0.45, 0.55]],
    }
    return WorldNet(states, parents, tables)
