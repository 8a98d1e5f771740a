"""Spiking Heidelberg Digits (SHD) and Spiking Speech Commands (SSC): Cramer, Stradmann, Schemmel and Zenke 2020, arXiv:1910.07407.

File layout (HDF5): `spikes/times` (one float array per sample, s), `spikes/units` (channel of each spike), `labels`, `extra/keys` (class
names) and, in SHD, `extra/speaker`. Times are stored in half precision (spacing 1 ms above 1 s), so they are widened before any arithmetic
and steps below 1 ms mean nothing. SHD has no validation file: speakers of the training file are held out, never samples of the test file.
Read once in bulk, binned, and kept as an `.npz` beside the files.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.data.download import RemoteFile, fetch, md5_of, missing
from tilewire.data.record import EventPack, SpikeData, concatenate, spike_data
from tilewire.data.storage import read_npz, write_npz
from tilewire.errors import DataError

MIRRORS = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
STAND_IN = "mini-speech"
_MOST_SAMPLES = 1 << 24
_MOST_CLASSES = 10_000
_MOST_BYTES = 32 << 30  # of an unpacked archive
_READ_CHUNK = 512  # samples read at once, bounds the memory
_H5_FAULTS = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    IndexError,
    MemoryError,
    OverflowError,
)


@dataclass(frozen=True)
class AudioFile:
    """One published file: what it is called, how many samples it holds, and where it comes from."""

    remote: RemoteFile
    samples: int


@dataclass(frozen=True)
class AudioSet:
    """A published data set; `files` by split. Without a validation file, speakers of the training file are held out."""

    name: str
    channels: int
    files: Mapping[str, AudioFile]


def _file(name: str, md5: str, size: str, samples: int) -> AudioFile:
    return AudioFile(RemoteFile(f"{name}.h5.zip", md5, size, MIRRORS), samples)


SHD = AudioSet(
    "shd",
    700,
    {
        "train": _file("shd_train", "f3252aeb598ac776c1b526422d90eecb", "about 130 MB", 8156),
        "test": _file("shd_test", "1503a5064faa34311c398fb0a1ed0a6f", "about 40 MB", 2264),
    },
)
SSC = AudioSet(
    "ssc",
    700,
    {
        "train": _file("ssc_train", "d102be95e7144fcc0553d1f45ba94170", "about 1 GB", 75466),
        "validation": _file("ssc_valid", "b4eee3516a4a90dd0c71a6ac23a8ae43", "about 150 MB", 9981),
        "test": _file("ssc_test", "a35ff1e9cffdd02a20eb850c17c37748", "about 300 MB", 20382),
    },
)


def load_spiking_audio(
    audio: AudioSet,
    root: Path,
    *,
    download: str,
    seed: int,
    steps: int = 100,
    window_s: float = 1.4,
    held_out: float = 0.2,
) -> SpikeData:
    """SHD or SSC, spikes of the first `window_s` seconds counted in `steps` steps (later spikes are left out).

    root holds the files as `.h5`, `.h5.zip` or `.h5.gz`; download: 'never', 'auto' (what is missing) or 'force'. held_out: share of the
    training speakers, chosen by `seed`, that become the validation split where there is no such file.
    """
    if steps < 1 or not 0 < window_s <= 60 or not 0 < held_out < 1:
        raise DataError(f"cannot bin {window_s} s into {steps} steps with a share of {held_out} speakers held out")
    paths = locate(audio, root, download)
    stamp = hashlib.sha256(
        repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths.values()]).encode()
    ).hexdigest()[:12]
    cache = root / f"{audio.name}-{steps}x{window_s:g}s-{held_out:g}-seed{seed}-{stamp}.npz"
    if cache.is_file():
        return read_npz(cache, audio.name)
    packs: dict[str, EventPack] = {}
    classes: tuple[str, ...] = ()
    for split, path in paths.items():
        with _unpacked(path) as h5:
            packs[split], names = read_h5(
                h5, audio.channels, steps, window_s, audio.files[split].samples, label=str(path)
            )
        classes = max(classes, names, key=len)
    if "validation" not in packs:
        packs["train"], packs["validation"] = hold_out_speakers(packs["train"], held_out, np.random.default_rng(seed))
    data = spike_data(audio.name, "real", classes, packs)
    with suppress(OSError):  # a folder that cannot be written to only costs the time of binning again
        write_npz(data, cache)
    return data


def locate(audio: AudioSet, root: Path, download: str) -> dict[str, Path]:
    """Path of each file, verified against its md5 when it is the published archive; downloads as `download` says."""
    found: dict[str, Path] = {}
    absent = []
    for split, file in audio.files.items():
        archive = root / file.remote.name
        plain = [root / archive.stem, root / f"{archive.stem}.gz"]
        if download != "force" and (present := [path for path in plain if path.is_file()]):
            found[split] = present[0]
            continue
        if download in ("auto", "force"):
            found[split] = fetch(file.remote, root, stand_in=STAND_IN, force=download == "force")
        elif archive.is_file():
            _verify(archive, file.remote)
            found[split] = archive
        else:
            absent.append(file.remote)
    if absent:
        raise missing(absent, root, STAND_IN)
    return found


def _verify(path: Path, file: RemoteFile) -> None:
    md5 = md5_of(path)
    if md5 != file.md5:
        raise DataError(
            f"wrong checksum: md5 {md5} instead of {file.md5}",
            where=str(path),
            hint="delete the file and fetch it again",
        )


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The plain HDF5 file inside an archive, in a temporary folder; a plain file as it is."""
    if path.suffix == ".h5":
        yield path
        return
    with tempfile.TemporaryDirectory(dir=path.parent if os.access(path.parent, os.W_OK) else None) as folder:
        target = Path(folder) / "plain.h5"
        try:
            if path.suffix == ".gz":
                with gzip.open(path) as source, target.open("wb") as sink:
                    _copy(source, sink)
            else:
                with zipfile.ZipFile(path) as archive:
                    members = [
                        name for name in archive.namelist() if name.endswith(".h5") and not name.startswith("__")
                    ]
                    if len(members) != 1:
                        raise DataError(f"holds {len(members)} .h5 files, must be one", where=str(path))
                    with archive.open(members[0]) as source, target.open("wb") as sink:
                        _copy(source, sink)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"damaged archive ({type(error).__name__}: {error})", where=str(path)) from error
        yield target


