"""Exact trees against enumeration, and cuts against all node sets that a rectangle can be."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.certificate import of_cut
from tilewire.mapping.cuts import Rectangles, worst_tile
from tilewire.mapping.placement import by_index
from tilewire.mapping.search import graph_of, grow_tree, work_of
from tilewire.mapping.steiner import reversed_graph, steiner_tree, table_of
from tilewire.mapping.verify import verify_certificate


def shortest(fabric, cost, start, sinks):
    """Least cost by relaxing (node, subset) states until nothing changes: the plain fixed point of the recurrence."""
    full = (1 << len(sinks)) - 1
    value = {(v, 0): 0.0 for v in range(fabric.n_nodes)}
    for i, sink in enumerate(sinks):
        value[sink, 1 << i] = 0.0
    changed = True
    while changed:
        changed = False
        for link, (a, b) in enumerate(zip(fabric.link_source.tolist(), fabric.link_target.tolist(), strict=True)):
            if (fabric.kind[a] == 0) and a != start:
                continue
            for group in range(1, full + 1):
                options = [value.get((b, group), np.inf) + cost[link]]
                part = (group - 1) & group
                while part:
                    options.append(value.get((a, part), np.inf) + value.get((a, group ^ part), np.inf))
                    part = (part - 1) & group
                if min(options) < value.get((a, group), np.inf) - 1e-12:
                    value[a, group] = min(options)
                    changed = True
    return value[start, full]


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 3), st.integers(2, 3), st.integers(1, 4), st.integers(0, 999))
def test_exact_trees_cost_least_and_cheap_trees_no_less(height, width, k, seed):
    fabric, rng = mosaic((height, width), 1), np.random.default_rng(seed)
    cost = rng.integers(1, 9, fabric.n_links).astype(float)
    tiles = rng.permutation(fabric.n_tiles)[: k + 1]
    start, sinks = int(fabric.tile_node[tiles[0]]), fabric.tile_node[tiles[1:]]
    tree = np.empty(fabric.n_links, np.int32)
    whole = np.array([0, 1 << 30, 0, 1 << 30], np.int32)
    out, back = graph_of(fabric), reversed_graph(fabric)
    least, used = steiner_tree(
        back, out, cost, start, sinks, whole, work_of(fabric.n_nodes), table_of(k, fabric.n_nodes), tree
    )
    assert least == shortest(fabric, cost, start, sinks.tolist())
    links = tree[:used].copy()
    assert cost[links].sum() == least
    reached = {start}
    for link in links.tolist():
        assert int(fabric.link_source[link]) in reached
        reached.add(int(fabric.link_target[link]))
    assert set(sinks.tolist()) <= reached
    used = grow_tree(out, cost, start, sinks, whole, work_of(fabric.n_nodes), 1, tree)
    assert cost[tree[:used]].sum() >= least


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0.1, 1),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 999),
)
def test_cut_nets_cannot_avoid_the_cut(height, width, size, density, router, tile_in, seed):
    fabric, rng = mosaic((height, width), size, router=router, tile_in=tile_in), np.random.default_rng(seed)
    source, tile = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density)
    branches = Connectivity.of(source, tile, fabric.n_neurons, fabric.n_tiles)
    placement = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    cut = Rectangles.of(fabric, branches, placement).worst(fabric.capacity)
    if cut is None:
        fan_in = branches.without_own(placement).fan_in
        assert (fan_in <= 4 * tile_in).all()
        return
    assert cut.nets.size > cut.capacity == fabric.capacity[cut.links].sum()
    open_links = np.setdiff1d(np.arange(fabric.n_links), cut.links)
    for net, sink in zip(cut.nets.tolist(), cut.sink.tolist(), strict=True):
        start = int(fabric.tile_node[placement[net]])
        reached, grows = {start}, True
        while grows:
            from_here = [a for a in open_links if fabric.link_source[a] in reached]
            more = {
                int(fabric.link_target[a])
                for a in from_here
                if fabric.kind[fabric.link_source[a]] or fabric.link_source[a] == start
            }
            grows = bool(more - reached)
            reached |= more
        assert int(fabric.tile_node[sink]) not in reached


def test_a_tile_with_too_few_doors_is_a_cut_on_any_fabric():
    """A mesh tile and its router share a position, so no rectangle crosses the link between them."""
    fabric = mesh((2, 2), 4, router=9, tile_in=2, tile_out=1)
    branches = Connectivity.of([0, 1, 4, 5, 8], [3, 3, 3, 3, 1], 16, 4)
    placement = by_index(16, fabric)
    cut = worst_tile(fabric, branches, placement, fabric.capacity)
    assert (cut.nets.tolist(), cut.capacity) == ([0, 1, 4, 5], 2)
    assert "into tile 3" in cut.where
    proof = of_cut(fabric, cut)
    assert verify_certificate(fabric, branches, placement, proof.weight, proof.counted)
    wide = mesh((2, 2), 4, router=9, tile_in=4, tile_out=1)
    out = worst_tile(wide, branches, placement, wide.capacity)
    assert (len(out.nets), out.capacity) == (2, 1)
    assert "out of tile" in out.where
    assert verify_certificate(wide, branches, placement, of_cut(wide, out).weight, of_cut(wide, out).counted)
    assert worst_tile(wide, branches, placement, np.full(wide.n_links, 4, np.int32)) is None
