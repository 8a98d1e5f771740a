"""The data sets that have names: a plain table, how to load one, and what is there."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tilewire.data import mini_speech, spiking_audio
from tilewire.data.record import Kind, SpikeData
from tilewire.data.storage import read_npz
from tilewire.errors import DataError, unknown

Loader = Callable[..., SpikeData]
DOWNLOADS = ("never", "auto", "force")


@dataclass(frozen=True)
class Source:
    """A named data set. load(root, *, download, seed, **options) -> SpikeData; present(root): whether it loads without a download."""

    kind: Kind
    summary: str
    load: Loader
    present: Callable[[Path], bool]
    audio: spiking_audio.AudioSet | None = None


def _large_present(root: Path) -> bool:
    return any((folder / mini_speech.LARGE.file).is_file() for folder in mini_speech.large_folders(root))


def _published(audio: spiking_audio.AudioSet, summary: str) -> Source:
    load = partial(spiking_audio.load_spiking_audio, audio)
    return Source("real", summary, load, partial(spiking_audio.files_present, audio), audio)


SOURCES: dict[str, Source] = {
    "mini-speech": Source(
        "synthetic",
        "20 spoken digits (English, German), 140 channels, 100 steps of 10 ms, 2,000 / 500 / 500, bundled",
        mini_speech.load_mini,
        lambda root: True,
    ),
    "mini-speech-pairs": Source(
        "synthetic",
        "20 ordered pairs of 5 digits, 140 channels, 160 steps, 2,000 / 500 / 500; spike counts alone reach at most 50 %",
        mini_speech.load_pairs,
        lambda root: True,
    ),
    "mini-speech-large": Source(
        "synthetic",
        "as mini-speech, 8,000 / 2,000 / 2,000, in a source checkout",
        mini_speech.load_large,
        _large_present,
    ),
    "shd": _published(
        spiking_audio.SHD, "Spiking Heidelberg Digits: 20 classes, 700 channels, 8,156 train + validation / 2,264 test"
    ),
    "ssc": _published(spiking_audio.SSC, "Spiking Speech Commands: 35 classes, 700 channels, 75,466 / 9,981 / 20,382"),
}


@dataclass(frozen=True)
class Description:
    """One line of the list of data sets; files: (URL, size, md5) of what a fetch would get."""

    name: str
    kind: Kind
    summary: str
    present: bool
    files: tuple[tuple[str, str, str], ...]


def data_root(root: Path | str | None = None) -> Path:
    """Folder of data files: the argument, else TILEWIRE_DATA, else the platform's cache folder."""
    if root is not None or os.environ.get("TILEWIRE_DATA"):
        return Path(root or os.environ["TILEWIRE_DATA"]).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tilewire"


def load(
    name_or_path: str | Path,
    root: Path | str | None = None,
    download: str = "never",
    seed: int = 0,
    **options: Any,
) -> SpikeData:
    """A data set by name (see SOURCES), by 'their.module:function', or from an `.npz` file or a folder of WAV files.

    root: folder of data files (default `data_root`). download: 'never', 'auto' (what is missing) or 'force'. seed: for whatever the set
    draws (pairs, held-out speakers, encoder noise). options: the loader's own, such as `steps` for 'shd'; a WAV folder needs `channels`,
    `steps` and `step_s`. Raises DataError; there is never a silent stand-in.
    """
    if download not in DOWNLOADS:
        raise DataError(unknown("download policy", download, DOWNLOADS))
    name, folder = str(name_or_path), data_root(root)
    if name in SOURCES:
        return _call(name, SOURCES[name].load, folder, {"download": download, "seed": seed}, options)
    path = Path(name).expanduser()
    if path.is_file():
        if options:
            raise DataError(f"unknown option {', '.join(options)}: a file of spikes has none", where=name)
        return read_npz(path)
    if path.is_dir():
        from tilewire.data.waves import encode_folder

        return _call(name, encode_folder, path, {"rng": np.random.default_rng(seed)}, options)
    if ":" in name:
        return _call(name, _imported(name), folder, {"download": download, "seed": seed}, options)
    raise DataError(
        unknown("data set", name, SOURCES), hint="or give a path to an .npz file or to a folder of WAV files"
    )


def fetch(name: str, root: Path | str | None = None, force: bool = False) -> tuple[Path, ...]:
    """Downloads the files of a published set into `root`, verified; returns their paths. Bundled sets need no fetch and return ()."""
    if name not in SOURCES:
        raise DataError(unknown("data set", name, SOURCES))
    audio = SOURCES[name].audio
    if audio is None:
        return ()
    return tuple(spiking_audio.locate(audio, data_root(root), "force" if force else "auto").values())


def describe_all(root: Path | str | None = None) -> list[Description]:
    """All named data sets and whether each is there."""
    folder = data_root(root)
    described = []
    for name, source in SOURCES.items():
        remote = [file.remote for file in source.audio.files.values()] if source.audio else []
        files = tuple((file.urls[0], file.size, file.md5) for file in remote)
        described.append(Description(name, source.kind, source.summary, source.present(folder), files))
    return described


def _imported(name: str) -> Loader:
    module, _, function = name.partition(":")
    try:
        loader = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"cannot import data set '{name}': {error}") from error
    if not callable(loader):
        raise DataError(f"'{name}' is not a function")
    return loader  # type: ignore[no-any-return]


def _call(name: str, loader: Loader, place: Path, given: dict[str, Any], options: dict[str, Any]) -> SpikeData:
    """The loader's data set; a wrong, missing or doubled option is an error that names the right ones."""
    signature = inspect.signature(loader)
    try:
        signature.bind(place, **given, **options)
    except TypeError as error:
        names = [key for key in list(signature.parameters)[1:] if key not in given]
        raise DataError(f"{error}; options: {', '.join(names) or 'none'}", where=name) from error
    data = loader(place, **given, **options)
    if not isinstance(data, SpikeData):
        raise DataError(f"gave {type(data).__name__} instead of SpikeData", where=name)
    return data
