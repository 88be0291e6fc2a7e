"""Heads: trained maps from features of the evidence to a distribution over targets, and the book of their names."""

from worldnets.heads.base import REGISTRY, Head, SteppingHead, build_head, head_options
from worldnets.heads.inputs import BeliefInputs, EvidenceInputs, Inputs, inputs

__all__ = [
    "REGISTRY",
    "BeliefInputs",
    "EvidenceInputs",
    "Head",
    "Inputs",
    "SteppingHead",
    "build_head",
    "head_options",
    "inputs",
]
