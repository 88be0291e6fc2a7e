"""Beliefs as a JAX function of the log-tables, with the exact gradient as its custom rule.

The engine runs outside of XLA, behind `jax.pure_callback`; the rule's backward pass is `gradient.vjp` with the tables
of the moment. So `jax.grad`, `jit`, `vmap` and `scan` compose with it, compilation does not grow with the net, and no
global flag of JAX is read or set: in a `jax.enable_x64(True)` scope all is float64, elsewhere results are rounded to
float32 (inside, the engine's own number type is used).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference.codes import Codes
from worldnets.inference.evidence import observe
from worldnets.inference.exact import Inference
from worldnets.inference.families import planner
from worldnets.inference.family_walk import family_totals, marginals, side_by_side
from worldnets.inference.gradient import check_tables
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import jax

LogTables = Mapping[str, Any] | Sequence[Any]


def log_tables(net: WorldNet | FactorNet) -> dict[str, NDArray[np.float64]] | list[NDArray[np.float64]]:
    """ln of every table: a dict by variable, for a `FactorNet` a list; −inf where an entry is zero."""
    with np.errstate(divide="ignore"):
        tables = [np.log(factor.table) for factor in net.factors]
    return dict(zip(net.variables, tables, strict=True)) if isinstance(net, WorldNet) else tables


def beliefs_function(
    model: WorldNet | FactorNet | Inference, variables: Iterable[str] | None = None
) -> Callable[[LogTables, Any], tuple[dict[str, jax.Array], jax.Array]]:
    """The function (log-tables, evidence codes) → (beliefs, log evidence), for use inside JAX.

    Log-tables are free log-potentials: with θ = exp(log-tables), beliefs are those of p(x) ∝ Π_f θ_f(x_f), and log
    evidence is ln Σ_x Π_f θ_f(x_f) over the x that agree with the evidence, normalised or not. To keep distributions
    normalised, apply `jax.nn.log_softmax` to logits; JAX chains through it. An entry −inf stays zero and has gradient
    0. NaN or +inf in the log-tables makes every result NaN.

    The structure is planned once for each set of variables that all rows observe, not for each call: only the numbers
    are filled in anew. Entries that are zero in the net are left out of it, until one of them is given a value.

    Args:
        model: the net that gives names, states and structure, or an `Inference` with number type, threads and limits.
        variables: whose beliefs are returned, default all.
    Returns:
        `f(tables, codes)`, where `tables` has the form of `log_tables(net)`: arrays [*parent states, states] by
        variable, or one per factor; and `codes` are integers [rows, variables], −1 where unobserved. It returns a dict
        of beliefs [rows, states], and log evidence [rows] (nats; −inf where impossible, with beliefs 0). It can be
        differentiated once, in reverse mode.
    Raises:
        QueryError: an unknown variable; when `f` is traced, missing or misshapen tables.
        EvidenceError: when `f` is traced, codes that are no integers [rows, variables]; when it runs, a code that is no
            state (JAX then raises an error of its own with this one in its text).
    """
    import jax

    if isinstance(variables, str):
        raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
    engine = model if isinstance(model, Inference) else Inference(model)
    net = engine.net
    names = tuple(net.variables) if variables is None else tuple(dict.fromkeys(variables))
    net.check_variables(names, error=QueryError)
    starts = np.cumsum([0, *(len(net.states[v]) for v in names)])

    # All tables travel as one array, and so do all beliefs: each array that crosses over costs as much as many rows.
    # Doubles travel as words: JAX runs a callback in a thread of its own choice, where `enable_x64` may not hold, and
    # would round its arguments and results there.
    def forward(words: Any, codes: Any) -> Any:
        return _batched(functools.partial(_beliefs, engine, names), words, codes)

    def backward(words: Any, codes: Any, for_beliefs: Any, for_evidence: Any) -> Any:
        return _batched(functools.partial(_gradient, engine, names), words, codes, for_beliefs, for_evidence)[0]

    @jax.custom_vjp
    def run(log_entries: Any, codes: Any) -> Any:
        rows, like = codes.shape[0], log_entries
        shapes = _shape_of_words((rows, starts[-1]), like), _shape_of_words((rows,), like)
        found = jax.pure_callback(forward, shapes, _as_words(log_entries), codes, vmap_method="broadcast_all")
        return tuple(_from_words(words, like) for words in found)

    def run_forward(log_entries: Any, codes: Any) -> Any:
        return run(log_entries, codes), (log_entries, codes)

    def run_backward(kept: Any, cotangents: Any) -> Any:
        log_entries, codes = kept
        shape = _shape_of_words(log_entries.shape, log_entries)
        words = [_as_words(array) for array in (log_entries, *cotangents)]
        found = jax.pure_callback(backward, shape, words[0], codes, *words[1:], vmap_method="broadcast_all")
        return _from_words(found, log_entries), None  # codes are integers: they have no gradient

    run.defvjp(run_forward, run_backward)

    def beliefs(tables: LogTables, codes: Any) -> tuple[dict[str, jax.Array], jax.Array]:
        given = check_tables(net, tables)
        dtype = jax.numpy.result_type(float, *given)
        observed = jax.numpy.asarray(codes)
        if observed.ndim != 2 or observed.shape[1] != len(net.variables) or observed.dtype.kind not in "iu":
            raise EvidenceError(
                "not a code array of this net",
                found=f"{observed.dtype} {list(observed.shape)}",
                expected=f"integers [rows, {len(net.variables)}]",
                mend="use worldnets.inference.encode(net, frame)",
            )
        flat = [jax.numpy.asarray(table, dtype=dtype).ravel() for table in given]
        entries = jax.numpy.concatenate([jax.numpy.empty(0, dtype), *flat])
        table, log_evidence = run(entries, observed.astype(np.int32))
        return {v: table[:, low:high] for v, (low, high) in zip(names, pairwise(starts), strict=True)}, log_evidence

    return beliefs


def _as_words(array: Any) -> Any:
    """Doubles [...] as the words of their bits [..., 2]; other numbers as they are."""
    import jax

    return jax.lax.bitcast_convert_type(array, np.uint32) if array.dtype == np.float64 else array


def _from_words(words: Any, like: Any) -> Any:
    import jax

    return jax.lax.bitcast_convert_type(words, np.float64) if like.dtype == np.float64 else words


def _shape_of_words(shape: tuple[int, ...], like: Any) -> Any:
    import jax

    return (
        jax.ShapeDtypeStruct((*shape, 2), np.uint32)
        if like.dtype == np.float64
        else jax.ShapeDtypeStruct(shape, like.dtype)
    )


def _batched(work: Callable[..., tuple[NDArray[np.floating], ...]], *arguments: Any) -> list[NDArray[Any]]:
    """Unpack words, apply `work` to every element of the axes that `vmap` put in front, and pack the results.

    The first argument has one axis of its own.
    """
    arrays = [np.ascontiguousarray(argument) for argument in arguments]
    words = arrays[0].dtype == np.uint32
    if words:
        arrays = [array.view(np.float64)[..., 0] if array.dtype == np.uint32 else array for array in arrays]
    batch, dtype = arrays[0].shape[:-1], arrays[0].dtype
    each = [work(*(array[at] for array in arrays)) for at in np.ndindex(batch)]
    results = []
    for result in zip(*each, strict=True):
        stacked = np.stack(result).astype(dtype, copy=False)
        stacked = stacked.reshape(batch + stacked.shape[1:])
        results.append(stacked[..., None].view(np.uint32) if words else stacked)
    return results


def _entries(engine: Inference, log_entries: NDArray[np.floating]) -> tuple[NDArray[np.float64], float] | None:
    """Tables [entries], each with largest entry 1, and ln of what they were divided by; None if NaN or +inf occur."""
    logs, layout = log_entries.astype(np.float64), planner(engine).layout
    if not logs.size:
        return logs, 0.0
    largest = np.maximum.reduceat(logs, layout.start[:-1])
    if not (largest < np.inf).all():  # NaN is not below anything either
        return None
    largest[largest == -np.inf] = 0.0
    values = np.exp(logs - np.repeat(largest, np.diff(layout.start)))
    planner(engine).admit(values)
    return values, float(largest.sum())


def _beliefs(
    engine: Inference, names: tuple[str, ...], log_entries: NDArray[np.floating], codes: Codes
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Beliefs [rows, states of all names] and log evidence [rows] under the given tables."""
    seen, numbers = observe(engine.net, codes), _entries(engine, log_entries)
    if numbers is None:
        states = sum(len(engine.net.states[v]) for v in names)
        return np.full((len(seen), states), np.nan), np.full(len(seen), np.nan)
    values, log_scale = numbers
    table, log_evidence = marginals(engine, seen, names, values)
    return table.T, log_evidence + log_scale


def _gradient(
    engine: Inference,
    names: tuple[str, ...],
    log_entries: NDArray[np.floating],
    codes: Codes,
    for_beliefs: NDArray[np.floating],
    for_evidence: NDArray[np.floating],
) -> tuple[NDArray[np.floating]]:
    """The vector–Jacobian product under the given tables, [entries]."""
    seen, numbers = observe(engine.net, codes), _entries(engine, log_entries)
    if numbers is None:
        return (np.full(log_entries.shape, np.nan),)
    directions = side_by_side(engine.net, names, for_beliefs.astype(np.float64))
    return (family_totals(engine, seen, for_evidence.astype(np.float64), directions, numbers[0])[0],)
