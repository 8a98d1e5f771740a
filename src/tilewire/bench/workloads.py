"""Workloads by name."""

from __future__ import annotations

from importlib import import_module

from tilewire.bench.contest import Contest
from tilewire.errors import UsageError, unknown

WORKLOADS: dict[str, str] = {
    "w1": "tilewire.bench.w1_contest:contests",
    "w1-growth": "tilewire.bench.w1_contest:growth",
    "w2": "tilewire.bench.w2:contests",
    "w2-growth": "tilewire.bench.w2:growth",
    "w3": "tilewire.bench.w3:contests",
    "w4": "tilewire.bench.w4:contests",
    "w5": "tilewire.bench.w5:contests",
    "overhead": "tilewire.bench.overhead:contests",
}
"""Workload -> ``module:function`` that lists its contests. The ``-growth`` ones vary one size at a time."""


def contests(workload: str) -> list[Contest]:
    """The contests of a workload. Raises `UsageError` for an unknown one."""
    if workload not in WORKLOADS:
        raise UsageError(unknown("workload", workload, WORKLOADS), where="bench")
    module, name = WORKLOADS[workload].split(":")
    found: list[Contest] = getattr(import_module(module), name)()
    return found
