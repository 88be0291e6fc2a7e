import pytest

from worldnets.errors import DatasetError
from worldnets.net import WorldNet
from worldnets.twin import second_seed, twin_net


def test_a_net_that_already_uses_a_name_of_the_twin_is_refused():
    net = WorldNet(
        dict.fromkeys(("A", "A@redraw", "B"), (0, 1)),
        {"B": ["A"]},
        {"A": [0.5] * 2, "A@redraw": [0.5] * 2, "B": [[1, 0], [0, 1]]},
    )
    with pytest.raises(DatasetError, match=r"node 'A@redraw': a twin needs this name for itself"):
        twin_net(net, ("B",))


def test_the_second_simulation_has_another_seed_for_every_seed():
    seeds = range(1000)
    assert len({second_seed(seed) for seed in seeds} | set(seeds)) == 2000
    assert second_seed(0) == second_seed(0)
