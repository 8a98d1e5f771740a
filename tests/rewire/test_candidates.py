import numpy as np
import pytest
import torch

from tilewire.connectivity import Connectivity
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.candidates import branch_gradient
from tilewire.rewire.grow import absent_branches


def network(seed, tier):
    rng = np.random.default_rng(seed)
    fabric = mosaic((2, 3), 3)
    net = TiledRSNN(fabric, TiledSpec(3, 2), Lif(0.9), 12, AboveThreshold(0.5, 1.0), rng)
    net.tier = tier
    keys = rng.choice(absent_branches(Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)), 10, replace=False)
    table = net.branches
    table.source[:10], table.tile[:10] = np.divmod(keys, fabric.n_tiles)
    net.branch_weight[:10] = AboveThreshold(0.5, 1.0)((10, 3), rng)
    return net


def loss(counts, trains):
    return counts.square().sum() / 5 - 2 * trains[:, ::2].sum()


@pytest.mark.parametrize("tier", ["reference", "numba"])
@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_score_is_the_gradient_of_a_branch_that_is_put_in(tier, chunk):
    net = network(4, tier)
    events = SpikeEvents.from_dense((np.random.default_rng(1).random((4, 9, 3)) < 0.6).astype(np.uint8))
    linked = net.live_branches()
    keys = absent_branches(linked)
    absent = Connectivity.of(keys // 6, keys % 6, linked.n_sources, 6)
    score = branch_gradient(net, events, loss, absent, chunk)
    assert score.shape == (keys.size,)
    assert (score > 0).any()
    assert all(parameter.grad is None for parameter in net.parameters())
    table = net.branches
    assert table.tile[11] == DEAD
    for index in range(0, keys.size, 5):  # one by one into a spare slot
        table.source[11], table.tile[11] = absent.source[index], absent.target[index]
        net.zero_grad()
        loss(*net(events)).backward()
        expected = float(net.w_rec.grad[-1].double().norm())
        assert score[index] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_no_candidates_no_score():
    net = network(0, "reference")
    events = SpikeEvents.from_dense(np.ones((1, 2, 3), np.uint8))
    none = Connectivity.of([], [], net.fabric.n_neurons, net.fabric.n_tiles)
    assert branch_gradient(net, events, loss, none).size == 0
    assert torch.is_grad_enabled()
