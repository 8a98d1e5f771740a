"""A run: place -> train -> route -> check -> evaluate -> report, one folder, continued by the same call."""

from __future__ import annotations

import difflib
import json
import math
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

import tilewire
from tilewire import checkpoint
from tilewire.config import Recipe, dump
from tilewire.data.record import EventPack, SpikeData
from tilewire.errors import RunError, UsageError, unknown
from tilewire.hardware.description import fabric_hash, from_mapping, load_hardware, locate
from tilewire.hardware.fabric import TileFabric
from tilewire.kernels import dispatch
from tilewire.kernels.lif import Lif
from tilewire.mapping.budget import BUDGETS
from tilewire.mapping.placement import PLACERS
from tilewire.nn.initialise import INITIAL_LAWS
from tilewire.nn.readout import CountReadout, LeakyReadout, Readout
from tilewire.nn.tiled import TiledRSNN, TiledSpec
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.drop import DROP_RULES
from tilewire.streams import stream
from tilewire.train import StepReport, Trainer


class Observer(Protocol):
    """What a run tells while it works; the command line draws bars from it."""

    def stage(self, name: str) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...

    def note(self, text: str) -> None: ...

    def stop_requested(self) -> bool: ...


class Silent:
    """An observer that listens to nothing."""

    def stage(self, name: str) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...

    def note(self, text: str) -> None: ...

    def stop_requested(self) -> bool:
        return False


class Interrupted(RunError):
    """The run was asked to stop; its state is saved."""

    exit_code = 130


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything a recipe builds before the first step."""

    recipe: Recipe
    fabric: TileFabric
    data: SpikeData
    utterance: dict[str, NDArray[np.int64]]
    trainer: Trainer
    readout: Readout


def hardware_of(recipe: Recipe) -> TileFabric:
    """The chip that a recipe names or describes in place."""
    return load_hardware(recipe.hardware) if isinstance(recipe.hardware, str) else from_mapping(recipe.hardware)


def prepare_data(recipe: Recipe) -> tuple[SpikeData, dict[str, NDArray[np.int64]]]:
    """Data as the network sees it, and per split the utterance that each sample belongs to (k-fold channels share one)."""
    from tilewire.data.catalogue import load

    config = recipe.data
    data = load(config.name, root=config.root, seed=recipe.seed, **config.options)
    splits: dict[str, EventPack] = {}
    utterance: dict[str, NDArray[np.int64]] = {}
    for name, pack in data.splits.items():
        part = pack.take(np.arange(min(config.limit, len(pack)))) if config.limit else pack
        part = part.rebin(config.rebin)
        utterance[name] = np.arange(len(part))
        if config.fold > 1:
            part, utterance[name] = part.fold_channels(config.fold)
        splits[name] = part
    return SpikeData(data.name, data.kind, data.digest, data.classes, splits), utterance


def build_readout(recipe: Recipe, classes: int) -> Readout:
    """The readout that a recipe asks for."""
    config = recipe.network.readout
    if config.kind == "counts":
        return CountReadout(classes, config.per_class, config.scale)
    return LeakyReadout(classes, config.per_class, config.scale, config.tau)


def build(recipe: Recipe, fabric: TileFabric | None = None) -> Parts:
    """Load, check and construct; nothing is written. Raises the named error of whatever does not go together."""
    fabric = fabric or hardware_of(recipe)
    data, utterance = prepare_data(recipe)
    for name, table in (("placement", PLACERS), ("budget.kind", BUDGETS), ("rewire.rule", DROP_RULES)):
        value = {"placement": recipe.placement, "budget.kind": recipe.budget.kind, "rewire.rule": recipe.rewire.rule}[
            name
        ]
        if value not in table:
            raise UsageError(unknown(name, value, table))
    network_config, rewire = recipe.network, recipe.rewire
    neuron = network_config.neuron
    lif = Lif(math.exp(-1 / neuron.tau), neuron.threshold, neuron.slope, neuron.reset_gradient)
    spec = TiledSpec(data.channels, len(data.classes) * network_config.readout.per_class, network_config.inputs)
    group_of = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    budget = BUDGETS[recipe.budget.kind](fabric, recipe.budget.profile, group_of)
    law = INITIAL_LAWS["above-threshold"](rewire.threshold, rewire.alpha)
    network = TiledRSNN(fabric, spec, lif, budget.branches(), law, stream(recipe.seed, "weights"))
    network.tier = recipe.kernel
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.train.lr)
    drop = DROP_RULES[rewire.rule](rewire.threshold, rewire.min_live)
    constrained = Constrained(network, optimiser, budget, drop, law, recipe.seed)
    readout = build_readout(recipe, len(data.classes))
    trainer = Trainer(recipe.train, constrained, readout, data.splits["train"], rewire.every, recipe.seed)
    return Parts(recipe, fabric, data, utterance, trainer, readout)


def manifest(parts: Parts, threads: int, tier: str) -> dict[str, Any]:
    """What a reader needs to trust and repeat a run."""
    packages = ("torch", "numpy", "scipy", "numba", "safetensors", "h5py", "pydantic")
    return {
        "schema": 1,
        "tilewire": tilewire.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: version(name) for name in packages},
        "seed": parts.recipe.seed,
        "threads": threads,
        "kernel_tier": tier,
        "data": {"name": parts.data.name, "kind": parts.data.kind, "digest": parts.data.digest},
        "hardware": {"name": parts.fabric.name, "family": parts.fabric.family, "hash": fabric_hash(parts.fabric)},
    }


def _claim(folder: Path, recipe: Recipe) -> None:
    """Write the config of a new run, or hold a continued one to it."""
    text, path = dump(recipe), folder / "config.yaml"
    if not path.exists():
        checkpoint.replace_file(path, text.encode())
        return
    if path.read_text() != text:
        diff = "\n".join(
            difflib.unified_diff(
                path.read_text().splitlines(), text.splitlines(), "in the folder", "asked for", lineterm="", n=0
            )
        )
        raise RunError(
            f"this folder belongs to another configuration:\n{diff}",
            where=str(folder),
            hint="another --out, or the same settings",
        )


class Metrics:
    """``metrics.jsonl``: one record an epoch, cut back to the checkpoint when a run continues."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []

    def truncate(self, epochs: int) -> None:
        """Keep the records of finished epochs only."""
        lines = self.path.read_text().splitlines()[:epochs] if self.path.exists() else []
        self.records = [json.loads(line) for line in lines]
        if self.path.exists():
            checkpoint.replace_file(self.path, "".join(line + "\n" for line in lines).encode())

    def append(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(record) + "\n")


