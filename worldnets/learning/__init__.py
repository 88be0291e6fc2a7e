"""World-models learned from data: counted, searched for, or found with variables that no one observes."""

from worldnets.learning.data import Rows
from worldnets.learning.learned import HeldOut, Learned, Run, held_out_bits

__all__ = ["HeldOut", "Learned", "Rows", "Run", "held_out_bits"]
