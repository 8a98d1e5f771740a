"""One cell of a comparison: learning rate chosen on validation, members trained at it, scores of the very weights they started from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tilewire.classify import Fit, fit
from tilewire.compare.grid import Cell, ComparisonGrid, LayerPlan, plan_of
from tilewire.data.arrays import ArrayData
from tilewire.nn.ensemble import Ensemble, draw_values, readout_weights
from tilewire.nn.initialise_sparse import Values
from tilewire.nn.score import score_case
from tilewire.streams import stream
from tilewire.topology.stage import Topology

SCORED_SEEDS = 2
"""Draws over which scores are averaged; scores are taken of the first hidden layer."""


@dataclass(frozen=True, eq=False)
class Member:
    """Topologies and initial weights of one network."""

    layers: list[Topology]
    values: list[Values]
    readout: np.ndarray


def member(plan: Sequence[LayerPlan], cell: Cell, classes: int, seed: int) -> Member:
    """The network of a cell and seed at its initial weights."""
    layers = [one.draw(stream(seed, f"topology {cell.topology}", level)) for level, one in enumerate(plan)]
    rng = stream(seed, "weights")
    values = draw_values(layers, rng, cell.law)
    return Member(layers, values, readout_weights(classes, layers[-1].n_out, rng))


def train(
    grid: ComparisonGrid,
    members: Sequence[Member],
    data: ArrayData,
    seeds: Sequence[int],
    rates: Sequence[float],
    test: bool,
) -> list[Fit]:
    """Train members side by side."""
    network = Ensemble([m.layers for m in members], [m.values for m in members], [m.readout for m in members])
    return fit(network, data, grid.train, seeds, rates, test=test)


def try_cell(grid: ComparisonGrid, cell: Cell, data: ArrayData) -> list[dict[str, Any]] | None:
    """All records of a cell: a row a training and one of its scores; None where there is no such member.

    Tuning trainings have no test accuracy: the test split is looked at by the trainings at the chosen rate alone.
    """
    plan = plan_of(grid, cell, data.width, data.classes)
    if plan is None:
        return None
    pilots = [member(plan, cell, data.classes, seed) for seed in grid.tune_seeds]
    trained = [member(plan, cell, data.classes, seed) for seed in grid.seeds]
    started = time.perf_counter()
    rates = [rate for rate in grid.rates for _ in grid.tune_seeds]
    seeds = [seed for _ in grid.rates for seed in grid.tune_seeds]
    records, chosen = [], grid.rates[0]
    if len(grid.rates) > 1:
        fits = train(grid, pilots * len(grid.rates), data, seeds, rates, test=False)
        means = {
            rate: float(np.mean([f.validation for f, r in zip(fits, rates, strict=True) if r == rate]))
            for rate in grid.rates
        }
        chosen = max(means, key=lambda rate: (means[rate], -rate))
        seconds = (time.perf_counter() - started) / len(fits)
        records = _rows(cell, pilots * len(grid.rates), seeds, rates, fits, "tune", seconds)
        started = time.perf_counter()
    fits = train(grid, trained, data, grid.seeds, [chosen] * len(trained), test=True)
    seconds = (time.perf_counter() - started) / len(fits)
    records += _rows(cell, trained, grid.seeds, [chosen] * len(fits), fits, "final", seconds)
    return [*records, _scores(cell, trained)]


def _rows(
    cell: Cell,
    members: Sequence[Member],
    seeds: Sequence[int],
    rates: Sequence[float],
    fits: Sequence[Fit],
    role: str,
    seconds: float,
) -> list[dict[str, Any]]:
    return [
        {
            "record": role, **asdict(cell), "seed": seed, "rate": rate, "weights": sum(one.weights for one in m.layers),
            "parameters": sum(one.weights + one.n_out for one in m.layers) + m.readout.size + len(m.readout),
            "validation": round(f.validation, 6), "test": None if f.test is None else round(f.test, 6),
            "loss": round(f.loss, 6), "seconds": round(seconds, 3),
        }
        for m, seed, rate, f in zip(members, seeds, rates, fits, strict=True)
    ]  # fmt: skip


def _scores(cell: Cell, members: Sequence[Member]) -> dict[str, Any]:
    """Mean scores of the first hidden layer at the weights that the first members started from."""
    drawn = [
        score_case(one.layers[0], one.values[0], stream(number, "score"))
        for number, one in enumerate(members[:SCORED_SEEDS])
    ]
    means = {
        name: float(np.mean([one[name] for one in drawn])) for name, value in drawn[0].items() if value is not None
    }
    return {"record": "scores", **asdict(cell), "description": members[0].layers[0].description, "scores": means}
