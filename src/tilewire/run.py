"""A run: place -> train -> route -> check -> evaluate -> report, one folder, continued by the same call."""

from __future__ import annotations

import difflib
import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

import tilewire
from tilewire import checkpoint, yamlfile
from tilewire.config import Recipe, dump, hardware_of
from tilewire.errors import RunError
from tilewire.hardware.description import fabric_hash, locate
from tilewire.hardware.technology_file import dump_technology
from tilewire.kernels import dispatch
from tilewire.parts import Parts, Prepared, build
from tilewire.shared_phase import SharedPhase
from tilewire.train import StepReport


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


def _check_claim(folder: Path, recipe: Recipe) -> None:
    """Hold a folder that a run has claimed to its configuration."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    try:
        before = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if before != (text := dump(recipe)):
        lines = difflib.unified_diff(
            before.splitlines(), text.splitlines(), "in the folder", "asked for", lineterm="", n=0
        )
        raise RunError(
            "this folder belongs to another configuration:\n" + "\n".join(lines),
            where=str(folder),
            hint="another --out, or the same settings; a damaged config.yaml may be removed, checkpoints know their recipe",
        )


def _manifest_before(folder: Path) -> dict[str, Any] | None:
    """What an earlier call wrote, None in a new folder."""
    path = folder / "manifest.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found | {"threads": int(found["threads"]), "kernel_tier": str(found["kernel_tier"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"damaged manifest ({type(error).__name__}: {error}): threads and kernel of this run are not known",
            where=str(path),
            hint="restore it from a copy, or start in a new folder with --out",
        ) from error


def _check_same(before: dict[str, Any], now: dict[str, Any], folder: Path, observer: Observer) -> None:
    """Same data and chip as when the run began, whatever the file names say; other packages are worth a note."""
    changed = [
        f"{what} {before.get(what, {}).get('name')!r} has other content now"
        for what, key in (("data", "digest"), ("hardware", "hash"))
        if before.get(what, {}).get(key) != now[what][key]
    ]
    if changed:
        raise RunError("; ".join(changed), where=str(folder), hint="another --out, or the files of the first call")
    old, new = before.get("packages", {}), now["packages"]
    moved = [f"{name} {old[name]} -> {new[name]}" for name in new if name in old and old[name] != new[name]]
    if moved:
        observer.note(
            f"packages changed since the last call, so results may differ in the last bits: {', '.join(moved)}"
        )


class Metrics:
    """``metrics.jsonl``: one record an epoch. The checkpoint holds the records too, so the file is whole whatever happened to it."""

    def __init__(self, path: Path, records: Iterable[dict[str, Any]] = ()) -> None:
        self.path = path
        self.records = list(records)
        self._write()

    def append(self, record: dict[str, Any]) -> None:
        """Add the record of an epoch. Raises `RunError` if the file cannot be written."""
        self.records.append(record)
        self._write()

    def _write(self) -> None:
        text = "".join(json.dumps(record) + "\n" for record in self.records)
        checkpoint.replace_file(self.path, text.encode())


def _train(parts: Parts, folder: Path, metrics: Metrics, observer: Observer, shared: SharedPhase | None) -> None:
    trainer, recipe = parts.trainer, parts.recipe

    def state() -> dict[str, Any]:
        return trainer.state() | {"metrics": metrics.records, "recipe_sha256": _recipe_digest(recipe)}

    def save() -> None:
        checkpoint.save(folder / "checkpoints", trainer.global_step, trainer.arrays(), state())

    while not trainer.finished:
        for report in trainer.epoch():
            observer.step(report)
            if observer.stop_requested():
                save()
                where = f"epoch {report.epoch + 1}, step {report.step} of {report.steps}"
                raise Interrupted(f"stopped after {where}; everything is saved", where=str(folder))
        if shared is not None and shared.ends_with(trainer.cursor.epoch):
            shared.leave(trainer.global_step, trainer.arrays(), state(), observer.note)
        record = trainer.end_epoch(parts.data.splits.get("validation"))
        metrics.append(record)
        observer.epoch(record)
        if trainer.finished or trainer.cursor.epoch % recipe.train.save_every == 0:
            save()
    if observer.stop_requested():
        raise Interrupted("stopped after the last epoch; everything is saved", where=str(folder))


def _recipe_digest(recipe: Recipe) -> str:
    return hashlib.sha256(dump(recipe).encode()).hexdigest()


def _restore(parts: Parts, folder: Path, observer: Observer, shared: SharedPhase | None) -> Metrics:
    """Bring trainer and metrics to the newest whole checkpoint, or to the end of a shared phase, or to the start."""
    checkpoint.clean(folder)
    checkpoint.clean(folder / "checkpoints")
    saved, warnings = checkpoint.load_latest(folder / "checkpoints")
    for warning in warnings:
        observer.note(warning)
    if saved is None:
        saved = shared.find(observer.note) if shared is not None else None
        if saved is None:
            return Metrics(folder / "metrics.jsonl")
    elif saved.state.get("recipe_sha256") != _recipe_digest(parts.recipe):
        raise RunError("the checkpoint was made by another recipe", where=str(saved.path), hint="another --out")
    parts.trainer.restore(saved.arrays, saved.state)
    cursor = parts.trainer.cursor
    observer.note(f"continuing after {cursor.epoch} epochs and {cursor.step} steps")
    return Metrics(folder / "metrics.jsonl", saved.state["metrics"])


def execute(
    recipe: Recipe,
    folder: Path,
    observer: Observer | None = None,
    *,
    share: Path | None = None,
    data: Prepared | None = None,
) -> dict[str, Any]:
    """Run a recipe in a folder, or continue it; returns the content of ``evaluation.json``.

    ``share``: a folder where runs with `compress` that differ only in what they prune into leave and find their common first
    phase (`shared_phase`); results are the same bits with and without it. ``data``: what `prepare_data` returns for the recipe, where
    the caller has it already.

    Raises `RunError` (locked folder, changed configuration, chip or data, failed save), `TrainingError` (no finite numbers),
    `Interrupted`, or the error of a wrong recipe, chip or data set; a recipe that cannot be built claims no folder.
    Continuing is bit-identical on one machine.
    """
    from tilewire.evaluate import evaluate
    from tilewire.report.page import write_report

    observer = observer or Silent()
    with checkpoint.lock(folder):
        _check_claim(folder, recipe)
        observer.stage("data and hardware")
        parts = build(recipe, data=data)
        before = _manifest_before(folder)
        # Threads and tier are chosen once, then kept by the folder, since both decide the order of sums.
        threads = before["threads"] if before else recipe.threads or torch.get_num_threads()
        tier = before["kernel_tier"] if before else recipe.kernel or dispatch.choose("cpu")
        now = manifest(parts, threads, tier)
        if before:
            _check_same(before, now, folder, observer)
        dispatch.set_threads(threads)
        parts.trainer.network.tier = tier
        shared = SharedPhase(share, recipe, now, parts.fabric) if share is not None and recipe.compress else None
        metrics = _restore(parts, folder, observer, shared)
        checkpoint.replace_file(folder / "config.yaml", dump(recipe).encode())
        _write_hardware(folder / "hardware.yaml", recipe)
        _write_json(folder / "manifest.json", now)
        if not parts.trainer.finished:
            observer.stage("compiling kernels")
            dispatch.warm_up(observer.note)
            observer.stage("training")
            _train(parts, folder, metrics, observer, shared)
        evaluation = _stored_evaluation(parts, folder)
        if evaluation is None:
            observer.stage("routing, checking, simulating, evaluating")
            evaluation = evaluate(parts, folder)
            _write_json(folder / "evaluation.json", evaluation)
        observer.stage("report")
        write_report(folder)
        return evaluation


def _stored_evaluation(parts: Parts, folder: Path) -> dict[str, Any] | None:
    """The evaluation of these very weights, if the folder holds it: test data are touched once."""
    try:
        stored: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
        same = stored["training"]["weights_sha256"] == parts.trainer.digest() and (folder / "mapping.npz").is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stored if same else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    checkpoint.replace_file(path, (json.dumps(content, indent=2) + "\n").encode())


def _write_hardware(path: Path, recipe: Recipe) -> None:
    """The chip of the run and its technology in the run's own folder, so that the folder stands alone."""
    if isinstance(recipe.hardware, str):
        text = locate(recipe.hardware).read_text(encoding="utf-8")
    else:
        text = json.dumps(recipe.hardware, indent=2) + "\n"  # JSON is YAML
    checkpoint.replace_file(path, text.encode())
    named, technology = str(yamlfile.parse(text, str(path)).get("technology")), hardware_of(recipe).technology
    if technology and named.endswith((".yaml", ".yml")):
        checkpoint.replace_file(path.with_name(Path(named).name), dump_technology(technology).encode())
