"""`question`: −log2 q(latent answer | evidence), the answer to some question about what no one observes.

Labels are the true latent's (theory, section 3).
"""

from worldnets.objectives.base import LogLoss

QUESTION = LogLoss("question")
