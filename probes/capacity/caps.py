"""Caps on the complexity of a head, and the same request under another cap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worldnets.errors import ProbeError, WorldnetsError, did_you_mean

if TYPE_CHECKING:
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

#: Caps that are prices: a higher strength is a smaller cap.
PRICES = ("l1", "description_length", "weight_decay", "rounds_price")
#: What is swept where nothing is said, by cap.
VALUES: Mapping[str, tuple[float, ...]] = {
    "width": (1, 2, 4, 8, 16, 32, 64, 128),
    "depth": (1, 2, 3, 4),
    "rank": (1, 2, 4, 8),
    "rounds": (1, 2, 4, 8, 16),
    "l1": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "description_length": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "weight_decay": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "rounds_price": (1e-3, 1e-2, 1e-1),
}
#: The cap that comes first to mind, by head.
USUAL = {"linear": "rank", "mlp": "width", "gru": "width", "transformer": "width", "message_passing": "rounds"}


@dataclass(frozen=True)
class Cap:
    """A cap and the values it is swept over, from the tightest to the loosest.

    Attributes:
        name: an option of the head ("width", "depth", "rounds", …), "rank" of a linear head, or a price: "l1",
            "description_length", "weight_decay", "rounds_price" (nats per round).
        values: the sweep; `own` is among them. None stands for no cap.
        own: position of the trace's own value.
    """

    name: str
    values: tuple[float | None, ...]
    own: int

    @property
    def labels(self) -> tuple[str, ...]:
        """How findings name each value: "width 8", "l1 0.001", "no l1"."""
        word = self.name.replace("_", " ")
        free = {"rank": "full rank"}.get(self.name, f"no {word}")
        return tuple(free if value is None else f"{word} {value:g}" for value in self.values)


def cap_of(plan: Plan, name: str, values: Sequence[float]) -> Cap:
    """The sweep of a request: what is given or usual, and the request's own value.

    Args:
        plan: the request.
        name: of the cap; "" for the usual one of the head.
        values: what is swept; none for the usual ones.

    Raises:
        ProbeError: a cap that the head does not have, values that are no numbers, or that are its own value alone.
    """
    chosen = name or USUAL.get(plan.head_name, "")
    known = sorted({*PRICES, *(["rank"] if plan.head_name == "linear" else []), *_numbers(plan.head_options)})
    if chosen == "rounds" and plan.head_name == "message_passing":
        known.append("rounds")
    if chosen not in known:
        mend = did_you_mean(chosen, known) if chosen else f"name one: {', '.join(known)}"
        raise ProbeError("the head has no such cap", node=plan.head_name, found=repr(chosen), mend=mend)
    asked = tuple(values) or VALUES.get(chosen, ())
    if not asked:
        mend = f"give values, such as those around {plan.head_options.get(chosen)}"
        raise ProbeError("nothing to sweep over", node=chosen, mend=mend)
    for value in asked:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ProbeError("a cap is no number > 0", node=chosen, found=repr(value), mend="give numbers > 0")
    if len(set(asked)) < len(asked):
        raise ProbeError("a cap stands there twice", node=chosen, found=list(asked), mend="give each once")
    own = _own(plan, chosen)
    free = own is None
    tight = sorted({float(v) for v in asked} | (set() if own is None else {own}), reverse=chosen in PRICES)
    # No price, and no cap on the rank, is the loosest.
    listed: list[float | None] = [*tight, *([None] if free or chosen in PRICES else [])]
    if len(listed) < 2:
        raise ProbeError("a sweep over one value", node=chosen, found=list(asked), mend="give other values as well")
    return Cap(chosen, tuple(listed), listed.index(own))


def changes(trace: Trace, cap: Cap, position: int) -> dict[str, Any]:
    """What `worldnets.training.retrained` must change for that value."""
    value = cap.values[position]
    if cap.name in PRICES:
        given = dict(trace.settings.get("penalties", {}))
        name = _penalty(cap.name)
        more = {key: option for key, option in given.pop(name, {}).items() if key != "strength"}
        return {"penalties": given | ({} if value is None else {name: {"strength": value, **more}})}
    if cap.name == "rank":
        if value is None:
            return {}
        return {"head": "mlp", "head_options": {"width": int(value), "depth": 1, "activation": "identity"}}
    whole = int(value) if value is not None and float(value).is_integer() else value
    return {"head_options": {**trace.head_options, cap.name: whole}}


def check(plan: Plan, cap: Cap) -> None:
    """Build the head under every cap, so that what cannot be is refused before anything is trained.

    Raises:
        ProbeError: a value that the head refuses.
    """
    import numpy as np

    from worldnets.heads.base import build_head
    from worldnets.objectives.base import output_count
    from worldnets.penalties import penalties_of

    for value in cap.values:
        try:
            if cap.name in PRICES:
                penalties_of({} if value is None else {_penalty(cap.name): value})
                continue
            if cap.name == "rank" or plan.stepping:
                continue
            options = {**plan.head_options, cap.name: int(value) if value is not None else None}
            generator = np.random.default_rng(0)
            build_head(plan.head_name, generator, plan.inputs, output_count(plan.counts), options)
        except WorldnetsError as error:
            mend = "give other values"
            raise ProbeError(f"no head under this cap: {error.what}", node=cap.name, found=value, mend=mend) from error


def _penalty(name: str) -> str:
    return "rounds" if name == "rounds_price" else name


def _numbers(options: Mapping[str, Any]) -> list[str]:
    return [name for name, value in options.items() if isinstance(value, int | float) and not isinstance(value, bool)]


def _own(plan: Plan, cap: str) -> float | None:
    if cap in PRICES:
        paid = {penalty.name: penalty.strength for penalty in plan.penalties}
        return paid.get(_penalty(cap))
    if cap == "rank":
        return None
    value = plan.head_options.get(cap)
    if value is None and cap == "rounds":
        value = getattr(plan.build(0), "performed", None)  # as many as evidence needs to arrive
    return None if value is None else float(value)
