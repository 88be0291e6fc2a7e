"""Nets inside other files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from tests.strategies import world_nets
from worldnets import WorldNet
from worldnets.errors import StoreError
from worldnets.net_archive import net_digest, pack_net, unpack_net


@given(world_nets())
@settings(max_examples=30, deadline=None)
def test_a_net_comes_back_through_json_and_arrays_to_the_last_bit(net):
    page, tables = pack_net(net)
    back = unpack_net(json.loads(json.dumps(page, sort_keys=True)), tables)
    assert list(back.states.items()) == list(net.states.items())
    assert back.parent_sets == net.parent_sets
    assert all(np.array_equal(back.cpt(v), net.cpt(v)) for v in net.variables)
    assert net_digest(back) == net_digest(net)


def test_the_digest_sees_states_arrows_and_tables_but_not_the_name():
    make = lambda name="a", p=0.5, states=(0, 1): WorldNet({"x": states}, {}, {"x": [p, 1 - p]}, name)
    digests = {net_digest(net) for net in (make(), make("b"), make(p=0.25), make(states=("0", "1")))}
    assert len(digests) == 3


def test_a_label_that_json_does_not_have_is_refused():
    with pytest.raises(StoreError, match=r"node 'x'.*cannot hold; found \(0, 1\)"):
        pack_net(WorldNet({"x": ((0, 1), "b")}, {}, {"x": [0.5, 0.5]}))
