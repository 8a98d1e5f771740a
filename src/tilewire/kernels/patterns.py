"""Where the weights of a sparse linear layer sit; the weights themselves live outside, packed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.kernels.blocks import order
from tilewire.kernels.numba_spread import ascending, masks

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


class Transposed(NamedTuple):
    """A `RowPattern` seen from the inputs: input i owns ``ptr[i] : ptr[i + 1]``, entries (``output``, ``slot`` of the weight)."""

    ptr: Longs
    output: Ints
    slot: Ints


@dataclass(frozen=True, eq=False)
class RowPattern:
    """Compressed rows: output o reads the inputs ``index[ptr[o] : ptr[o + 1]]``, weight k belongs to ``index[k]``.

    ``ptr`` int64 [outputs + 1], ``index`` int32 [n]. A constant fan-in is the case of equally long rows. Entries of a row need no
    order; repeats add up. Raises `UsageError` when the arrays contradict each other.
    """

    ptr: Longs
    index: Ints
    inputs: int

    def __post_init__(self) -> None:
        """Bring the arrays to their types and verify them, O(n)."""
        object.__setattr__(self, "ptr", np.ascontiguousarray(self.ptr, dtype=np.int64))
        object.__setattr__(self, "index", np.ascontiguousarray(self.index, dtype=np.int32))
        ptr, index = self.ptr, self.index
        if ptr.ndim != 1 or ptr.size < 1 or ptr[0] != 0 or ptr[-1] != index.size or bool((np.diff(ptr) < 0).any()):
            raise UsageError(f"row pattern: ptr must rise from 0 to the number of weights, {index.size}")
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < self.inputs:
            raise UsageError(f"row pattern: inputs {index.min()}..{index.max()}, limit 0..{self.inputs - 1}")

    @classmethod
    def of(cls, wired: Connectivity) -> RowPattern:
        """Pattern of a connectivity input -> output, weights in the order (output, input)."""
        by_output = order(wired.target, wired.n_targets)
        return cls(by_output.ptr, wired.source[by_output.block], wired.n_sources)

    @classmethod
    def fan_in(cls, index: ArrayLike, inputs: int) -> RowPattern:
        """Pattern of a constant fan-in ``index`` integer [outputs, k]."""
        table = np.asarray(index)
        if table.ndim != 2:
            raise UsageError(f"constant fan-in needs an index [outputs, k], not {list(table.shape)}")
        return cls(np.arange(len(table) + 1, dtype=np.int64) * table.shape[1], table.ravel().astype(np.int32), inputs)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.ptr.size - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the packed weights: [n]."""
        return (self.index.size,)

    @property
    def density(self) -> float:
        """Weights per (input, output) pair."""
        return self.index.size / max(self.inputs * self.outputs, 1)

    @cached_property
    def is_full(self) -> bool:
        """Whether every output reads every input in ascending order: the packed weights are a matrix."""
        return self.is_ascending and self.index.size == self.inputs * self.outputs

    @cached_property
    def is_ascending(self) -> bool:
        """Whether the inputs of every output ascend strictly."""
        return bool(ascending(self.ptr, self.index))

    @cached_property
    def masks(self) -> NDArray[np.uint16]:
        """The places of the weights as bits, for patterns that ascend."""
        return masks(self.ptr, self.index, self.inputs)

    @cached_property
    def output(self) -> Ints:
        """Output of each weight, int32 [n]."""
        return np.repeat(np.arange(self.outputs, dtype=np.int32), np.diff(self.ptr))

    @cached_property
    def by_input(self) -> Transposed:
        """The transposed pattern, outputs ascending inside an input."""
        groups = order(self.index, self.inputs)
        return Transposed(groups.ptr, self.output[groups.block], groups.block.astype(np.int32))


@dataclass(frozen=True, eq=False)
class BlockPattern:
    """P dense blocks of ``rows`` inputs x ``columns`` outputs; weights [P, rows, columns].

    Block p links the inputs ``source[p] * rows ...`` to the outputs ``target[p] * columns ...``, both int32 [P], in any order; blocks
    in one place add up. ``rows`` = 1 are branches. Raises `UsageError` for blocks outside the layer.
    """

    source: Ints
    target: Ints
    rows: int
    columns: int
    n_sources: int
    n_targets: int

    def __post_init__(self) -> None:
        """Bring the arrays to int32 and verify them."""
        for name, bound in (("source", self.n_sources), ("target", self.n_targets)):
            values = np.ascontiguousarray(getattr(self, name), dtype=np.int32)
            object.__setattr__(self, name, values)
            if values.size and not 0 <= int(values.min()) <= int(values.max()) < bound:
                raise UsageError(f"block pattern: {name} {values.min()}..{values.max()}, limit 0..{bound - 1}")
        if self.source.shape != self.target.shape or self.source.ndim != 1 or min(self.rows, self.columns) < 1:
            raise UsageError(
                f"block pattern: {self.source.shape} sources, {self.target.shape} targets, blocks {self.rows} x {self.columns}"
            )

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.n_sources * self.rows

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.n_targets * self.columns

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the packed weights: [P, rows, columns]."""
        return self.source.size, self.rows, self.columns

    @property
    def density(self) -> float:
        """Share of the (source, target) pairs that hold a block."""
        return self.source.size / max(self.n_sources * self.n_targets, 1)

    @cached_property
    def by_target(self) -> tuple[Longs, Longs]:
        """(ptr, block): the blocks of each target."""
        groups = order(self.target, self.n_targets)
        return groups.ptr, groups.block

    @cached_property
    def by_source(self) -> tuple[Longs, Longs]:
        """(ptr, block): the blocks of each source."""
        groups = order(self.source, self.n_sources)
        return groups.ptr, groups.block

    @cached_property
    def is_simple(self) -> bool:
        """Whether no two blocks lie in one place."""
        place = self.source.astype(np.int64) * self.n_targets + self.target
        return np.unique(place).size == place.size

    @cached_property
    def as_rows(self) -> tuple[RowPattern, Longs]:
        """The same layer as compressed rows, and the flat position in [P, rows, columns] of each weight of them."""
        i, j = np.arange(self.rows), np.arange(self.columns)
        index = np.broadcast_to((self.source[:, None] * self.rows + i)[:, :, None], self.shape).ravel()
        output = np.broadcast_to((self.target[:, None] * self.columns + j)[:, None, :], self.shape).ravel()
        groups = order(output.astype(np.int32), self.outputs)
        return RowPattern(groups.ptr, index[groups.block].astype(np.int32), self.inputs), groups.block


Pattern = RowPattern | BlockPattern
