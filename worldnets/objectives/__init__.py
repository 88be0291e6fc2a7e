"""Objectives: what the training loop asks a head for, and the book of their names."""

from worldnets.objectives.base import (
    REGISTRY,
    Ask,
    Examples,
    LogLoss,
    Objective,
    log_loss,
    log_probabilities,
    output_count,
)

__all__ = ["REGISTRY", "Ask", "Examples", "LogLoss", "Objective", "log_loss", "log_probabilities", "output_count"]
