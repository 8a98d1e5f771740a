"""Networks and fabrics that the mapping tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.nets import Nets

Draw = Callable[[TileFabric, float, int], tuple[Nets, np.ndarray]]


@pytest.fixture(scope="session")
def draw_nets() -> Draw:
    """(fabric, density, seed) -> random nets and a random placement of their groups."""

    def draw(fabric: TileFabric, density: float, seed: int) -> tuple[Nets, np.ndarray]:
        rng = np.random.default_rng(seed)
        source, group = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density)
        nets = Nets.of(Connectivity.of(source, group, fabric.n_neurons, fabric.n_tiles))
        tile_of_group = rng.permutation(fabric.n_tiles).astype(np.int32)
        return nets, tile_of_group[nets.group]

    return draw


def _routable(fabric: TileFabric, branches: Connectivity, placement: np.ndarray) -> bool:
    """Whether trees exist that respect every capacity: x[net, link] binary, a unit flow per sink below x, sum of x within the channels."""
    wired = branches.without_own(placement)
    links = fabric.n_links
    nets = np.unique(wired.source)
    column_of = {int(net): i * links for i, net in enumerate(nets)}
    width = (nets.size + len(wired)) * links
    rows, columns, values, low, high = [], [], [], [], []

    def add(entries, least, most):
        for column, value in entries:
            rows.append(len(low))
            columns.append(column)
            values.append(value)
        low.append(least)
        high.append(most)

    upper = np.ones(width)
    for b, (net, tile) in enumerate(zip(wired.source.tolist(), wired.target.tolist(), strict=True)):
        flow, start, end = (nets.size + b) * links, fabric.tile_node[placement[net]], fabric.tile_node[tile]
        for node in range(fabric.n_nodes):
            into, out = np.flatnonzero(fabric.link_target == node), np.flatnonzero(fabric.link_source == node)
            supply = 1 if node == start else -1 if node == end else 0
            add([*((flow + i, -1) for i in into), *((flow + o, 1) for o in out)], supply, supply)
            if fabric.tile_index[node] >= 0 and node != start:
                upper[flow + out] = 0
        for link in range(links):
            add([(flow + link, 1), (column_of[net] + link, -1)], -np.inf, 0)
    for link in range(links):
        add([(column + link, 1) for column in column_of.values()], -np.inf, fabric.capacity[link])
    if not nets.size:
        return True
    matrix = coo_array((values, (rows, columns)), shape=(len(low), width)).tocsr()
    integral = np.zeros(width)
    integral[: nets.size * links] = 1
    found = milp(
        np.zeros(width),
        constraints=LinearConstraint(matrix, low, high),
        bounds=Bounds(0, upper),
        integrality=integral,
        options={"time_limit": 60},
    )
    assert found.status in (0, 2), found.message
    return found.status == 0


@pytest.fixture(scope="session")
def routable() -> Callable[[TileFabric, Connectivity, np.ndarray], bool]:
    """The oracle of negotiated routing: all nets at once as an integer programme, for chips of a few tiles."""
    return _routable
