"""Processes of a sweep: the same results as alone, a death costs one run, a stop saves."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tilewire.config import load_recipe
from tilewire.run import execute
from tilewire.sweep.pool import Task, WorkerPool

DEADLY = """
import os, sys
def load(root, *, download, seed, **options):
    sys.stderr.write("the end is near\\n")
    sys.stderr.flush()
    os._exit(7)
"""


def task(recipe: Path, folder: Path, *settings: str) -> Task:
    return Task(str(recipe), ["threads=1", *settings], str(folder), str(folder.parent / ".shared"))


def test_runs_in_one_process_are_the_runs_of_their_own(toy_recipe, tmp_path):
    recipe = toy_recipe()
    with WorkerPool() as pool:
        for seed in (1, 2, 1):
            assert pool.run(task(recipe, tmp_path / f"pool-{seed}", f"seed={seed}")) == ""
        assert len(pool.all) == 1
    for seed in (1, 2):
        alone = execute(load_recipe(str(recipe), ["threads=1", f"seed={seed}"]), tmp_path / f"alone-{seed}")
        assert json.loads((tmp_path / f"pool-{seed}" / "evaluation.json").read_text()) == json.loads(json.dumps(alone))


def test_other_data_in_the_same_process_are_loaded_anew(toy_recipe, tmp_path):
    recipe = toy_recipe()
    with WorkerPool() as pool:
        for limit in (16, 8):
            assert pool.run(task(recipe, tmp_path / str(limit), f"data.limit={limit}")) == ""
    samples = [json.loads((tmp_path / n / "evaluation.json").read_text())["data"]["samples"] for n in ("16", "8")]
    assert [entry["train"] for entry in samples] == [16, 8]


def test_a_process_that_dies_costs_its_own_run(toy_recipe, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    recipe = toy_recipe()
    with WorkerPool() as pool:
        assert pool.run(task(recipe, tmp_path / "a")) == ""
        assert "the end is near" in pool.run(task(recipe, tmp_path / "b", 'data.name="deadly:load"'))
        assert "nowhere" in pool.run(task(recipe, tmp_path / "c", "hardware=nowhere"))
        assert pool.run(task(recipe, tmp_path / "d")) == ""
        assert len(pool.all) == 1


def test_a_stop_saves_and_the_run_continues(toy_recipe, tmp_path):
    recipe, folder, found = toy_recipe(), tmp_path / "run", []
    settings = ("train.epochs=2000",)
    with WorkerPool() as pool:
        running = threading.Thread(target=lambda: found.append(pool.run(task(recipe, folder, *settings))))
        running.start()
        deadline = time.monotonic() + 120
        while not (folder / "checkpoints").is_dir() and time.monotonic() < deadline:
            time.sleep(0.05)
        pool.stop()
        running.join(120)
        assert "everything is saved" in found[0]
        assert pool.run(task(recipe, tmp_path / "other")) == "stopped before it began"
    assert not (folder / "evaluation.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tilewire.train.Trainer.finished", property(lambda trainer: trainer.cursor.epoch >= 1))
        notes = []
        from tilewire.run import Silent

        class Noting(Silent):
            def note(self, text):
                notes.append(text)

        execute(load_recipe(str(recipe), ["threads=1", *settings]), folder, Noting())
    assert any("continuing after" in note for note in notes)
