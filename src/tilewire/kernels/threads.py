"""Threads of the kernels: equal shares of the work, one thread each, the same shares every time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise


def in_shares(work: Callable[[int, int, int], object], items: int, threads: int) -> None:
    """Call ``work(share, first, last)`` for consecutive ranges that cover ``items``, one thread per share.

    The kernels release the interpreter lock, so plain threads suffice: no OpenMP runtime to share with torch, safe to
    call from several threads and after a fork. The split depends on the two numbers only. The first
    exception of a share is raised.
    """
    bounds = [items * share // threads for share in range(threads + 1)]
    shares = [(k, *pair) for k, pair in enumerate(pairwise(bounds)) if pair[0] < pair[1]]
    if not shares:
        return
    if len(shares) == 1:
        work(*shares[0])
        return
    with ThreadPoolExecutor(len(shares) - 1) as pool:
        others = [pool.submit(work, *share) for share in shares[1:]]
        work(*shares[0])
        for other in others:
            other.result()
