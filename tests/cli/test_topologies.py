"""``tilewire rank`` and ``tilewire sparsify``."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from tilewire.cli.topologies import rank, sparsify
from tilewire.errors import BudgetError, UsageError

app = typer.Typer()
app.command()(rank)
app.command()(sparsify)


def run(*arguments):
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_rank_as_json():
    found = json.loads(run("rank", "--inputs", "24", "--outputs", "18", "--budget", "200", "--json", "--top", "3"))
    assert (found["inputs"], found["outputs"], found["budget"]) == (24, 18, 200)
    assert len(found["designs"]) == 3
    assert found["best"] == found["designs"][0]
    assert found["best"]["weights"] <= 200
    assert {"topology", "options", "depth", "branches", "scores", "composite", "storage_bytes"} <= set(found["best"])


def test_rank_as_a_table():
    assert "butterfly" in run(
        "rank", "--inputs", "16", "--outputs", "16", "--density", "0.6", "--topology", "butterfly"
    )


def test_sparsify(tmp_path):
    out = tmp_path / "weights.safetensors"
    found = json.loads(
        run("sparsify", "32-32-8", "--density", "0.5", "--topology", "clos", "--out", str(out), "--json")
    )
    assert [layer["weights_before"] for layer in found["layers"]] == [1024, 256]
    assert out.is_file()
    assert "clos" in run("sparsify", "32-32-8", "--density", "0.5", "--topology", "clos")


def test_refusals():
    with pytest.raises(BudgetError, match="below one edge per neuron"):
        run("rank", "--inputs", "64", "--outputs", "64", "--budget", "3")
    with pytest.raises(UsageError, match="widths"):
        run("rank", "--inputs", "1", "--outputs", "64", "--budget", "300")
    with pytest.raises(UsageError, match="no list of widths"):
        run("sparsify", "32x8", "--density", "0.5")
