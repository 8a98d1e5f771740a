"""Words of the zoo: a sparse stage given by its index function, and a topology built from stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError

Longs = NDArray[np.int64]
ABSENT = -1
"""Entry of an index function where an output reads fewer inputs than the fan-in of its stage."""


class Rows(NamedTuple):
    """Edges by output: output i reads ``source[ptr[i] : ptr[i + 1]]``, ascending. The packed weights of a stage follow this order."""

    ptr: Longs
    source: Longs


@dataclass(frozen=True)
class Blocks:
    """Block structure: dense blocks over elements ``stride`` apart, one digit of a mixed-radix number replaced by another.

    Block a t + c (stride t, c < t) reads a (``radix_in`` t) + e t + c for e < ``radix_in`` and feeds a (``radix_out`` t) + d t + c for
    d < ``radix_out``.
    """

    radix_in: int
    radix_out: int
    stride: int


@dataclass(frozen=True, eq=False)
class Stage:
    """One sparse layer. ``inputs(i)`` maps outputs int64 [n] to their inputs int64 [n, ``fan_in``]; no mask is kept.

    ``ragged``: some outputs read fewer inputs (entries `ABSENT`). ``stored``: the index is a table that a device would have to store;
    otherwise the wiring is implied by the formula. ``blocks``: the block structure, if the stage is one. ``skip``: weight c of a fixed
    straight edge i -> i beside the trainable ones, y = c x + W x (0: none). ``rotations`` int64 [m, 2]: the pairs of the plane rotations
    whose product has this pattern.
    """

    n_in: int
    n_out: int
    fan_in: int
    inputs: Callable[[Longs], Longs]
    blocks: Blocks | None = None
    ragged: bool = False
    stored: bool = False
    skip: float = 0.0
    rotations: Longs | None = None

    def __post_init__(self) -> None:
        """Verify the sizes. Raises `UsageError`."""
        if min(self.n_in, self.n_out) < 1 or not self.fan_in >= 1:
            raise UsageError(f"a stage of {self.n_in} inputs, {self.n_out} outputs and fan-in {self.fan_in}")
        if self.skip and self.n_in != self.n_out:
            raise UsageError(f"a skip needs equal widths, not {self.n_in} and {self.n_out}")

    @cached_property
    def rows(self) -> Rows:
        """The live edges, inputs ascending in each row. Repeats are dropped: two edges on one pair are one weight."""
        table = np.sort(self.inputs(np.arange(self.n_out, dtype=np.int64)), axis=1)
        live = table >= 0
        live[:, 1:] &= table[:, 1:] != table[:, :-1]
        return Rows(np.concatenate(([0], np.cumsum(live.sum(axis=1)))).astype(np.int64), table[live])

    @property
    def weights(self) -> int:
        """Number of trainable weights."""
        return int(self.rows.source.size) if self.ragged else self.n_out * self.fan_in

    @property
    def index_bits(self) -> int:
        """Bits of connection indices that a device must store: ceil(log2 inputs) per weight of a table, 0 for implied wiring."""
        return self.weights * (self.n_in - 1).bit_length() if self.stored else 0

    @property
    def fan_ins(self) -> Longs:
        """Inputs of every output, [n_out]."""
        return np.diff(self.rows.ptr)

    @property
    def fan_outs(self) -> Longs:
        """Outputs of every input, [n_in]."""
        return np.bincount(self.rows.source, minlength=self.n_in)

    @property
    def outputs(self) -> Longs:
        """Output of each packed weight, [weights]."""
        return np.repeat(np.arange(self.n_out, dtype=np.int64), self.fan_ins)

    @cached_property
    def dense_blocks(self) -> list[tuple[Longs, Longs]] | None:
        """The disjoint dense blocks that the edges fall into, or None if they do not.

        One entry per block shape: outputs int64 [blocks, r_out], and positions of the packed weights int64 [blocks, r_out, r_in].
        """
        return _dense_blocks(self)

    def connectivity(self) -> Connectivity:
        """The edges as sorted (source, target) pairs; a skip is not among them."""
        return Connectivity.of(self.rows.source, self.outputs, self.n_in, self.n_out)


@dataclass(frozen=True, eq=False)
class Topology:
    """A sum of cascades: y = B^(-1/2) sum over the B branches of W_L ... W_1 x. ``options`` rebuild it by name."""

    name: str
    branches: tuple[tuple[Stage, ...], ...]
    description: str
    options: tuple[tuple[str, int | float], ...] = ()

    def __post_init__(self) -> None:
        """Verify that the stages of a branch fit together and that all branches join the same ends. Raises `UsageError`."""
        if not self.branches or not all(self.branches):
            raise UsageError(f"{self.name}: a topology needs at least one stage in every branch")
        for branch in self.branches:
            for before, after in pairwise(branch):
                if before.n_out != after.n_in:
                    raise UsageError(f"{self.name}: a stage of {before.n_out} outputs feeds one of {after.n_in} inputs")
        if len({(branch[0].n_in, branch[-1].n_out) for branch in self.branches}) > 1:
            raise UsageError(f"{self.name}: the branches join different widths")

    @property
    def n_in(self) -> int:
        """Inputs."""
        return self.branches[0][0].n_in

    @property
    def n_out(self) -> int:
        """Outputs."""
        return self.branches[0][-1].n_out

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, branch by branch."""
        return tuple(chain.from_iterable(self.branches))

    @property
    def skips(self) -> tuple[float, ...]:
        """Weight of the fixed straight edges of every stage, 0 where there are none."""
        return tuple(stage.skip for stage in self.stages)

    @property
    def depth(self) -> int:
        """Stages of the longest branch."""
        return max(map(len, self.branches))

    @property
    def weights(self) -> int:
        """Number of trainable weights P; skips are fixed and not counted."""
        return sum(stage.weights for stage in self.stages)

    @property
    def index_bits(self) -> int:
        """Bits of connection indices."""
        return sum(stage.index_bits for stage in self.stages)

    @property
    def density(self) -> float:
        """Weights per (input, output) pair, P / (n_in n_out); above 1 the cascade is larger than the dense layer."""
        return self.weights / (self.n_in * self.n_out)

    def storage_bytes(self, weight_bits: int = 32) -> dict[str, int]:
        """Bytes of the weights and of the indices, each rounded up."""
        return {"weights": -(-self.weights * weight_bits // 8), "indices": -(-self.index_bits // 8)}


def table_stage(table: Longs, n_in: int, *, rotations: Longs | None = None) -> Stage:
    """A stage whose index is a stored table int64 [n_out, k], `ABSENT` where a row is shorter."""
    table = np.asarray(table, np.int64)
    return Stage(
        n_in, len(table), table.shape[1], lambda i: table[i], ragged=bool((table < 0).any()), stored=True, rotations=rotations
    )  # fmt: skip


def pad_rows(ptr: Longs, index: Longs) -> Longs:
    """Compressed rows as a table [n, longest row], `ABSENT` behind the shorter rows."""
    lengths = np.diff(ptr)
    place = np.arange(max(int(lengths.max(initial=0)), 1))
    table = np.full((lengths.size, place.size), ABSENT, np.int64)
    table[place < lengths[:, None]] = index
    return table


def quotient(stage: Stage, n_in: int, n_out: int) -> Stage:
    """A stage folded onto other widths: outputs equal modulo ``n_out`` become one that reads all their inputs, modulo ``n_in``.

    Every path survives, so reach does; edges that fall together are one. Widths above the stage's own are refused with `UsageError`.
    """
    if n_in > stage.n_in or n_out > stage.n_out:
        raise UsageError(f"a stage {stage.n_in} -> {stage.n_out} cannot be folded onto {n_in} -> {n_out}")
    if (n_in, n_out) == (stage.n_in, stage.n_out):
        return stage
    copies = -(-stage.n_out // n_out)

    def inputs(i: Longs) -> Longs:
        every = i[:, None] + n_out * np.arange(copies)
        found = stage.inputs(np.minimum(every, stage.n_out - 1).ravel()).reshape(len(i), copies, -1)
        inside = (every < stage.n_out)[:, :, None] & (found >= 0)
        merged: Longs = np.sort(np.where(inside, found % n_in, ABSENT).reshape(len(i), -1), axis=1)
        merged[:, 1:][merged[:, 1:] == merged[:, :-1]] = ABSENT
        return merged

    return Stage(n_in, n_out, stage.fan_in * copies, inputs, ragged=True, stored=stage.stored)


def folded(stages: tuple[Stage, ...], n_in: int, n_out: int) -> tuple[Stage, ...]:
    """A cascade of square stages between the widths ``n_in`` and ``n_out``: its two ends folded."""
    if len(stages) == 1:
        return (quotient(stages[0], n_in, n_out),)
    width = stages[0].n_in
    return (quotient(stages[0], n_in, width), *stages[1:-1], quotient(stages[-1], width, n_out))


def blocked(stage: Stage, size: int, n_in: int, n_out: int) -> Stage:
    """Every edge of a stage between blocks becomes a dense block of ``size`` x ``size``; the last blocks may be cut to the widths."""

    def inputs(i: Longs) -> Longs:
        source = stage.inputs(i // size)
        found = source[:, :, None] * size + np.arange(size)
        return np.where((source[:, :, None] >= 0) & (found < n_in), found, ABSENT).reshape(len(i), -1)

    cut = bool(n_in % size or n_out % size)
    return Stage(n_in, n_out, stage.fan_in * size, inputs, ragged=stage.ragged or cut, stored=stage.stored)


def _dense_blocks(stage: Stage) -> list[tuple[Longs, Longs]] | None:
    """Linear time: the first input of an output names its block, and outputs that share one input must share all."""
    ptr, source = stage.rows
    size = np.diff(ptr)
    if (size == 0).any():
        return None
    label = source[ptr[:-1]]
    home = np.full(stage.n_in, -1, np.int64)
    home[source] = np.repeat(label, size)
    outputs_of = np.bincount(label, minlength=stage.n_in)
    inputs_of = np.bincount(home[home >= 0], minlength=stage.n_in)
    if (home[source] != np.repeat(label, size)).any() or (size != inputs_of[label]).any():
        return None
    found, order = [], np.argsort(label, kind="stable")
    shapes = np.stack([outputs_of[label[order]], size[order]], axis=1)
    for r_out, r_in in np.unique(shapes, axis=0):
        rows = order[(shapes == (r_out, r_in)).all(axis=1)].reshape(-1, r_out)
        found.append((rows, ptr[rows][:, :, None] + np.arange(r_in)))
    return found
