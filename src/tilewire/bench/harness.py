"""Contestants side by side: interleaved in one process for time, in a child process each for memory."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tilewire.bench.contest import Contest, Contestant, disagreement
from tilewire.errors import TilewireError

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
KEEP = 1 << 30
"""Blocks below this size stay with the process when they are freed, so that every contestant reuses its memory."""


@dataclass(frozen=True)
class Figure:
    """What was measured of one contestant.

    ``seconds`` least and ``median_seconds`` of the rounds, by the clock of the result; ``ratio`` = seconds of the best peer / own
    seconds (above 1: faster than every peer); ``memory_bytes`` by which the peak resident memory grew over the built contestant, None
    if not measured; ``error`` = relative L2 distance of its outcome to the first exact one's, None if it computes something else.
    """

    name: str
    own: bool
    seconds: float
    median_seconds: float
    ratio: float
    memory_bytes: int | None
    error: float | None


@dataclass(frozen=True)
class Result:
    """Figures of one contest. ``clock``: "cpu" is process time (one thread: other processes disturb it less), "wall" is elapsed time."""

    title: str
    threads: int
    clock: str
    figures: tuple[Figure, ...]

    def record(self) -> dict[str, Any]:
        """The result as plain values, contestants by name."""
        figures = {figure.name: {k: v for k, v in asdict(figure).items() if k != "name"} for figure in self.figures}
        return {"title": self.title, "threads": self.threads, "clock": self.clock, "contestants": figures}


def keep_memory() -> None:
    """Tell the C library to keep freed memory (glibc only; elsewhere nothing happens)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, KEEP)
        mallopt(TRIM_THRESHOLD, KEEP)


def measure(contest: Contest, threads: int, address: tuple[str, int] | None = None) -> Result:
    """Time all contestants in turns; then, given the ``address`` (workload, contest) of this contest, measure their memory.

    Raises `TilewireError` if exact contestants disagree.
    """
    from tilewire.kernels.dispatch import set_threads

    keep_memory()
    set_threads(threads)
    ready = {name: build() for name, build in contest.contestants.items()}
    clock = "cpu" if threads == 1 else "wall"
    times: dict[str, list[float]] = {name: [] for name in ready}
    errors = _first_round(contest, ready, clock, times)
    for _ in range(contest.rounds):
        for name, contestant in ready.items():
            spent = times[name]
            if len(spent) < 1 or sum(spent) + min(spent) <= contest.seconds:
                spent.append(_timed(contestant, clock))
    memory = {name: None if address is None else _memory(*address, name, threads) for name in ready}
    peers = [min(spent) for name, spent in times.items() if name not in contest.own]
    best = min(peers, default=float("nan"))
    return Result(contest.title, threads, clock, tuple(
        Figure(name, name in contest.own, min(spent), median(spent), best / min(spent), memory[name], errors[name])
        for name, spent in times.items()
    ))  # fmt: skip


def _timed(contestant: Contestant, clock: str) -> float:
    contestant.prepare()
    now = time.process_time if clock == "cpu" else time.perf_counter
    start = now()
    contestant.step()
    return now() - start


def _first_round(
    contest: Contest, ready: dict[str, Contestant], clock: str, times: dict[str, list[float]]
) -> dict[str, float | None]:
    """Run everyone once and compare the outcomes. The first round compiles and is not counted, unless another would take too long."""
    errors: dict[str, float | None] = dict.fromkeys(ready)
    want = None
    for name in dict.fromkeys((*contest.exact, *ready)):
        seconds = _timed(ready[name], clock)
        if seconds > contest.seconds / 2:
            times[name].append(seconds)
        if name in contest.exact:
            got = ready[name].outcome()
            want = got if want is None else want
            errors[name] = error = disagreement(got, want)
            if not error <= contest.tolerance:
                raise TilewireError(
                    f"{name} differs from {contest.exact[0]} by {error:.2g}, limit {contest.tolerance:.2g}",
                    where=contest.title,
                )
    return errors


def _memory(workload: str, contest: int, contestant: str, threads: int) -> int | None:
    """Growth of the peak resident memory in a process of its own; None if that process fails."""
    command = [sys.executable, "-m", "tilewire.bench.child", workload, str(contest), contestant, str(threads)]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(KEEP), "MALLOC_TRIM_THRESHOLD_": str(KEEP)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return int(json.loads(done.stdout)["memory_bytes"]) if done.returncode == 0 else None


def release_memory() -> None:
    """Give freed memory back to the system (glibc only; elsewhere nothing happens)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def restart_peak() -> None:
    """Forget the peak resident memory so far, where the system can (Linux)."""
    switch = Path("/proc/self/clear_refs")
    if os.access(switch, os.W_OK):
        switch.write_text("5")


def peak_bytes() -> int:
    """Peak resident memory of this process since `restart_peak`."""
    status = Path("/proc/self/status")
    if status.exists():
        # not ru_maxrss: a child inherits it from its parent
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
