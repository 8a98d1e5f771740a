"""Placing nets whose groups are any neurons: groups move whole, every neuron follows its group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import place


def place_nets(
    fabric: TileFabric,
    nets: Nets,
    *,
    method: str = "by-index",
    fixed: Mapping[int, int] | None = None,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Placement neuron -> tile, int32 [neurons]. Raises what `place` raises."""
    rate = None if nets.rate is None else nets.rate[np.argsort(nets.group, kind="stable")]
    tile_of_group = place(fabric, nets.contiguous(), method=method, rate=rate, fixed=fixed, rng=rng)
    placement: NDArray[np.int32] = tile_of_group[nets.group]
    return placement
