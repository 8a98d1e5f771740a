"""From a profile to a chip: what random networks that meet a profile need, and widths that carry them with a stated probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb, isqrt

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TILE, TileFabric
from tilewire.mapping.budget import HopProfile
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placement import by_index
from tilewire.mapping.routing import ROUTER_LINK
from tilewire.mapping.sizing import link_widths, side_loads
from tilewire.mapping.trees import loads

Longs = NDArray[np.int64]
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class ProfileSizes:
    """What each of n random networks needs of a homogeneous chip under the fixed paths.

    ``router`` int64 [n] is the widest router-to-router bundle (c), ``tile_in`` int64 [n, sides] the widest tile input per side of ``sides``
    (F is its sum), ``crossbar`` the side of each router kind (4c and r on Mosaic), ``memory_devices`` int64 [n] is M.
    """

    sides: tuple[str, ...]
    router: Longs
    tile_in: Longs
    crossbar: dict[str, Longs]
    memory_devices: Longs

    @property
    def tile_lines(self) -> Longs:
        """F: input channels of a tile over all sides."""
        lines: Longs = self.tile_in.sum(axis=1)
        return lines


@dataclass(frozen=True)
class Widths:
    """Channel widths of a chip: ``mosaic(..., router=, tile_in=)`` takes both as they are.

    ``probability`` is the joint probability that a random network fits which was asked for and holds with ``confidence``.
    """

    router: int
    tile_in: dict[str, int]
    memory_devices: int
    probability: float
    confidence: float
    networks: int


def draw_branches(fabric: TileFabric, profile: Mapping[int, float], rng: np.random.Generator) -> Connectivity:
    """A random network that meets a profile exactly, group t on tile t.

    For each source tile and class, round(p_d S n_sd) of its (neuron, tile) pairs are drawn uniformly without replacement. Raises
    `BudgetError` for a profile that the chip cannot have.
    """
    s, distance = fabric.neurons_per_tile, fabric.hop_distance
    quota = HopProfile.of(fabric, profile, by_index(fabric.n_neurons, fabric)).quota()
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for column, d in enumerate(fabric.hop_classes):
        for tile in np.flatnonzero(quota[:, column]):
            reach = np.flatnonzero(distance[tile] == d)
            pair = rng.choice(s * reach.size, int(quota[tile, column]), replace=False)
            sources.append(tile * s + pair // reach.size)
            targets.append(reach[pair % reach.size])
    return Connectivity.of(np.concatenate(sources), np.concatenate(targets), fabric.n_neurons, fabric.n_tiles)


def profile_sizes(
    fabric: TileFabric, profile: Mapping[int, float], networks: int, rng: np.random.Generator
) -> ProfileSizes:
    """Route ``networks`` random networks of a profile by fixed paths and record the smallest chip of each.

    The mapping experiment of Weber, Ballet, Payvand (2024, public notebook): tile outputs keep the chip's width.
    """
    placement = by_index(fabric.n_neurons, fabric)
    router, tile_in, devices = [], [], []
    crossbar: dict[str, list[int]] = {kind: [] for kind in fabric.kinds[TILE + 1 :]}
    count = np.bincount(fabric.kind, minlength=len(fabric.kinds))
    sides: dict[str, int] = {}
    for _ in range(networks):
        load = loads(fabric, route_one_turn(fabric, draw_branches(fabric, profile, rng), placement))
        sides = side_loads(fabric, load)
        memory = fabric.memory(fabric.widths_for(load))
        tile_in.append(list(sides.values()))
        router.append(int(load[fabric.link_class == ROUTER_LINK].max(initial=0)))
        devices.append(memory.total)
        for index, kind in enumerate(fabric.kinds[TILE + 1 :], TILE + 1):
            crossbar[kind].append(isqrt(memory.by_kind.get(kind, 0) // max(int(count[index]), 1)))
    return ProfileSizes(
        tuple(sides), np.array(router, np.int64), np.array(tile_in, np.int64).reshape(networks, -1),
        {kind: np.array(side, np.int64) for kind, side in crossbar.items()}, np.array(devices, np.int64),
    )  # fmt: skip


def covered(networks: int, probability: float, confidence: float = CONFIDENCE) -> int:
    """How many of n sampled networks a region must hold so that it holds a fresh one with ``probability``, at ``confidence``.

    Smallest m with P(Binomial(n, probability) >= m) <= 1 - confidence: the one-sided tolerance limit of Wilks (1941). Raises
    `BudgetError` with the sample size that would do if n is too small even for m = n.
    """
    if not 0 < probability < 1:
        raise BudgetError(f"probability {probability} is not between 0 and 1")
    tail = 0.0
    for m in range(networks, -1, -1):
        tail += comb(networks, m) * probability**m * (1 - probability) ** (networks - m)
        if tail > 1 - confidence:
            if m == networks:
                need = int(np.ceil(np.log(1 - confidence) / np.log(probability)))
                raise BudgetError(
                    f"{networks} networks cannot show a probability of {probability}", hint=f"at least {need} networks"
                )
            return m + 1
    return 0


def quantile_widths(
    fabric: TileFabric, profile: Mapping[int, float], probability: float, networks: int, rng: np.random.Generator
) -> Widths:
    """Channel widths such that a random network of the profile fits with at least ``probability``, jointly over all ports, by fixed paths.

    Networks are ordered by their worst rank over the resources (router channels and each tile side); the widths are the maxima
    over the first m of them, m from `covered`.
    """
    m = covered(networks, probability)
    sizes = profile_sizes(fabric, profile, networks, rng)
    need = np.column_stack([sizes.router, sizes.tile_in])
    rank = np.stack([np.searchsorted(np.sort(column), column, side="left") for column in need.T], axis=1).max(axis=1)
    width = need[np.argsort(rank, kind="stable")[:m]].max(axis=0, initial=0)
    tile_in = {side: int(w) for side, w in zip(sizes.sides, width[1:], strict=True)}
    return Widths(int(width[0]), tile_in, _devices(fabric, int(width[0]), tile_in), probability, CONFIDENCE, networks)


def _devices(fabric: TileFabric, router: int, tile_in: Mapping[str, int]) -> int:
    """M of the chip with these widths on every port, tile outputs as the chip has them."""
    return fabric.memory(fabric.widths_for(link_widths(fabric, router, tile_in))).total
