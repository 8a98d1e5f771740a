"""Checkpoints: one folder each, written beside, fsynced, renamed; the previous one is kept. Nothing is ever half there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from tilewire.errors import RunError

_NAME = re.compile(r"^step-(\d{9,})(?:\.(\d+))?$")
_TEMPORARY = ".writing-"
KEEP = 2
MAX_TENSORS = 10_000  # a header of millions of names is an attack, not a network

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to continue: arrays (weights, moments, wiring) and a small state (cursor, metrics of finished epochs)."""

    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]
    path: Path


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes) -> None:
    """Write and fsync one new file."""
    with open(path, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically: temporary name beside it, fsync, rename. Raises `RunError` and leaves the old file."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}{os.getpid()}")
    try:
        write_file(temporary, content)
        os.replace(temporary, path)
        _fsync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"could not write: {error.strerror}", where=str(path), hint="free space or permissions"
        ) from error


def save(folder: Path, step: int, arrays: Arrays, state: Mapping[str, Any]) -> Path:
    """Save one checkpoint as ``folder/step-NNNNNNNNN`` and drop all but the last two.

    A second save of one step gets a suffix ``.1``, ``.2``, ...: nothing is removed before its successor is safe on disk.
    Raises `RunError` if anything fails (disk full, permissions): the path is named, nothing half-written is left and earlier
    checkpoints are intact.
    """
    final = _free(folder, step)
    temporary = folder / f"{_TEMPORARY}{step:09d}-{os.getpid()}"
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            _fsync_folder(folder.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        # Not ascontiguousarray: it turns scalars (Adam's step) into vectors.
        blob = safetensors.save({name: np.asarray(value, order="C") for name, value in arrays.items()})
        text = json.dumps(dict(state)).encode()  # key order kept: files written from it again are the same bytes
        digests = {
            "state.safetensors": hashlib.sha256(blob).hexdigest(),
            "state.json": hashlib.sha256(text).hexdigest(),
        }
        write_file(temporary / "state.safetensors", blob)
        write_file(temporary / "state.json", text)
        write_file(temporary / "sha256.json", json.dumps(digests, sort_keys=True).encode())
        _fsync_folder(temporary)
        os.replace(temporary, final)
        _fsync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = error.strerror or str(error)
        raise RunError(
            f"checkpoint not saved: {reason}; earlier checkpoints are intact",
            where=str(final),
            hint="free disk space and run again",
        ) from error
    for old in _listed(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _listed(folder: Path) -> list[Path]:
    """Checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), int(match[2] or 0), entry) for entry in folder.iterdir() if (match := _NAME.match(entry.name))
    ]
    return [entry for _, _, entry in sorted(found)]


def _free(folder: Path, step: int) -> Path:
    names = (f"step-{step:09d}{suffix}" for suffix in itertools.chain([""], (f".{k}" for k in itertools.count(1))))
    return next(folder / name for name in names if not (folder / name).exists())


def _read(path: Path) -> Checkpoint:
    try:
        digests = json.loads((path / "sha256.json").read_text())
        blob, text = (path / "state.safetensors").read_bytes(), (path / "state.json").read_bytes()
        for name, content in (("state.safetensors", blob), ("state.json", text)):
            if hashlib.sha256(content).hexdigest() != digests[name]:
                raise RunError("content does not match its sha256", where=str(path / name))
        arrays = safetensors.load(blob)
        if len(arrays) > MAX_TENSORS:
            raise RunError(f"{len(arrays)} tensors, at most {MAX_TENSORS} are read", where=str(path))
        state = json.loads(text)
        if not isinstance(state, dict):
            raise RunError("state.json holds no object", where=str(path))
        return Checkpoint(arrays, state, path)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RunError(f"unreadable checkpoint: {error}", where=str(path)) from error


def load_latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose digests hold, and a warning per damaged one that was passed over. None in an empty folder.

    Damaged ones are renamed ``damaged-...``, so that they do not count as the previous one that is kept.
    Raises `RunError` if there are checkpoints and none is readable.
    """
    warnings: list[str] = []
    damaged: list[Path] = []
    listed = _listed(folder)
    for path in reversed(listed):
        try:
            found = _read(path)
        except RunError as error:
            warnings.append(f"{error}; falling back to the one before it")
            damaged.append(path)
            continue
        for old in damaged:
            aside = folder / f"damaged-{old.name}"
            shutil.rmtree(aside, ignore_errors=True)
            with contextlib.suppress(OSError):  # tidiness only: a folder that cannot be written fails at the next save
                os.replace(old, aside)
        return found, warnings
    if listed:
        raise RunError(
            "no readable checkpoint: " + " | ".join(warnings),
            where=str(folder),
            hint="start in a new folder with --out",
        )
    return None, warnings


def clean(folder: Path) -> None:
    """Remove what killed saves left behind. Call only while holding the lock of the run."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.name.startswith(".") and _TEMPORARY in entry.name:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process; the system releases it however the process ends. Raises `RunError` if it is held."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(
            f"cannot use the run folder: {error.strerror}", where=str(folder), hint="another --out"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                "another process is using this run folder",
                where=str(folder),
                hint="wait for it, or choose another --out",
            ) from error
        yield
    finally:
        os.close(handle)
