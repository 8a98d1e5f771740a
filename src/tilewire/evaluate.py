"""What a finished run is worth: mapping and verdict, accuracy under inference arithmetic, parameters, devices, baseline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import tilewire
from tilewire.hardware.description import fabric_hash
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import of_neurons, place
from tilewire.mapping.routing import Mapping, map_nets, save_mapping
from tilewire.streams import stream

if TYPE_CHECKING:
    from tilewire.data.record import EventPack
    from tilewire.run import Parts

MAXIMISE, MINIMISE, INFORM = "maximise", "minimise", "inform"


def objective(value: float | int | None, unit: str, sense: str, source: str) -> dict[str, Any]:
    """One objective as `evaluation.json` holds it."""
    return {"value": value, "unit": unit, "sense": sense, "source": source}


def map_network(parts: Parts, rate: NDArray[np.float64] | None) -> tuple[Mapping, Nets]:
    """Place and route the trained branches as the recipe says."""
    fabric, recipe = parts.fabric, parts.recipe
    nets = Nets.of(parts.trainer.network.live_branches(), rate=rate)
    rng = stream(recipe.seed, "mapping")
    tile_of_group = place(fabric, nets.branches, method=recipe.placement, rate=rate, rng=rng)
    placement = of_neurons(tile_of_group, fabric.n_neurons, fabric.neurons_per_tile)
    return map_nets(fabric, nets, placement, router=recipe.router, rng=rng), nets
