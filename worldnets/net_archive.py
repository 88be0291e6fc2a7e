"""A net as a page of JSON and named arrays, for files that hold one beside other things."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import StoreError
from worldnets.net import WorldNet


def pack_net(net: WorldNet) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Names, states and arrows as JSON; the tables as arrays, by variable.

    Raises:
        StoreError: a state label that JSON does not have.
    """
    # A list: files hold the keys of a table in the order of the alphabet, and the order of variables is part of a net.
    states = [[v, [_plain(v, label) for label in net.states[v]]] for v in net.variables]
    page = {"name": net.name, "states": states, "parents": {v: list(net.parents(v)) for v in net.variables}}
    return page, {v: net.cpt(v) for v in net.variables}


def unpack_net(page: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> WorldNet:
    """The inverse of `pack_net`.

    Raises:
        NetError: what is packed is no net.
    """
    states = {v: tuple(labels) for v, labels in dict(page["states"]).items()}
    return WorldNet(states, page["parents"], dict(arrays), page["name"])


def net_digest(net: WorldNet) -> str:
    """Hash of names, states, arrows and tables, to the last bit; 64 hex digits."""
    page, tables = pack_net(net)
    digest = hashlib.sha256(json.dumps([page["states"], page["parents"]]).encode())
    for v in net.variables:
        digest.update(np.ascontiguousarray(tables[v], dtype="<f8").tobytes())
    return digest.hexdigest()


def _plain(variable: str, label: Any) -> Any:
    value = label.item() if isinstance(label, np.generic) else label
    if value is not None and not isinstance(value, str | int | float | bool):
        mend = "label states with texts or numbers"
        raise StoreError("a state label that a file cannot hold", node=variable, found=repr(label), mend=mend)
    return value
