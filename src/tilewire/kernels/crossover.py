"""Sparse or dense: measured on the layer itself, once, and kept as a record."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from tilewire.kernels.dispatch import choose
from tilewire.kernels.linear import sparse_linear
from tilewire.kernels.patterns import Pattern, RowPattern

ROUNDS, CLEAR = 7, 1.5
"""Most timed rounds per path, and the ratio after which two rounds settle it."""


@dataclass(frozen=True)
class Crossover:
    """A measured choice for one shape on one machine; a run keeps it in its manifest and a resumed run hands it in again.

    ``density`` of the layer; ``crossover`` = density * dense / sparse is the estimated density at which both take equally long (sparse time
    grows in proportion to the weights). Seconds are of one forward and backward pass of ``batch`` samples on ``threads`` threads.
    """

    inputs: int
    outputs: int
    storage: str
    batch: int
    dtype: str
    threads: int
    machine: str
    density: float
    sparse_seconds: float
    dense_seconds: float

    @property
    def crossover(self) -> float:
        """Estimated density of equal time."""
        return self.density * self.dense_seconds / self.sparse_seconds

    @property
    def dense(self) -> bool:
        """Whether the dense path is the faster one."""
        return self.dense_seconds < self.sparse_seconds

    def record(self) -> dict[str, object]:
        """The fields and the choice as plain values."""
        return asdict(self) | {"crossover": self.crossover, "path": "dense" if self.dense else "sparse"}

    @staticmethod
    def of_record(record: dict[str, object]) -> Crossover:
        """The choice that `record` wrote."""
        return Crossover(**{name: record[name] for name in Crossover.__dataclass_fields__})  # type: ignore[arg-type]


def storage_of(pattern: Pattern) -> str:
    """How the weights of a pattern are stored, in words."""
    return "rows" if isinstance(pattern, RowPattern) else f"blocks {pattern.rows} x {pattern.columns}"


def measure(pattern: Pattern, batch: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Crossover:
    """Time both paths of one layer, interleaved, the least of a few rounds each; stops early when they are far apart."""
    x = torch.linspace(-1, 1, max(batch, 1) * pattern.inputs, dtype=dtype, device=device).view(-1, pattern.inputs)
    weight = torch.linspace(-1, 1, max(1, torch.Size(pattern.shape).numel()), dtype=dtype, device=device)
    weight = weight[: torch.Size(pattern.shape).numel()].view(pattern.shape)
    error = torch.ones(len(x), pattern.outputs, dtype=dtype, device=device)
    best = {choose(device): float("inf"), "dense": float("inf")}
    for round_ in range(ROUNDS + 1):
        for tier in best:
            seconds = _seconds(x, weight, pattern, tier, error)
            # the first round compiles, builds the orders of the pattern and touches memory
            best[tier] = min(best[tier], seconds) if round_ else best[tier]
        fast, slow = sorted(best.values())
        if round_ >= 2 and slow > CLEAR * fast:
            break
    sparse_seconds, dense_seconds = best.values()
    return Crossover(
        pattern.inputs, pattern.outputs, storage_of(pattern), len(x), str(dtype).removeprefix("torch."), torch.get_num_threads(),
        platform.processor() or platform.machine(), pattern.density, sparse_seconds, dense_seconds,
    )  # fmt: skip


def _seconds(x: Tensor, weight: Tensor, pattern: Pattern, tier: str, error: Tensor) -> float:
    """One forward and backward pass; on one thread processor time, which other processes disturb less."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    leaves = [tensor.detach().requires_grad_() for tensor in (x, weight)]
    start = clock()
    sparse_linear(leaves[0], leaves[1], pattern, tier).backward(error)  # type: ignore[no-untyped-call]
    return clock() - start
