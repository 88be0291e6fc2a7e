"""The net that pictures are tried on."""

import pytest

import worldnets as wn


@pytest.fixture
def sprinkler():
    return wn.WorldNet(
        {"rain": ("no", "yes"), "sprinkler": ("off", "on"), "grass": ("dry", "wet")},
        {"grass": ("rain", "sprinkler")},
        {"rain": [0.8, 0.2], "sprinkler": [0.6, 0.4], "grass": [[[0.9, 0.1], [0.2, 0.8]], [[0.1, 0.9], [0.01, 0.99]]]},
        "lawn",
    )
