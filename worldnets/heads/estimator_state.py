"""The state of a fitted scikit-learn estimator as named arrays of numbers, and back, without pickle.

An estimator keeps what it has learned in its attributes: arrays, numbers, lists of arrays, a random state, and objects
that hold such things in turn (an optimizer). They are found by walking through it, parameters of the constructor left
out. To put arrays back, a copy of an estimator that has been fitted to anything of the same shape is walked the same
way. Whatever is neither array nor number (an activation's name, a compiled loss function) stays as that one has it.

- Arrays that share memory are one array under several names, and share it again when put back: optimizers and averages
  update in place. `aliases` says which: the position of the first name with that memory.
- Lists of plain numbers are histories (a loss curve). They grow, decide nothing, and stay as that one has them.
- Infinities are kept as the largest numbers of their type: a trace takes what is not finite for a diverged run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
ALIASES = "aliases"


class _Leaf(NamedTuple):
    """One array or number: its name, its value, and how to put another value in its place."""

    name: str
    value: Any
    put: Callable[[Any], None]


def estimator_arrays(estimator: Any) -> Arrays:
    """Everything a fitted estimator has learned, by name: copies, finite where they were not NaN."""
    leaves = list(_leaves(estimator))
    arrays = {leaf.name: _finite(np.array(leaf.value)) for leaf in leaves}
    first: dict[tuple[int, int], int] = {}
    aliases = [
        first.setdefault((leaf.value.ctypes.data, leaf.value.nbytes), place) if _shareable(leaf.value) else place
        for place, leaf in enumerate(leaves)
    ]
    return {**arrays, ALIASES: np.array(aliases, dtype=np.int64)}


def with_arrays(fitted: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A copy of a fitted estimator that has learned what `arrays` say.

    Raises:
        ValueError: the arrays are not those of this estimator: other names, shapes or types.
    """
    estimator = copy.deepcopy(fitted)
    leaves = list(_leaves(estimator))
    expected = {leaf.name: _form(leaf.value) for leaf in leaves}
    found = {name: _form(array) for name, array in arrays.items() if name != ALIASES}
    if found != expected or len(arrays[ALIASES]) != len(leaves):
        differing = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        raise ValueError(f"arrays of another estimator or another shape: {', '.join(differing) or ALIASES}")
    put: list[Any] = []
    for leaf, alias in zip(leaves, arrays[ALIASES].tolist(), strict=True):
        if alias < len(put):
            value = put[alias].reshape(leaf.value.shape)
        else:
            value = _infinite(np.array(arrays[leaf.name]))
            if not isinstance(leaf.value, np.ndarray):
                value = type(leaf.value)(value[()])
        put.append(value)
        leaf.put(value)
    return estimator


def _leaves(thing: Any, path: str = "", seen: set[int] | None = None) -> Iterator[_Leaf]:
    """Arrays and numbers inside an object, in an order that depends on names only."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.random.RandomState):
        yield from _random_leaves(thing, path)
        return
    places: list[tuple[str, Any, Callable[[Any], None]]]
    if isinstance(thing, list):
        history = all(isinstance(item, int | float) for item in thing)
        places = [(str(i), item, _setter(thing.__setitem__, i)) for i, item in enumerate(thing) if not history]
    elif isinstance(thing, dict):
        places = [(str(key), thing[key], _setter(thing.__setitem__, key)) for key in sorted(thing, key=str)]
    else:
        options = thing.get_params(deep=False) if hasattr(thing, "get_params") else {}
        attributes = sorted(getattr(thing, "__dict__", {}).items())
        places = [(name, value, _setter(setattr, thing, name)) for name, value in attributes if name not in options]
    for name, value, put in places:
        full = f"{path}.{name}" if path else name
        if _is_leaf(value):
            yield _Leaf(full, value, put)
        elif not isinstance(value, str | type | tuple | None) and not callable(value):
            yield from _leaves(value, full, seen)


def _random_leaves(random: np.random.RandomState, path: str) -> Iterator[_Leaf]:
    """The Mersenne Twister: 624 words, the position in them, and the normal number that may be left over."""
    state: Any = random.get_state(legacy=False)
    parts = {"words": state["state"]["key"], "place": state["state"]["pos"]}
    parts |= {"left": state["has_gauss"], "normal": state["gauss"]}

    def putting(part: str) -> Callable[[Any], None]:
        def put(value: Any) -> None:
            new: Any = random.get_state(legacy=False)
            if part in ("words", "place"):
                new["state"]["key" if part == "words" else "pos"] = value
            else:
                new["has_gauss" if part == "left" else "gauss"] = value
            random.set_state(new)

        return put

    for part, value in parts.items():
        yield _Leaf(f"{path}.{part}", value, putting(part))


def _setter(function: Callable[..., None], *first: Any) -> Callable[[Any], None]:
    return lambda value: function(*first, value)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.number) or value.dtype == np.bool_)
    return isinstance(value, bool | int | float | np.number | np.bool_)


def _shareable(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.nbytes > 0 and bool(value.flags.c_contiguous)


def _form(value: Any) -> tuple[tuple[int, ...], str]:
    array = np.asarray(value)
    return array.shape, array.dtype.str


def _finite(array: NDArray[Any]) -> NDArray[Any]:
    return np.nan_to_num(array, nan=np.nan) if np.issubdtype(array.dtype, np.floating) else array


def _infinite(array: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `_finite`; no estimator learns the largest number there is."""
    if np.issubdtype(array.dtype, np.floating):
        largest = np.finfo(array.dtype).max
        array = np.where(np.abs(array) == largest, np.copysign(np.inf, array), array).astype(array.dtype)
    return array
