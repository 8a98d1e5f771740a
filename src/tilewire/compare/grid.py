"""The grid of a comparison: topologies x densities x depths x initial laws, every cell with members of nearly equal weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from tilewire.classify import FitConfig
from tilewire.data.arrays import ArrayData, load_arrays
from tilewire.errors import ConfigError, Fault, TilewireError
from tilewire.nn.initialise_sparse import LAWS
from tilewire.nn.rank import rank
from tilewire.streams import stream
from tilewire.topology.at_depth import at_depth
from tilewire.topology.dense import FAMILY as DENSE
from tilewire.topology.family import Family
from tilewire.topology.stage import Topology
from tilewire.topology.table import budget_of, family
from tilewire.yamlfile import Record, load


class TaskConfig(Record):
    """Data as rows of numbers (options of `tilewire.data.arrays.load_arrays`) and the hidden widths, each layer a cascade."""

    data: str = "digits"
    root: str | None = None
    options: dict[str, Any] = Field(default={})
    hidden: list[int] = Field(default=[64, 64], min_length=1)

    def load(self) -> ArrayData:
        """The data, standardised."""
        return load_arrays(self.data, self.root, **self.options).standardised()


class ContestantConfig(Record):
    """A family, the options that every member of this contestant has, and its depths if they are not those of the grid.

    Family `rank` is the design that `tilewire.nn.rank.rank` returns for the budget; it fills as much of it as it likes.
    """

    family: str
    options: dict[str, int | float] = Field(default={})
    depths: list[int] | None = None


class ComparisonGrid(Record):
    """A comparison. A topology takes part in a cell if a member of that depth has at least ``fill`` of the budget.

    ``tune_seeds`` x ``rates`` are trained first and only validated; the rate of the best mean validation accuracy is trained on ``seeds``,
    which alone see the test split. ``dense`` adds the dense network, ``dense_small`` the dense one of the same number of weights.
    """

    task: TaskConfig = TaskConfig()
    topologies: dict[str, ContestantConfig] = Field(min_length=1)
    densities: list[float] = Field(min_length=1)
    depths: list[int] = Field(min_length=1)
    laws: list[str] = Field(default=["auto"], min_length=1)
    rates: list[float] = Field(default=[0.003, 0.01, 0.03], min_length=1)
    tune_seeds: list[int] = Field(default=[101, 102], min_length=1)
    seeds: list[int] = Field(default=[1, 2, 3, 4, 5], min_length=1)
    fill: float = Field(default=0.8, gt=0, le=1)
    dense: bool = True
    dense_small: bool = True
    train: FitConfig = FitConfig()


@dataclass(frozen=True)
class Cell:
    """One entry of the grid: contestant, density of its budget, depth (0: its own), initial law."""

    topology: str
    density: float
    depth: int
    law: str

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"{self.topology} {self.density:g} {self.depth} {self.law}"


SMALL, FULL, RANK = "dense-small", "dense", "rank"


def load_comparison(path: Path) -> ComparisonGrid:
    """A grid file. Raises `ConfigError` with every fault."""
    grid = load(path, ComparisonGrid)
    faults = []
    for label, one in grid.topologies.items():
        try:
            unknown = sorted(set(one.options) - set(() if one.family == RANK else family(one.family).options))
            faults += [Fault(str(path), f"topologies.{label}.options", f"unknown option '{name}'") for name in unknown]
        except TilewireError as error:
            faults.append(Fault(str(path), f"topologies.{label}", error.message))
        if label in (SMALL, FULL):
            faults.append(Fault(str(path), f"topologies.{label}", "is the name of a baseline"))
    faults += [
        Fault(str(path), "laws", f"unknown law '{law}'", ", ".join(LAWS)) for law in grid.laws if law not in LAWS
    ]
    faults += [
        Fault(str(path), "densities", f"{rho:g}", "greater than 0, at most 1")
        for rho in grid.densities
        if not 0 < rho <= 1
    ]
    depths = [*grid.depths, *(depth for one in grid.topologies.values() for depth in one.depths or ())]
    faults += [Fault(str(path), "depths", f"{depth}", "at least 0") for depth in depths if depth < 0]
    faults += [Fault(str(path), "rates", f"{rate:g}", "greater than 0") for rate in grid.rates if not rate > 0]
    faults += [Fault(str(path), "task.hidden", f"{width}", "at least 2") for width in grid.task.hidden if width < 2]
    if set(grid.seeds) & set(grid.tune_seeds):
        faults.append(Fault(str(path), "tune_seeds", "shares a seed with seeds"))
    if faults:
        raise ConfigError(str(path), faults)
    return grid


def cells_of(grid: ComparisonGrid) -> Iterator[Cell]:
    """All cells, the baselines first, then density by density; whether a member exists shows when one is asked for."""
    for law in grid.laws:
        if grid.dense:
            yield Cell(FULL, 1.0, 1, law)
        if grid.dense_small:
            yield from (Cell(SMALL, rho, 1, law) for rho in grid.densities)
    every = sorted({depth for one in grid.topologies.values() for depth in one.depths or ()} | set(grid.depths))
    for rho in grid.densities:
        for depth in every:
            for label, one in grid.topologies.items():
                if depth in (grid.depths if one.depths is None else one.depths):
                    yield from (Cell(label, rho, depth, law) for law in grid.laws)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A family, its options and the widths it joins: what is the same for every seed of a cell."""

    family: Family
    n_in: int
    n_out: int
    options: dict[str, Any]

    def draw(self, rng: np.random.Generator) -> Topology:
        """The topology, drawn anew where the family is."""
        return self.family(self.n_in, self.n_out, rng, **self.options)


def plan_of(grid: ComparisonGrid, cell: Cell, width: int, classes: int) -> list[LayerPlan] | None:
    """The hidden layers of a cell; None if some layer has no member with at least ``fill`` of its budget."""
    ends = [width, *grid.task.hidden]
    if cell.topology in (FULL, SMALL):
        ends = small_widths(ends, cell.density, classes) if cell.topology == SMALL else ends
        return [LayerPlan(DENSE, a, b, {}) for a, b in pairwise(ends)]
    one, found = grid.topologies[cell.topology], []
    for a, b in pairwise(ends):
        try:
            budget = budget_of(a, b, density=cell.density)
        except TilewireError:
            return None  # below one edge per neuron
        if one.family == RANK:
            best: Topology | None = rank(a, b, budget, law=cell.law)[0].topology
        else:
            best = at_depth(one.family, a, b, budget, cell.depth, stream(0, "plan"), **one.options)
        if best is None or (best.weights < grid.fill * budget and one.family != RANK):
            return None
        found.append(LayerPlan(family(best.name), a, b, dict(best.options)))
    return found


def small_widths(ends: list[int], density: float, classes: int) -> list[int]:
    """Widths of the dense network whose weights, read-out included, are at most those of the sparse one: hidden widths shrunk alike."""
    most = sum(density * a * b for a, b in pairwise(ends)) + ends[-1] * classes
    best = [ends[0], *(2 for _ in ends[1:])]
    for share in np.linspace(0.01, 1.0, 400):
        own = [ends[0], *(max(2, round(share * width)) for width in ends[1:])]
        if sum(a * b for a, b in pairwise(own)) + own[-1] * classes <= most:
            best = own
    return best
