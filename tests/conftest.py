"""A task so small that a whole run takes a moment; given as ``data.name: toy_task:toy``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tilewire.run import Silent

TOY_TASK = '''
import numpy as np
from tilewire.data.record import EventPack, spike_data

def toy(root, *, download="never", seed=0, samples=20, steps=6, channels=5, classes=2):
    """Class c is loud on the channels congruent to c."""
    rng = np.random.default_rng(seed)
    packs = {}
    for name, n in (("train", samples), ("validation", 6), ("test", 6)):
        label = np.arange(n) % classes
        loud = (np.arange(channels)[None, :] - label[:, None]) % classes == 0
        counts = rng.random((n, steps, channels)) < np.where(loud, 0.8, 0.1)[:, None, :]
        packs[name] = EventPack.from_dense(counts.astype(np.uint8), label)
    return spike_data("toy", "synthetic", tuple(f"class {c}" for c in range(classes)), packs)
'''


@pytest.fixture
def toy_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with the module ``toy_task`` on the import path, of child processes too."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "toy_task.py").write_text(TOY_TASK)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return folder


@pytest.fixture
def toy_recipe(toy_task: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the recipe of the toy task; keyword arguments replace its sections."""

    def write(name: str = "toy", **sections: Any) -> Path:
        recipe: dict[str, Any] = {
            "seed": 3,
            "threads": 1,
            "hardware": {"family": "mosaic", "grid": [2, 3], "neurons_per_tile": 4, "channels": {"router": 8, "tile_in": 12}},
            "data": {"name": "toy_task:toy"},
            "budget": {"profile": {1: 0.5, 3: 0.25}},
            "rewire": {"threshold": 0.3, "min_live": 0.75, "alpha": 0.4},
            "train": {
                "epochs": 3, "batch": 4, "lr": 0.05,
                "augment": {"channels": 1, "steps": 1, "drop": 0.1},
            },
        }  # fmt: skip
        recipe |= sections
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(recipe))  # JSON is YAML
        return path

    return write


class StopAfter(Silent):
    """Asks to stop after so many steps; remembers what it was told."""

    def __init__(self, steps: int = 1 << 30) -> None:
        self.left, self.notes = steps, []  # type: ignore[var-annotated]

    def step(self, report: object) -> None:
        self.left -= 1

    def note(self, text: str) -> None:
        self.notes.append(text)

    def stop_requested(self) -> bool:
        return self.left <= 0


@pytest.fixture
def stop_after() -> type[StopAfter]:
    """The class of observers that interrupt a run."""
    return StopAfter
