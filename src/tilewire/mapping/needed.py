"""The device memory that nets need under each router, whatever chip they were trained for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import TilewireError
from tilewire.hardware.fabric import OPPOSITE, TileFabric
from tilewire.mapping.check import check_mapping
from tilewire.mapping.negotiated_sizing import size_negotiated
from tilewire.mapping.nets import Nets
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.sizing import TILE_OUT_LINK
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]


def wired_out(fabric: TileFabric) -> TileFabric:
    """The same chip with all S neurons of a tile wired to each of its sides, as on the published chips."""
    width = fabric.port_width.copy()
    out = fabric.link_class == TILE_OUT_LINK
    width[fabric.link_source[out], 1, fabric.link_port[out]] = fabric.neurons_per_tile
    width[fabric.link_target[out], 0, OPPOSITE[fabric.link_port[out]]] = fabric.neurons_per_tile
    return replace(fabric, port_width=width)


@dataclass(frozen=True)
class Needed:
    """Devices: ``wired_out`` counts tile outputs S neurons wide, ``sized_output`` as wide as the lines that leave a tile side."""

    wired_out: int
    sized_output: int


def needed_memory(
    fabric: TileFabric,
    nets: Nets,
    placement: Ints,
    router: str,
    *,
    own: Trees | None = None,
    rng: np.random.Generator,
) -> Needed:
    """Least device memory M of a homogeneous chip of this grid on which the router carries the nets.

        M(w),   w_k = largest load of port kind k (each tile side apart)

    one-turn: loads of the fixed paths. negotiated: the least over the fixed paths, the trees that sizing finds in either count, and the
    nets' ``own`` trees (those that a budget held while training) if there are any; an upper bound, since the search is bounded. Sizing
    takes seconds for 1,000 branches on 25 tiles, a minute for all 19,200. Raises `TilewireError` if the check refuses a tree.
    """
    chip = wired_out(fabric)
    branches = nets.on_tiles(placement)

    def price(trees: Trees) -> tuple[int, int]:
        load = _load(chip, nets, placement, trees)
        return _memory(chip, load, False), _memory(chip, load, True)

    def search(tile_out_sized: bool) -> Trees:
        return size_negotiated(chip, branches, placement, tile_out_sized=tile_out_sized, pricings=0, rng=rng)[1]

    prices = [price(route_one_turn(chip, branches, placement))]
    if router != "one-turn":
        prices += [price(own)] if own is not None else []
        prices.append(price(search(False)))
        if prices[-1][0] > prices[-1][1]:  # else the inputs of the tiles are so wide that outputs cost nothing
            prices.append(price(search(True)))
    return Needed(*map(min, zip(*prices, strict=True)))


def _load(chip: TileFabric, nets: Nets, placement: Ints, trees: Trees) -> Ints:
    """Loads of the links, int32 [links], as the independent check counts them; overload is no fault here."""
    check = check_mapping(chip, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True)
    if not check.sound:
        raise TilewireError("; ".join(map(str, check.faults[:5])), where="check of needed memory")
    return check.load


def _memory(chip: TileFabric, load: Ints, tile_out_sized: bool) -> int:
    return chip.memory(chip.widths_for(load, tile_out_sized=tile_out_sized)).total