def _train(parts: Parts, folder: Path, metrics: Metrics, observer: Observer) -> None:
    trainer, recipe = parts.trainer, parts.recipe
    saves = folder / "checkpoints"

    def save() -> None:
        checkpoint.save(saves, trainer.global_step, trainer.arrays(), trainer.state())

    while not trainer.finished:
        for report in trainer.epoch():
            observer.step(report)
            if observer.stop_requested():
                save()
                raise Interrupted(
                    f"stopped after epoch {report.epoch}, step {report.step}; everything is saved", where=str(folder)
                )
        record = trainer.end_epoch(parts.data.splits.get("validation"))
        metrics.append(record)
        observer.epoch(record)
        if trainer.finished or trainer.cursor.epoch % recipe.train.save_every == 0:
            save()


def execute(recipe: Recipe, folder: Path, observer: Observer | None = None) -> dict[str, Any]:
    """Run a recipe in a folder, or continue it; returns the content of ``evaluation.json``.

    Raises `RunError` (locked folder, changed configuration, failed save), `TrainingError` (no finite numbers), `Interrupted`,
    or the error of a wrong recipe, chip or data set. Continuing is bit-identical on one machine.
    """
    from tilewire.evaluate import evaluate
    from tilewire.report.page import write_report

    observer = observer or Silent()
    with checkpoint.lock(folder):
        _claim(folder, recipe)
        finished = folder / "evaluation.json"
        observer.stage("data and hardware")
        parts = build(recipe)
        threads, tier = _execution(recipe, folder)
        dispatch.set_threads(threads)
        parts.trainer.network.tier = tier
        _write_hardware(folder / "hardware.yaml", recipe)
        _write_json(folder / "manifest.json", manifest(parts, threads, tier))
        checkpoint.clean(folder / "checkpoints")
        metrics = Metrics(folder / "metrics.jsonl")
        saved, warnings = checkpoint.load_latest(folder / "checkpoints")
        for warning in warnings:
            observer.note(warning)
        if saved is not None:
            parts.trainer.restore(saved.arrays, saved.state)
            observer.note(f"continuing at epoch {parts.trainer.cursor.epoch}, step {parts.trainer.cursor.step}")
        metrics.truncate(parts.trainer.cursor.epoch)
        if not parts.trainer.finished:
            observer.stage("compiling kernels")
            dispatch.warm_up(observer.note)
            observer.stage("training")
            _train(parts, folder, metrics, observer)
        observer.stage("routing, checking, evaluating")
        evaluation = evaluate(parts, folder)
        checkpoint.replace_file(finished, (json.dumps(evaluation, indent=2) + "\n").encode())
        observer.stage("report")
        write_report(folder)
        return evaluation


def _execution(recipe: Recipe, folder: Path) -> tuple[int, str]:
    """Threads and kernel tier: chosen once, then kept by the folder, since both decide the order of sums."""
    path = folder / "manifest.json"
    if path.exists():
        before = json.loads(path.read_text())
        return int(before["threads"]), str(before["kernel_tier"])
    return recipe.threads or torch.get_num_threads(), recipe.kernel or dispatch.choose("cpu")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    checkpoint.replace_file(path, (json.dumps(content, indent=2) + "\n").encode())


def _write_hardware(path: Path, recipe: Recipe) -> None:
    """The chip of the run in its own folder, so that the folder stands alone."""
    if isinstance(recipe.hardware, str):
        text = locate(recipe.hardware).read_text(encoding="utf-8")
    else:
        text = json.dumps(recipe.hardware, indent=2) + "\n"  # JSON is YAML
    checkpoint.replace_file(path, text.encode())
