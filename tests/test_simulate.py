"""The simulator: equal to tokens in plain Python and to the evaluated network; wrong trees give wrong spikes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.data.augment import batch
from tilewire.data.record import EventPack
from tilewire.errors import UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.lif import Lif
from tilewire.kernels.numba_simulate import trace
from tilewire.kernels.simulate_reference import simulate_reference
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import map_nets
from tilewire.mapping.trees import Trees
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.simulate import SimulationError, rows_of, simulate, walk_of

LAW = AboveThreshold(0.3, 0.5)


def case(family=mosaic, grid=(2, 3), s=4, channels=5, slots=16, seed=0, router="one-turn", samples=5, steps=7):
    """A network with random branches and placement, its mapping, and samples."""
    rng = np.random.default_rng(seed)
    fabric = family(grid, s)
    network = TiledRSNN(fabric, TiledSpec(channels, 2), Lif(0.9), slots, LAW, rng)
    own = np.arange(fabric.n_neurons) // s
    source, tile = np.nonzero(own[:, None] != np.arange(fabric.n_tiles))
    chosen = rng.permutation(source.size)[: slots - 2]
    network.branches.source[: chosen.size] = source[chosen]
    network.branches.tile[: chosen.size] = tile[chosen]
    network.branch_weight[: chosen.size] = LAW((chosen.size, s), rng)
    nets = Nets.of(network.live_branches())
    placement = rng.permutation(fabric.n_tiles).astype(np.int32)[nets.group]
    mapping = map_nets(fabric, nets, placement, router=router, rng=rng)
    counts = rng.integers(0, 3, (samples, steps, channels)).astype(np.uint8)
    return network, mapping, EventPack.from_dense(counts, np.zeros(samples, np.int64))


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 999), st.sampled_from([mosaic, mesh]), st.tuples(st.integers(1, 3), st.integers(2, 4)),
    st.integers(2, 5), st.sampled_from(["one-turn", "negotiated"]), st.integers(1, 3),
)  # fmt: skip
def test_equal_to_tokens_in_plain_python(seed, family, grid, s, router, threads):
    slots = min(20, grid[0] * grid[1] * s)
    network, mapping, data = case(family, grid, s, min(5, s), slots, seed, router, samples=3)
    events = batch(data, np.arange(len(data)))
    w_in, w_rec = network.w_in.detach().numpy(), network.weights().detach().numpy()
    told = simulate_reference(
        events, w_in, network.inputs, w_rec, network.recurrent, network.lif, network.fabric, mapping.trees.ptr,
        mapping.trees.link, mapping.placement,
    )  # fmt: skip
    rows = rows_of(network.recurrent, w_rec)
    walk = walk_of(network.fabric, mapping.trees, mapping.placement, rows)
    traced = trace(events, rows_of(network.inputs, w_in), rows, walk, network.lif, threads=threads)
    assert list(zip(traced.spikes.cells().tolist(), traced.spikes.channel.tolist(), strict=True)) == told.spikes
    assert traced.hops.tolist() == [one.total() for one in told.crossed]
    assert traced.port_events.tolist() == [max(one.values(), default=0) for one in told.crossed]
    channels = network.fabric.capacity
    assert traced.port_rounds.tolist() == [
        max((-(-n // max(int(channels[link]), 1)) for link, n in one.items()), default=0) for one in told.crossed
    ]
    assert traced.tile_rows.tolist() == [max(one.values(), default=0) for one in told.rows]
    for name in ("input", "own", "branch"):
        assert dict(enumerate(getattr(traced, f"{name}_rows").tolist())) == {
            g: told.read[name][g] for g in range(network.fabric.n_tiles)
        }
    fired = np.zeros((traced.hops.size, network.fabric.n_tiles), int)
    np.add.at(fired, (traced.spikes.cells(), traced.spikes.channel // s), 1)
    assert traced.tile_spikes.tolist() == fired.max(axis=1).tolist()


@pytest.mark.parametrize("family", [mosaic, mesh])
@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
def test_counts_add_up(family, router):
    network, mapping, data = case(family, router=router, samples=9, slots=40)
    found = simulate(network, mapping.trees, mapping.placement, data, threads=2)
    size = np.diff(mapping.trees.ptr)
    assert (found.samples, found.steps) == (9, 7)
    assert found.neuron_spikes.sum() == found.spikes_at.sum() > 0
    # every spike walks its whole tree, a link that one-turn paths share once, and reads each of its branches once
    assert found.hops_at.sum() == found.link_events.sum() == found.neuron_spikes @ size
    assert found.branch_rows.sum() == found.neuron_spikes @ network.live_branches().fan_out
    by_link = np.zeros_like(found.link_events)
    np.add.at(by_link, mapping.trees.link, np.repeat(found.neuron_spikes, size))
    assert found.link_events.tolist() == by_link.tolist()
    assert found.worst[0] <= mapping.load.max()
    assert (found.worst * 63 >= found.busy).all()


def wrong_trees(trees: Trees, fabric, served):
    """Faults of a tree that a chip would suffer: a lost last hop, a lost first hop, another net's tree."""
    for neuron in served:
        first, last = int(trees.ptr[neuron]), int(trees.ptr[neuron + 1])
        for k in (first, last - 1):
            ptr = trees.ptr - (np.arange(trees.ptr.size) > neuron)
            yield Trees(ptr, np.delete(trees.link, k))
        detour = trees.link.copy()
        detour[last - 1] = next(
            link for link in range(fabric.n_links) if fabric.tile_index[fabric.link_target[link]] < 0
        )
        yield replace(trees, link=detour)


def test_wrong_trees_give_wrong_spikes():
    network, mapping, data = case(slots=40, samples=9)
    right = simulate(network, mapping.trees, mapping.placement, data)
    served = np.flatnonzero((np.diff(mapping.trees.ptr) > 0) & (right.neuron_spikes > 12))[:4]
    assert served.size >= 3
    for trees in wrong_trees(mapping.trees, network.fabric, served):
        with pytest.raises(SimulationError, match=r"sample \d, step \d, neuron \d+ on tile"):
            simulate(network, trees, mapping.placement, data)


def test_a_wrong_placement_gives_wrong_spikes():
    network, mapping, data = case(slots=40)
    s = network.fabric.neurons_per_tile
    moved = np.roll(mapping.placement, s)
    with pytest.raises(SimulationError):
        simulate(network, mapping.trees, moved, data)
    with pytest.raises(UsageError, match="whole groups"):
        simulate(network, mapping.trees, np.roll(mapping.placement, 1), data)
    with pytest.raises(UsageError, match="no sample"):
        simulate(network, mapping.trees, mapping.placement, data.take(np.arange(0)))


def test_batches_and_threads_change_nothing():
    network, mapping, data = case(samples=140)
    one, two = (simulate(network, mapping.trees, mapping.placement, data, threads=n).arrays() for n in (1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
