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
from worldnets.inference.loopy import LoopyBeliefs, LoopyInference, MessageHistory
from worldnets.inference.plan import Plan
from worldnets.inference.sampling import simulate
from worldnets.inference.temporal import Stream, TemporalBeliefs, TemporalCounts, TemporalInference, TemporalPlan

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
