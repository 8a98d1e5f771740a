"""A study from its file to its front: books, workers, tables. The same call continues an interrupted study."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tilewire.errors import RunError, UsageError
from tilewire.search.ledger import Ledger, open_ledger
from tilewire.search.plan import ARMS, Draw, Entry, Result
from tilewire.search.results import write_results
from tilewire.search.screen import screen_of
from tilewire.search.study import Study
from tilewire.search.training import trained
from tilewire.search.worker import work

LOOK = 1.0  # seconds between two looks of the parent at the books


def one_worker(
    study: Study,
    folder: Path,
    storage: str | None,
    stop: Callable[[], bool],
    report: Callable[[Draw, Result | None], None] | None = None,
) -> None:
    """Work on a study in this process until it is done. Raises `Interrupted` when ``stop`` asks for it."""
    with _open(study, folder, storage) as ledger:
        work(study, ledger, trained(study, folder, stop), screen_of(study), report)


def _open(study: Study, folder: Path, storage: str | None) -> Ledger:
    return open_ledger(study, folder, storage, f"{study.path.stem} {study.file.seed}")


def many_workers(
    study: Study,
    folder: Path,
    storage: str | None,
    workers: int,
    command: Sequence[str],
    stop: Callable[[], bool],
    progress: Callable[[Mapping[str, Sequence[Entry]]], None],
) -> None:
    """Keep ``workers`` processes (``command``, each one worker, one thread) at work until the study is done.

    A worker that is killed is replaced, and what it was at is taken over. Raises `RunError` with the words of a worker that failed on its
    own, `UsageError` for fewer than one worker.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers, at least 1 is needed")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    children = [_spawn(command, environment) for _ in range(workers)]
    try:
        while any(child.poll() is None for child in children) and not stop():
            time.sleep(LOOK)
            progress(_entries(study, folder, storage))
            children = [_replaced(child, command, environment) for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            child.communicate()
    if stop():
        raise RunError(
            "the study was stopped; every training is saved", where=str(folder), hint="the same command continues"
        )


def _entries(study: Study, folder: Path, storage: str | None) -> dict[str, list[Entry]]:
    with _open(study, folder, storage) as ledger, ledger.exclusive():
        return {arm: ledger.entries(arm) for arm in ARMS}


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _replaced(
    child: subprocess.Popen[str], command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """The child, or a new one if a signal killed it. A child that ended with an error of its own ends the study."""
    if child.poll() is None or child.returncode == 0:
        return child
    if child.returncode < 0:
        return _spawn(command, environment)
    _, words = child.communicate()
    raise RunError(f"a worker failed: {words.strip()[-2000:]}", hint="the same command continues")


def worker_command(study: Path, folder: Path, storage: str | None, seed: int | None) -> list[str]:
    """The command line of one silent worker."""
    words = [sys.executable, "-m", "tilewire", "search", str(study), "--out", str(folder), "--worker"]
    words += ["--storage", storage] if storage else []
    return words + (["--seed", str(seed)] if seed is not None else [])


def finish(study: Study, folder: Path, storage: str | None) -> dict[str, Any]:
    """Tables, summary and report of what the books hold, finished or not; returns the summary."""
    from tilewire.report.study_page import write_study_report

    entries = _entries(study, folder, storage)
    summary = write_results(study, entries, folder)
    write_study_report(folder)
    return summary
