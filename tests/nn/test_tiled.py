import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import HardwareError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec, input_blocks, roles
from tilewire.nn.tiled import TiledRSNN

LAW = AboveThreshold(0.3, 0.5)


def network(grid=(2, 3), s=4, channels=5, outputs=2, inputs="crossbar", slots=12, seed=0, tier="reference"):
    fabric = mosaic(grid, s)
    rng = np.random.default_rng(seed)
    built = TiledRSNN(fabric, TiledSpec(channels, outputs, inputs), Lif(0.9), slots, LAW, rng)
    built.tier = tier
    own = np.arange(fabric.n_neurons) // s
    pairs = [(i, t) for i in range(fabric.n_neurons) for t in range(fabric.n_tiles) if own[i] != t]
    chosen = [pairs[k] for k in rng.permutation(len(pairs))[: slots // 2]]  # half of the slots stay dead
    live = len(chosen)
    built.branches.source[:live], built.branches.tile[:live] = (
        np.array([p[side] for p in chosen], np.int32) for side in (0, 1)
    )
    built.branch_weight[:live] = LAW((live, s), rng)
    return built


def events(net, batch=3, steps=7, seed=0):
    rng = np.random.default_rng(seed)
    return SpikeEvents.from_dense((rng.random((batch, steps, net.spec.channels)) < 0.6).astype(np.uint8))


def dense_matrices(net):
    """W_in [C, N] and W_rec [N, N] written out synapse by synapse."""
    s, n = net.fabric.neurons_per_tile, net.fabric.n_neurons
    w_in, w_rec = np.zeros((net.spec.channels, n)), np.zeros((n, n))
    for blocks, weight, matrix in ((net.inputs, net.w_in, w_in), (net.recurrent, net.weights(), w_rec)):
        for slot in range(len(blocks)):
            if blocks.tile[slot] != DEAD:
                first = blocks.tile[slot] * s
                matrix[blocks.source[slot], first : first + s] += weight[slot].detach().numpy()
    return w_in, w_rec


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 9), st.tuples(st.integers(1, 4), st.integers(1, 5)))
def test_channels_enter_the_first_tiles_in_order_and_even_shares(channels, s, grid):
    fabric = mosaic(grid, s)
    spec = TiledSpec(channels, 1)
    if math.ceil(channels / s) + 1 > fabric.n_tiles:
        with pytest.raises(HardwareError, match=f"the chip has {fabric.n_tiles}"):
            roles(spec, fabric)
        return
    taken = roles(spec, fabric).input_tiles
    assert taken.tolist() == list(range(math.ceil(channels / s)))
    blocks = input_blocks(spec, fabric, taken)
    assert blocks.source.tolist() == list(range(channels))
    assert (np.diff(blocks.tile) >= 0).all()
    per_tile = np.bincount(blocks.tile)
    assert per_tile.size == math.ceil(channels / s)
    assert per_tile.max() <= s
    assert per_tile.min() > 0


@pytest.mark.parametrize("inputs", ["crossbar", "dense"])
@pytest.mark.parametrize(
    ("grid", "s", "channels", "outputs"), [((2, 3), 4, 5, 2), ((3, 3), 2, 3, 5), ((1, 4), 1, 2, 2), ((2, 2), 5, 7, 1)]
)
def test_structure(grid, s, channels, outputs, inputs):
    net = network(grid, s, channels, outputs, inputs, slots=6)
    n, taken = net.fabric.n_neurons, net.roles.input_tiles.size
    w_in, w_rec = dense_matrices(net)
    own = np.arange(n) // s
    inside = own[:, None] == own[None, :]
    silent = (np.arange(n)[:, None] >= n - outputs) & (np.arange(n)[None, :] >= n - outputs) & inside
    local = inside & (own >= taken)[:, None]
    # input tiles: no recurrence of their own; other tiles: dense, except among the output neurons
    assert not w_rec[inside & ~local].any()
    assert not w_rec[silent].any()
    assert (w_rec[local & ~silent] != 0).all()
    if inputs == "dense":
        assert taken == 0
        assert (w_in != 0).all()
    else:
        assert not w_in[:, own >= taken].any()
    assert net.parameters_used() == (w_in != 0).sum() + (w_rec[local] != 0).sum() + len(net.live_branches()) * s


def test_forward_equals_the_equations():
    net = network(slots=16)
    given_events = events(net)
    w_in, w_rec = dense_matrices(net)
    x = given_events.to_dense()
    counts, trains = net(given_events)
    for b in range(x.shape[0]):
        v = z = np.zeros(net.fabric.n_neurons)
        total, last = np.zeros_like(v), []
        for t in range(x.shape[1]):
            v = 0.9 * v + x[b, t] @ w_in + z @ w_rec - z
            z = (v > 1.0).astype(float)
            total += z
            last.append(z[-net.spec.outputs :])
        assert counts[b].tolist() == total.tolist()
        assert trains[b].tolist() == np.array(last).tolist()