def _copy(source: IO[bytes] | gzip.GzipFile, sink: IO[bytes]) -> None:
    size = 0
    while block := source.read(1 << 20):
        size += len(block)
        if size > _MOST_BYTES:
            raise OSError(f"unpacks to more than {_MOST_BYTES} bytes")
        sink.write(block)


def read_h5(
    path: Path, channels: int, steps: int, window_s: float, samples: int | None = None, *, label: str | None = None
) -> tuple[EventPack, tuple[str, ...]]:
    """One file in the published layout: its events in `steps` steps of window_s / steps, and the class names it states.

    samples: the number that it must hold (any if None). Raises DataError on a file that is damaged or not in that layout.
    """
    import h5py

    where = label or str(path)
    try:
        with h5py.File(path, "r") as file:
            labels = _plain(file, "labels", "iu")
            if samples is not None and len(labels) != samples:
                raise DataError(f"{len(labels)} samples, the published file holds {samples}")
            if not len(labels) >= 1 or labels.min() < 0 or labels.max() > _MOST_CLASSES:
                raise DataError("labels must be small whole numbers, at least one")
            speaker = _plain(file, "extra/speaker", "iu") if "extra/speaker" in file else None
            names = _plain(file, "extra/keys", "SUO") if "extra/keys" in file else np.empty(0, "S1")
            times, units = _dataset(file, "spikes/times"), _dataset(file, "spikes/units")
            if not len(times) == len(units) == len(labels) or (speaker is not None and len(speaker) != len(labels)):
                others = f"{len(units)} units, {len(labels)} labels" + (
                    "" if speaker is None else f", {len(speaker)} speakers"
                )
                raise DataError(f"{len(times)} times, {others}: lengths differ")
            parts = [
                _binned(times, units, slice(first, min(first + _READ_CHUNK, len(labels))), channels, steps, window_s)
                for first in range(0, len(labels), _READ_CHUNK)
            ]
    except DataError as error:
        raise DataError(error.message, where=where) from error
    except _H5_FAULTS as error:
        raise DataError(f"not a readable spike file ({type(error).__name__}: {error})", where=where) from error
    pack = replace(
        concatenate(parts), label=labels.astype(np.int32), speaker=None if speaker is None else speaker.astype(np.int32)
    )
    texts = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist()]
    return pack, tuple(texts) or tuple(str(i) for i in range(int(labels.max()) + 1))


