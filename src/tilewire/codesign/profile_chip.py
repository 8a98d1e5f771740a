"""Device memory as a function of the profile: the smallest chip that carries random networks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.needed import wired_out
from tilewire.mapping.negotiated_sizing import size_negotiated
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placement import by_index
from tilewire.mapping.profile_sizing import draw_branches
from tilewire.mapping.routing import ROUTER_LINK
from tilewire.mapping.sizing import TILE_OUT_LINK, link_widths, side_loads
from tilewire.mapping.trees import loads

Ints = NDArray[np.int32]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class ProfileChip:
    """A chip on which ``networks`` random networks of a profile all route, and what each of them needs by itself.

    A fresh network fits with ``probability``, at 95 % confidence: the 5 % point of Beta(n - k + 1, k), n = ``networks``, k = limits
    that were read off them (sides of a tile, router, tile output). Each limit is a maximum and cuts off one network at most
    (tolerance regions of Wald 1943; Wilks 1941 for k = 1: 0.05^(1 / n)). ``needed`` is the mean of M of the smallest chip of one
    network, ``needed_low`` and ``needed_high`` its 2.5 % and 97.5 % points; ``memory_devices`` is M of the chip.
    ``densities`` are those that the rounded quotas of this grid have.
    """

    router: int
    tile_in: dict[str, int]
    tile_out: int
    memory_devices: int
    needed: float
    needed_low: float
    needed_high: float
    probability: float
    networks: int
    densities: dict[int, float]

    def hardware(self, fabric: TileFabric) -> dict[str, Any]:
        """The chip as a hardware file states it."""
        tile_in: int | dict[str, int] = (
            self.tile_in if fabric.family == "mosaic" else max(self.tile_in.values(), default=0)
        )
        channels = {"router": self.router, "tile_in": tile_in, "tile_out": self.tile_out}
        return {
            "family": fabric.family, "grid": list(fabric.grid), "neurons_per_tile": fabric.neurons_per_tile, "channels": channels
        }  # fmt: skip


def coverage(networks: int, limits: int) -> float:
    """Probability that a fresh network keeps ``limits`` maxima over ``networks`` random ones, at 95 % confidence; 0 with fewer networks."""
    from scipy.stats import beta

    if not limits:
        return 1.0
    return float(beta.ppf(1 - CONFIDENCE, networks - limits + 1, limits)) if networks >= limits else 0.0


def profile_chip(
    fabric: TileFabric,
    profile: Mapping[int, float],
    *,
    router: str = "one-turn",
    tile_out_sized: bool = False,
    networks: int,
    rng: np.random.Generator,
) -> ProfileChip:
    """Route random networks of a profile on a grid, whatever its channels, and take the widest load of every kind of port.

    The negotiated router takes the cheaper of its own trees and the fixed paths, network by network, and seconds for each.
    """
    chip = wired_out(fabric)
    placement = by_index(chip.n_neurons, chip)
    widest, devices, counts = np.zeros(chip.n_links, np.int32), [], dict.fromkeys(chip.hop_classes, 0.0)
    for _ in range(networks):
        branches = draw_branches(chip, profile, rng)
        load = _load(chip, branches, placement, router, tile_out_sized, rng)
        widest = np.maximum(widest, load)
        devices.append(_devices(chip, load, tile_out_sized))
        hop = chip.hop_distance[branches.source // chip.neurons_per_tile, branches.target]
        for d in counts:
            counts[d] += float((hop == d).sum()) / networks
    sides, inner = side_loads(chip, widest), int(widest[chip.link_class == ROUTER_LINK].max(initial=0))
    out = int(widest[chip.link_class == TILE_OUT_LINK].max(initial=0)) if tile_out_sized else chip.neurons_per_tile
    width = link_widths(chip, inner, sides)
    width[chip.link_class == TILE_OUT_LINK] = out
    low, high = np.percentile(devices, [2.5, 97.5])
    return ProfileChip(
        inner, sides, out, _devices(chip, width, tile_out_sized), float(np.mean(devices)), float(low), float(high),
        coverage(networks, sum(limit > 0 for limit in sides.values()) + (inner > 0) + tile_out_sized), networks,
        {d: n / (chip.neurons_per_tile * chip.hop_classes[d]) for d, n in counts.items()},
    )  # fmt: skip


def _load(
    chip: TileFabric, branches: Connectivity, placement: Ints, router: str, sized: bool, rng: np.random.Generator
) -> Ints:
    fixed = loads(chip, route_one_turn(chip, branches, placement))
    if router == "one-turn":
        return fixed
    trees = size_negotiated(chip, branches, placement, tile_out_sized=sized, pricings=0, rng=rng)[1]
    return min((fixed, loads(chip, trees)), key=lambda load: _devices(chip, load, sized))


def _devices(chip: TileFabric, load: Ints, sized: bool) -> int:
    return chip.memory(chip.widths_for(load, tile_out_sized=sized)).total
