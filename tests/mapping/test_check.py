"""The independent check finds every fault that is put into a right mapping."""

import numpy as np
import pytest

from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.one_turn import route_one_turn

FABRIC = mosaic((3, 3), 4)


def good(draw_nets, seed=0, fabric=FABRIC):
    nets, placement = draw_nets(fabric, 0.3, seed)
    trees = route_one_turn(fabric, nets.on_tiles(placement), placement)
    return nets, placement, trees


def kinds(nets, placement, ptr, link, fabric=FABRIC, claimed=None):
    return {
        f.kind
        for f in check_mapping(
            fabric,
            nets.branches,
            nets.group,
            placement,
            np.asarray(ptr),
            np.asarray(link),
            claimed=claimed,
            merging=True,
        ).faults
    }


def edit(trees, neuron, links):
    """Trees with the links of one net replaced."""
    parts = [trees.of(i).tolist() if i != neuron else list(links) for i in range(trees.ptr.size - 1)]
    return np.cumsum([0, *(len(p) for p in parts)]), np.array([link for p in parts for link in p], np.int32)


def busy(trees):
    return int(np.argmax(np.diff(trees.ptr)))


@pytest.mark.parametrize("seed", range(5))
def test_right_mapping_has_no_fault_and_its_loads_are_recounted(draw_nets, seed):
    nets, placement, trees = good(draw_nets, seed, mosaic((3, 3), 4, router=64, tile_in=64))
    fabric = mosaic((3, 3), 4, router=64, tile_in=64)
    check = check_mapping(fabric, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True)
    assert check.fits
    np.testing.assert_array_equal(check.load, np.bincount(trees.link, minlength=fabric.n_links))


def test_every_dropped_hop_is_found(draw_nets):
    nets, placement, trees = good(draw_nets)
    net = busy(trees)
    links = trees.of(net).tolist()
    claimed = np.bincount(trees.link, minlength=FABRIC.n_links)
    for at in range(len(links)):
        found = kinds(nets, placement, *edit(trees, net, links[:at] + links[at + 1 :]), claimed=claimed)
        assert "miscounted" in found
        if (
            np.count_nonzero(FABRIC.link_target[links] == FABRIC.link_target[links[at]]) == 1
        ):  # no second path feeds that node
            assert found & {"unreached", "detached", "dangling"}


def test_dropped_net_wrong_sink_and_repeated_link(draw_nets):
    nets, placement, trees = good(draw_nets)
    net = busy(trees)
    links = trees.of(net).tolist()
    assert "unreached" in kinds(nets, placement, *edit(trees, net, []))
    assert "repeated" in kinds(nets, placement, *edit(trees, net, [*links, links[-1]]))
    wired = nets.on_tiles(placement)
    tiles = set(wired.target[wired.source == net].tolist())
    router = int(FABRIC.link_target[links[0]])
    extra = [
        link
        for link in np.flatnonzero(FABRIC.link_class == 1).tolist()
        if FABRIC.link_source[link] == router and FABRIC.tile_index[FABRIC.link_target[link]] not in tiles
    ]
    assert "extra-sink" in kinds(nets, placement, *edit(trees, net, [*links, extra[0]]))


def test_reversed_order_passing_a_tile_and_dead_ends(draw_nets):
    nets, placement, trees = good(draw_nets)
    net = busy(trees)
    links = trees.of(net).tolist()
    assert "detached" in kinds(nets, placement, *edit(trees, net, links[::-1]))
    entry = next(link for link in links if FABRIC.link_class[link] == 1)
    onward = int(np.flatnonzero(FABRIC.link_source == FABRIC.link_target[entry])[0])
    assert "through-tile" in kinds(nets, placement, *edit(trees, net, [*links, onward]))
    unused = [
        link
        for link in np.flatnonzero(FABRIC.link_source == FABRIC.link_target[links[0]]).tolist()
        if FABRIC.link_class[link] == 0
        and link not in links
        and FABRIC.link_target[link] not in FABRIC.link_source[links]
    ]
    assert "dangling" in kinds(nets, placement, *edit(trees, net, [*links, unused[0]]))


def test_second_entry_into_a_tile(draw_nets):
    nets, placement, trees = good(draw_nets)
    net = busy(trees)
    links = trees.of(net).tolist()
    entry = next(link for link in links if FABRIC.link_class[link] == 1)
    other = [link for link in np.flatnonzero(FABRIC.link_target == FABRIC.link_target[entry]).tolist() if link != entry]
    assert "entered-twice" in kinds(nets, placement, *edit(trees, net, [*links, other[0]]))


def test_over_width_missing_links_pointers_and_placements(draw_nets):
    nets, placement, trees = good(draw_nets)
    narrow = mosaic((3, 3), 4, router=0, tile_in=1)
    check = check_mapping(narrow, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True)
    assert not check.fits
    assert check.sound
    assert {fault.kind for fault in check.faults} == {"overload"}
    wrong = trees.link.copy()
    wrong[0] = FABRIC.n_links
    assert "missing-link" in kinds(nets, placement, trees.ptr, wrong)
    assert "pointer" in kinds(nets, placement, trees.ptr[:-1], trees.link)
    swapped = placement.copy()
    swapped[0], swapped[-1] = placement[-1], placement[0]
    assert "placement" in kinds(nets, swapped, trees.ptr, trees.link)
    assert "placement" in kinds(nets, np.zeros_like(placement), trees.ptr, trees.link)
    assert "placement" in kinds(nets, placement + 1, trees.ptr, trees.link)


def test_the_check_imports_words_and_hardware_only():
    import ast
    import inspect

    from tilewire.mapping import check

    tree = ast.parse(inspect.getsource(check))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = {name for name in names if name.startswith("tilewire")}
    assert ours <= {"tilewire.errors", "tilewire.connectivity", "tilewire.hardware.fabric"}
