"""Run directories as a stranger might send them: JSON with other values in it, cells with other arrays, all signed."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from worldnets.errors import WorldnetsError


def planted_cell(seed: int) -> dict[str, Any]:
    """What the depth probe stores of eight made-up heads on a made-up world: no head need be trained for it."""
    from probes.catalogue.depth import measure_heads, pack
    from probes.ladder import References, Sampling
    from probes.sources import TableSource

    random = np.random.default_rng(seed)
    heads = np.log(random.dirichlet(np.ones(3), (3, 8, 12)))
    made = References(TableSource(random.random((3, 4, 3))), Sampling(method="enumerate")).get([["x1"], ["x2"]], "y")
    rows = np.ravel_multi_index(made.inputs.T, (3, 4))
    steps = np.array([0, 9, 30])
    return pack([measure_heads(made, "y", tuple(range(8)), steps, lambda t: heads[t][:, rows])], "depth", 3)


def refusal(action: Callable[[], Any]) -> str:
    """The error of ours that an action ends with, or "" if it ends well; any other error is the test's own failure."""
    try:
        action()
    except WorldnetsError as error:
        return str(error)
    return ""


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 8, 10**6, 10**12, 2**63, 10**30, 0.5, -0.0, 1e308, -1e308, 5e-324),
    *(
        "",
        "x",
        "..",
        "../../x",
        "/etc/passwd",
        "a\nb",
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "x" * 5000,
        "depth",
        "os:system",
    ),
    *("<script>alert(1)</script>", "[red]x[/red]", "{{7*7}}", "$array", "nan", "inf"),
    *([], {}, [[]], [1, 2], ["a"], {"a": 1}, {"$array": "x"}, {"$number": "nan"}, {"$number": "x"}, {"$array": 3}),
)


def places(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is something in a tree of tables and lists."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place, *(found for key, value in inner for found in places(value, (*place, key)))]


def changed(random: Random, tree: Any) -> Any:
    """The tree with one thing in it replaced, taken out, put in twice, renamed, or wrapped up."""
    tree = copy.deepcopy(tree)
    place = random.choice(places(tree))
    if not place:
        return random.choice(VALUES)
    at = tree
    for key in place[:-1]:
        at = at[key]
    key, kind = place[-1], random.choice(("replace", "replace", "replace", "drop", "nest", "rename", "swap"))
    if kind == "replace":
        at[key] = random.choice(VALUES)
    elif kind == "drop":
        del at[key]
    elif kind == "nest":
        for _ in range(random.choice((1, 40, 400))):
            at[key] = [at[key]]
    elif kind == "rename" and isinstance(at, dict):
        at[str(random.choice(VALUES))] = at.pop(key)
    elif isinstance(at, list):
        at.insert(random.randrange(len(at) + 1), copy.deepcopy(at[key]))
    else:
        other = random.choice(list(at))
        at[key], at[other] = at[other], at[key]
    return tree


def changed_array(random: Random, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Another array in its place: of another type or shape, with entries that are no numbers, or huge ones."""
    kind = random.choice(("type", "shape", "cut", "empty", "entry", "entry", "entry", "scalar", "text", "axes"))
    if kind == "type":
        return array.astype(random.choice((np.int8, np.uint64, np.float16, np.bool_, np.complex64, np.float64)))
    if kind == "shape":
        return array.reshape(-1)
    if kind == "cut":
        return array[: len(array) // 2] if array.ndim else array
    if kind == "empty":
        return np.zeros((0, *array.shape[1:]), dtype=array.dtype)
    if kind == "scalar":
        return np.asarray(random.choice((0, 1e300, -1, np.nan)))
    if kind == "text":
        return np.full(array.shape, "<b>\x1b", dtype="U4")
    if kind == "axes":
        return array[None]
    made = np.array(array, dtype=np.float64 if random.random() < 0.5 else array.dtype)
    if made.size:
        with np.errstate(all="ignore"):
            value = np.asarray(random.choice((np.nan, np.inf, -np.inf, -1.0, 1e308, 2.0**40, 0.0))).astype(made.dtype)
        made.reshape(-1)[random.randrange(made.size)] = value
    return made


def write_cell(place: Path, body: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """A cell's two files, with the checksum that they should have: whoever makes cells up can do that too."""
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())
    content = stream.getvalue()
    body["arrays"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    place.with_suffix(".npz").write_bytes(content)
    place.write_text(json.dumps(body))


def read_cell(place: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """A cell's two files."""
    with np.load(place.with_suffix(".npz")) as stored:
        return json.loads(place.read_text()), {name: stored[name] for name in stored.files}
