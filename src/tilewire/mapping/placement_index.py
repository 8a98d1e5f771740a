"""Placement in index order, and the overrides that every placer obeys."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError, UsageError
from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def by_index(n_neurons: int, fabric: TileFabric) -> Ints:
    """Placement int32 [neurons] with group t on tile t, tiles row-major. Raises `NetsError` if the chip has too few neurons."""
    if n_neurons > fabric.n_neurons:
        raise NetsError(
            f"{n_neurons} neurons on a chip of {fabric.n_neurons} ({fabric.n_tiles} tiles of {fabric.neurons_per_tile})",
            hint=f"a grid of at least {-(-n_neurons // fabric.neurons_per_tile)} tiles",
        )
    return (np.arange(n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def of_neurons(tile_of_group: Ints, n_neurons: int, neurons_per_tile: int) -> Ints:
    """Placement int32 [neurons] of groups of ``neurons_per_tile`` neurons."""
    placement: Ints = tile_of_group[np.arange(n_neurons) // neurons_per_tile]
    return placement


def check_fixed(fabric: TileFabric, n_groups: int, fixed: Mapping[int, int] | None) -> dict[int, int]:
    """The overrides as a dict. Raises `UsageError` for groups or tiles that do not exist and for a tile given twice."""
    if n_groups > fabric.n_tiles:
        raise NetsError(f"{n_groups} groups on {fabric.n_tiles} tiles", hint=f"a grid of at least {n_groups} tiles")
    pinned = {int(group): int(tile) for group, tile in (fixed or {}).items()}
    for group, tile in pinned.items():
        if not 0 <= group < n_groups:
            raise UsageError(f"fixed group {group} is outside 0..{n_groups - 1}")
        if not 0 <= tile < fabric.n_tiles:
            raise UsageError(f"fixed tile {tile} of group {group} is outside 0..{fabric.n_tiles - 1}")
    tiles = list(pinned.values())
    if len(set(tiles)) < len(tiles):
        twice = next(tile for tile in tiles if tiles.count(tile) > 1)
        groups = sorted(group for group, tile in pinned.items() if tile == twice)
        raise UsageError(f"{fabric.tile_name(twice)} is given to groups {groups}", hint="a tile carries one group")
    return pinned


def in_order(
    fabric: TileFabric,
    branches: Connectivity,
    *,
    rate: Floats | None = None,
    fixed: Mapping[int, int] | None = None,
    rng: np.random.Generator | None = None,
) -> Ints:
    """Placer `by-index`: group t on tile t; groups that a fixed one pushes away take the free tiles in order."""
    n_groups = branches.n_targets
    tile = np.full(n_groups, -1, np.int32)
    for group, where in check_fixed(fabric, n_groups, fixed).items():
        tile[group] = where
    taken = set(tile.tolist())
    at_home = [group for group in np.flatnonzero(tile < 0) if int(group) not in taken]
    tile[at_home] = at_home
    free = np.setdiff1d(np.arange(fabric.n_tiles), tile)
    moved = np.flatnonzero(tile < 0)
    tile[moved] = free[: moved.size]
    return tile
