"""The grid of a comparison, its trainings and its file of results."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tilewire.compare.grid import Cell, ComparisonGrid, cells_of, load_comparison, plan_of, small_widths
from tilewire.compare.store import RESULTS, read_results, run_comparison
from tilewire.errors import ConfigError, RunError

TEXT = """
task: {{ data: {data}, hidden: [12, 12] }}
topologies: {{ monarch: {{ family: monarch }}, random: {{ family: random }}, skipping: {{ family: random, options: {{ skip: 1 }} }} }}
densities: [0.5]
depths: [2, 3]
rates: [0.01, 0.03]
tune_seeds: [9]
seeds: [1, 2]
train: {{ epochs: 1, batch: 20 }}
"""


@pytest.fixture
def grid_file(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"{s}_images": rng.integers(0, 9, (60, 4, 4), np.uint8) for s in ("train", "test")}
    np.savez(tmp_path / "set.npz", **arrays, **{f"{s}_labels": rng.integers(0, 3, 60) for s in ("train", "test")})
    path = tmp_path / "grid.yaml"
    path.write_text(TEXT.format(data=tmp_path / "set.npz"))
    return path


def test_all_cells_have_nearly_equal_weights(grid_file):
    grid = load_comparison(grid_file)
    for cell in cells_of(grid):
        plan = plan_of(grid, cell, 16, 3)
        if plan is None:
            assert (cell.topology, cell.depth) == ("monarch", 3)
        elif cell.topology not in ("dense", "dense-small"):
            weights = [one.draw(np.random.default_rng(0)).weights for one in plan]
            for own, budget in zip(weights, (96, 72), strict=True):
                assert grid.fill * budget <= own <= budget


def test_dense_small_has_at_most_as_many_weights():
    for density in (0.05, 0.2, 0.7):
        a, b, c = small_widths([64, 64, 64], density, 10)
        spent, most = a * b + b * c + 10 * c, density * 2 * 64 * 64 + 640
        assert 0.85 * most < spent <= most
    assert small_widths([10, 10], 0.01, 3) == [10, 2]


def test_killed_and_continued_is_the_same(grid_file, tmp_path):
    grid, whole, cut = load_comparison(grid_file), tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    seen = []
    assert run_comparison(grid, whole, report=lambda n, total, cell, rows: seen.append((n, total, cell.key)))
    assert [n for n, _, _ in seen] == list(range(1, len(list(cells_of(grid))) + 1))
    content = (whole / RESULTS).read_bytes()
    (cut / RESULTS).write_bytes(content[: len(content) * 2 // 3])
    assert run_comparison(grid, cut)
    pick = lambda rows: {  # noqa: E731
        (r["record"], r["topology"], r["depth"], r.get("seed"), r.get("rate")): (r.get("validation"), r.get("test"), r.get("scores"))
        for r in rows[1:]
    }  # fmt: skip
    assert pick(read_results(cut)) == pick(read_results(whole))
    rows = read_results(whole)
    tuned = [row for row in rows if row["record"] == "tune"]
    assert tuned
    assert all(row["test"] is None for row in tuned), "the test split is not looked at while the rate is chosen"
    assert all(row["test"] is not None for row in rows if row["record"] == "final")
    assert run_comparison(grid, whole, seconds=0), "nothing is left to do"


def test_other_settings_are_refused(grid_file, tmp_path):
    grid = load_comparison(grid_file)
    (tmp_path / RESULTS).write_text(json.dumps({"record": "grid", "seeds": [5]}) + "\n")
    with pytest.raises(RunError, match="other results lie here"):
        run_comparison(grid, tmp_path)
    (tmp_path / RESULTS).write_text("{\n{}\n")
    with pytest.raises(RunError, match="line 1 is damaged"):
        run_comparison(grid, tmp_path)


def test_time_runs_out(grid_file, tmp_path):
    assert not run_comparison(load_comparison(grid_file), tmp_path, seconds=0)


def test_all_faults_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "topologies: {a: {family: randm}, dense: {family: random, options: {colour: 1}}}\n"
        "densities: [0, 0.5]\ndepths: [-1]\nlaws: [best]\nrates: [0.0]\nseeds: [1]\ntune_seeds: [1]\ntask: {hidden: [1]}\n"
    )
    with pytest.raises(ConfigError) as found:
        load_comparison(path)
    text = str(found.value)
    for part in (
        "did you mean 'random'",
        "colour",
        "baseline",
        "densities",
        "depths",
        "best",
        "rates",
        "hidden",
        "shares a seed",
    ):
        assert part in text


def test_a_budget_below_one_edge_per_neuron_has_no_member():
    grid = ComparisonGrid(topologies={"random": {"family": "random"}}, densities=[0.001], depths=[1])
    assert plan_of(grid, Cell("random", 0.001, 1, "auto"), 64, 10) is None
