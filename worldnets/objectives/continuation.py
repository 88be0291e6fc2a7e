"""`continuation`: −log2 q(frames c+1..T | frames 1..c), each target's marginal on its own.

"Show the first part of a surveillance video, ask for the second" (theory, section 3). A world without time has none.
"""

from worldnets.objectives.base import LogLoss

CONTINUATION = LogLoss("continuation")