def test_gradient_reaches_everything_that_can_matter_and_nothing_else():
    net = network(grid=(2, 2), s=6, channels=5, outputs=2, slots=20)
    counts, trains = net(events(net, batch=6, steps=12))
    assert counts.sum() > 0
    (counts.sum() + trains.sum()).backward()
    assert net.w_in.grad is not None
    assert net.w_rec.grad is not None
    assert (net.w_in.grad != 0).any(dim=1).all()
    dead = np.concatenate([np.zeros(net.n_local, bool), net.branches.tile == DEAD])
    grad = net.w_rec.grad.numpy()
    assert not grad[dead].any()
    assert not grad[: net.n_local][net.get_buffer("audible").numpy() == 0].any()
    assert grad[net.n_local :][~dead[net.n_local :]].any()
    assert grad[: net.n_local].any()


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.Adam(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)]
)
def test_silent_synapses_and_dead_slots_stay_zero_through_training(make):
    net = network(grid=(2, 2), s=6, channels=5, outputs=3, slots=20)
    optimiser = make(net.parameters())
    dead = net.branches.tile == DEAD
    silent = net.get_buffer("audible").numpy() == 0
    assert silent.sum() == 9
    before = net.w_rec.detach().clone()
    for step in range(5):
        optimiser.zero_grad()
        counts, trains = net(events(net, steps=10, seed=step))
        (counts.sum() - trains.sum()).backward()
        optimiser.step()
        assert not net.branch_weight[dead].any()
        assert not net.w_rec.detach().numpy()[: net.n_local][silent].any()
    assert not torch.equal(before, net.w_rec)


def test_tables_share_memory_with_the_network():
    net = network()
    net.branches.tile[:] = DEAD
    assert len(net.live_branches()) == 0
    net.branch_weight[:] = 7.0
    assert (net.w_rec[net.n_local :] == 7.0).all()


def test_no_slots_at_all():
    net = network(slots=0)
    counts, _ = net(events(net))
    counts.sum().backward()
    assert len(net.live_branches()) == 0


def test_same_generator_same_weights():
    assert all(
        torch.equal(a, b) for a, b in zip(network(seed=4).parameters(), network(seed=4).parameters(), strict=True)
    )
    assert not torch.equal(network(seed=4).w_in, network(seed=5).w_in)


def test_any_fabric_will_do():
    fabric = mesh((2, 2), 3)
    net = TiledRSNN(fabric, TiledSpec(2, 2), Lif(0.9), 0, LAW, np.random.default_rng(0))
    assert net.n_local == 9


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (TiledSpec(0, 1), "0 channels"),
        (TiledSpec(1, 0), "0 outputs"),
        (TiledSpec(1, 1, "cross"), "one of crossbar, dense"),
    ],
)
def test_wrong_specs(spec, says):
    with pytest.raises(UsageError, match=says):
        roles(spec, mosaic((2, 2), 4))


def test_outputs_take_whole_tiles():
    roles(TiledSpec(4, 12), mosaic((2, 2), 4))
    with pytest.raises(HardwareError, match="take 5 tiles, the chip has 4"):
        roles(TiledSpec(4, 13), mosaic((2, 2), 4))


@pytest.mark.parametrize("input_tiles", [(3, 0), (5, 4, 2)])
def test_tiles_of_inputs_and_outputs_may_be_chosen(input_tiles):
    fabric = mosaic((2, 3), 4)
    spec = TiledSpec(5, 3, input_tiles=input_tiles, output_tiles=(1,))
    net = TiledRSNN(fabric, spec, Lif(0.9), 0, LAW, np.random.default_rng(0))
    w_in, w_rec = dense_matrices(net)
    fed = sorted(set((np.flatnonzero(w_in.any(axis=0)) // 4).tolist()))
    assert fed == sorted(input_tiles)
    assert net.readout.tolist() == [5, 6, 7]
    assert not w_rec[5:8, 5:8].any()
    assert w_rec[4, 4:8].all()
    recurrent = sorted(set((np.flatnonzero(w_rec.any(axis=0)) // 4).tolist()))
    assert recurrent == sorted(set(range(6)) - set(input_tiles))


@pytest.mark.parametrize(
    ("tiles", "says"),
    [
        ({"input_tiles": (0,)}, "1 tiles, at least 2 are needed"),
        ({"input_tiles": (0, 6)}, "tile 6 is outside"),
        ({"input_tiles": (0, 0)}, "named twice"),
        ({"input_tiles": (0, 1), "output_tiles": (1,)}, "takes inputs and is read"),
        ({"output_tiles": ()}, "at least 1"),
        ({"inputs": "dense", "input_tiles": (0, 1)}, "dense inputs feed every tile"),
    ],
)
def test_tiles_that_cannot_be(tiles, says):
    with pytest.raises(UsageError, match=says):
        roles(TiledSpec(5, 3, **tiles), mosaic((2, 3), 4))
