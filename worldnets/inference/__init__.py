"""Message passing: posteriors, log evidence and samples of a world-model."""

from worldnets.inference.beliefs import Beliefs, MostProbable
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.evidence import decode, encode
from worldnets.inference.exact import Inference
from worldnets.inference.loopy import LoopyInference
from worldnets.inference.loopy_beliefs import LoopyBeliefs, MessageHistory
from worldnets.inference.plan import Plan
from worldnets.inference.sampling import simulate

__all__ = [
    "UNOBSERVED",
    "Beliefs",
    "Inference",
    "LoopyBeliefs",
    "LoopyInference",
    "MessageHistory",
    "MostProbable",
    "Plan",
    "decode",
    "encode",
    "simulate",
]
