"""A lighthouse in the fog: what a package adds to worldnets by entry points."""

from pathlib import Path

#: A dataset is a folder of data; worldnets reads it and runs nothing from it.
DATASET = Path(__file__).parent / "dataset"
