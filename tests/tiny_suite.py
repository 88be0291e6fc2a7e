"""A suite that trains in a second: two heads on the smallest cue against a parity."""

JOBS = """
[defaults]
steps = 30
batch = 32
checkpoints = 4
learning_rate = 0.01

[[jobs]]
world = "cue_parity"
parameters = { bits = 2, noise = 1 }
objective = "question"
heads = ["linear", { name = "mlp", options = { width = 8 } }]
"""


def tiny_suite(heading: str = "") -> str:
    """The suite as text, with further lines under [suite]."""
    return f'[suite]\nname = "tiny"\n{heading}\n{JOBS}'
