"""Packed weight rows: each block is one branch, the S synapses from a source to one tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError

DEAD = -1
"""Tile of a slot that carries no branch: it has no effect and its weights get zero gradient."""


@dataclass(frozen=True, eq=False)
class Order:
    """Live blocks grouped by a key: group k is ``block[ptr[k] : ptr[k + 1]]`` with ``ptr`` [groups + 1]."""

    ptr: NDArray[np.int64]
    block: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """P blocks of weights between sources and tiles; the weights live outside as [P, S].

    ``weight[p, j]`` is the synapse from source ``source[p]`` to neuron ``tile[p] * S + j``. The slots need no
    order and rewiring may change ``source`` and ``tile`` in place (call ``check`` after it if in doubt);
    a slot with ``tile`` = -1 is dead. Blocks that share source and tile add up.

    Attributes: ``source`` int32 [P]; ``tile`` int32 [P]; ``n_sources``; ``n_tiles``; ``tile_size`` S.
    Raises ``UsageError`` for indices out of range.
    """

    source: NDArray[np.int32]
    tile: NDArray[np.int32]
    n_sources: int
    n_tiles: int
    tile_size: int

    def __post_init__(self) -> None:
        """Bring the arrays to int32 (without a copy where they are) and verify them."""
        object.__setattr__(self, "source", np.ascontiguousarray(self.source, dtype=np.int32))
        object.__setattr__(self, "tile", np.ascontiguousarray(self.tile, dtype=np.int32))
        self.check()

    def __len__(self) -> int:
        return self.source.size

    @property
    def neurons(self) -> int:
        """Number of destination neurons N = n_tiles * S."""
        return self.n_tiles * self.tile_size

    def check(self) -> None:
        """Raise ``UsageError`` unless every live block lies inside the network, O(P)."""
        if min(self.n_sources, self.n_tiles) < 0 or self.tile_size < 1:
            raise UsageError(f"blocks: {self.n_sources} sources, {self.n_tiles} tiles of {self.tile_size} neurons")
        if self.source.ndim != 1 or self.source.shape != self.tile.shape:
            raise UsageError(f"blocks: {self.source.shape} sources but {self.tile.shape} tiles")
        live = self.tile != DEAD
        wrong = (self.tile < DEAD) | (self.tile >= self.n_tiles)
        wrong |= live & ((self.source < 0) | (self.source >= self.n_sources))
        if wrong.any():
            slot = int(np.argmax(wrong))
            raise UsageError(
                f"block {slot} runs from source {self.source[slot]} to tile {self.tile[slot]}; "
                f"limits: {self.n_sources} sources, {self.n_tiles} tiles",
                hint="use tile -1 for a dead slot",
            )

    def by_source(self) -> Order:
        """Live blocks grouped by source; in a group the tiles ascend, equal tiles in slot order."""
        tile = np.where(self.tile == DEAD, np.int32(self.n_tiles), self.tile)
        return _grouped(self.source, self.n_sources, order(tile, self.n_tiles).block)

    def by_tile(self) -> Order:
        """Live blocks grouped by destination tile; in a group the sources ascend, equal ones in slot order."""
        live = np.flatnonzero(self.tile != DEAD)
        return _grouped(self.tile, self.n_tiles, live[order(self.source[live], self.n_sources).block])


def order(key: NDArray[np.integer], n_groups: int) -> Order:
    """Group slots by ``key``, ascending inside a group; keys >= ``n_groups`` are left out. O(P + n_groups)."""
    ptr = np.zeros(n_groups + 1, np.int64)
    np.cumsum(np.bincount(key, minlength=n_groups)[:n_groups], out=ptr[1:])
    # numpy's stable sort is a radix sort, hence linear, for 16-bit keys only
    block = np.argsort((key & 0xFFFF).astype(np.uint16), kind="stable")
    if n_groups > 0xFFFF:
        block = block[np.argsort((key[block] >> 16).astype(np.uint16), kind="stable")]
    return Order(ptr, block[: ptr[-1]])


def _grouped(key: NDArray[np.int32], n_groups: int, slots: NDArray[np.int64]) -> Order:
    """Group the listed slots by key, keeping their sequence inside a group."""
    groups = order(key[slots], n_groups)
    return Order(groups.ptr, slots[groups.block])
