"""World-models learned from data: counted, searched for, or found with variables that no one observes.

World-models that learn by gradient, through their beliefs, are heads: `worldnets.train(dataset, head="world_model")`.
"""

from worldnets.learning.clips import clip_rows, hidden_markov_structure
from worldnets.learning.counts import dirichlet, maximum_likelihood
from worldnets.learning.data import Rows
from worldnets.learning.expectation_maximisation import expectation_maximisation
from worldnets.learning.gradient import ConditionalLoss
from worldnets.learning.growth import Growth, Stage, by_class, by_radius, by_rounds
from worldnets.learning.growth_plan import GrowthPlan
from worldnets.learning.learned import HeldOut, Learned, Run, held_out_bits
from worldnets.learning.model_class import ModelClass
from worldnets.learning.scorer import Scorer, train_scorer
from worldnets.learning.structure import chow_liu, hill_climb, mutual_information
from worldnets.learning.tables import Prior
from worldnets.learning.temporal import tied_dirichlet, tied_expectation_maximisation, tied_maximum_likelihood

__all__ = [
    "ConditionalLoss",
    "Growth",
    "GrowthPlan",
    "HeldOut",
    "Learned",
    "ModelClass",
    "Prior",
    "Rows",
    "Run",
    "Scorer",
    "Stage",
    "by_class",
    "by_radius",
    "by_rounds",
    "chow_liu",
    "clip_rows",
    "dirichlet",
    "expectation_maximisation",
    "held_out_bits",
    "hidden_markov_structure",
    "hill_climb",
    "maximum_likelihood",
    "mutual_information",
    "tied_dirichlet",
    "tied_expectation_maximisation",
    "tied_maximum_likelihood",
    "train_scorer",
]
