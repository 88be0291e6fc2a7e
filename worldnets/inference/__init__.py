"""Message passing: posteriors, log evidence and samples of a world-model."""

from worldnets.inference.beliefs import Beliefs, MostProbable
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.evidence import decode, encode
from worldnets.inference.exact import Inference
from worldnets.inference.plan import Plan
from worldnets.inference.sampling import simulate
from worldnets.inference.stream import Stream
from worldnets.inference.temporal import TemporalInference, TemporalPlan
from worldnets.inference.temporal_beliefs import ExpectedCounts, TemporalBeliefs

__all__ = [
    "UNOBSERVED",
    "Beliefs",
    "ExpectedCounts",
    "Inference",
    "MostProbable",
    "Plan",
    "Stream",
    "TemporalBeliefs",
    "TemporalInference",
    "TemporalPlan",
    "decode",
    "encode",
    "simulate",
]
