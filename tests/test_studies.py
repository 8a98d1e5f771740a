"""The committed studies: their grids resolve, and every row of their results is a training that the grid asks for."""

import csv
from pathlib import Path

import pytest

from tilewire.sweep import cells_of, load_grid

ROUTING = Path(__file__).parents[1] / "docs" / "studies" / "routing"
GRIDS = sorted(ROUTING.glob("*/grid.yaml"))


def test_there_are_studies() -> None:
    assert len(GRIDS) >= 4


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.parent.name)
def test_a_grid_resolves_and_holds_its_results(path: Path) -> None:
    grid = load_grid(path)
    asked = {(cell.name, cell.seed) for cell in cells_of(grid, path.parent, Path("out"))}
    results = path.with_name("results.csv")
    if not results.is_file():
        assert path.parent.name == "tuning"  # read on the validation split, in a table of its own
        return
    with results.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = [(row["cell"], int(row["seed"])) for row in rows]
    assert len(set(found)) == len(found)
    assert set(found) <= asked
    assert all(not row["error"] and 0 <= float(row["test_accuracy"]) <= 1 for row in rows)
