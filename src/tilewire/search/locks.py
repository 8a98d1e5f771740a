"""Locks that die with their owner: one worker at a time touches the books, and everybody can tell who is alive.

No clock is involved. A killed process loses its file locks and its database session at once, so nobody waits for a lease to run out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tilewire.errors import MissingExtraError, RunError


class Locks(Protocol):
    """What a ledger needs to know of its workers."""

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Hold the books alone."""

    def attend(self, worker: str) -> None:
        """Be alive as ``worker`` until this process ends."""

    def present(self, worker: str) -> bool:
        """Whether a worker is alive. Only asked inside `exclusive`."""

    def close(self) -> None:
        """Stop being alive as anybody."""


class FileLocks:
    """For processes of one machine: `flock` on files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.own = folder, dict[str, int]()
        try:
            (folder / "workers").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"could not make the folder of the study: {error.strerror}", where=str(folder)) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        handle = os.open(self.folder / "study.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def attend(self, worker: str) -> None:
        handle = os.open(self.folder / "workers" / worker, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self.own[worker] = handle

    def present(self, worker: str) -> bool:
        if worker in self.own:
            return True
        path = self.folder / "workers" / worker
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        path.unlink(missing_ok=True)
        return False

    def close(self) -> None:
        for handle in self.own.values():
            os.close(handle)
        self.own.clear()


class PostgresLocks:
    """For processes anywhere that share a PostgreSQL server: advisory locks of one session."""

    def __init__(self, url: str, study: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtraError("PostgreSQL needs psycopg", hint="pip install 'tilewire[search]'") from error
        self.study, self.own, self.psycopg = study, set[str](), psycopg
        try:
            self.session: Any = psycopg.connect(
                url, autocommit=True, connect_timeout=10, keepalives_idle=5, keepalives_interval=2, keepalives_count=3
            )
        except psycopg.Error as error:
            raise unreachable(url, error) from error

    def _call(self, function: str, name: str) -> bool:
        try:
            query = f"SELECT {function}(hashtextextended(%s, 0))"
            return bool(self.session.execute(query, (f"tilewire {self.study} {name}",)).fetchone()[0])
        except self.psycopg.Error as error:
            raise RunError(
                f"the database went away: {_short(error)}", hint="the same command continues where the study stood"
            ) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        self._call("pg_advisory_lock", "books")
        try:
            yield
        finally:
            self._call("pg_advisory_unlock", "books")

    def attend(self, worker: str) -> None:
        self._call("pg_advisory_lock", f"worker {worker}")
        self.own.add(worker)

    def present(self, worker: str) -> bool:
        if worker in self.own:
            return True
        free = self._call("pg_try_advisory_lock", f"worker {worker}")
        if free:
            self._call("pg_advisory_unlock", f"worker {worker}")
        return not free

    def close(self) -> None:
        self.session.close()
        self.own.clear()


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def unreachable(url: str, error: Exception) -> RunError:
    """A database that does not answer, named without its password."""
    scheme, _, rest = url.partition("://")
    return RunError(
        f"cannot reach the database: {_short(error)}",
        where=f"{scheme}://{rest.rpartition('@')[2]}",
        hint="check server, name and password; without --storage the study lives in its folder",
    )
