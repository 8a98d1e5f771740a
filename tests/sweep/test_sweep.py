"""Sweeps: cells, resumption, tables and failures that do not stop the rest."""

import csv
import json
import math
from pathlib import Path

import pytest

from tilewire.config import dump, load_recipe
from tilewire.errors import ConfigError, UsageError
from tilewire.student import interval
from tilewire.sweep.cells import Cell, cells_of
from tilewire.sweep.grid import load_grid, members
from tilewire.sweep.outcome import Outcome
from tilewire.sweep.run import run_sweep
from tilewire.sweep.tables import write_tables

GRID = """
recipe: tiny.yaml
seeds: [1, 2]
settings: { train.epochs: 1 }
cells:
  narrow: { budget.profile: { 1: 0.5 } }
  broken: { data.name: nowhere }
"""
RECIPE = """
hardware: { family: mosaic, grid: [2, 2], neurons_per_tile: 4, channels: { router: 16, tile_in: 16 } }
data: { name: "toy_task:toy" }
budget: { profile: { 1: 1.0 } }
train: { batch: 8 }
"""


@pytest.fixture
def grid_file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "grid.yaml").write_text(GRID)
    return tmp_path / "grid.yaml"


def test_cells_are_the_product(grid_file: Path) -> None:
    grid_file.write_text(GRID + "axes: { train.lr: [0.1, 0.01], train.batch: [4] }\n")
    cells = cells_of(load_grid(grid_file), grid_file.parent, Path("out"))
    assert len(cells) == 2 * 2 * 2
    assert len({cell.folder for cell in cells}) == 8
    assert Path("out/narrow_lr-0.1_batch-4/seed-2") in {cell.folder for cell in cells}


def test_a_cell_holds_the_recipe_that_its_run_resolves(grid_file: Path) -> None:
    grid_file.write_text(GRID + "axes: { train.lr: [0.1, 0.01] }\n")
    for cell in cells_of(load_grid(grid_file), grid_file.parent, Path("out")):
        assert cell.config == dump(load_recipe(str(grid_file.with_name("tiny.yaml")), cell.settings))
        assert f"seed={cell.seed}" in cell.settings


def test_a_wrong_setting_is_found_before_anything_runs(grid_file: Path) -> None:
    grid_file.write_text(GRID.replace("train.epochs", "train.epoch"))
    with pytest.raises(ConfigError, match=r"every cell: .*epochs"):
        cells_of(load_grid(grid_file), grid_file.parent, Path("out"))


def test_the_faults_of_all_cells_are_found_at_once(grid_file: Path) -> None:
    grid_file.write_text(
        GRID + "  typed: { train.epoch: 2 }\n  named: { rewire.rule: sett }\n  chip: { hardware: nowhere }\n"
        "  cells: { hardware: { family: mosaic, grid: [0, 3] } }\n"
    )
    with pytest.raises(ConfigError) as caught:
        cells_of(load_grid(grid_file), grid_file.parent, Path("out"))
    found = [str(fault) for fault in caught.value.faults]
    for start, part in [
        ("typed:", "'epochs'"),
        ("named:", "'set'"),
        ("chip:", "nowhere"),
        ("cells:", "neurons_per_tile"),
    ]:
        assert any(fault.startswith(start) and part in fault for fault in found), found
    assert not any(fault.startswith(("narrow", "every")) for fault in found)


@pytest.mark.parametrize(
    "change", [("seeds: [1, 2]", "seeds: [1, 1]"), ("narrow:", "../narrow:"), ("seeds: [1, 2]", "seeds: []")]
)
def test_faulty_grids_are_refused(grid_file: Path, change: tuple[str, str]) -> None:
    grid_file.write_text(GRID.replace(*change))
    with pytest.raises(ConfigError):
        load_grid(grid_file)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("groups: { ours: [narow] }", "narow"),
        ("groups: { ours: [narrow] }\nbaseline: theirs", "theirs"),
        ("baseline: theirs", "theirs"),
        ("baseline: [narrow, theirs]", "theirs"),
        ("accuracies: [80]", "accuracies"),
        ("contrasts: { a: [narrow] }", "a contrast has two"),
        ("contrasts: { a: [narrow, narow] }", "narow"),
    ],
)
def test_faulty_statements_are_refused(grid_file: Path, more: str, fault: str) -> None:
    grid_file.write_text(f"{GRID}{more}\n")
    with pytest.raises(ConfigError, match=fault):
        load_grid(grid_file)


