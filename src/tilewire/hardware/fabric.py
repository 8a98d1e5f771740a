"""A tile fabric: the graph of tiles, routers and directed links that every placer, router, budget and cost sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import HardwareError
from tilewire.hardware.technology import Technology

if TYPE_CHECKING:
    from tilewire.hardware.runs import Lines

NORTH, EAST, SOUTH, WEST, LOCAL = range(5)
PORTS = ("north", "east", "south", "west", "local")
OPPOSITE = np.array([SOUTH, WEST, NORTH, EAST, LOCAL], np.int8)
STEP = np.array([[-1, 0], [0, 1], [1, 0], [0, -1], [0, 0]], np.int32)  # canvas move of each out port
MAX_TILES = 1 << 14
TILE = 0  # index of the kind "tile" in every fabric

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class DeviceMemory:
    """Crossbar devices of a chip, in all and per kind of unit."""

    by_kind: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_kind.values())


# Straight runs of a fixed path: (source tiles [n], target tiles [n]) -> (out ports int8 [n, k], lengths int32 [n, k]).
FixedPath = Callable[["TileFabric", Ints, Ints], tuple[NDArray[np.int8], Ints]]
# Devices for port widths int32 [nodes, 2, ports] (in, out); ``sized`` counts each unit at its own width.
MemoryRule = Callable[["TileFabric", Ints, bool], DeviceMemory]


@dataclass(frozen=True, eq=False)
class TileFabric:
    """Nodes are tiles and routers on a canvas; link l runs from an out port of one node to an in port of its neighbour.

    ``kind`` int8 [nodes] indexes ``kinds`` (``kinds[0]`` is "tile"); ``row`` and ``column`` are canvas positions; tiles are
    numbered row-major and ``tile_node`` [tiles] gives their nodes. ``link_source``, ``link_target`` int32 [links] are nodes,
    ``link_port`` int8 [links] is the out port at the source. ``port_width`` int32 [nodes, 2, ports] holds the channels of each
    in and out port; the capacity of a link is the smaller of its two ends.
    A net occupies one channel of each link it crosses; fan-out inside a router is free; tiles are never passed through.
    """

    family: str
    grid: tuple[int, int]
    neurons_per_tile: int
    canvas: tuple[int, int]
    kinds: tuple[str, ...]
    kind: NDArray[np.int8]
    row: Ints
    column: Ints
    tile_node: Ints
    link_source: Ints
    link_target: Ints
    link_port: NDArray[np.int8]
    port_width: Ints
    fixed_path: FixedPath
    memory_rule: MemoryRule
    technology: Technology | None = None
    name: str = field(default="")

    @property
    def n_tiles(self) -> int:
        return int(self.tile_node.size)

    @property
    def n_neurons(self) -> int:
        return self.n_tiles * self.neurons_per_tile

    @property
    def n_nodes(self) -> int:
        return int(self.kind.size)

    @property
    def n_links(self) -> int:
        return int(self.link_source.size)

    @cached_property
    def capacity(self) -> Ints:
        """Channels of each link, int32 [links]."""
        out = self.port_width[self.link_source, 1, self.link_port]
        into = self.port_width[self.link_target, 0, OPPOSITE[self.link_port]]
        capacity: Ints = np.minimum(out, into)
        return capacity

    @cached_property
    def link_at(self) -> Ints:
        """Link that leaves a node by a port, -1 where there is none: int32 [nodes, ports]."""
        table = np.full((self.n_nodes, len(PORTS)), -1, np.int32)
        table[self.link_source, self.link_port] = np.arange(self.n_links)
        return table

    @cached_property
    def lines(self) -> Lines:
        """The links in straight lines, of which the runs of fixed paths are pieces."""
        from tilewire.hardware.runs import lines_of

        return lines_of(self)

    @cached_property
    def tile_index(self) -> Ints:
        """Tile number of a node, -1 for routers: int32 [nodes]."""
        index = np.full(self.n_nodes, -1, np.int32)
        index[self.tile_node] = np.arange(self.n_tiles)
        return index

    @cached_property
    def link_class(self) -> NDArray[np.int8]:
        """0 router to router, 1 into a tile, 2 out of a tile: int8 [links]."""
        into, out = self.kind[self.link_target] == TILE, self.kind[self.link_source] == TILE
        return np.where(into, 1, np.where(out, 2, 0)).astype(np.int8)

    @cached_property
    def hop_distance(self) -> Ints:
        """Routers on a shortest path between tiles, by breadth-first search: int32 [tiles, tiles], 0 on the diagonal, -1 unreachable.

        A link of width 0 counts as a wire: classes are geometry, what fits through them is the budget's business.
        """
        from tilewire.hardware.breadth_first import hop_distance

        return hop_distance(self)

    @cached_property
    def hop_classes(self) -> dict[int, int]:
        """Ordered pairs of different tiles per hop class d."""
        distance = self.hop_distance[~np.eye(self.n_tiles, dtype=bool)]
        values, counts = np.unique(distance[distance >= 0], return_counts=True)
        return {int(d): int(n) for d, n in zip(values, counts, strict=True)}

    def memory(self, port_width: Ints | None = None, *, sized: bool = False) -> DeviceMemory:
        """Device memory M of this chip, or of the same chip with other port widths [nodes, 2, ports].

        ``sized=False`` counts every unit of a kind at the widest (homogeneous chip); True counts each at its own width.
        """
        return self.memory_rule(self, self.port_width if port_width is None else port_width, sized)

    def widths_for(self, load: NDArray[np.integer], *, tile_out_sized: bool = False) -> Ints:
        """Port widths that just carry link loads int [links], as int32 [nodes, 2, ports].

        Tile out ports, and the router inputs that face them, keep their full width (a tile side is wired for free)
        unless ``tile_out_sized``.
        """
        width = np.zeros_like(self.port_width)
        use = np.asarray(load, np.int32)
        if not tile_out_sized:
            free = self.link_class == 2
            use = np.where(free, self.port_width[self.link_source, 1, self.link_port], use)
        width[self.link_source, 1, self.link_port] = use
        width[self.link_target, 0, OPPOSITE[self.link_port]] = use
        return width

    def tile_name(self, tile: int) -> str:
        row, column = divmod(tile, self.grid[1])
        return f"tile {tile} (row {row}, column {column})"

    def link_name(self, link: int) -> str:
        """The port that limits a link, in words: the in port of a tile, else the out port of the router."""
        node, port = int(self.link_source[link]), int(self.link_port[link])
        target = int(self.link_target[link])
        if self.kind[target] == TILE:
            return f"{self.tile_name(int(self.tile_index[target]))}, port in {PORTS[OPPOSITE[port]]}"
        if self.kind[node] == TILE:
            return f"{self.tile_name(int(self.tile_index[node]))}, port out {PORTS[port]}"
        return f"{self.kinds[self.kind[node]]} router ({self.row[node]}, {self.column[node]}), port out {PORTS[port]}"


def checked_grid(grid: tuple[int, int]) -> tuple[int, int]:
    """The grid of a description. Raises ValueError unless it has 1 to `MAX_TILES` tiles: the hop table is [tiles, tiles]."""
    if min(grid) < 1 or grid[0] * grid[1] > MAX_TILES:
        raise ValueError(f"grid is [rows, columns], each at least 1, at most {MAX_TILES} tiles")
    return grid


def check_fabric(fabric: TileFabric) -> None:
    """Raises `HardwareError` if the graph is not one that nets can be routed on."""
    if fabric.n_tiles < 1 or fabric.neurons_per_tile < 1:
        raise HardwareError(f"{fabric.n_tiles} tiles of {fabric.neurons_per_tile} neurons carry no network")
    if (fabric.port_width < 0).any():
        raise HardwareError("a port has a negative width", hint="0 removes a port; widths count channels")
    if np.any(fabric.hop_distance < 0):
        source, target = (int(i) for i in np.argwhere(fabric.hop_distance < 0)[0])
        raise HardwareError(f"{fabric.tile_name(target)} cannot be reached from {fabric.tile_name(source)}")
    # A single closed tile is a choice (blocked ports); nets into it are refused by their verdict.
    if fabric.n_tiles > 1 and not fabric.capacity[fabric.link_class == 1].any():
        raise HardwareError(
            "no tile can be entered: every port into a tile has width 0", hint="a tile_in of at least 1 on one side"
        )
