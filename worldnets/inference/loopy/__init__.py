"""Loopy sum-product on the factor graph: rounds of messages, batched over rows, approximate where there are loops.

`inference` is what users call; `graph` lays the factor graph out as index arrays; `messages` are computed over them in
the numbers of `algebra`; `rounds` and `residual` are the two schedules; `propagation` takes rows through one of them.
JAX is loaded by the first query.
"""

from worldnets.inference.loopy.beliefs import LoopyBeliefs, MessageHistory
from worldnets.inference.loopy.inference import LoopyInference

__all__ = ["LoopyBeliefs", "LoopyInference", "MessageHistory"]
