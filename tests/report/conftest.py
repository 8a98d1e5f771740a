"""A run folder made by code: random branches, routed one-turn, with the files that a run writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewire.connectivity import Connectivity
from tilewire.hardware.description import fabric_hash, load_hardware
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import Mapping, map_nets, save_mapping

PROFILE = {1: 0.8, 3: 0.2}
CLASSES = ("zero", "one", "two")


@dataclass(frozen=True)
class Made:
    """A run folder, its chip and its mapping."""

    path: Path
    fabric: TileFabric
    mapping: Mapping
    nets: Nets


def branches_within(fabric: TileFabric, rng: np.random.Generator, profile: dict[int, float]) -> Connectivity:
    """Random branches at the densities of a profile."""
    neuron = np.arange(fabric.n_neurons)
    distance = fabric.hop_distance[neuron // fabric.neurons_per_tile]
    wanted = np.select([distance == d for d in profile], list(profile.values()), 0.0)
    source, tile = np.nonzero(rng.random(wanted.shape) < wanted)
    return Connectivity.of(source, tile, fabric.n_neurons, fabric.n_tiles)


def records(epochs: int, fabric: TileFabric, rng: np.random.Generator, validation: bool) -> list[dict[str, Any]]:
    """Metrics that look like training."""
    found = []
    for epoch in range(epochs):
        done = 1 - np.exp(-3 * (epoch + 1) / epochs)
        accuracy = 0.1 + 0.8 * done + 0.01 * float(rng.standard_normal())
        found.append(
            {
                "epoch": epoch, "loss": 2.3 * (1 - 0.9 * done), "train_accuracy": accuracy,
                "validation_accuracy": accuracy - 0.05 if validation else None, "rate": 0.05 + 0.02 * done, "lr": 0.006,
                "killed": int(90 * (1 - done)), "born": int(90 * (1 - done)), "missing": 0, "excess": 0,
                "density": {str(d): PROFILE.get(d, 0.0) * (1 - 0.2 * done) for d in fabric.hop_classes},
            }
        )  # fmt: skip
    return found


def objectives(mapping: Mapping, fabric: TileFabric) -> dict[str, Any]:
    """Objectives under the names that an evaluation uses."""
    rows: dict[str, tuple[float | None, str, str, str]] = {
        "test_accuracy": (0.9125, "share", "maximise", "float64 inference, test split"),
        "linear_on_counts_accuracy": (0.8015, "share", "report", "logistic regression on spike counts"),
        "parameters": (123_456, "synapses", "minimise", "count of trainable weights"),
        "memory_devices_needed": (mapping.memory_devices, "devices", "minimise", "smallest homogeneous chip"),
        "memory_devices_sized": (mapping.memory_devices_sized, "devices", "report", "each router at its own width"),
        "energy_per_sample": (None, "J", "minimise", "no constant 'synapse_energy' in the technology"),
    }
    return {name: dict(zip(("value", "unit", "sense", "source"), row, strict=True)) for name, row in rows.items()}


def make_run(
    path: Path,
    grid: tuple[int, int],
    neurons: int,
    widths: str,
    *,
    epochs: int = 6,
    validation: bool = True,
    seed: int = 0,
    family: str = "mosaic",
) -> Made:
    """Write a run folder; ``widths`` is the YAML text of ``channels``."""
    rng = np.random.default_rng(seed)
    path.mkdir(parents=True)
    (path / "hardware.yaml").write_text(
        f"family: {family}\nname: chip\ngrid: [{grid[0]}, {grid[1]}]\nneurons_per_tile: {neurons}\nchannels: {widths}\n"
    )
    fabric = load_hardware(path / "hardware.yaml")
    nets = Nets.of(branches_within(fabric, rng, PROFILE))
    placement = (np.arange(fabric.n_neurons) // neurons).astype(np.int32)
    mapping = map_nets(fabric, nets, placement)
    save_mapping(path / "mapping.npz", mapping, fabric, nets)
    memory = fabric.memory()
    outcome = {
        "schema": 1, "tilewire": "0.1.0", "verdict": mapping.verdict,
        "data": {"name": "mini-speech", "kind": "synthetic", "digest": "ab" * 32, "classes": list(CLASSES),
                 "samples": {"train": 900, "validation": 100, "test": 300}},
        "hardware": {"name": fabric.name, "family": fabric.family, "grid": list(grid), "neurons_per_tile": neurons,
                     "hash": fabric_hash(fabric)},
        "network": {"input_tiles": [0, 1], "output_tiles": [fabric.n_tiles - 1]},
        "budget": {"kind": "hop-profile", "profile": PROFILE},
        "mapping": {"router": mapping.router, "max_load": dict(mapping.max_load), "violations": [asdict(v) for v in mapping.violations]},
        "memory": {"by_kind": memory.by_kind, "total": memory.total},
        "objectives": objectives(mapping, fabric),
        "confusion": (rng.integers(0, 4, (len(CLASSES),) * 2) + 90 * np.eye(len(CLASSES), dtype=int)).tolist(),
        "training": {"epochs": epochs, "weights_sha256": "cd" * 32}, "seed": seed,
    }  # fmt: skip
    manifest = {"python": "3.11.0", "packages": {"torch": "2.13.0"}, "kernel_tier": "numba", "threads": 1}
    (path / "evaluation.json").write_text(json.dumps(outcome))
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "config.yaml").write_text("seed: 0\nnetwork: { inputs: crossbar, readout: { per_class: 1 } }\n")
    lines = records(epochs, fabric, rng, validation)
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Made(path, fabric, mapping, nets)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A small run that fits: 2 x 3 tiles of 4 neurons."""
    return make_run(tmp_path / "run", (2, 3), 4, "{ router: 12, tile_in: 16 }")


@pytest.fixture
def maker(tmp_path: Path) -> Callable[..., Made]:
    """Makes runs of other shapes."""
    return lambda *args, **kwargs: make_run(tmp_path / "other", *args, **kwargs)
