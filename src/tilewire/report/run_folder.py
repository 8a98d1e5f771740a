"""Read a run folder; what is missing or damaged becomes a note of the page, never a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import RunError, TilewireError
from tilewire.hardware.description import load_hardware
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.archive import read_arrays
from tilewire.mapping.trees import Trees, from_hops, loads, port_use
from tilewire.yamlfile import plain, read

FILES = ("config.yaml", "manifest.json", "metrics.jsonl", "mapping.npz", "hardware.yaml", "evaluation.json")
MAX_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Mapped:
    """The mapping as the page draws it: ``tile`` int [neurons], trees, ``load`` int32 [links], and branches (source neuron, tile)."""

    tile: NDArray[np.integer]
    trees: Trees
    load: NDArray[np.int32]
    branch_source: NDArray[np.integer]
    branch_tile: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class RunFolder:
    """Content of a run folder. ``notes`` name what could not be read."""

    name: str
    config: Mapping[str, Any]
    config_text: str
    manifest: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    evaluation: Mapping[str, Any]
    fabric: TileFabric | None
    mapped: Mapped | None
    notes: tuple[str, ...]


def at(document: object, *path: str) -> Any:
    """The entry under a path of keys, None where the document has no such entry."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def read_run(folder: Path) -> RunFolder:
    """Everything the report shows. Raises `RunError` if the folder holds none of a run's files."""
    if not any((folder / name).is_file() for name in FILES):
        raise RunError(
            "no run here: none of " + ", ".join(FILES), where=str(folder), hint="the folder that `tilewire run` wrote"
        )
    notes: list[str] = []
    config_text = _text(folder / "config.yaml", notes)
    fabric = _fabric(folder / "hardware.yaml", notes)
    return RunFolder(
        name=folder.resolve().name,
        config=_config(folder / "config.yaml", notes) if config_text else {},
        config_text=config_text,
        manifest=_object(folder / "manifest.json", notes),
        metrics=_lines(folder / "metrics.jsonl", notes),
        evaluation=_object(folder / "evaluation.json", notes),
        fabric=fabric,
        mapped=_mapped(folder / "mapping.npz", fabric, notes) if fabric else None,
        notes=tuple(notes),
    )


def _text(path: Path, notes: list[str]) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            notes.append(f"{path.name}: {path.stat().st_size} bytes, at most {MAX_BYTES} are read")
            return ""
        return path.read_text(encoding="utf-8")
    except OSError as error:
        notes.append(f"{path.name}: {error.strerror}")
    except UnicodeDecodeError:
        notes.append(f"{path.name}: is not text")
    return ""


def _object(path: Path, notes: list[str]) -> Mapping[str, Any]:
    text = _text(path, notes)
    try:
        content = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        notes.append(f"{path.name}: is not JSON ({error})")
        return {}
    if not isinstance(content, dict):
        notes.append(f"{path.name}: holds no object")
        return {}
    return content


def _lines(path: Path, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
    """Records up to the first damaged line: a run that was killed may end in half of one."""
    records: list[Mapping[str, Any]] = []
    for number, line in enumerate(_text(path, notes).splitlines(), 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            notes.append(f"{path.name}: line {number} is no record; epochs up to there are shown")
            break
        records.append(record)
    return tuple(records)


def _config(path: Path, notes: list[str]) -> Mapping[str, Any]:
    try:
        content = plain(read(path))
    except TilewireError as error:
        notes.append(f"{path.name}: {error.message}")
        return {}
    return content if isinstance(content, dict) else {}


def _fabric(path: Path, notes: list[str]) -> TileFabric | None:
    if not path.is_file():
        notes.append(f"{path.name}: no such file, so no chip map")
        return None
    try:
        return load_hardware(path)
    except TilewireError as error:
        notes.append(f"{path.name}: {error.message}")
        return None


def _mapped(path: Path, fabric: TileFabric, notes: list[str]) -> Mapped | None:
    try:
        arrays = read_arrays(path)
        trees = from_hops(fabric, arrays["tree_ptr"], arrays["tree_hops"])
        tile, branches = arrays["placement"], arrays["branches"]
        group = arrays.get("group", np.arange(fabric.n_neurons) // fabric.neurons_per_tile)
        if (
            tile.shape != (fabric.n_neurons,)
            or group.shape != tile.shape
            or branches.ndim != 2
            or branches.shape[1] != 2
        ):
            notes.append(f"{path.name}: does not belong to this chip of {fabric.n_neurons} neurons")
            return None
        tile_of_group = np.full(fabric.n_tiles, -1, np.int64)
        tile_of_group[group] = tile
        source, target = branches[:, 0], tile_of_group[branches[:, 1]]
        if (
            min(tile.min(), target.min(initial=0), source.min(initial=0)) < 0
            or max(tile.max(), target.max(initial=0)) >= fabric.n_tiles
        ):
            notes.append(f"{path.name}: names tiles that this chip does not have")
            return None
        load = loads(fabric, trees)
        if "port_use" in arrays and not np.array_equal(arrays["port_use"], port_use(fabric, load)):
            notes.append(f"{path.name}: its trees and its port use contradict each other, so no chip map")
            return None
        return Mapped(tile, trees, load, source, target)
    except TilewireError as error:
        notes.append(f"{path.name}: {error.message}")
    except (KeyError, IndexError, TypeError) as error:
        notes.append(f"{path.name}: {type(error).__name__} {error}")
    return None
