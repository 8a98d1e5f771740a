"""A sparse linear layer: packed weights as rows (CSR or constant fan-in) or as blocks, dense only where that is measured to be faster."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError, unknown
from tilewire.kernels.crossover import Crossover, measure
from tilewire.kernels.dispatch import choose
from tilewire.kernels.linear import sparse_linear
from tilewire.kernels.patterns import BlockPattern, Pattern, RowPattern

PATHS = ("auto", "sparse", "dense")


class SparseLinear(nn.Module):
    """y = W x + b with W [outputs, inputs] sparse at fixed places.

    ``weight`` holds only the weights that exist: [n] for rows, [P, rows, columns] for blocks. Initial law: N(0, 1 / fan-in) per output,
    which keeps the variance of independent inputs; bias 0. ``path``: "sparse", "dense", or "auto" = the faster one, measured at the
    first call with a batch of about that size and kept in ``crossovers`` (a run stores `Crossover.record` and hands it in on resume).
    Raises `UsageError` for an unknown path.
    """

    def __init__(
        self, pattern: Pattern, rng: np.random.Generator, *, bias: bool = True, path: str = "auto",
        crossovers: list[Crossover] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if path not in PATHS:
            raise UsageError(unknown("path", path, PATHS), where="SparseLinear")
        self.pattern, self.path = pattern, path
        self.crossovers = {_size(choice.batch): choice for choice in crossovers or []}
        values = rng.standard_normal(pattern.shape) * np.sqrt(1.0 / _fan_in(pattern))
        self.weight = nn.Parameter(torch.from_numpy(values.astype(np.float32)))
        self.bias = nn.Parameter(torch.zeros(pattern.outputs)) if bias else None

    @classmethod
    def csr(
        cls, wired: Connectivity, rng: np.random.Generator, *, bias: bool = True, path: str = "auto"
    ) -> SparseLinear:
        """Any connectivity input -> output."""
        return cls(RowPattern.of(wired), rng, bias=bias, path=path)

    @classmethod
    def fan_in(
        cls, inputs: int, outputs: int, k: int, rng: np.random.Generator, *, bias: bool = True, path: str = "auto"
    ) -> SparseLinear:
        """Every output reads k different inputs, drawn uniformly. Raises `UsageError` for k outside 0..inputs."""
        return cls(RowPattern.fan_in(_draw(inputs, outputs, k, rng), inputs), rng, bias=bias, path=path)

    @classmethod
    def blocks(
        cls, inputs: int, outputs: int, k: int, rng: np.random.Generator, *, size: int = 32, bias: bool = True, path: str = "auto"
    ) -> SparseLinear:  # fmt: skip
        """Every group of ``size`` outputs reads k different groups of ``size`` inputs, drawn uniformly. Raises `UsageError` for sides no
        multiple of ``size``.
        """
        if size < 1 or inputs % size or outputs % size:
            raise UsageError(f"{inputs} inputs and {outputs} outputs are no multiples of blocks of {size}")
        source = _draw(inputs // size, outputs // size, k, rng)
        target = np.repeat(np.arange(outputs // size, dtype=np.int32), k)
        pattern = BlockPattern(source.ravel(), target, size, size, inputs // size, outputs // size)
        return cls(pattern, rng, bias=bias, path=path)

    def tier(self, batch: int) -> str:
        """Implementation that a batch of this size takes; measures if nobody has."""
        home = choose(self.weight.device.type)
        if self.path != "auto":
            return "dense" if self.path == "dense" else home
        if _size(batch) not in self.crossovers:
            with torch.enable_grad():
                self.crossovers[_size(batch)] = measure(self.pattern, batch, self.weight.dtype, str(self.weight.device))
        return "dense" if self.crossovers[_size(batch)].dense else home

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        rows = x.reshape(-1, x.shape[-1])
        y = sparse_linear(rows, self.weight, self.pattern, self.tier(len(rows)))
        y = y.reshape(*x.shape[:-1], self.pattern.outputs)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Shape, density and path, for ``print``."""
        one = self.pattern
        return f"inputs={one.inputs}, outputs={one.outputs}, density={one.density:.4g}, path={self.path}"


def _size(batch: int) -> int:
    """Batches are of one size when they have as many binary digits."""
    return batch.bit_length()


def _fan_in(pattern: Pattern) -> NDArray[np.float64]:
    """Inputs of the output that each weight belongs to, broadcastable to the packed weights."""
    if isinstance(pattern, RowPattern):
        return np.diff(pattern.ptr)[pattern.output].astype(np.float64)
    blocks = np.bincount(pattern.target, minlength=pattern.n_targets)[pattern.target]
    return (blocks.astype(np.float64) * pattern.rows)[:, None, None]


def _draw(n: int, rows: int, k: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """k different numbers below n per row, ascending: int32 [rows, k]."""
    if not 0 <= k <= n:
        raise UsageError(f"fan-in {k} of {n}", hint=f"0 to {n}")
    drawn = np.empty((rows, k), np.int32)
    for row in drawn:
        row[:] = np.sort(rng.choice(n, k, replace=False, shuffle=False))
    return drawn
