"""W1 as a contest; the workload is in ``tilewire.bench.w1``, the peers in ``tilewire.bench.w1_peers``."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tilewire.bench.contest import Contest, Contestant
from tilewire.bench.w1 import GROWTH, OWN, Network, Step, Workload, build
from tilewire.bench.w1_peers import EXACT, PEERS, available


def contests() -> list[Contest]:
    """The main workload against everybody who is installed."""
    return [_contest("W1 training step, N=1024, 5 %", Workload(), list(OWN), available())]


def growth() -> list[Contest]:
    """Time and memory against neurons, density, steps, rate and channels: our kernel against eager torch."""
    return [
        _contest(f"W1 growth, {name}: {_sizes(workload)}", workload, ["tilewire"], ["torch-eager"])
        for name, workloads in GROWTH.items()
        for workload in workloads
    ]


def _sizes(one: Workload) -> str:
    return f"N={one.tiles * one.size}, density={one.density:g}, T={one.steps}, input rate={one.input_rate:g}, I={one.channels}"


def _contest(title: str, workload: Workload, own: list[str], peers: list[str]) -> Contest:
    network = lru_cache(maxsize=1)(lambda: build(workload))
    table = {name: OWN[name] for name in own} | {name: PEERS[name] for name in peers}
    exact = [name for name in table if name in own or name in EXACT]
    return Contest(
        title,
        {name: _builder(network, make) for name, make in table.items()},
        frozenset(own),
        tuple(exact),
        tolerance=1e-3,  # one spike that rounding flips moves the loss in the fourth digit
        rounds=5,
        seconds=20.0,
    )


def _builder(network: Callable[[], Network], make: Callable[[Network], Step]) -> Callable[[], Contestant]:
    def build_one() -> Contestant:
        step, losses = make(network()), list[float]()
        return Contestant(lambda: losses.append(step()), lambda: [np.array(losses[:1])])

    return build_one
