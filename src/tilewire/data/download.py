"""Downloads with a pinned checksum: mirrors in turn, nothing half-written, every refusal explained. Called on explicit request only."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tilewire.errors import DataError

MOST_BYTES = 8 << 30
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, md5 as published, size in words, and the folders (URLs ending in /) that serve it."""

    name: str
    md5: str
    size: str
    mirrors: tuple[str, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(mirror + self.name for mirror in self.mirrors)


class _Refused(Exception):
    """A server's answer that is not the file."""


def md5_of(path: Path) -> str:
    """md5 of a file as published checksums give it: a guard against damage, not against forgery."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fetch(file: RemoteFile, folder: Path, *, stand_in: str, force: bool = False, timeout_s: float = 60.0) -> Path:
    """The verified file in `folder`, downloaded if it is not there yet (with `force` in any case; an old file stays until then).

    stand_in: the offline data set that the error names. Raises DataError when no mirror gives the file with its md5.
    """
    target = folder / file.name
    if not force and target.is_file() and md5_of(target) == file.md5:
        return target
    reasons = []
    for url in file.urls:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(url, target, file.md5, timeout_s)
            return target
        except (_Refused, OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{url}: {_reason(error)}")
    raise missing([file], folder, stand_in, reasons)


def missing(files: Sequence[RemoteFile], folder: Path, stand_in: str, reasons: Sequence[str] = ()) -> DataError:
    """The error for files that are not there: URL, size, checksum, target folder, and what works offline instead."""
    lines = [f"{file.urls[0]} ({file.size}, md5 {file.md5})" for file in files]
    message = f"{', '.join(file.name for file in files)} not available"
    if reasons:
        message += ": " + "; ".join(reasons)
    return DataError(
        message,
        where=str(folder),
        hint=f"download {' and '.join(lines)} into {folder}, "
        f"or use the offline stand-in '{stand_in}' (other data: never report it as these)",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code} {error.reason}"
    return str(error) or type(error).__name__


def _download(url: str, target: Path, md5: str, timeout_s: float) -> None:
    """One mirror into a temporary file beside the target, verified, synced, renamed."""
    if not url.startswith(("http://", "https://")):
        raise _Refused("not an http address")
    request = urllib.request.Request(url, headers={"User-Agent": "tilewire", "Accept": "*/*"})
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream, urllib.request.urlopen(request, timeout=timeout_s) as answer:
            found = _copy(answer, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if found != md5:
            raise _Refused(f"wrong checksum: md5 {found} instead of {md5}")
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(answer: Any, stream: IO[bytes]) -> str:
    """Body of an answer into a stream; its md5. Refuses what is not a complete file."""
    expected = answer.headers.get("Content-Length")
    if answer.status != 200:
        raise _Refused(f"answered {answer.status} {answer.reason} instead of the file")
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _Refused("answered a web page instead of the file")
    digest, size = hashlib.md5(usedforsecurity=False), 0
    while block := answer.read(_BLOCK):
        size += len(block)
        if size > MOST_BYTES:
            raise _Refused(f"more than {MOST_BYTES} bytes")
        digest.update(block)
        stream.write(block)
    if size == 0:
        raise _Refused("answered with no content")
    if expected is not None and size != int(expected):
        raise _Refused(f"broke off after {size} of {expected} bytes")
    return digest.hexdigest()
