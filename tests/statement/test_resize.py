"""Sizes of finished runs without their data, then tables, statement and page of the sweep."""

import json
from pathlib import Path

import pytest

from tilewire.config import load_recipe
from tilewire.errors import RunError
from tilewire.report.sweep_page import write_sweep_report
from tilewire.run import execute
from tilewire.statement.files import GRID, state
from tilewire.statement.resize import resize_run, resize_sweep
from tilewire.statement.trainings import densities, read_trainings
from tilewire.sweep.grid import load_grid

GRID_FILE = """
recipe: toy.yaml
seeds: [1, 2]
cells:
  near: { budget.profile: { 1: 0.5 } }
  ports: { budget: { kind: ports }, router: negotiated }
  missing: {}
groups: { paper: [near], ours: [ports, missing] }
"""


@pytest.fixture
def swept(toy_recipe, tmp_path):
    """A sweep folder of an older version: two cells trained without sizes, one not at all."""
    (tmp_path / "grid.yaml").write_text(GRID_FILE)
    out = tmp_path / "out"
    for cell, settings in (
        ("near", ["budget.profile={1: 0.5}"]),
        ("ports", ["budget={kind: ports}", "router=negotiated"]),
    ):
        for seed in (1, 2):
            every = [*settings, f"seed={seed}", "evaluate.sizing=[]", "train.epochs=1", "kernel=reference"]
            execute(load_recipe(str(toy_recipe()), every), out / cell / f"seed-{seed}")
    return load_grid(tmp_path / "grid.yaml"), out


def evaluation(folder: Path):
    return json.loads((folder / "evaluation.json").read_text())


def test_sizes_are_those_of_the_evaluation_and_nothing_else_changes(swept, toy_recipe, toy_task):
    _, out = swept
    run = out / "ports" / "seed-1"
    before = evaluation(run)
    (toy_task / "toy_task.py").unlink()  # no data
    assert resize_run(run, 1)
    after = evaluation(run)
    assert {k: v for k, v in after.items() if k != "objectives"} == {
        k: v for k, v in before.items() if k != "objectives"
    }
    assert {k: after["objectives"][k] for k in before["objectives"]} == before["objectives"]
    assert not resize_run(run, 1)
    assert resize_run(run, 1, again=True)
    assert evaluation(run) == after


def test_sizes_equal_those_of_a_new_run(swept, toy_recipe):
    _, out = swept
    settings = ["budget.profile={1: 0.5}", "seed=1", "train.epochs=1", "kernel=reference"]
    fresh = execute(load_recipe(str(toy_recipe()), settings), out.parent / "fresh")
    resize_run(out / "near" / "seed-1", 1)
    assert evaluation(out / "near" / "seed-1")["objectives"] == fresh["objectives"]


def test_an_old_sweep_becomes_tables_statement_and_page(swept):
    grid, out = swept
    seen = []
    outcomes = resize_sweep(grid, out, report=lambda done, all_, one: seen.append((done, all_)))
    assert seen[-1] == (6, 6)
    assert [outcome.error for outcome in outcomes] == ["", "", "", "", "not run", "not run"]
    trainings = read_trainings(out)
    assert densities(trainings[0])[1] == pytest.approx(0.5)
    assert all(t.values["memory_devices_needed_negotiated_sized_output"] > 0 for t in trainings[:4])
    content = state(out, grid, "tilewire sweep <grid>")
    assert list(content["baselines"]) == ["paper"]
    assert {row["group"] for row in content["gains"] + content["ratios"]} == {"paper", "ours"}
    assert {tuple(row["groups"]) for row in content["cells"]} == {("paper",), ("ours",)}
    assert state(out)["command"] == "tilewire sweep <grid>", "said once, kept"
    assert state(out)["groups"].keys() != content["groups"].keys(), "no grid in the folder: every cell for itself"
    (out / GRID).write_text(GRID_FILE)
    assert state(out)["groups"] == content["groups"]
    page = write_sweep_report(out).read_text()
    assert "tilewire sweep &lt;grid&gt;" in page
    assert "not run" in page
    assert "http" not in page.replace("http-equiv", "")


def test_damage_is_named(swept):
    grid, out = swept
    (out / "near" / "seed-2" / "evaluation.json").write_text("{")
    with pytest.raises(RunError, match="seed-2"):
        resize_sweep(grid, out)
    with pytest.raises(RunError, match="no readable sweep"):
        read_trainings(out)
