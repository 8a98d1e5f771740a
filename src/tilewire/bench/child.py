"""Memory of one contestant, in a process of its own: ``python -m tilewire.bench.child WORKLOAD CONTEST CONTESTANT THREADS``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from tilewire.bench.contest import Contestant
from tilewire.bench.harness import peak_bytes, release_memory, restart_peak
from tilewire.bench.workloads import contests
from tilewire.kernels.dispatch import set_threads

STEPS = 3


def _run(ready: Contestant) -> None:
    for _ in range(STEPS):
        ready.prepare()
        ready.step()


def main(arguments: Sequence[str]) -> int:
    """Build the contestant anew after a warm-up, run a few steps, write by how much the peak grew as JSON to stdout."""
    workload, contest, contestant, threads = arguments
    set_threads(int(threads))
    build = contests(workload)[int(contest)].contestants[contestant]
    _run(build())  # compiles
    ready = build()
    release_memory()
    restart_peak()
    before = peak_bytes()
    _run(ready)
    sys.stdout.write(json.dumps({"memory_bytes": peak_bytes() - before}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
