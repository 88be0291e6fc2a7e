"""Does a head keep the promises that training, traces and probes rely on? For heads of one's own.

>>> import worldnets as wn
>>> from worldnets.heads import REGISTRY
>>> for result in wn.check_head(REGISTRY.get("linear")):
...     print(result.name, result.ok)
options True
is built True
...
rows are independent True

Not part of the line from dataset to trace: this module looks at heads from its end.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset, load_dataset
from worldnets.dataset_check import CheckResult, Checks
from worldnets.heads.base import REGISTRY, Head, SteppingHead, is_parameter, is_stepping
from worldnets.objectives.base import output_count
from worldnets.trace import Trace
from worldnets.training import train
from worldnets.training_plan import GROUP, Plan, plan_training

ROWS = 64
UPDATES = 3  # of a stepping head, between two looks at its state
NOISE = 0.1  # added to first parameters before gradients are looked at: a readout of zeros hides what lies below
ROUNDING = 1e-9  # nats by which a stepping head's prediction may depend on the number of rows: a sum in another order

Outcome = tuple[bool, str, str]  # passed, what was seen, how to mend it
Check = Callable[[Plan], Outcome]


def check_head(
    head: str | type[Head] | type[SteppingHead],
    *,
    dataset: Dataset | None = None,
    objective: str | None = None,
    inputs: str = "evidence",
    options: Mapping[str, Any] | None = None,
    steps: int = 300,
    seed: int = 0,
) -> Checks:
    """Build a head, look at it, and if it is sound train it briefly, save it and read it back. Structured results.

    - Every head: options have JSON defaults; equal generators build equal heads; training lowers the loss; a saved
      trace predicts the same bits; a row's prediction does not depend on the rows beside it.
    - A differentiable head: parameters are float32 and the rest is equal for all seeds; outputs have the right shape
      and are finite; a gradient reaches every parameter; a seed among seeds has the bits it has alone in its slot.
    - A stepping head: names, shapes and types of its state are fixed; q is normalised and finite; a restored head
      predicts, and learns on, with the same bits.

    Args:
        head: a registered name, or a class.
        dataset: default "cue_parity"; "vault" for a head that reads frame by frame, "echo" for one that forecasts to
            a world that hears it.
        objective: default the dataset's first task.
        inputs: "evidence" or "beliefs".
        options: options of the head.
        steps: updates of the short training.
        seed: of the generators and clips.

    Raises:
        UnknownNameError: no head of that name.
        TrainingError: options the head does not have; a request that cannot be trained, whatever the head is.
    """
    name = head if isinstance(head, str) else f"{head.__module__}.{head.__qualname__}"
    with contextlib.nullcontext() if isinstance(head, str) else REGISTRY.lent(name, head):
        kind = REGISTRY.get(name)
        results = Checks([_checked("options", _options_are_json, kind)])
        if not results[0].ok:
            return results
        plan, built = _plan(name, dataset, objective, inputs, options, seed)
        results.append(built)
        if not built.ok:
            return results
        checks: Mapping[str, Check] = _stepping_checks(seed) if is_stepping(kind) else _differentiable_checks(seed)
        results += [_checked(title, check, plan) for title, check in checks.items()]
        if all(result.ok for result in results):
            results += _training_results(plan, steps, seed)
        return results


def _checked(name: str, check: Callable[[Any], Outcome], subject: Any) -> CheckResult:
    try:
        passed, message, mend = check(subject)
    except Exception as problem:  # noqa: BLE001 — whatever goes wrong in someone's head is the result
        return CheckResult(name, False, f"{type(problem).__name__}: {problem}", "see the error")
    return CheckResult(name, passed, message, "" if passed else mend)


def _options_are_json(kind: type) -> Outcome:
    build = getattr(kind, "build", None)
    if build is None:
        return False, "the class has no `build`", "write a class method build(generator, inputs, outputs, *, option=…)"
    parameters = list(inspect.signature(build).parameters.values())
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if len(parameters) - len(keywords) != (2 if is_stepping(kind) else 3):
        expected = "(generator, plan, *, …)" if is_stepping(kind) else "(generator, inputs, outputs, *, …)"
        return False, f"build{inspect.signature(build)}", f"make it build{expected}, options after the star"
    bare = [p.name for p in keywords if p.default is inspect.Parameter.empty]
    if bare:
        return False, f"options without a default: {', '.join(bare)}", "give every option a default"
    shown = ", ".join(f"{p.name}={p.default!r}" for p in keywords) or "none"
    try:
        json.dumps({p.name: p.default for p in keywords}, allow_nan=False)
    except (TypeError, ValueError):
        return False, shown, "make defaults plain JSON: numbers, texts, true, false, null, lists, tables"
    return True, shown, ""


def _plan(
    name: str, dataset: Dataset | None, objective: str | None, inputs: str, options: Mapping[str, Any] | None, seed: int
) -> tuple[Plan, CheckResult]:
    """The request, on the first dataset that the head can be built for, and whether it is always the same head."""
    known = load_dataset("cue_parity", noise=1), load_dataset("vault", frames=4), load_dataset("echo")
    asked = list(known) if dataset is None else [dataset]
    for left, given in enumerate(asked, start=1 - len(asked)):
        plan = plan_training(given, name, objective or given.objectives[0], inputs=inputs, head_options=options)
        result = _checked("is built", _is_the_same, (plan, seed))
        if result.ok or left == 0 or not any(word in result.message for word in ("frames", "forecaster")):
            break
    return plan, result


def _is_the_same(subject: tuple[Plan, int]) -> Outcome:
    plan, seed = subject
    first, again, other = (_built(plan, s) for s in (seed, seed, seed + 1))
    if plan.stepping:
        same = _equal(_run(first, plan, seed).state(), _run(again, plan, seed).state())
        mend = "draw everything from the generator"
        return same, "the same generator and clips give the same head" if same else "two equal builds differ", mend
    leaves, others = jax.tree.leaves(first), jax.tree.leaves(other)
    structures: list[Any] = [jax.tree.structure(head) for head in (first, other)]
    same = all(np.array_equal(a, b) for a, b in zip(leaves, jax.tree.leaves(again), strict=True))
    if not same:
        return False, "two builds from equal generators differ", "draw everything from the generator"
    fixed = structures[0] == structures[1] and all(
        a.shape == b.shape if is_parameter(a) else np.array_equal(a, b) for a, b in zip(leaves, others, strict=True)
    )
    mend = "keep what differs by seed in float32 arrays, everything else the same"
    return fixed, f"on {plan.dataset.name}" if fixed else "what is no parameter differs from seed to seed", mend


def _differentiable_checks(seed: int) -> dict[str, Check]:
    @functools.cache
    def outputs_of(plan: Plan) -> NDArray[np.float32]:
        return np.asarray(jax.jit(jax.vmap(_built(plan, seed)))(_features(plan, seed)))

    def parameters_are_float32(plan: Plan) -> Outcome:
        leaves = [leaf for leaf in jax.tree.leaves(_built(plan, seed)) if is_parameter(leaf)]
        wrong = sorted({str(leaf.dtype) for leaf in leaves} - {"float32"})
        message = f"{sum(leaf.size for leaf in leaves):,} in {len(leaves)} arrays" if leaves else "it has none"
        message = f"some are {', '.join(wrong)}" if wrong else message
        return bool(leaves) and not wrong, message, "make parameters float32 arrays of the module"

    def outputs_are_right(plan: Plan) -> Outcome:
        outputs = outputs_of(plan)
        expected, finite = (ROWS, output_count(plan.counts)), bool(np.isfinite(outputs).all())
        message = f"{outputs.shape[1:]} for one row" + ("" if finite else ", some not finite")
        mend = f"return finite outputs of shape {expected[1:]} for features of shape {(plan.inputs.width,)}"
        return outputs.shape == expected and finite, message, mend

    def gradients_reach_all(plan: Plan) -> Outcome:
        head, generator = _built(plan, seed), np.random.default_rng(seed)
        shaken = jax.tree.map(lambda leaf: _shaken(leaf, generator) if is_parameter(leaf) else leaf, head)
        leaves, structure = jax.tree.flatten(shaken)
        features, outcomes = _features(plan, seed), jax.numpy.asarray(_outcomes(plan, seed))

        def loss(parameters: list[Any]) -> jax.Array:
            own = iter(parameters)
            whole = [next(own) if is_parameter(leaf) else leaf for leaf in leaves]
            outputs = jax.vmap(jax.tree.unflatten(structure, whole))(features)
            return plan.objective.loss(outputs, outcomes, plan.counts).mean()

        slopes = jax.jit(jax.grad(loss))([leaf for leaf in leaves if is_parameter(leaf)])
        named = [path for path, leaf in jax.tree_util.tree_flatten_with_path(shaken)[0] if is_parameter(leaf)]
        flat = zip(map(jax.tree_util.keystr, named), map(np.asarray, slopes), strict=True)
        lost = [name for name, slope in flat if not (np.isfinite(slope).all() and slope.any())]
        message = f"none, or none finite, at {', '.join(lost)}" if lost else "finite and not zero in every array"
        return not lost, message, "use every parameter, differentiably; make constants static fields or integers"

    def seeds_are_independent(plan: Plan) -> Outcome:
        slot, features = GROUP // 2, _features(plan, seed)
        heads = [_built(plan, seed if place == slot else seed + 1 + place) for place in range(GROUP)]
        stack = lambda *leaves: np.stack(leaves) if is_parameter(leaves[0]) else leaves[0]
        together = jax.tree.map(stack, *heads)
        alone = jax.tree.map(lambda leaf: _only(leaf, slot) if is_parameter(leaf) else leaf, together)
        axes = jax.tree.map(lambda leaf: 0 if is_parameter(leaf) else None, together)
        forward = jax.jit(jax.vmap(lambda head: jax.vmap(head)(features), in_axes=(axes,)))
        found, single = np.asarray(forward(together)), outputs_of(plan)
        same = np.array_equal(found[slot], np.asarray(forward(alone))[slot])
        close = np.allclose(found[slot], single, rtol=1e-3, atol=1e-4)
        message = f"{GROUP} side by side" if same and close else "a seed's outputs depend on the seeds beside it"
        return same and close, message, "compute with jax.numpy on the module's own arrays only"

    return {
        "parameters are float32": parameters_are_float32,
        "outputs": outputs_are_right,
        "gradients": gradients_reach_all,
        "seeds side by side": seeds_are_independent,
    }


def _stepping_checks(seed: int) -> dict[str, Check]:
    def state_is_fixed(plan: Plan) -> Outcome:
        head = _stepping(plan, seed)
        before = {name: np.asarray(array) for name, array in head.state().items()}
        after = {name: np.asarray(array) for name, array in _run(head, plan, seed).state().items()}
        form = lambda array: None if array is None else f"{array.dtype} {array.shape}"
        forms = {name: (form(before.get(name)), form(after.get(name))) for name in {*before, *after}}
        changed = [f"{name}: {first} becomes {last}" for name, (first, last) in forms.items() if first != last]
        changed += [f"{name}: {array.dtype}" for name, array in after.items() if array.dtype.kind not in "biuf"]
        mend = "keep arrays of numbers whose names, shapes and types are those of the first state"
        return not changed, "; ".join(sorted(changed)) or f"{len(after)} arrays", mend

    def distribution_is_one(plan: Plan) -> Outcome:
        codes, _ = plan.examples(plan.clips(seed, ROWS, 0))
        head = _stepping(plan, seed)
        for when in ("before", "after"):
            log_q = head.log_probabilities(codes)
            shape, expected = log_q.shape, (len(codes), sum(plan.counts))
            if shape != expected or log_q.dtype != np.float64:
                return False, f"{log_q.dtype} {shape} {when} training", f"return float64 of shape {expected}"
            ends = np.cumsum(plan.counts)[:-1]
            sums = [np.exp(part).sum(axis=1) for part in np.split(log_q, ends, axis=1)]
            if not (np.isfinite(log_q).all() and np.allclose(sums, 1, rtol=0, atol=1e-6)):
                found = f"not finite, or not normalised, {when} training"
                return False, found, "floor probabilities and normalise each target's"
            head = _run(head, plan, seed)
        return True, "finite and normalised, before and after training", ""

    def restored_is_the_same(plan: Plan) -> Outcome:
        codes, _ = plan.examples(plan.clips(seed, ROWS, 0))
        head = _run(_stepping(plan, seed), plan, seed)
        state = {name: np.array(array) for name, array in head.state().items()}
        elsewhere = _stepping(plan, seed + 1).restored(state)  # as a trace does with all of its seeds
        if not np.array_equal(head.log_probabilities(codes), elsewhere.log_probabilities(codes)):
            return False, "a restored head predicts otherwise", "put into `state` everything that predictions depend on"
        again = _stepping(plan, seed).restored(state)
        on, also = (_run(each, plan, seed, first=UPDATES).state() for each in (head, again))
        passed = _equal(on, also)
        message = "predicts and learns on with the same bits" if passed else "a restored head goes on otherwise"
        return passed, message, "put into `state` everything that the next update depends on; copy arrays"

    return {
        "state is fixed": state_is_fixed,
        "q is a distribution": distribution_is_one,
        "a restored head": restored_is_the_same,
    }


def _training_results(plan: Plan, steps: int, seed: int) -> Iterator[CheckResult]:
    """Trains, comes back from a file, predicts row by row."""
    codes, _ = plan.examples(plan.clips(seed, ROWS, 0))
    kept: list[Trace] = []

    def trains(plan: Plan) -> Outcome:
        trace = train(
            plan.dataset,
            plan.head_name,
            plan.objective.name,
            inputs=plan.inputs.name,
            head_options=plan.head_options,
            seeds=[seed, seed + 1],
            steps=steps,
            batch=ROWS,
            checkpoints=[0, steps // 2, steps],
        )
        kept.append(trace)
        first, last = float(trace.losses[0].mean()), float(trace.losses[-1].mean())
        message = f"{first:.3f} → {last:.3f} bits in {steps} steps"
        if np.array_equal(trace.predict(codes, 0), trace.predict(codes, -1)):
            # Nothing to learn is no failure; to have parameters and learn nothing is.
            return plan.stepping, f"{last:.3f} bits, and nothing is learned", "let updates change what is predicted"
        return last < first, message, "try other options or first parameters, or more steps"

    def comes_back(plan: Plan) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            back = Trace.load(kept[0].save(Path(folder) / "head.trace"), dataset=plan.dataset)
        same = all(np.array_equal(kept[0].predict(codes, c), back.predict(codes, c)) for c in (0, -1))
        message = "predicts the same bits" if same else "predicts otherwise than before it was saved"
        return same, message, "keep everything that predictions depend on in parameters, state or options"

    def rows_are_independent(plan: Plan) -> Outcome:
        few, many = kept[0].predict(codes[5:8], -1), kept[0].predict(codes, -1)
        same = np.array_equal(few, many[:, 5:8])
        close = plan.stepping and np.allclose(few, many[:, 5:8], rtol=0, atol=ROUNDING)
        message = "the same alone and among others" + ("" if same else f", within {ROUNDING:g} nats")
        message = message if same or close else "a row's prediction depends on the rows beside it"
        return same or close, message, "predict each row by itself"

    yield _checked("training lowers the loss", trains, plan)
    if kept:
        yield _checked("a saved trace", comes_back, plan)
        yield _checked("rows are independent", rows_are_independent, plan)


def _built(plan: Plan, seed: int) -> Any:
    return _stepping(plan, seed) if plan.stepping else plan.build(seed)


def _stepping(plan: Plan, seed: int) -> SteppingHead:
    return plan.build_stepping(seed)


def _run(head: SteppingHead, plan: Plan, seed: int, first: int = 0) -> SteppingHead:
    for step in range(first, first + UPDATES):
        head.step(plan.clips(seed, ROWS, step * ROWS))
    return head


def _equal(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> bool:
    return set(left) == set(right) and all(np.array_equal(left[name], right[name], equal_nan=True) for name in left)


def _features(plan: Plan, seed: int) -> NDArray[np.float32]:
    return plan.inputs.features(plan.examples(plan.clips(seed, ROWS, 0)).codes)[:ROWS]


def _outcomes(plan: Plan, seed: int) -> NDArray[np.int32]:
    return plan.examples(plan.clips(seed, ROWS, 0)).outcomes[:ROWS].astype(np.int32)


def _shaken(leaf: Any, generator: np.random.Generator) -> NDArray[np.float32]:
    return (leaf + NOISE * generator.standard_normal(leaf.shape)).astype(np.float32)


def _only(leaf: NDArray[np.float32], slot: int) -> NDArray[np.float32]:
    alone = np.zeros_like(leaf)
    alone[slot] = leaf[slot]
    return alone
