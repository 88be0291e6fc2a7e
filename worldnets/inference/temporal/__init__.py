"""Exact inference over time in two-slice nets: filtering, smoothing, fixed lag, rollouts, expected counts, streams.

`inference` is what users call. A net falls into independent processes (`tree`, `process`); each frame of one is a
program of table contractions (`program`, `contraction`, `tally`) that `passes` runs forwards and backwards.
"""

from worldnets.inference.temporal.beliefs import TemporalBeliefs, TemporalCounts
from worldnets.inference.temporal.inference import TemporalInference, TemporalPlan
from worldnets.inference.temporal.stream import Stream

__all__ = ["Stream", "TemporalBeliefs", "TemporalCounts", "TemporalInference", "TemporalPlan"]
