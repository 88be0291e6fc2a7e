"""World-models learned from data: counted, searched for, or found with variables that no one observes.

World-models that learn by gradient, through their beliefs, are heads: `worldnets.train(dataset, head="world_model")`.
"""

from worldnets.learning.counts import dirichlet, maximum_likelihood
from worldnets.learning.data import Rows
from worldnets.learning.expectation_maximisation import expectation_maximisation
from worldnets.learning.gradient import ConditionalLoss
from worldnets.learning.learned import HeldOut, Learned, Run, held_out_bits
from worldnets.learning.model_class import ModelClass
from worldnets.learning.scorer import Scorer, train_scorer
from worldnets.learning.structure import chow_liu, hill_climb, mutual_information
from worldnets.learning.tables import Prior

__all__ = [
    "ConditionalLoss",
    "HeldOut",
    "Learned",
    "ModelClass",
    "Prior",
    "Rows",
    "Run",
    "Scorer",
    "chow_liu",
    "dirichlet",
    "expectation_maximisation",
    "held_out_bits",
    "hill_climb",
    "maximum_likelihood",
    "mutual_information",
    "train_scorer",
]
