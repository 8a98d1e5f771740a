"""``tilewire compare`` and ``tilewire verdicts``."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tilewire.cli.comparing import compare, verdicts
from tilewire.errors import UsageError

app = typer.Typer()
app.command()(compare)
app.command()(verdicts)


def run(*arguments):
    result = CliRunner().invoke(app, [str(word) for word in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_compare_then_verdicts(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"{s}_images": rng.integers(0, 9, (40, 4, 4), np.uint8) for s in ("train", "test")}
    np.savez(tmp_path / "set.npz", **arrays, **{f"{s}_labels": rng.integers(0, 3, 40) for s in ("train", "test")})
    (tmp_path / "small.yaml").write_text(
        f"task: {{data: {tmp_path / 'set.npz'}, hidden: [16]}}\n"
        "topologies: {random: {family: random}, monarch: {family: monarch}, ranked: {family: rank, depths: [0]}}\n"
        "densities: [0.5]\ndepths: [2]\nrates: [0.01]\ntune_seeds: [9]\nseeds: [1, 2]\ntrain: {epochs: 1, batch: 20}\n"
    )
    out = tmp_path / "small"
    found = json.loads(run("compare", tmp_path / "small.yaml", "--out", out, "--json"))
    assert found == {"folder": str(out), "complete": True}
    shown = json.loads(run("verdicts", out, "--out", tmp_path / "tables", "--json"))
    assert shown["cells"] == 5
    assert all((tmp_path / "tables" / name).read_text() for name in shown["files"])
    assert "design of rank" in (tmp_path / "tables" / "verdicts.md").read_text()


def test_no_such_grid(tmp_path):
    with pytest.raises(UsageError, match="no file"):
        run("compare", tmp_path / "none.yaml")
