"""Message passing: posteriors, log evidence and samples of a world-model."""

from worldnets.inference.beliefs import Beliefs, MaxMarginals, MostProbable
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.evidence import decode, encode
from worldnets.inference.exact import Inference
from worldnets.inference.plan import Plan
from worldnets.inference.sampling import simulate

__all__ = ["UNOBSERVED", "Beliefs", "Inference", "MaxMarginals", "MostProbable", "Plan", "decode", "encode", "simulate"]
