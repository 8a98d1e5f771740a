"""The committed studies: grids resolve, results are trainings that a grid asks for, comparisons and tables follow from them."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tilewire.report.sweep_page import write_sweep_drawings
from tilewire.statement.files import state
from tilewire.sweep.cells import cells_of
from tilewire.sweep.grid import load_grid

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
        assert path.parent.name.startswith("tuning")  # read on the validation split, in a table of its own
        return
    with results.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = [(row["cell"], int(row["seed"])) for row in rows]
    assert len(set(found)) == len(found)
    assert set(found) <= asked
    assert all(not row["error"] and 0 <= float(row["test_accuracy"]) <= 1 for row in rows)


@pytest.mark.parametrize("study", ["pairs", "digits", "digits-8x8", "confirm", "more-data"])
def test_a_comparison_is_that_of_its_results(study: str, tmp_path: Path) -> None:
    folder = tmp_path / study
    folder.mkdir()
    for name in ("grid.yaml", "results.csv"):
        shutil.copy(ROUTING / study / name, folder)
    state(folder)
    committed, fresh = table(ROUTING / study / "comparison.csv"), table(folder / "comparison.csv")
    assert len(committed) == len(fresh) > 10
    for old, new in zip(committed, fresh, strict=True):
        assert [same(text) for text in old] == [same(text) for text in new]
    write_sweep_drawings(folder)
    for drawing in (ROUTING / study).glob("accuracy_*.svg"):
        assert drawing.read_text() == (folder / drawing.name).read_text()


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def same(text: str) -> str:
    """A figure to six digits: another machine may sum in another order."""
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


SCRIPT = ROUTING.parents[2] / "scripts" / "study_tables.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="scripts are part of a source checkout only")
def test_the_tables_of_the_page_are_current(tmp_path: Path) -> None:
    page = ROUTING.parents[1] / "routing_study.md"

    def checked(path: Path) -> int:
        return subprocess.run([sys.executable, SCRIPT, path, "--check"], check=False).returncode

    assert checked(page) == 0
    other = tmp_path / "page.md"
    other.write_text(page.read_text().replace("| `port-4-8-8` |", "| `port-4-8-8` | 99.9 |", 1))
    assert checked(other) == 1
    subprocess.run([sys.executable, SCRIPT, other], check=True, capture_output=True)
    assert other.read_text() == page.read_text()
