"""W4: one-turn multicast routing on a 32 x 32 Mosaic of 32 neurons, a branch to another tile with probability 0.5 / d^2 (d = hop class).

The first contest routes everything: 1.3 million used ports. The second takes one branch out and in again, against routing everything anew,
which is what a loop without the incremental state would do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.bench.contest import Contest, Contestant
from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mosaic import mosaic, one_turn_reference
from tilewire.mapping.one_turn import route_one_turn, route_one_turn_reference
from tilewire.mapping.port_loads import PortLoads
from tilewire.mapping.trees import Trees, loads

GRID, SIZE = (32, 32), 32


@dataclass(frozen=True, eq=False)
class Nets:
    """Branches neuron -> tile on a chip, neurons standing tile by tile."""

    fabric: TileFabric
    placement: NDArray[np.int32]
    branches: Connectivity


def contests() -> list[Contest]:
    """Everything, and one branch."""
    return contests_of(lru_cache(maxsize=1)(lambda: draw(GRID, SIZE)))


def contests_of(case: Callable[[], Nets]) -> list[Contest]:
    """The contests on any nets."""
    whole: dict[str, Callable[[], Contestant]] = {
        "python-hops": lambda: _whole(case(), _hops), "tilewire": lambda: _whole(case(), route_one_turn),
    }  # fmt: skip
    single: dict[str, Callable[[], Contestant]] = {
        "route-all": lambda: _whole(case(), route_one_turn), "tilewire-one-branch": lambda: _one_branch(case()),
    }  # fmt: skip
    return [
        Contest("W4 one-turn routing", whole, frozenset({"tilewire"}), tuple(whole), 0.0, rounds=40),
        Contest("W4 one branch out and in", single, frozenset({"tilewire-one-branch"}), tuple(single), 0.0, rounds=25),
    ]


def draw(grid: tuple[int, int], size: int) -> Nets:
    """Branches at random, the same every time."""
    fabric = mosaic(grid, size)
    rng = np.random.default_rng(0)
    chance = 0.5 / np.maximum(fabric.hop_distance, 1).astype(np.float64) ** 2
    np.fill_diagonal(chance, 0)
    placement = np.repeat(np.arange(fabric.n_tiles, dtype=np.int32), size)
    wired = rng.random((fabric.n_neurons, fabric.n_tiles), np.float32) < chance[placement]
    source, target = np.nonzero(wired)
    return Nets(fabric, placement, Connectivity.of(source, target, fabric.n_neurons, fabric.n_tiles))


Router = Callable[[TileFabric, Connectivity, NDArray[np.int32]], Any]


def _hops(fabric: TileFabric, branches: Connectivity, placement: NDArray[np.int32]) -> Trees:
    """Branch by branch, nothing compiled: the arrays of its path, then its hops."""
    return route_one_turn_reference(fabric, branches, placement, one_turn_reference)


def _whole(nets: Nets, router: Router) -> Contestant:
    last: list[Any] = []

    def step() -> None:
        last[:] = [router(nets.fabric, nets.branches, nets.placement)]

    return Contestant(step, lambda: [loads(nets.fabric, last[0])])


def _one_branch(nets: Nets) -> Contestant:
    state = PortLoads.of(nets.fabric, nets.branches, nets.placement)
    rng, chosen = np.random.default_rng(1), [0]

    def prepare() -> None:
        chosen[0] = int(rng.integers(len(nets.branches)))
        # the paths of a source tile are tabled at its first use; a rewiring loop has met all tiles after its first steps
        state.path(int(nets.branches.source[chosen[0]]), int(nets.branches.target[chosen[0]]))

    def step() -> None:
        neuron, tile = int(nets.branches.source[chosen[0]]), int(nets.branches.target[chosen[0]])
        state.remove_branch(neuron, tile)
        state.add_branch(neuron, tile)

    return Contestant(step, lambda: [state.load], prepare)
