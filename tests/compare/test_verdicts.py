"""Tables and verdicts on made-up results whose answers are known."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from tilewire.compare.foretell import ceiling, composed, correlation, fit_composite, pooled, strata
from tilewire.compare.grid import Cell
from tilewire.compare.store import RESULTS
from tilewire.compare.tables import CellResult, accuracy_tables, cell_results, cells_csv, trainings_csv
from tilewire.compare.verdicts import all_verdicts, contest
from tilewire.errors import RunError

NAMES = ("parallel-cross", "parallel-sum", "random", "monarch", "clos", "butterfly", "low-rank", "dense", "dense-small")


def scores(rng, depth):
    return {
        "isometry": rng.uniform(0.05, 1), "reach": rng.uniform(0.2, 1), "controllability": rng.uniform(500, 900), "weights": 1000.0,
        "density": 0.25, "depth": float(depth), "paths_variation": rng.uniform(0, 2), "ntk_participation": rng.uniform(0.3, 0.7),
    }  # fmt: skip


def made(task, noise=0.001, law="auto"):
    """Accuracy follows isometry^0.5 reach^0.25 within a density."""
    rng, found = np.random.default_rng(len(task)), []
    for density in (0.1, 0.2):
        for depth in (2, 4):
            for name in NAMES:
                own = scores(rng, depth)
                level = 0.8 + density + 0.05 * np.log(own["isometry"] ** 0.5 * own["reach"] ** 0.25)
                tests = {seed: float(level + noise * rng.standard_normal()) for seed in range(1, 6)}
                found.append(CellResult(task, Cell(name, density, depth, law), 0.01, 1000, "made up", tests, own))
    return found


def test_pooled_is_spearman_on_one_stratum():
    rng = np.random.default_rng(0)
    x, y = rng.random(9).tolist(), rng.random(9).tolist()
    assert pooled([(x, y)]) == pytest.approx(spearmanr(x, y).statistic)
    assert pooled([([1, 2, 3], [1, 2, 3]), ([11, 12, 13], [3, 4, 5])]) == pytest.approx(1)
    assert np.isnan(pooled([([1, 1, 1], [1, 2, 3])]))


def test_strata_hold_equal_weights_and_no_baselines():
    groups = strata(made("a"), within_depth=True)
    assert [len(group) for group in groups] == [7] * 4
    assert [len(group) for group in strata(made("a"), within_depth=False)] == [14] * 2
    assert not any("dense" in one.cell.topology for group in groups for one in group)


def test_a_score_that_causes_accuracy_is_found():
    groups = strata(made("a") + made("bb"), within_depth=False)
    found = correlation(groups, lambda one: one.scores["isometry"], np.random.default_rng(0), draws=100)
    other = correlation(groups, lambda one: one.scores["ntk_participation"], np.random.default_rng(0), draws=100)
    assert found.value > 0.8
    assert found.low < found.value < found.high
    assert abs(other.value) < 0.5
    assert ceiling(groups) > 0.98
    assert ceiling(strata(made("a", noise=1.0), within_depth=False)) < 0.9


def test_a_composite_tuned_on_one_task_holds_on_another():
    exponents = fit_composite(strata(made("a"), within_depth=False))
    assert exponents["isometry"] == max(exponents.values())
    test = strata(made("bb"), within_depth=False)
    assert correlation(test, composed(exponents), np.random.default_rng(0), draws=50).value > 0.8


def test_contest_is_paired():
    tests = {seed: 0.9 + 0.05 * seed for seed in range(5)}
    cell = Cell("random", 0.1, 2, "auto")
    one = CellResult("a", cell, 0.01, 10, "", tests, {})
    other = CellResult(
        "a", cell, 0.01, 10, "", {seed: value - 0.01 + 0.0001 * seed for seed, value in tests.items()}, {}
    )
    assert contest(one, other).verdict == "better"
    assert contest(other, one).verdict == "worse"
    assert contest(one, one).verdict == "level"
    assert contest(one, other).difference == pytest.approx(0.0098)


def test_texts():
    results = made("a") + made("bb") + made("a-variance", law="variance")
    text = all_verdicts(results, draws=5)
    for part in ("Best per budget", "Initial law", "isometry", "tested on", "best possible"):
        assert part in text
    own = next(one for one in results if one.cell.topology == "monarch")
    ranked = CellResult("a", Cell("ranked", 0.1, 0, "auto"), 0.01, 1000, "butterfly", own.tests, own.scores)
    place = 1 + sum(
        one.mean > own.mean
        for one in made("a")
        if one.cell.density == 0.1 and one.cell.topology not in ("dense", "dense-small")
    )
    assert f"| {place} of 15 |" in all_verdicts([*results, ranked], draws=2)
    table = accuracy_tables(results)
    assert table.count("**") % 2 == 0
    assert "2 stages" in table
    rows = list(csv.DictReader(io.StringIO(cells_csv(results).decode())))
    assert len(rows) == len(results)
    assert float(rows[0]["low95"]) < float(rows[0]["test"]) < float(rows[0]["high95"])


def test_reading_a_folder(tmp_path):
    cell = {"topology": "random", "density": 0.1, "depth": 2, "law": "auto"}
    train = {
        **cell,
        "seed": 1,
        "rate": 0.01,
        "weights": 9,
        "parameters": 10,
        "validation": 0.5,
        "loss": 1.0,
        "seconds": 0.1,
    }
    lines = [
        {"record": "grid"}, {"record": "tune", **train, "test": None}, {"record": "final", **train, "test": 0.25},
        {"record": "final", **train, "test": 0.75}, {"record": "scores", **cell, "description": "two", "scores": {"reach": 1.0}},
        {"record": "final", **train, "topology": "unfinished", "test": 0.1},
    ]  # fmt: skip
    with pytest.raises(RunError, match="no results here"):
        cell_results(tmp_path)
    (tmp_path / RESULTS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = cell_results(tmp_path)
    assert (found.tests, found.description, found.task) == ({1: 0.75}, "two", tmp_path.name)
    rows = list(csv.DictReader(io.StringIO(trainings_csv([tmp_path]).decode())))
    assert [row["record"] for row in rows] == ["tune", "final"]
    assert rows[0]["test"] == ""
