"""Analytic screen of tile designs: every objective from expected counts, accuracy replaced by a score that needs no data.

The score of a profile is how much of the input reaches the outputs, times what there is to learn with:

    score = ln h + ln(parameters),   h = a_out(L),   a(0) = 0,   a(l + 1) = 1 on input tiles, sum_s k_st a_s(l) / sum_s k_st elsewhere

k_st = expected branches into tile t from tile s, p_d S with d their hop class, and S from the own tile: the share of a tile's synapses that
carry something that came from the inputs within L hops, as walks backwards through equally weighted synapses find it. Our own measure, a
guess at what training will like: it only chooses the first generation of a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.cost.estimate import Geometry, estimate
from tilewire.cost.table import PRICES
from tilewire.hardware.description import from_mapping
from tilewire.hardware.fabric import TileFabric
from tilewire.nn.roles import TiledSpec, roles

if TYPE_CHECKING:
    from tilewire.config import Recipe
    from tilewire.search.study import Study

Floats = NDArray[np.float64]
RATE = 0.03  # spikes per neuron and step: trained networks of the bundled speech lie at 0.02 to 0.06
HOPS = 20  # L


@dataclass(frozen=True, eq=False)
class _Grid:
    """Geometry of one grid, its input tiles and the tiles that are read."""

    geometry: Geometry
    inputs: NDArray[np.bool_]
    outputs: NDArray[np.int64]


class TileScreen:
    """Objectives of many tile designs of one base recipe; designs that cannot take inputs and outputs are NaN."""

    def __init__(self, study: Study, recipe: Recipe, channels: int, steps: int, classes: int) -> None:
        self.study, self.recipe, self.channels, self.steps = study, recipe, channels, steps
        self.read = classes * recipe.network.readout.per_class
        self.hardware: dict[str, Any] = dict(recipe.hardware) if isinstance(recipe.hardware, dict) else {}
        self.grids: dict[tuple[int, ...], _Grid | None] = {}
        wanted = [*study.file.objectives, *(constraint.name for constraint in study.constraints)]
        self.names = tuple(dict.fromkeys(name for name in wanted if name in PRICES))

    def __call__(self, columns: Mapping[str, NDArray[Any]], n: int) -> dict[str, Floats]:
        if "hardware" in columns:
            return {name: np.full(n, np.nan) for name in (*self.names, "score")}  # another chip altogether
        grids = self._column(columns, "hardware.grid", self.hardware["grid"], n)
        found: dict[str, Floats] = {}
        for grid in np.unique(grids, axis=0):
            rows = np.flatnonzero((grids == grid).all(axis=1))
            part = self._of_grid(tuple(int(side) for side in grid), {k: v[rows] for k, v in columns.items()}, rows.size)
            for name, values in part.items():
                found.setdefault(name, np.full(n, np.nan))[rows] = values
        return found

    def _column(self, columns: Mapping[str, NDArray[Any]], key: str, default: Any, n: int) -> NDArray[Any]:
        return columns[key] if key in columns else np.broadcast_to(np.asarray(default), (n, *np.shape(default)))

    def _of_grid(self, sides: tuple[int, ...], columns: Mapping[str, NDArray[Any]], n: int) -> dict[str, Floats]:
        size = self._column(columns, "hardware.neurons_per_tile", self.hardware["neurons_per_tile"], n).astype(np.int64)
        found: dict[str, Floats] = {}
        for s in np.unique(size):
            rows = np.flatnonzero(size == s)
            own = self._grid(sides, int(s))
            if own is not None:
                part = self._priced(own, {k: v[rows] for k, v in columns.items()}, int(s), rows.size)
                for name, values in part.items():
                    found.setdefault(name, np.full(n, np.nan))[rows] = values
        return found

    def _grid(self, sides: tuple[int, ...], s: int) -> _Grid | None:
        key = (*sides, s)
        if key not in self.grids:
            fabric = from_mapping(self.hardware | {"grid": list(sides), "neurons_per_tile": s})
            self.grids[key] = self._roles(fabric) if isinstance(fabric, TileFabric) else None
        return self.grids[key]

    def _roles(self, fabric: TileFabric) -> _Grid | None:
        from tilewire.errors import TilewireError

        network = self.recipe.network
        spec = TiledSpec(self.channels, self.read, network.inputs, network.input_tiles, network.output_tiles)
        try:
            found = roles(spec, fabric)
        except TilewireError:
            return None
        inputs = np.zeros(fabric.n_tiles, bool)
        inputs[found.input_tiles] = True
        return _Grid(Geometry.of(fabric), inputs, np.unique(found.output_neurons // fabric.neurons_per_tile))

    def _priced(self, grid: _Grid, columns: Mapping[str, NDArray[Any]], s: int, n: int) -> dict[str, Floats]:
        geometry, fabric = grid.geometry, grid.geometry.fabric
        base = self.recipe.budget.profile
        density = np.stack(
            [self._column(columns, f"budget.profile.{d}", base.get(d, 0.0), n) for d in geometry.classes], axis=1
        ).astype(np.float64)
        given = self.hardware.get("channels", {})
        widths = {
            name: self._column(columns, f"hardware.channels.{name}", given.get(name, s), n)
            for name in ("router", "tile_in", "tile_out")
            if not isinstance(given.get(name), dict)
        }
        found = estimate(
            geometry, density, RATE, self.steps, neurons_per_tile=s, technology=fabric.technology, names=self.names,
            input_rows=RATE * self.channels, input_tiles=max(int(grid.inputs.sum()), 1), own_share=1 - float(grid.inputs.mean()),
            router=widths.get("router"), tile_in=widths.get("tile_in"), tile_out=widths.get("tile_out"),
        )  # fmt: skip
        columns_found = {name: np.asarray(values, np.float64) for name, values in found.items() if values is not None}
        reached = reach(density, geometry, grid.inputs, grid.outputs)
        with np.errstate(divide="ignore"):
            score = np.log(reached) + np.log(columns_found["parameters"])
        if self.recipe.router == "one-turn":
            for name in ("router", "tile_in"):
                score[columns_found[f"nets_{name}"] > widths.get(name, np.inf)] = np.nan  # it would not fit
        return columns_found | {"score": np.where(reached > 0, score, np.nan)}


def reach(density: Floats, geometry: Geometry, inputs: NDArray[np.bool_], outputs: NDArray[np.int64]) -> Floats:
    """h of every profile ``density`` [designs, classes]: mean of a_out(L) over the tiles that are read, in [0, 1]."""
    distance = geometry.fabric.hop_distance
    from_class = np.stack([(distance == d).astype(np.float64).T for d in geometry.classes])
    np.einsum("kii->ki", from_class)[:] = 0.0
    total = 1.0 + density @ from_class.sum(axis=2)
    a = np.broadcast_to(inputs.astype(np.float64), (len(density), inputs.size)).copy()
    for _ in range(HOPS):
        arrived = a + np.einsum("bk,kts,bs->bt", density, from_class, a, optimize=True)
        a = np.where(inputs, 1.0, arrived / total)
    mean: Floats = a[:, outputs].mean(axis=1)
    return mean
