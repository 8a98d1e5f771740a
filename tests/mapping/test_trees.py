"""Trees: loads, ports on the canvas, hops there and back."""

import numpy as np
import pytest

from tilewire.connectivity import Connectivity
from tilewire.errors import DataError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.trees import Trees, from_hops, hops, loads, port_use


def routed(fabric, pairs):
    branches = Connectivity.of(*zip(*pairs, strict=True), fabric.n_neurons, fabric.n_tiles)
    return route_one_turn(fabric, branches, (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32))


def test_one_branch_to_the_right_by_hand():
    fabric = mosaic((1, 2), 3)
    trees = routed(fabric, [(0, 1)])
    assert hops(fabric, trees).tolist() == [[1, 1, 1], [1, 2, 1]]
    use = port_use(fabric, loads(fabric, trees))
    # The edge router between the tiles: in from the west, out to the east; the right tile: in from the west.
    assert {tuple(at): int(use[tuple(at)]) for at in np.argwhere(use)} == {(1, 2, 3): 1, (1, 2, 5): 1, (1, 3, 3): 1}


def test_shared_links_count_a_net_once():
    fabric = mosaic((1, 4), 2)
    trees = routed(fabric, [(0, 2), (0, 3), (1, 3)])
    assert loads(fabric, trees).max() == 2
    assert trees.of(0).size == np.unique(trees.of(0)).size
    np.testing.assert_array_equal(np.bincount(trees.owner, minlength=8), np.diff(trees.ptr))


def test_hops_there_and_back():
    fabric = mosaic((3, 4), 2)
    trees = routed(fabric, [(i, t) for i in range(0, 24, 3) for t in range(12)])
    back = from_hops(fabric, trees.ptr, hops(fabric, trees))
    np.testing.assert_array_equal(back.link, trees.link)
    np.testing.assert_array_equal(back.ptr, trees.ptr)


@pytest.mark.parametrize(
    ("ptr", "hop"),
    [
        ([0, 1, 1, 1, 1], [[0, 0, 0]]),  # the corner router at the border has no way north
        ([0, 1, 1, 1, 1], [[9, 0, 0]]),
        ([0, 1, 1, 1, 1], [[1, 1, -1]]),
        ([0, 2, 1, 1, 1], [[1, 1, 1]]),
        ([0, 1, 1], [[1, 1, 1]]),
        ([0, 1, 1, 1, 1], [[1, 1]]),
        ([0.0, 1, 1, 1, 1], [[1, 1, 1]]),
    ],
)
def test_hops_that_name_no_link_are_refused(ptr, hop):
    with pytest.raises(DataError):
        from_hops(mosaic((1, 2), 2), np.array(ptr), np.array(hop))


def test_empty_trees():
    fabric = mosaic((2, 2), 1)
    trees = Trees(np.zeros(5, np.int64), np.empty(0, np.int32))
    assert hops(fabric, trees).shape == (0, 3)
    assert not port_use(fabric, loads(fabric, trees)).any()