def _binned(times: Any, units: Any, part: slice, channels: int, steps: int, window_s: float) -> EventPack:
    """Events of some samples, labels still zero."""
    when, ptr = _ragged(times, part, "f")
    channel, unit_ptr = _ragged(units, part, "iu")
    if not np.array_equal(ptr, unit_ptr):
        raise DataError("some sample has more times than units, or fewer")
    if not np.all(np.isfinite(when)) or when.min(initial=0) < 0:
        raise DataError("times must be finite numbers of seconds, 0 or later")
    if channel.min(initial=0) < 0 or channel.max(initial=0) >= channels:
        raise DataError(f"units {channel.min(initial=0)} .. {channel.max(initial=0)} outside 0 .. {channels - 1}")
    inside = when * np.float32(steps / window_s) < steps  # before the cast: a late time must not overflow
    sample = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))[inside]
    return EventPack.from_events(
        sample,
        np.floor(when[inside] * np.float32(steps / window_s)).astype(np.int64),
        channel[inside],
        np.ones(sample.size, np.uint8),
        steps=steps,
        channels=channels,
        label=np.zeros(len(ptr) - 1, np.int32),
        step_s=window_s / steps,
    )


def _dataset(file: Any, name: str) -> Any:
    """A one-dimensional dataset stored in this very file."""
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        if not isinstance(file.get("/".join(parts[:depth]), getlink=True), h5py.HardLink):
            raise DataError(f"'{name}' is a link to elsewhere")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1 or dataset.external or dataset.is_virtual:
        raise DataError(f"'{name}' is not a plain list")
    if len(dataset) > _MOST_SAMPLES:
        raise DataError(f"'{name}' has {len(dataset)} entries, at most {_MOST_SAMPLES}")
    return dataset


def _plain(file: Any, name: str, kinds: str) -> NDArray[Any]:
    """A list of whole numbers or of text; an object dtype is allowed only where it stands for text."""
    import h5py

    dataset = _dataset(file, name)
    if dataset.dtype.kind not in kinds or (
        dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None
    ):
        raise DataError(f"'{name}' holds {dataset.dtype}, not {'text' if 'S' in kinds else 'whole numbers'}")
    return np.asarray(dataset[:])


def _ragged(dataset: Any, part: slice, kinds: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Some entries of a list of number arrays as one array (half precision widened) and where each begins."""
    import h5py

    base = h5py.check_vlen_dtype(dataset.dtype)
    if base is None or np.dtype(base).kind not in kinds:
        raise DataError(f"'{dataset.name}' holds {dataset.dtype}, not lists of numbers")
    rows = dataset[part]
    ptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = np.concatenate([np.empty(0, base), *rows])
    return (flat.astype(np.float32) if flat.dtype.kind == "f" else flat), ptr


def hold_out_speakers(pack: EventPack, share: float, rng: np.random.Generator) -> tuple[EventPack, EventPack]:
    """The pack without, and of, a share of its speakers (at least one of each side). Raises DataError with fewer than two speakers."""
    speakers = np.unique(pack.speaker) if pack.speaker is not None else np.empty(0, np.int32)
    if len(speakers) < 2:
        raise DataError(f"{len(speakers)} speakers known, two are needed to hold one out for validation")
    held = rng.permutation(speakers)[: min(max(1, round(share * len(speakers))), len(speakers) - 1)]
    outside = np.isin(np.asarray(pack.speaker), held)
    return pack.take(np.flatnonzero(~outside)), pack.take(np.flatnonzero(outside))


def files_present(audio: AudioSet, root: Path) -> bool:
    """Whether every file is in `root` in one of the accepted forms (contents not verified)."""
    stems = [Path(file.remote.name).stem for file in audio.files.values()]
    return all(any(os.path.isfile(root / f"{stem}{end}") for end in ("", ".zip", ".gz")) for stem in stems)
