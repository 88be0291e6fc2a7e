"""Beliefs as a JAX function of the log-tables, with the exact gradient as its custom rule.

The engine runs outside of XLA, behind `jax.pure_callback`; the rule's backward pass is `gradient.vjp` with the tables
of the moment. So `jax.grad`, `jit`, `vmap` and `scan` compose with it, compilation does not grow with the net, and no
global flag of JAX is read or set: in a `jax.enable_x64(True)` scope all is float64, elsewhere results are rounded to
float32 (inside, the engine's own number type is used).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference.codes import Codes
from worldnets.inference.evidence import as_codes
from worldnets.inference.exact import Inference
from worldnets.inference.families import planner
from worldnets.inference.family_walk import family_totals, marginals
from worldnets.inference.gradient import check_tables, directions_of
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
    counts = [len(net.states[v]) for v in names]

    def results(tables: list[Any], codes: Any) -> Any:
        rows, dtype = codes.shape[0], _number_type(tables)
        beliefs = tuple(jax.ShapeDtypeStruct((rows, count), dtype) for count in counts)
        return beliefs, jax.ShapeDtypeStruct((rows,), dtype)

    def forward(tables: list[Any], codes: Any) -> Any:
        batch = np.shape(codes)[:-2]
        many = _each(
            batch, lambda at: _beliefs(engine, names, [np.asarray(t)[at] for t in tables], np.asarray(codes)[at])
        )
        beliefs = tuple(_stacked([one[0][k] for one in many], batch, tables) for k in range(len(names)))
        return beliefs, _stacked([one[1] for one in many], batch, tables)

    def backward(tables: list[Any], codes: Any, cotangents: Any) -> Any:
        batch, (for_beliefs, for_evidence) = np.shape(codes)[:-2], cotangents

        def one(at: tuple[int, ...]) -> list[NDArray[np.floating]]:
            given = {v: np.asarray(g)[at] for v, g in zip(names, for_beliefs, strict=True)}
            own = [np.asarray(t)[at] for t in tables]
            return _gradients(engine, own, np.asarray(codes)[at], given, np.asarray(for_evidence)[at])

        many = _each(batch, one)
        return [_stacked([gradients[k] for gradients in many], batch, tables) for k in range(len(tables))]

    @jax.custom_vjp
    def run(tables: list[Any], codes: Any) -> Any:
        return jax.pure_callback(forward, results(tables, codes), tables, codes, vmap_method="broadcast_all")

    def run_forward(tables: list[Any], codes: Any) -> Any:
        return run(tables, codes), (tables, codes)

    def run_backward(kept: Any, cotangents: Any) -> Any:
        tables, codes = kept
        shapes = [jax.ShapeDtypeStruct(table.shape, table.dtype) for table in tables]
        found = jax.pure_callback(backward, shapes, tables, codes, cotangents, vmap_method="broadcast_all")
        return found, None  # codes are integers: they have no gradient

    run.defvjp(run_forward, run_backward)

    def beliefs(tables: LogTables, codes: Any) -> tuple[dict[str, jax.Array], jax.Array]:
        given = check_tables(net, tables)
        dtype = jax.numpy.result_type(float, *given)
        given = [jax.numpy.asarray(table, dtype=dtype) for table in given]
        observed = jax.numpy.asarray(codes)
        if observed.ndim != 2 or observed.shape[1] != len(net.variables) or observed.dtype.kind not in "iu":
            raise EvidenceError(
                "not a code array of this net",
                found=f"{observed.dtype} {list(observed.shape)}",
                expected=f"integers [rows, {len(net.variables)}]",
                mend="use worldnets.inference.encode(net, frame)",
            )
        found, log_evidence = run(given, observed)
        return dict(zip(names, found, strict=True)), log_evidence

    return beliefs


def _each(batch: tuple[int, ...], work: Callable[[tuple[int, ...]], Any]) -> list[Any]:
    return [work(at) for at in np.ndindex(batch)]


def _stacked(parts: list[NDArray[np.floating]], batch: tuple[int, ...], tables: list[Any]) -> NDArray[np.floating]:
    stacked = np.stack(parts).astype(_number_type(tables), copy=False)
    return stacked.reshape(*batch, *stacked.shape[1:])


def _number_type(tables: list[Any]) -> Any:
    return tables[0].dtype if tables else np.dtype(np.float32)  # all are alike; a net without tables has constants only


def _entries(log_values: list[NDArray[np.floating]]) -> tuple[NDArray[np.float64], float] | None:
    """Tables [entries], each with largest entry 1, and ln of what they were divided by; None if NaN or +inf occur."""
    flat, log_scale = [np.empty(0)], 0.0
    for table in log_values:
        logs = table.astype(np.float64).ravel()
        largest = logs.max() if logs.size else 0.0
        if np.isnan(largest) or largest == np.inf:
            return None
        if largest > -np.inf:
            logs, log_scale = logs - largest, log_scale + float(largest)
        flat.append(np.exp(logs))
    return np.concatenate(flat), log_scale


def _beliefs(
    engine: Inference, names: tuple[str, ...], log_values: list[NDArray[np.floating]], codes: Codes
) -> tuple[list[NDArray[np.floating]], NDArray[np.float64]]:
    """Beliefs [rows, states] of each name and log evidence [rows] under the given tables."""
    checked, numbers = as_codes(engine.net, codes), _entries(log_values)
    counts = [len(engine.net.states[v]) for v in names]
    if numbers is None:
        return [np.full((len(checked), count), np.nan) for count in counts], np.full(len(checked), np.nan)
    values, log_scale = numbers
    table, log_evidence = marginals(engine, checked, names, values)
    starts = np.cumsum([0, *counts])
    return [table[low:high].T for low, high in pairwise(starts)], log_evidence + log_scale


def _gradients(
    engine: Inference,
    log_values: list[NDArray[np.floating]],
    codes: Codes,
    for_beliefs: dict[str, NDArray[np.floating]],
    for_evidence: NDArray[np.floating],
) -> list[NDArray[np.floating]]:
    """The vector–Jacobian product under the given tables, one array per table."""
    checked, numbers = as_codes(engine.net, codes), _entries(log_values)
    if numbers is None:
        return [np.full(table.shape, np.nan) for table in log_values]
    planner(engine).admit(numbers[0])
    directions = directions_of(engine.net, for_beliefs, len(checked))
    entries, _ = family_totals(engine, checked, for_evidence.astype(np.float64), directions, numbers[0])
    return planner(engine).layout.tables(entries)