def test_groups_hold_a_named_cell_with_its_axes_or_all_of_a_prefix() -> None:
    labels = ["port-4", "port-4_lr-.1", "port-4-8", "near-port-4", "profile-1"]
    assert members(["port-4"], labels) == ["port-4", "port-4_lr-.1"]
    assert members(["port-"], labels) == ["port-4", "port-4_lr-.1", "port-4-8"]
    assert members(["port-4_"], labels) == ["port-4_lr-.1"]
    assert members(["profile-1", "near"], labels) == ["near-port-4", "profile-1"]
    assert members(["x"], labels) == []


def test_interval_is_students() -> None:
    mean, sd, low, high = interval([1.0, 2.0, 3.0])
    assert (mean, sd) == (2.0, 1.0)
    assert low is not None
    assert high is not None
    assert math.isclose(high - 2.0, 4.302652729911275 / math.sqrt(3), rel_tol=1e-9)
    assert interval([5.0]) == (5.0, None, None, None)


def test_tables_hold_failures_and_means(tmp_path: Path) -> None:
    good = [Outcome(Cell("a", s, (), tmp_path), "fits", {"x": float(s)}) for s in (1, 2)]
    write_tables(tmp_path, [*good, Outcome(Cell("b", 1, (), tmp_path), "none", {}, "no such chip\nmore")])
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["error"] for row in rows] == ["", "", "no such chip"]
    summary = list(csv.DictReader((tmp_path / "summary.csv").read_text().splitlines()))
    assert summary == [{**summary[0], "cell": "a", "objective": "x", "n": "2", "mean": "1.5"}]


@pytest.mark.usefixtures("toy_task")
def test_sweep_runs_continues_and_lists_failures(grid_file: Path) -> None:
    folder = grid_file.parent
    out = folder / "out"
    outcomes = run_sweep(load_grid(grid_file), folder, out, workers=2)
    assert [bool(outcome.error) for outcome in outcomes] == [False, False, True, True]
    assert "nowhere" in outcomes[2].error
    path = out / "narrow" / "seed-1" / "evaluation.json"
    before = json.loads(path.read_text())
    again = run_sweep(load_grid(grid_file), folder, out, workers=1)
    assert json.loads(path.read_text()) == before
    assert again[0].objectives == outcomes[0].objectives
    with pytest.raises(UsageError):
        run_sweep(load_grid(grid_file), folder, out, workers=0)


@pytest.mark.usefixtures("toy_task")
def test_some_cells_only(grid_file: Path) -> None:
    grid_file.write_text(GRID + "  other: { budget.profile: { 1: 0.25 } }\n")
    folder, grid = grid_file.parent, load_grid(grid_file)
    seen: list[tuple[int, int, str]] = []

    def ran(only: list[str]) -> list[tuple[str, int]]:
        outcomes = run_sweep(
            grid, folder, folder / "out", workers=1, only=only, report=lambda i, n, o: seen.append((i, n, o.cell.name))
        )
        return [(outcome.cell.name, outcome.cell.seed) for outcome in outcomes]

    assert ran(["oth"]) == [("other", 1), ("other", 2)]
    assert seen == [(1, 2, "other"), (2, 2, "other")]
    assert ran(["narrow"]) == [("narrow", 1), ("narrow", 2), ("other", 1), ("other", 2)]
    rows = list(csv.DictReader((folder / "out" / "results.csv").read_text().splitlines()))
    assert [row["cell"] for row in rows] == ["narrow", "narrow", "other", "other"]
    with pytest.raises(UsageError, match="'narrow'"):
        ran(["narow"])
