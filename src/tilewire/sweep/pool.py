"""Processes of a sweep: each runs one recipe after another, so imports, kernels and data sets are loaded once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any


@dataclass(frozen=True)
class Task:
    """One run: recipe by name or path, settings as ``key=value`` texts, run folder, folder of shared phases."""

    recipe: str
    settings: list[str]
    folder: str
    share: str


class _Worker:
    """A child process that answers a line of JSON for each line that it is sent; what it says beside goes to a file."""

    def __init__(self) -> None:
        self.errors: IO[Any] = TemporaryFile()  # noqa: SIM115, closed by `close`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tilewire.sweep.worker"],
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True,
        )  # fmt: skip

    def ask(self, task: Task) -> str | None:
        """The error of a run, empty if it ended with an evaluation; None if the process died of it."""
        try:
            stdin, stdout = self.process.stdin, self.process.stdout
            if stdin is None or stdout is None:
                return None
            stdin.write(json.dumps(asdict(task)) + "\n")
            stdin.flush()
            answer = stdout.readline()
        except OSError:
            return None
        return str(json.loads(answer)["error"]) if answer.endswith("\n") else None

    def last_words(self) -> str:
        """How the process ended, with what it wrote to stderr."""
        code = self.process.wait()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace").strip()[-2000:]
        return text or f"the process of this run ended with {code} and said nothing"

    def close(self) -> None:
        """Let it end after the run it is at."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait()
        self.errors.close()


class WorkerPool:
    """As many processes as runs are asked for at the same time. A process that dies costs its own run only."""

    def __init__(self) -> None:
        self.guard, self.idle, self.all, self.stopped = threading.Lock(), list[_Worker](), list[_Worker](), False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.all:
            worker.close()

    def run(self, task: Task) -> str:
        """Run one task in a process of its own or of an earlier one; its error, or nothing."""
        with self.guard:
            if self.stopped:
                return "stopped before it began"
            if not self.idle:
                self.idle.append(_Worker())
                self.all.append(self.idle[-1])
            worker = self.idle.pop()
        error = worker.ask(task)
        with self.guard:
            if error is None:
                self.all.remove(worker)
            else:
                self.idle.append(worker)
        if error is None:
            error = worker.last_words()
            worker.close()
        return error

    def stop(self) -> None:
        """Ask every process to save and end, and begin no more runs."""
        with self.guard:
            self.stopped = True
            for worker in self.all:
                worker.process.send_signal(signal.SIGINT)
