"""``tilewire sweep`` as a process: a signal saves every cell, the same command continues."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from tilewire.cli.main import app
from tilewire.cli.sweeping import _Left


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_continues(toy_recipe, tmp_path, sent):
    recipe, grid, out = toy_recipe(train={"epochs": 60, "batch": 4}), tmp_path / "grid.yaml", tmp_path / "sweep"
    grid.write_text(f"recipe: {json.dumps(str(recipe))}\nseeds: [1, 2, 3, 4]\n")
    command = [sys.executable, "-m", "tilewire", "sweep", str(grid), "--out", str(out), "--workers", "2", "--json"]

    def ignoring():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for jobs in the background

    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), preexec_fn=ignoring
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("*/seed-*/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(sent)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "the same command continues" in err
    begun = {path.parent.name for path in out.glob("*/seed-*/checkpoints")}
    assert begun
    assert not {path.parent.name for path in out.glob("*/seed-*/evaluation.json")} >= {
        "seed-1",
        "seed-2",
        "seed-3",
        "seed-4",
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = json.loads(done.stdout)
    assert (done.returncode, found["failed"], found["cells"][0]["n"]) == (0, [], 4)


def test_the_folder_is_named_after_the_grid_or_its_folder(toy_recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    text = f"recipe: {json.dumps(str(toy_recipe(train={'epochs': 1, 'batch': 8})))}\nseeds: [1]\ncells: {{ a: {{}}, b: {{}} }}\n"
    for name, only in [("study/grid.yaml", "a"), ("tiny.yaml", "b")]:
        (tmp_path / name).write_text(text)
        result = CliRunner().invoke(app, ["sweep", name, "--workers", "1", "--only", only])
        assert result.exit_code == 0, result.output
    folders = {str(path.relative_to(tmp_path / "sweeps")) for path in (tmp_path / "sweeps").glob("*/*/seed-*")}
    assert folders == {"study/a/seed-1", "tiny/b/seed-1"}


def test_time_left_counts_trainings_not_finished_ones(monkeypatch):
    clock = iter([0, 0.01, 0.02, 60.02, 120.02, 120.04, 120.05])
    monkeypatch.setattr("tilewire.cli.sweeping.monotonic", lambda: next(clock))
    left = _Left()
    assert [left.after(n) for n in (9, 8)] == ["", ""]
    assert [left.after(n) for n in (7, 6, 5, 0)] == [
        ", about 7 min left",
        ", about 6 min left",
        ", about 5 min left",
        "",
    ]
