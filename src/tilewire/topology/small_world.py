"""Small worlds on a tile grid: the bridge between hop profiles of a chip and a-priori topologies, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mesh import mesh
from tilewire.topology.digits import divisor_near
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import ABSENT, Stage, Topology, folded, pad_rows, table_stage


def profile_branches(
    hop_distance: NDArray[np.integer], neurons_per_tile: int, profile: Mapping[int, float], rng: np.random.Generator
) -> Connectivity:
    """Branches drawn to a profile {hop class d: density}: source tile s gets round(p_d S n_sd) of its S n_sd (neuron, tile) pairs.

    ``hop_distance`` [T, T] counts routers (`TileFabric.hop_distance`). Raises `UsageError` for classes the chip does not have and
    densities outside 0..1.
    """
    classes = {int(d) for d in np.unique(hop_distance) if d > 0}
    for d, density in profile.items():
        if d not in classes:
            raise UsageError(
                f"no tiles at hop class {d}",
                hint=f"hop classes {sorted(classes)}",
            )
        at_least(f"density of hop class {d}", density, 0.0, 1.0, "profile")
    share = np.zeros(int(hop_distance.max(initial=0)) + 1)
    share[list(profile)] = list(profile.values())
    source, target = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for tile, row in enumerate(hop_distance):
        room = np.bincount(row, minlength=share.size) * neurons_per_tile
        quota, first = np.rint(share * room), np.concatenate(([0], np.cumsum(room)))
        distance = np.tile(row, neurons_per_tile)  # of pair (neuron, tile) = neuron T + tile
        order = np.lexsort((rng.random(distance.size), distance))
        place = np.arange(order.size) - first[distance[order]]
        chosen = order[place < quota[distance[order]]]
        source.append(tile * neurons_per_tile + chosen // row.size)
        target.append(chosen % row.size)
    tiles = len(hop_distance)
    return Connectivity.of(np.concatenate(source), np.concatenate(target), tiles * neurons_per_tile, tiles)


def branch_stage(branches: Connectivity, neurons_per_tile: int) -> Stage:
    """The stage of branches: every neuron of a tile reads its own tile (the local crossbar) and the sources of the tile's branches."""
    tiles = branches.n_targets
    by_tile = np.lexsort((branches.source, branches.target))
    table = pad_rows(np.concatenate(([0], np.cumsum(branches.fan_in))), branches.source[by_tile].astype(np.int64))
    own = np.arange(tiles)[:, None] * neurons_per_tile + np.arange(neurons_per_tile)
    remote = np.where(table // neurons_per_tile == np.arange(tiles)[:, None], ABSENT, table)
    every = np.hstack([own, remote])
    per_tile = table_stage(every, tiles * neurons_per_tile)
    return Stage(
        per_tile.n_in, per_tile.n_in, per_tile.fan_in, lambda i: every[i // neurons_per_tile],
        ragged=bool((every < 0).any()), stored=True,
    )  # fmt: skip


def profile_of(stage: Stage, tile_of: NDArray[np.integer], hop_distance: NDArray[np.integer]) -> dict[int, float]:
    """The profile that a square stage asks of a chip: per hop class, branches over (source neuron, tile) pairs at that distance.

    ``tile_of`` [neurons] is the placement.
    """
    tiles = len(hop_distance)
    branches = stage.connectivity().branches(tile_of, tiles)
    use = np.bincount(
        hop_distance[np.asarray(tile_of)[branches.source], branches.target], minlength=int(hop_distance.max()) + 1
    )
    room = np.zeros(use.size)
    np.add.at(room, hop_distance, np.bincount(tile_of, minlength=tiles)[:, None])
    return {d: float(use[d] / room[d]) for d in range(1, use.size) if room[d]}


def _geometry(n_in: int, n_out: int, tile: int) -> tuple[int, NDArray[np.integer]]:
    width = max(n_in, n_out)
    size = tile or divisor_near(width, max(1.0, width**0.5 / 2))
    if width % size:
        raise UsageError(
            f"{width} neurons do not fill tiles of {size}",
            where="small-world",
            hint=f"tile {divisor_near(width, size)}",
        )
    tiles = width // size
    at_least("tiles", tiles, 1, 4096, "small-world")
    rows = divisor_near(tiles, tiles**0.5)
    return size, routers_between(mesh((rows, tiles // rows), size))


def routers_between(fabric: TileFabric) -> NDArray[np.integer]:
    """`TileFabric.hop_distance` by another breadth-first search, which loads no compiler: int [tiles, tiles], 0 on the diagonal.

    Links into tiles are left out, so no path passes a tile; a tile is then one step behind the routers that feed it.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    into = fabric.tile_index[fabric.link_target] >= 0
    source, target = fabric.link_source, fabric.link_target
    graph = csr_array((np.ones((~into).sum()), (source[~into], target[~into])), shape=(fabric.n_nodes,) * 2)
    steps = shortest_path(graph, unweighted=True, indices=fabric.tile_node)
    distance = np.full((fabric.n_tiles, fabric.n_tiles), np.inf)
    for router, tile in zip(source[into], fabric.tile_index[target[into]], strict=True):
        distance[:, tile] = np.minimum(distance[:, tile], steps[:, router])
    np.fill_diagonal(distance, 0)
    return np.where(np.isfinite(distance), distance, -1).astype(np.int64)


def construct(
    n_in: int,
    n_out: int,
    rng: np.random.Generator,
    tile: int = 0,
    density: float = 0.2,
    decay: float = 2.0,
    depth: int = 1,
) -> Topology:
    """Tiles of ``tile`` neurons on the most square mesh, own tile dense, branches of density p_d = min(1, c / d^decay), c set so that
    ``density`` of all (neuron, other tile) pairs are wired. Drawn anew for every stage. Hop classes by breadth-first search.
    """
    at_least("density", density, 0.0, 1.0, "small-world")
    at_least("depth", depth, 1, 4096, "small-world")
    size, distance = _geometry(n_in, n_out, tile)
    profile = decaying_profile(distance, density, decay)
    stages = tuple(branch_stage(profile_branches(distance, size, profile, rng), size) for _ in range(depth))
    return Topology("small-world", (folded(stages, n_in, n_out),), f"{len(distance)} tiles of {size}, decay {decay:g}")


def decaying_profile(hop_distance: NDArray[np.integer], density: float, decay: float) -> dict[int, float]:
    """p_d = min(1, c / d^decay) with sum over classes of p_d n_d = ``density`` times all pairs of different tiles, c by bisection."""
    values, counts = np.unique(hop_distance[hop_distance > 0], return_counts=True)
    low, high = 0.0, float(values.max(initial=1)) ** max(decay, 0.0) if values.size else 0.0
    for _ in range(60):
        middle = (low + high) / 2
        wired = float(np.minimum(1.0, middle * values.astype(float) ** -decay) @ counts)
        low, high = (middle, high) if wired < density * counts.sum() else (low, middle)
    return {int(d): float(min(1.0, low * float(d) ** -decay)) for d in values}


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """One and two stages at the density the budget pays."""
    width = max(n_in, n_out)
    size = divisor_near(width, max(1.0, width**0.5 / 2))
    tiles = width // size
    for depth in (1, 2):
        left = budget / depth - width * size
        if 1 < tiles <= 1024 and 0 < left <= width * (width - size):
            yield {"depth": depth, "density": 0.98 * left / (width * (width - size)), "decay": 2.0}


FAMILY = Family(
    "small-world", "own tile dense, fewer branches the farther", construct, proposals, even=False, full=False
)
