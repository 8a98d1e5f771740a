"""Negotiated routing: published-size cases, agreement with the checker and an integer programme, certificates that verify."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.negotiated import Effort, negotiate
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.routing import map_nets
from tilewire.mapping.trees import loads
from tilewire.mapping.verify import verify_certificate

PROFILES = {"A": {1: 0.9, 3: 0.1}, "B": {1: 0.8, 3: 0.2, 5: 0.05}, "C": {1: 0.5, 3: 0.2, 5: 0.1, 7: 0.05}}


def profile_nets(side, profile):
    """Random network of a profile on side x side tiles of 32 neurons, drawn tile by tile and class by class."""
    fabric, rng, sources, targets = mosaic((side, side), 32), np.random.default_rng(0), [], []
    for tile in range(side * side):
        for d, p in PROFILES[profile].items():
            reach = np.flatnonzero(fabric.hop_distance[tile] == d)
            pair = rng.choice(reach.size * 32, round(p * reach.size * 32), replace=False)
            sources.append(tile * 32 + pair // reach.size)
            targets.append(reach[pair % reach.size])
    return Nets.of(Connectivity.of(np.concatenate(sources), np.concatenate(targets), fabric.n_neurons, fabric.n_tiles))


@pytest.mark.parametrize(
    ("side", "profile", "pins", "router", "tile_in"),
    [
        (4, "A", 1492, 3, 32),
        (4, "B", 1588, 9, 35),
        (4, "C", 1344, 16, 29),
        (6, "A", 3764, 4, 33),
        (6, "B", 4120, 12, 39),
    ],
)
def test_networks_route_near_their_bounds(side, profile, pins, router, tile_in):
    nets = profile_nets(side, profile)
    assert len(nets.branches) == pins
    fabric = mosaic((side, side), 32, router=router, tile_in=tile_in)
    assert map_nets(fabric, nets, by_index(fabric.n_neurons, fabric), router="negotiated").verdict == "fits"


@pytest.mark.parametrize(
    ("side", "profile", "router", "tile_in"),
    [(4, "A", 2, 32), (4, "B", 6, 35), (4, "C", 12, 29), (6, "A", 2, 33), (6, "B", 7, 39)],
)
def test_below_the_bounds_is_refused_with_a_certificate(side, profile, router, tile_in):
    nets = profile_nets(side, profile)
    for width in ((router - 1, tile_in), (router, tile_in - 1)):
        fabric = mosaic((side, side), 32, router=width[0], tile_in=width[1])
        mapping = map_nets(fabric, nets, by_index(fabric.n_neurons, fabric), router="negotiated")
        assert mapping.verdict == "infeasible"
        proof = mapping.certificate
        assert proof.need > proof.capacity
        assert mapping.summary()["certificate"]["need"] == proof.need
        assert verify_certificate(fabric, nets.branches, mapping.placement, proof.weight, proof.counted)


def test_prices_refuse_what_no_rectangle_refuses():
    nets = profile_nets(4, "A")
    fabric = mosaic((4, 4), 32, router=2, tile_in=32)
    mapping = map_nets(fabric, nets, by_index(fabric.n_neurons, fabric), router="negotiated")
    assert mapping.verdict == "infeasible"
    assert "prices" in mapping.certificate.where


def random_case(height, width, size, density, router, tile_in, seed):
    fabric = mosaic((height, width), size, router=router, tile_in=tile_in)
    rng = np.random.default_rng(seed)
    source, group = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density)
    nets = Nets.of(Connectivity.of(source, group, fabric.n_neurons, fabric.n_tiles))
    return fabric, nets, rng.permutation(fabric.n_tiles).astype(np.int32)[nets.group]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.floats(0, 1),
    st.integers(0, 6),
    st.integers(0, 8),
    st.integers(0, 9999),
)
def test_verdicts_agree_with_the_checker_and_the_verifier(height, width, size, density, router, tile_in, seed):
    fabric, nets, placement = random_case(height, width, size, density, router, tile_in, seed)
    mapping = map_nets(fabric, nets, placement, router="negotiated", rng=np.random.default_rng(seed))
    check = check_mapping(fabric, nets.branches, nets.group, placement, mapping.trees.ptr, mapping.trees.link)
    assert check.sound
    assert check.fits == (mapping.verdict == "fits")
    np.testing.assert_array_equal(check.load, mapping.load)
    if mapping.verdict == "infeasible":
        proof = mapping.certificate
        assert verify_certificate(fabric, nets.on_tiles(placement), placement, proof.weight, proof.counted)
    if mapping.verdict == "unknown":
        assert mapping.bound.ratio <= 1


@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    st.integers(1, 2),
    st.integers(2, 3),
    st.integers(1, 3),
    st.floats(0.2, 0.9),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 9999),
)
def test_no_verdict_is_false_against_an_integer_programme(
    routable, height, width, size, density, router, tile_in, seed
):
    fabric, nets, placement = random_case(height, width, size, density, router, tile_in, seed)
    verdict = map_nets(fabric, nets, placement, router="negotiated").verdict
    if verdict != "unknown":
        assert routable(fabric, nets.on_tiles(placement), placement) == (verdict == "fits")


def test_forged_certificates_are_refused():
    nets = profile_nets(4, "A")
    fabric = mosaic((4, 4), 32, router=1, tile_in=32)
    placement = by_index(fabric.n_neurons, fabric)
    proof = map_nets(fabric, nets, placement, router="negotiated").certificate
    counted = proof.counted
    wired = set(zip(nets.branches.source.tolist(), nets.branches.target.tolist(), strict=True))
    assert verify_certificate(fabric, nets.branches, placement, proof.weight, counted)
    wider = mosaic((4, 4), 32, router=3, tile_in=32)
    assert not verify_certificate(wider, nets.branches, placement, proof.weight, counted)
    fewer = dict(list(counted.items())[: proof.capacity])
    assert not verify_certificate(fabric, nets.branches, placement, proof.weight, fewer)
    net = next(iter(counted))
    stranger = next(t for t in range(16) if (net, t) not in wired)
    assert not verify_certificate(fabric, nets.branches, placement, proof.weight, {**counted, net: (stranger,)})
    assert not verify_certificate(fabric, nets.branches, placement, -proof.weight, counted)
    assert not verify_certificate(fabric, nets.branches, placement, proof.weight.astype(float), counted)


def test_warm_trees_are_kept_where_they_fit():
    nets = profile_nets(4, "B")
    fabric = mosaic((4, 4), 32, router=12, tile_in=38)
    placement = by_index(fabric.n_neurons, fabric)
    cold = negotiate(fabric, nets.branches, placement, rng=np.random.default_rng(0))
    warm = negotiate(fabric, nets.branches, placement, rng=np.random.default_rng(1), warm=cold.trees)
    assert warm.rounds == 0
    np.testing.assert_array_equal(warm.trees.link, cold.trees.link)
    one_less = np.minimum(fabric.capacity, np.maximum(loads(fabric, cold.trees).max() - 1, 0)).astype(np.int32)
    again = negotiate(
        fabric, nets.branches, placement, capacity=one_less, rng=np.random.default_rng(1), warm=cold.trees
    )
    assert again.overuse == int(np.maximum(loads(fabric, again.trees) - one_less, 0).sum())


def test_equal_seeds_give_equal_trees():
    nets = profile_nets(4, "C")
    fabric = mosaic((4, 4), 32, router=18, tile_in=31)
    placement = by_index(fabric.n_neurons, fabric)
    one, two = (negotiate(fabric, nets.branches, placement, rng=np.random.default_rng(5)).trees for _ in range(2))
    np.testing.assert_array_equal(one.link, two.link)


def test_effort_is_bounded():
    nets = profile_nets(4, "C")
    fabric = mosaic((4, 4), 32, router=5, tile_in=20)
    found = negotiate(
        fabric, nets.branches, by_index(fabric.n_neurons, fabric), effort=Effort(rounds=3), rng=np.random.default_rng(0)
    )
    assert found.rounds <= 3
    assert found.overuse > 0


def test_a_tile_without_links_is_named():
    fabric = mosaic((1, 2), 1)
    keep = fabric.link_target != fabric.tile_node[1]
    cut = dataclasses.replace(
        fabric,
        link_source=fabric.link_source[keep],
        link_target=fabric.link_target[keep],
        link_port=fabric.link_port[keep],
    )
    with pytest.raises(HardwareError):
        negotiate(cut, Connectivity.of([0], [1], 2, 2), by_index(2, cut), rng=np.random.default_rng(0))
