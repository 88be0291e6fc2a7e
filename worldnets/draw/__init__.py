"""Pictures of nets, of beliefs in them, of plans, and of messages on their way.

>>> import pandas as pd
>>> import worldnets as wn
>>> net = wn.load_dataset("asia").net
>>> evidence = pd.DataFrame({"smoke": ["yes"]})
>>> engine, loopy = wn.Inference(net), wn.LoopyInference(net)
>>> net.draw(engine.query(evidence), evidence)  # belief bars on the net; a click on a box opens its table
NetDrawing('asia, 8 variables, given smoke = yes')
>>> explorer = net.explore()  # evidence changed by hand, beliefs redrawn
>>> wn.draw_net(net, engine.query(evidence), evidence=evidence)  # the same as a figure, for paper
<Picture size ... with 1 Axes>
>>> wn.draw_plan(engine.plan)  # the junction tree and what its tables cost
Drawing('Junction tree of 4 cliques over 8 variables')
>>> wn.draw_messages(net, loopy.history(evidence, rounds=3))  # which message moved, how much, round by round
Animation('3 rounds of message passing on asia')

Two kinds of picture: matplotlib figures (`draw_net`, `draw_beliefs`), and drawings written as markup (`inspect_net`,
which is `net.draw`, `draw_plan`, `draw_messages`) that can be opened, played, hovered over and kept as a page. All show
themselves in a notebook. Everything here is imported on first use, so that markup costs no import of matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldnets.draw.beliefs import draw_beliefs
    from worldnets.draw.drawing import Drawing
    from worldnets.draw.explorer import Explorer, explore
    from worldnets.draw.figure import Picture, svg
    from worldnets.draw.inspection import NetDrawing, inspect_net
    from worldnets.draw.messages import Animation, draw_messages
    from worldnets.draw.net import draw_net
    from worldnets.draw.plan import draw_plan

__all__ = [
    "Animation",
    "Drawing",
    "Explorer",
    "NetDrawing",
    "Picture",
    "draw_beliefs",
    "draw_messages",
    "draw_net",
    "draw_plan",
    "explore",
    "inspect_net",
    "svg",
]

_HOME = {
    "Animation": "worldnets.draw.messages",
    "Drawing": "worldnets.draw.drawing",
    "Explorer": "worldnets.draw.explorer",
    "NetDrawing": "worldnets.draw.inspection",
    "Picture": "worldnets.draw.figure",
    "draw_beliefs": "worldnets.draw.beliefs",
    "draw_messages": "worldnets.draw.messages",
    "draw_net": "worldnets.draw.net",
    "draw_plan": "worldnets.draw.plan",
    "explore": "worldnets.draw.explorer",
    "inspect_net": "worldnets.draw.inspection",
    "svg": "worldnets.draw.figure",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'worldnets.draw' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # asked for once only
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
