"""Negotiated sizing: the (router, tile_in) widths of least device memory that given nets can be routed in, and a proven lower bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.certificate import Certificate, of_cut, price_bound
from tilewire.mapping.cuts import Cut, Rectangles, worst_tile
from tilewire.mapping.negotiated import PROGRESS, Effort, negotiate
from tilewire.mapping.nets import Nets
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.routing import ROUTER_LINK, ROUTERS, TILE_IN_LINK, max_load
from tilewire.mapping.sizing import (
    TILE_OUT_LINK,
    Size,
    blocked_links,
    out_width,
    over_outputs,
    size_one_turn,
    through_blocked,
)
from tilewire.mapping.trees import Trees, loads

Ints = NDArray[np.int32]
Row = tuple[int, int, int, int]
Best = tuple[int, int, int]
Miss = tuple[int, int, int]
ATTEMPT = Effort(rounds=200, patience=24.0)
INSIST = Effort(rounds=400, patience=40.0, rise=2.0)
CLOSE, FAR = (
    0.01,
    0.02,
)  # over-use per hop up to which a miss is worth insisting on, and above which its router width is given up
WINDOW, FEW = 3, 3  # tile inputs that may miss in a row without progress; over-use that counts as progress
PRICINGS = 3


class _Chip:
    """Chips of one fabric with uniform widths: capacities, device memory, and the proven inequalities that widths must satisfy.

    A certificate with weights y gives a router + b tile_in + c tile_out >= need for every chip that carries the nets, a the sum of y
    over router links, b and c over links into and out of tiles. Blocked links have no channels at any width. ``coupled``: outputs are sized
    and as wide as inputs, at most ``full``; otherwise they are ``full`` channels wide.
    """

    def __init__(self, fabric: TileFabric, branches: Connectivity, placement: Ints, tile_out_sized: bool) -> None:
        self.fabric = fabric
        out = fabric.link_class == TILE_OUT_LINK
        one_way = bool((np.bincount(fabric.link_source[out]) <= 1).all())
        self.coupled = tile_out_sized and not one_way
        if self.coupled:
            self.full = fabric.neurons_per_tile  # no net leaves by a side twice
        elif tile_out_sized:
            self.full = _leaving(branches, placement)
        else:
            self.full = int(fabric.capacity[out].max(initial=0))
        self.open = ~blocked_links(fabric)
        self.rows: list[Row] = []

    def tile_out(self, tile_in: int) -> int:
        """Width of the tile outputs: the chip's, or sized.

        Where a tile has one way out the nets leave no choice. Where it has several (Mosaic), outputs are as wide as the inputs: narrower
        ones save nothing, since a crossbar is as large as its wider side.
        """
        return min(self.full, tile_in) if self.coupled else self.full

    def capacity(self, router: int, tile_in: int) -> Ints:
        widths = [router, tile_in, self.tile_out(tile_in)]
        return np.where(self.open, np.choose(self.fabric.link_class, widths), 0).astype(np.int32)

    def memory(self, router: int, tile_in: int) -> int:
        width = self.fabric.widths_for(self.capacity(router, tile_in), tile_out_sized=True)
        return self.fabric.memory(width).total

    def learn(self, proof: Certificate) -> None:
        kinds = (ROUTER_LINK, TILE_IN_LINK, TILE_OUT_LINK)
        a, b, c = (int(proof.weight[(self.fabric.link_class == kind) & self.open].sum()) for kind in kinds)
        self.rows.append((a, b, c, proof.need))

    def least_router(self, tile_in: int) -> int | None:
        """Least router width that no inequality forbids; None if this tile_in is forbidden at any."""
        least = 0
        for a, b, c, need in self.rows:
            lack = need - b * tile_in - c * self.tile_out(tile_in)
            if lack > 0 and a == 0:
                return None
            least = max(least, -(-lack // a) if lack > 0 else 0)
        return least

    def least_tile_in(self) -> int:
        """Least tile_in that no inequality forbids whatever the router width."""
        tile_in = 0
        while self.least_router(tile_in) is None:
            tile_in += 1
        return tile_in

    def bound(self, top: int) -> tuple[int, int, int]:
        """(memory, router, tile_in) of least memory that the inequalities admit, tile_in up to ``top``."""
        start = self.least_tile_in()
        pairs = [(t, self.least_router(t) or 0) for t in range(start, max(top, start) + 1)]
        return min((self.memory(r, t), r, t) for t, r in pairs)


def _leaving(branches: Connectivity, placement: Ints) -> int:
    """Most nets that leave one tile."""
    sources = np.unique(branches.without_own(placement).source)
    return int(np.bincount(placement[sources]).max(initial=0))


def _learn_cuts(chip: _Chip, branches: Connectivity, placement: Ints, top: int) -> None:
    """Add violated cuts of tiles and rectangles until the widths of least memory, and the least of either, violate none."""
    rectangles = Rectangles.of(chip.fabric, branches, placement)

    def worst(capacity: Ints) -> Cut | None:
        tile = worst_tile(chip.fabric, branches, placement, capacity)
        return tile or (rectangles.worst(capacity) if rectangles else None)

    while True:
        least = chip.least_tile_in()
        points = [chip.bound(top)[1:], (chip.least_router(top) or 0, top), (chip.least_router(least) or 0, least)]
        cuts = [cut for point in points if (cut := worst(chip.capacity(*point)))]
        if not cuts:
            return
        for cut in cuts:
            chip.learn(of_cut(chip.fabric, cut))


def _start(chip: _Chip, branches: Connectivity, placement: Ints, rng: np.random.Generator) -> Trees:
    """Trees on a chip of ample widths: the fixed paths, or a way round blocked ports and tile outputs that are too narrow.

    Raises `HardwareError` if no widths carry the nets.
    """
    trees = route_one_turn(chip.fabric, branches, placement)
    ample = chip.capacity(branches.n_sources, branches.n_sources)
    if (loads(chip.fabric, trees) <= ample).all():
        return trees
    found = negotiate(chip.fabric, branches, placement, capacity=ample, rng=rng)
    if found.overuse:
        load = loads(chip.fabric, found.trees)
        raise over_outputs(chip.fabric, load, chip.full) or through_blocked(chip.fabric, np.maximum(load - ample, 0))
    return found.trees


def size_negotiated(
    fabric: TileFabric,
    branches: Connectivity,
    placement: Ints,
    *,
    tile_out_sized: bool = False,
    pricings: int = PRICINGS,
    rng: np.random.Generator,
) -> tuple[Size, Trees]:
    """Widths of least device memory M(router, tile_in) that the negotiated router can use, ties to the smaller router; and the trees.

    Starts from the fixed paths, and lets each tile_in in turn lower the router width as far as it beats the best M, warm from the last
    trees, until wider tile inputs no longer bring the over-use down. Blocked ports stay blocked, and tile outputs that are not sized keep
    the width that the chip gives them; `HardwareError` if no widths help.
    ``lower_bound``: least router and least tile_in whatever the other, and least M, from cuts and prices (see `certificate`).
    ``pricings``: how often prices may sharpen the bound.
    """
    chip = _Chip(fabric, branches, placement, tile_out_sized)
    trees = _start(chip, branches, placement, rng)
    load = loads(fabric, trees)
    start = max_load(fabric, load)
    # Where outputs are as wide as inputs, the inputs of the first trees must be as wide as their outputs.
    top = max(start["tile_in"], out_width(fabric, load, sized=True) if chip.coupled else 0)
    _learn_cuts(chip, branches, placement, top)
    search = _Search(chip, branches, placement, rng)
    best = search.run(start["router"], top)
    for _ in range(pricings if search.price is not None else 0):
        memory, router, tile_in = chip.bound(max(top, best[2]))
        if memory >= best[0] or search.price is None:
            break
        # The widths that the bound still admits are those to refute: an inequality that refutes them cuts deepest there.
        aim = chip.capacity(router, tile_in)
        proof = price_bound(fabric, branches, placement, aim, search.price, enough=np.inf)
        chip.learn(proof)
        if proof.ratio <= 1:
            break
    least = chip.bound(max(top, best[2]))
    bound = {
        "router": chip.least_router(max(top, best[2])) or 0,
        "tile_in": chip.least_tile_in(),
        "memory_devices": min(least[0], best[0]),
    }
    return Size(best[1], best[2], None, chip.tile_out(best[2]), best[0], bound), search.trees or trees


def size_nets(
    fabric: TileFabric,
    nets: Nets,
    placement: Ints,
    *,
    router: str,
    tile_out_sized: bool = False,
    rng: np.random.Generator,
) -> Size:
    """Size for a router by name, see `size_one_turn` and `size_negotiated`. Raises `UsageError` for an unknown router."""
    branches = nets.on_tiles(placement)
    if router == "one-turn":
        return size_one_turn(fabric, branches, placement, tile_out_sized=tile_out_sized)
    if router == "negotiated":
        return size_negotiated(fabric, branches, placement, tile_out_sized=tile_out_sized, rng=rng)[0]
    raise UsageError(unknown("router", router, ROUTERS))


class _Search:
    """Routing attempts in falling device memory."""

    def __init__(self, chip: _Chip, branches: Connectivity, placement: Ints, rng: np.random.Generator) -> None:
        self.chip, self.branches, self.placement, self.rng = chip, branches, placement, rng
        self.trees: Trees | None = None
        self.price: NDArray[np.float64] | None = None  # of the last failure
        self.floor = 0  # router widths below missed by far

    def overuse(self, router: int, tile_in: int, effort: Effort = ATTEMPT) -> int:
        """What is left after an attempt; 0, and its trees are kept, if it succeeds."""
        found = negotiate(
            self.chip.fabric, self.branches, self.placement, capacity=self.chip.capacity(router, tile_in), effort=effort,
            rng=self.rng, warm=self.trees,
        )  # fmt: skip
        if found.overuse:
            self.price = found.price
            if found.overuse > FEW + FAR * found.trees.link.size:
                self.floor = max(self.floor, router + 1)
        else:
            self.trees = found.trees
        return found.overuse

    def run(self, router: int, top: int) -> Best:
        """(memory, router, tile_in) of the best chip found; ``router``, ``top`` are widths that the first trees need."""
        best, first = (self.chip.memory(router, top), router, top), self.chip.least_tile_in()
        while True:
            best, misses = self.sweep(best, first, top)
            close = [miss for miss in misses if (self.chip.memory(*miss[1:]), miss[1]) < best[:2]]
            if not close or self.trees is None or min(close)[0] > FEW + CLOSE * self.trees.link.size:
                return best
            _, router, first = min(close)
            if self.overuse(router, first, INSIST):
                return best
            best = (self.chip.memory(router, first), router, first)

    def sweep(self, best: Best, first: int, top: int) -> tuple[Best, list[Miss]]:
        """Raise tile_in from ``first``; misses are (over-use, router, tile_in) since the last success."""
        chip, misses = self.chip, list[Miss]()
        for tile_in in range(first, top + 1):
            low, high = max(chip.least_router(tile_in) or 0, self.floor), best[1]
            while high >= low and (chip.memory(high, tile_in), high) >= best[:2]:
                high -= 1
            if high < low:
                if self.trees and chip.memory(low, tile_in) >= best[0] and tile_in > best[2]:
                    break
                continue
            left = self.overuse(high, tile_in)
            if left:
                misses.append((left, high, tile_in))
                if len(misses) > WINDOW and left > max(FEW, PROGRESS * misses[-1 - WINDOW][0]):
                    break
                continue
            best, misses = self.lower(low, high, tile_in), []
        return best, misses

    def lower(self, low: int, high: int, tile_in: int) -> Best:
        """Bisect the router width down from ``high``, which routes."""
        while low < high:
            middle = (low + high) // 2
            if self.overuse(middle, tile_in):
                low = max(middle + 1, self.floor)
            else:
                high = middle
        return self.chip.memory(high, tile_in), high, tile_in
