"""World-models learned from data: counted, searched for, or found with variables that no one observes."""

from worldnets.learning.clips import clip_rows, hidden_markov_structure
from worldnets.learning.counts import dirichlet, maximum_likelihood
from worldnets.learning.data import Rows
from worldnets.learning.expectation_maximisation import expectation_maximisation
from worldnets.learning.learned import HeldOut, Learned, Run, held_out_bits
from worldnets.learning.structure import chow_liu, hill_climb, mutual_information
from worldnets.learning.tables import Prior
from worldnets.learning.temporal import tied_dirichlet, tied_expectation_maximisation, tied_maximum_likelihood

__all__ = [
    "HeldOut",
    "Learned",
    "Prior",
    "Rows",
    "Run",
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
]
