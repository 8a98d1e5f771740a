"""Placement: which tile carries which group of neurons. Group t is the neurons t*S .. t*S + S-1; groups move whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.placement_anneal import anneal, hop_cost
from tilewire.mapping.placement_index import Floats, Ints, by_index, in_order, of_neurons

__all__ = ["PLACERS", "Placer", "anneal", "by_index", "hop_cost", "in_order", "of_neurons", "place"]


class Placer(Protocol):
    """A placer maps the groups of ``branches`` to different tiles, int32 [groups]; ``fixed`` groups lie where they are told."""

    def __call__(
        self,
        fabric: TileFabric,
        branches: Connectivity,
        *,
        rate: Floats | None = None,
        fixed: Mapping[int, int] | None = None,
        rng: np.random.Generator,
    ) -> Ints: ...


PLACERS: dict[str, Placer] = {"by-index": in_order, "anneal": anneal}


def place(
    fabric: TileFabric,
    branches: Connectivity,
    *,
    method: str = "by-index",
    rate: Floats | None = None,
    fixed: Mapping[int, int] | None = None,
    rng: np.random.Generator,
) -> Ints:
    """Tile of each group, int32 [groups], by the placer named ``method``.

    ``branches`` are (source neuron, destination group) pairs; ``rate`` [neurons] weighs the nets (spikes per second; equal if
    None); ``fixed`` maps groups to tiles. Raises `UsageError` for an unknown placer or faulty overrides, `NetsError` if there are
    more groups than tiles.
    """
    if method not in PLACERS:
        raise UsageError(unknown("placement", method, PLACERS))
    return PLACERS[method](fabric, branches, rate=rate, fixed=fixed, rng=rng)
