"""The hop penalty against its formula, written out synapse by synapse."""

import math

import numpy as np
import pytest
import torch

from tilewire.errors import UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD
from tilewire.kernels.lif import Lif
from tilewire.mapping.count_budget import Count
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.hop_penalty import HopPenalty, hops


def network(fabric):
    tile_of = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    rng = np.random.default_rng(1)
    made = TiledRSNN(
        fabric, TiledSpec(2, 2), Lif(0.9), Count(tile_of, fabric.n_tiles).branches() + 3, AboveThreshold(0.3), rng
    )
    table = made.branches
    source, tile = np.nonzero(tile_of[:, None] != np.arange(fabric.n_tiles))
    table.source[: source.size], table.tile[: tile.size] = source, tile
    made.branch_weight[: tile.size] = rng.normal(size=(tile.size, fabric.neurons_per_tile))
    return made


def by_hand(made, strength, beta, hop):
    fabric, wiring = made.fabric, made.recurrent
    s, columns, total = fabric.neurons_per_tile, fabric.grid[1], 0.0
    for row in range(len(wiring)):
        if wiring.tile[row] == DEAD:
            continue
        a, b = int(wiring.source[row]) // s, int(wiring.tile[row])
        h = abs(a // columns - b // columns) + abs(a % columns - b % columns)
        h = int(fabric.hop_distance[a, b]) if hop == "class" else h
        for j in range(s):
            total += min(math.exp(beta * h) - 1, math.exp(15)) * made.w_rec[row, j].item() ** 2
    return strength / len(wiring) * total


@pytest.mark.parametrize("fabric", [mosaic((2, 3), 4), mesh((3, 2), 3)], ids=["mosaic", "mesh"])
@pytest.mark.parametrize(
    ("strength", "beta", "hop"), [(0.7, 0.5, "manhattan"), (0.1, 8.0, "class"), (3.0, 0.0, "manhattan")]
)
def test_penalty_and_gradient_equal_the_formula(fabric, strength, beta, hop):
    made = network(fabric)
    penalty = HopPenalty(strength, beta, hop)
    value = penalty(made)
    assert value.item() == pytest.approx(by_hand(made, strength, beta, hop), rel=1e-5)
    value.backward()
    assert made.w_in.grad is None
    gradient = made.w_rec.grad
    assert not gradient[: made.n_local].any(), "the own tile costs nothing"
    assert not gradient[-3:].any(), "empty slots cost nothing"
    cost = penalty.cost(fabric)
    row = made.n_local + 1
    a, b = made.recurrent.source[row] // fabric.neurons_per_tile, made.recurrent.tile[row]
    expected = 2 * strength / len(made.recurrent) * cost[a, b] * made.w_rec[row].detach()
    assert torch.allclose(gradient[row], expected, rtol=1e-5)


def test_beta_eight_on_hop_classes_is_two_level():
    """The default of the public code: everything beyond the side neighbours costs the same."""
    fabric = mosaic((3, 3), 2)
    cost = HopPenalty(0.1, 8.0, "class").cost(fabric)
    assert np.unique(cost).tolist() == pytest.approx([0.0, math.expm1(8), math.exp(15)], rel=1e-5)
    assert np.isfinite(HopPenalty(1.0, 1e6).cost(fabric)).all()


def test_hops_on_a_grid_that_is_not_square():
    manhattan = hops(mosaic((2, 4), 1))
    assert manhattan[0].tolist() == [0, 1, 2, 3, 1, 2, 3, 4]
    assert np.array_equal(manhattan, manhattan.T)
    fabric = mosaic((2, 4), 1)
    assert np.array_equal(hops(fabric, "class"), fabric.hop_distance)


@pytest.mark.parametrize("wrong", [(-1, 1, "class"), (1, -1, "class"), (1, 1, "euclid")])
def test_faulty_penalties_are_refused(wrong):
    with pytest.raises(UsageError, match="hop penalty"):
        HopPenalty(*wrong)
