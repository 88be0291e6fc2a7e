"""What exact inference is to reach: how many times faster than pyAgrum, all threads, by net and kind of evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aim:
    """Smallest ratio of rows per second (all our threads over one of pyAgrum's) that is wanted."""

    masks: float
    pattern: float


AIMS = {
    "alarm": Aim(500, 500),
    "hailfinder": Aim(90, 200),
    "win95pts": Aim(500, 500),
    "andes": Aim(30, 400),
    "pigs": Aim(30, 300),
    "munin": Aim(8, 30),
    "diabetes": Aim(4, 5),
    "mildew": Aim(2, 25),
    "water": Aim(2, 6),
    "link": Aim(2, 20),
}
