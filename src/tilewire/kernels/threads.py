"""Threads of the kernels: equal shares of the work, one thread each, the same shares every time."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache


def in_shares(work: Callable[[int, int, int], object], items: int, threads: int) -> None:
    """Call ``work(share, first, last)`` for consecutive ranges that cover ``items``, one thread per share.

    The kernels release the interpreter lock, so plain threads suffice: no OpenMP runtime to share with torch, safe to
    call from several threads and after a fork. The split depends on the two numbers only. ``work`` must not call this function itself:
    its threads are kept for the next call, since a new one costs as much as a small product. The first exception of a share is raised.
    """
    if threads == 1 or items <= 1:
        if items > 0:
            work(0, 0, items)
        return
    bounds = [items * share // threads for share in range(threads + 1)]
    shares = [(k, bounds[k], bounds[k + 1]) for k in range(threads) if bounds[k] < bounds[k + 1]]
    others = [_workers(threads - 1, os.getpid()).submit(work, *share) for share in shares[1:]]
    try:
        work(*shares[0])
    finally:
        failures = [other.exception() for other in others]
    for failure in failures:
        if failure is not None:
            raise failure


@lru_cache(maxsize=1)
def _workers(number: int, process: int) -> ThreadPoolExecutor:
    """Threads that wait for work; ``process`` is the one that may use them, a forked child makes its own."""
    return ThreadPoolExecutor(number, "tilewire")
