"""``tilewire chip-for`` and ``tilewire report`` on a sweep folder, from its results.csv alone."""

import json
import sys

import numpy as np
import pytest

from tilewire.cli import main
from tilewire.statement.comparison import COUNTS, objective_of
from tilewire.statement.trainings import fabric_of
from tilewire.sweep.cells import Cell
from tilewire.sweep.outcome import Outcome
from tilewire.sweep.tables import write_tables

CHIP = "mosaic 3x3x8"


@pytest.fixture
def swept(tmp_path):
    fabric, rng, outcomes = fabric_of(CHIP), np.random.default_rng(0), []
    for p in (0.1, 0.3, 0.6, 1.0):
        counts = {f"branches_hop_class_{d}": (p if d == 1 else 0) * 8 * n for d, n in fabric.hop_classes.items()}
        for seed in range(5):
            values = counts | {
                "test_accuracy": 0.8 - 0.7 * np.exp(-3 * p) + 0.005 * rng.normal(),
                "parameters": 100 * p,
            }
            values |= {objective_of(count): 1000 + 5000 * p for count in COUNTS}
            outcomes.append(Outcome(Cell(f"p-{p}", seed, (), tmp_path), "fits", values, chip=CHIP))
    write_tables(tmp_path, outcomes)
    return tmp_path


def call(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["tilewire", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code, capsys.readouterr()


def test_chip_for_says_chip_profile_interval_and_how_to_confirm(swept, monkeypatch, capsys):
    words = ["chip-for", swept, "0.6", "0.7", "--classes", "10", "--channels", "10", "--networks", "3", "--json",
             "--chip", CHIP, "--chip", "mosaic 3x4x8"]  # fmt: skip
    code, shown = call(monkeypatch, capsys, *words)
    content = json.loads(shown.out)
    assert code == 0
    assert content["law"]["chance"] == 0.1
    assert content["choices"].keys() == {"0.6", "0.7"}
    for wanted, choices in content["choices"].items():
        assert {c["chip"] for c in choices} == {CHIP, "mosaic 3x4x8"}
        for c in choices:
            assert c["low95"] <= c["accuracy"] <= c["high95"]
            assert abs(c["accuracy"] - float(wanted)) < 0.03
            assert c["hardware"]["grid"] == [3, int(c["chip"][9])]
            assert "--set 'budget.profile=" in c["confirm"]


def test_chip_for_asks_for_what_it_cannot_know(swept, monkeypatch, capsys):
    assert call(monkeypatch, capsys, "chip-for", swept, "0.6")[0] == 2
    assert call(monkeypatch, capsys, "chip-for", swept, "0.6", "--classes", "10", "--tile-out", "x")[0] == 2
    assert call(monkeypatch, capsys, "chip-for", swept / "none", "0.6", "--classes", "10")[0] == 1


def test_report_of_a_sweep_folder(swept, monkeypatch, capsys):
    code, shown = call(monkeypatch, capsys, "report", swept, "--json")
    assert code == 0
    assert json.loads(shown.out) == {"report": str(swept / "report.html"), "drawings": []}
    code, shown = call(monkeypatch, capsys, "report", swept, "--svg", "--json")
    drawings = json.loads(shown.out)["drawings"]
    assert drawings == sorted(map(str, swept.glob("accuracy_*.svg")), key=drawings.index)
    assert drawings
    assert (swept / "comparison.csv").read_text().startswith("quantity,")
    assert "p-0.3" in (swept / "report.html").read_text()
