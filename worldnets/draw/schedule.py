"""The two passes of exact message passing over a junction tree, message by message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worldnets.draw.drawing import escape, figure_element
from worldnets.draw.given import shortened
from worldnets.draw.messages import Animation, player
from worldnets.draw.plan import DRAWN, NAMED, ShownTree, shown_tree, tree_scene

if TYPE_CHECKING:
    from worldnets.inference.plan import Plan

Step = tuple[list[int], bool]  # the cliques (as drawn) whose arrow carries a message, and whether it goes up


def animate_plan(plan: Plan, together: bool | None, title: str) -> Animation:
    """The animation of `draw_messages(plan)`."""
    tree = shown_tree(plan, DRAWN)
    together = len(tree.cliques) > NAMED if together is None else together
    steps = passes(tree, together)
    scene = tree_scene(tree, _orders(tree, steps))
    count = max(len(tree.cliques) - 1, 0)
    how = "as many at once as can be" if together else "one at a time"
    name = title or f"Exact message passing: {2 * count:,} messages over {len(tree.cliques):,} cliques, {how}"
    svg = figure_element(*scene.size, name, scene.parts)
    told = [_start(tree, steps), *(_sentence(tree, steps, i) for i in range(len(steps)))]
    data = {
        "unit": "step",
        "told": told,
        "pause": 900 if len(steps) < 80 else 350,
        "steps": [{"edges": [tree.numbers[c] for c in moving], "up": up} for moving, up in steps],
        "parents": {tree.numbers[c]: tree.numbers[p] for c, p in enumerate(tree.parents) if p >= 0},
        "ready": {tree.numbers[c]: at for c, at in enumerate(_ready(tree, steps))},
    }
    note = f'<p class="soft">{escape(scene.note)}</p>' if scene.note else ""
    return Animation(name, svg, player(svg, data, told[-1], "step", name, note), len(told))


def passes(tree: ShownTree, together: bool) -> list[Step]:
    """Collect, then distribute.

    Messages go one by one in the engine's order, or together as soon as all that they wait for have arrived.
    """
    senders = [c for c, parent in enumerate(tree.parents) if parent >= 0]
    if not together:
        return [*(([c], True) for c in senders), *(([c], False) for c in reversed(senders))]
    height, depth = [0] * len(tree.parents), [0] * len(tree.parents)
    for c in senders:
        height[tree.parents[c]] = max(height[tree.parents[c]], height[c] + 1)
    for c in reversed(senders):
        depth[c] = depth[tree.parents[c]] + 1
    up: list[Step] = [([c for c in senders if height[c] == h], True) for h in sorted({height[c] for c in senders})]
    down: list[Step] = [([c for c in senders if depth[c] == d], False) for d in sorted({depth[c] for c in senders})]
    return [*up, *down]


def _orders(tree: ShownTree, steps: list[Step]) -> dict[int, str]:
    at: dict[tuple[int, bool], int] = {(c, up): i + 1 for i, (moving, up) in enumerate(steps) for c in moving}
    return {
        tree.numbers[c]: f"{at[c, True]} ↑ ↓ {at[c, False]}" for c, parent in enumerate(tree.parents) if parent >= 0
    }


def _ready(tree: ShownTree, steps: list[Step]) -> list[int]:
    """The step after which a clique has heard of all evidence."""
    ready = [sum(up for _, up in steps)] * len(tree.parents)  # the root, after collect
    for i, (moving, up) in enumerate(steps):
        for c in moving:
            if not up:
                ready[c] = i + 1
    return ready


def _start(tree: ShownTree, steps: list[Step]) -> str:
    if not steps:
        return "There is nothing to send."
    return f"Nothing is sent yet; every clique holds its tables and its evidence. {len(steps):,} steps follow."


def _sentence(tree: ShownTree, steps: list[Step], i: int) -> str:
    moving, up = steps[i]
    name = "Collect" if up else "Distribute"
    if len(moving) > 1:
        return f"{name}: {len(moving):,} messages at once, {'towards the root' if up else 'away from the root'}."
    (c,) = moving
    ends = (c, tree.parents[c]) if up else (tree.parents[c], c)
    sender, receiver = (f"({shortened(', '.join(tree.cliques[end]), 70)})" for end in ends)
    over = shortened(", ".join(tree.sepsets[c]), 60) or "nothing (a constant)"
    return f"{name}: {sender} sends to {receiver} over {over}."
