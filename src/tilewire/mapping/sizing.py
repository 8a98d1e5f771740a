"""Sizing: the smallest channel widths that carry given nets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.fabric import OPPOSITE, PORTS, TileFabric
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.routing import ROUTER_LINK, TILE_IN_LINK
from tilewire.mapping.trees import loads

Ints = NDArray[np.int32]
TILE_OUT_LINK = 2


@dataclass(frozen=True)
class Size:
    """Widths in channels and device memory M of the chip that has them; ``lower_bound`` holds proven bounds of the same figures."""

    router: int
    tile_in: int
    tile_in_sides: dict[str, int] | None
    tile_out: int
    memory_devices: int
    lower_bound: dict[str, int]


def side_loads(fabric: TileFabric, load: Ints) -> dict[str, int]:
    """Widest tile input per side, for the sides that tiles of this family have."""
    into = fabric.link_class == TILE_IN_LINK
    side = OPPOSITE[fabric.link_port[into]]
    return {PORTS[s]: int(load[into][side == s].max(initial=0)) for s in np.unique(side).tolist()}


def out_width(fabric: TileFabric, load: Ints, sized: bool) -> int:
    """Width of the widest tile output: what the nets need, or what the chip has."""
    out = fabric.link_class == TILE_OUT_LINK
    return int((load if sized else fabric.capacity)[out].max(initial=0))


def link_widths(fabric: TileFabric, router: int, tile_in: Mapping[str, int]) -> Ints:
    """Channels per link, int32 [links], of a chip with one router width and one tile input width per side; 0 out of tiles."""
    side = np.array([tile_in.get(name, 0) for name in PORTS])[OPPOSITE[fabric.link_port]]
    return np.choose(fabric.link_class, [router, side, 0]).astype(np.int32)


def blocked_links(fabric: TileFabric) -> NDArray[np.bool_]:
    """Links [links] without channels among links of their class and direction that have some: blocked ports, at any width.

    Where a chip gives a whole side or class no channels, that is a width like any other.
    """
    kind = fabric.link_class.astype(np.int64) * (int(fabric.link_port.max(initial=0)) + 1) + fabric.link_port
    widest = np.zeros(int(kind.max(initial=0)) + 1, np.int64)
    np.maximum.at(widest, kind, fabric.capacity)
    blocked: NDArray[np.bool_] = (fabric.capacity == 0) & (widest[kind] > 0)
    return blocked


def through_blocked(fabric: TileFabric, nets: Ints) -> HardwareError:
    """The error of nets [links] that cannot but use a blocked port."""
    link = int(np.argmax(nets))
    return HardwareError(
        f"no channel widths carry these nets: {int(nets[link])} need a blocked port", where=fabric.link_name(link),
        hint="unblock it, place the groups otherwise, or let the negotiated router look for a way round",
    )  # fmt: skip


def over_outputs(fabric: TileFabric, load: Ints, width: int) -> HardwareError | None:
    """The error of nets that leave a tile by more lines than ``width``; None if there are none. ``load``: int32 [links]."""
    out = np.where(fabric.link_class == TILE_OUT_LINK, load, 0)
    link = int(np.argmax(out))
    if out[link] <= width:
        return None
    return HardwareError(
        f"no widths of routers and tile inputs carry these nets: {int(out[link])} leave by {width} channels",
        where=fabric.link_name(link),
        hint="count the tile outputs that the nets need (--tile-out sized), widen tile_out, or place the groups otherwise",
    )


def size_one_turn(fabric: TileFabric, branches: Connectivity, placement: Ints, *, tile_out_sized: bool = False) -> Size:
    """Smallest widths under the fixed paths: they have no choice, so the widths are their own lower bounds.

    ``memory_devices`` is M of the homogeneous chip, each tile side, corner and edge router kind at its own widest load. Raises
    `HardwareError` if a fixed path uses a blocked port, or more channels out of a tile than the chip has and they are not sized too.
    """
    load = loads(fabric, route_one_turn(fabric, branches, placement))
    stuck = np.where(blocked_links(fabric), load, 0)
    if stuck.any():
        raise through_blocked(fabric, stuck)
    error = None if tile_out_sized else over_outputs(fabric, load, out_width(fabric, load, sized=False))
    if error:
        raise error
    sides = side_loads(fabric, load)
    router, tile_in = int(load[fabric.link_class == ROUTER_LINK].max(initial=0)), max(sides.values(), default=0)
    devices = fabric.memory(fabric.widths_for(load, tile_out_sized=tile_out_sized)).total
    bound = {"router": router, "tile_in": tile_in, "memory_devices": devices}
    return Size(router, tile_in, sides, out_width(fabric, load, tile_out_sized), devices, bound)
