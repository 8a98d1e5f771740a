"""Analytic screen of cascades on streaming accelerators: each different network is built once, its accelerators are priced as arrays.

Accuracy is replaced by a score that needs no data: over the L hidden layers with composites k_l (`tilewire.nn.rank.composite`, freedom as a
share of n_in n_out) and the widths b_w, b_a of weights and activations,

    score = ln(parameters) + 1/L sum_l ln k_l - L ln(1 + q(b_w) + q(b_a)),   q(b) = (4 / (2^(b-1) - 1/2))^2 / 12

q is the power of rounding noise against the signal if the largest magnitude is four standard deviations. Our own measure: it only chooses
the first generation of a search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.cascade_recipe import CascadeRecipe, network_of, wiring_of
from tilewire.cost.streaming import PRICES, screen
from tilewire.errors import TilewireError
from tilewire.hardware.technology_file import load_technology
from tilewire.mapping.streaming_network import StreamingNetwork
from tilewire.nn.rank import composed_scores, composite
from tilewire.streams import stream
from tilewire.topology.stage import Topology

if TYPE_CHECKING:
    from tilewire.search.study import Study

Floats = NDArray[np.float64]
_ACCELERATOR = ("stages", "pes", "banks", "switch", "weight_bits", "activation_bits", "buffers", "clock")


class StreamScreen:
    """Objectives of many designs of one base recipe; designs whose layers cannot be built, or whose switch blocks, are NaN."""

    def __init__(self, study: Study, recipe: CascadeRecipe) -> None:
        self.study, self.recipe = study, recipe
        data = recipe.task.load()
        self.width, self.classes = data.width, data.classes
        self.technology = load_technology(recipe.technology)
        wanted = [*study.file.objectives, *(constraint.name for constraint in study.constraints)]
        self.names = tuple(dict.fromkeys(name for name in wanted if name in PRICES))
        self.networks: dict[str, StreamingNetwork | None] = {}
        self.scores: dict[str, float] = {}

    def __call__(self, columns: Mapping[str, NDArray[Any]], n: int) -> dict[str, Floats]:
        own = [name for name in columns if name.startswith(("layers.", "task."))]
        keys = np.array([json.dumps({name: _plain(columns[name][i]) for name in own}) for i in range(n)])
        found = {name: np.full(n, np.nan) for name in (*self.names, "score")}
        for key in np.unique(keys):
            rows = np.flatnonzero(keys == key)
            network = self._network(str(key))
            if network is not None:
                part = screen(network, self._designs(columns, rows), self.technology, self.names)
                for name, values in part.items():
                    found[name][rows] = values
                found["score"][rows] = self._score(str(key), network, columns, rows)
        return found

    def _network(self, key: str) -> StreamingNetwork | None:
        if key not in self.networks:
            try:
                recipe = self.study.configured(json.loads(key), {})
                if not isinstance(recipe, CascadeRecipe):
                    return None
                self.networks[key] = network_of(wiring_of(recipe, self.width, self.classes))
            except TilewireError:
                self.networks[key] = None
        return self.networks[key]

    def _score(
        self, key: str, network: StreamingNetwork, columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
    ) -> Floats:
        if key not in self.scores:
            hidden = [_layer_score(layer) for layer in network.layers[:-1]]
            self.scores[key] = float(np.log(network.parameters) + np.mean(hidden))
        designs = self._designs(columns, rows)
        noise = _rounding(designs["weight_bits"]) + _rounding(designs["activation_bits"])
        return np.asarray(self.scores[key] - (len(network.layers) - 1) * np.log1p(noise), np.float64)

    def _designs(self, columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        base = self.recipe.accelerator
        given = {
            name: columns[f"accelerator.{name}"][rows]
            if f"accelerator.{name}" in columns
            else np.full(rows.size, getattr(base, name))
            for name in _ACCELERATOR
            if name != "banks" or base.banks is not None or "accelerator.banks" in columns
        }
        given.setdefault("banks", given["pes"])
        clock = given.pop("clock")
        return given | {"clock_hz": np.array([_hertz(value) for value in clock.tolist()])}


def _layer_score(layer: Topology) -> float:
    """ln of the composite; minus infinity where it is 0."""
    pairs = layer.n_in * layer.n_out
    with np.errstate(divide="ignore"):
        return float(np.log(composite(composed_scores(layer, [stream(0, "screen")], "auto"), pairs, pairs)))


def _rounding(bits: NDArray[Any]) -> Floats:
    return np.asarray((4 / (2.0 ** (bits - 1.0) - 0.5)) ** 2 / 12, np.float64)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _hertz(value: str | float) -> float:
    from tilewire import units

    return units.parse(value, "frequency") if isinstance(value, str) else float(value)
