"""Message passing in a world-model: exact, over time, and loopy; with its gradients."""

from worldnets.inference.beliefs import Beliefs, MaxMarginals, MostProbable
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.differentiable import beliefs_function, log_tables
from worldnets.inference.evidence import decode, encode
from worldnets.inference.exact import Inference
from worldnets.inference.gradient import (
    ExpectedCounts,
    expected_counts,
    family_marginals,
    on_simplex,
    reestimate,
    vjp,
)
from worldnets.inference.loopy import LoopyInference
from worldnets.inference.loopy_beliefs import LoopyBeliefs, MessageHistory
from worldnets.inference.plan import Plan
from worldnets.inference.sampling import simulate
from worldnets.inference.stream import Stream
from worldnets.inference.temporal import TemporalInference, TemporalPlan
from worldnets.inference.temporal_beliefs import TemporalBeliefs, TemporalCounts

__all__ = [
    "Beliefs",
    "ExpectedCounts",
    "Inference",
    "LoopyBeliefs",
    "LoopyInference",
    "MaxMarginals",
    "MessageHistory",
    "MostProbable",
    "Plan",
    "Stream",
    "TemporalBeliefs",
    "TemporalCounts",
    "TemporalInference",
    "TemporalPlan",
    "UNOBSERVED",
    "beliefs_function",
    "decode",
    "encode",
    "expected_counts",
    "family_marginals",
    "log_tables",
    "on_simplex",
    "reestimate",
    "simulate",
    "vjp",
]
