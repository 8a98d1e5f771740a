"""The page of baselines: its sweep resolves, and every method that it names is a cell that can be built."""

import re
from pathlib import Path

import pytest

from tilewire.config import Recipe, load_recipe
from tilewire.parts import build
from tilewire.sweep.cells import cells_of
from tilewire.sweep.grid import Grid, load_grid

PAGE = Path(__file__).parents[1] / "docs" / "baselines.md"


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    (yaml,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "grid.yaml").write_text(yaml)
    return load_grid(tmp_path / "grid.yaml")


def test_the_sweep_resolves(grid: Grid, tmp_path: Path) -> None:
    one = grid.model_copy(update={"seeds": [1]})
    assert len(cells_of(one, tmp_path, tmp_path / "out")) == len(grid.cells)
    axes = one.model_copy(update={"axes": {"compress.penalty": [0.1, 3], "compress.beta": [0.5]}})
    only = axes.model_copy(update={"cells": {"hop-penalty": grid.cells["hop-penalty"]}})
    swept = [load_recipe(grid.recipe, cell.settings) for cell in cells_of(only, tmp_path, tmp_path / "out")]
    assert [recipe.compress.penalty for recipe in swept if recipe.compress] == [0.1, 3]


def test_methods_start_inside_their_budget(grid: Grid, tmp_path: Path) -> None:
    names = ("ports", "dense", "hop-penalty", "rigl")
    some = grid.model_copy(update={"seeds": [1], "cells": {name: grid.cells[name] for name in names}})
    slots = {}
    for cell in cells_of(some, tmp_path, tmp_path / "out"):
        recipe: Recipe = load_recipe(grid.recipe, (*cell.settings, "data.limit=8"))
        trainer = build(recipe).trainer
        assert trainer.constrained.excess().worst <= 0, cell.name
        slots[cell.name] = len(trainer.network.live_branches())
    assert slots["dense"] == slots["hop-penalty"] == 800 * 24
    assert slots["ports"] > slots["rigl"] == 1000
