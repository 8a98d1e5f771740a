"""``tilewire bench``: one JSON object, or tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from tilewire.bench import workloads
from tilewire.bench.contest import Contest, Contestant
from tilewire.cli.benching import bench
from tilewire.errors import UsageError


@pytest.fixture
def app(monkeypatch):
    def tiny(name):
        build = lambda: Contestant(lambda: None, lambda: [np.ones(1)])  # noqa: E731
        return [Contest(f"tiny {name}", {"own": build, "peer": build}, frozenset({"own"}), ("own", "peer"))]

    monkeypatch.setattr(workloads, "contests", tiny)
    before = torch.get_num_threads()
    yield typer.Typer(callback=None)
    torch.set_num_threads(before)


def run(app, *arguments):
    app.command()(bench)
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_json_is_one_object(app):
    result = run(app, "w5", "--json", "--no-memory", "--threads", "1", "--threads", "2")
    content = json.loads(result.stdout)
    assert [one["threads"] for one in content["workloads"]["w5"]] == [1, 2]
    assert content["workloads"]["w5"][0]["contestants"]["own"].keys() >= {"seconds", "ratio", "memory_bytes"}
    assert "torch" in content["machine"]
    assert "tiny w5, 2 threads" in result.stderr


def test_all_with_growth(app):
    content = json.loads(run(app, "all", "--growth", "--json", "--no-memory", "--threads", "1").stdout)
    assert list(content["workloads"]) == ["w1", "w2", "w3", "w4", "w5", "overhead", "w1-growth", "w2-growth"]


def test_tables_for_people(app):
    shown = run(app, "w2", "--no-memory", "--threads", "1").stdout
    assert "tiny w2, 1 thread(s), cpu time" in shown
    assert "x best" in shown


def test_an_unknown_workload_is_named():
    app = typer.Typer()
    with pytest.raises(UsageError, match="unknown workload 'w9'"):
        run(app, "w9", "--json")
