"""A topology as a layer: linear inside by default, one bias at the end, fixed skips, sparse weights only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.errors import UsageError, unknown
from tilewire.kernels.cascade import cascade
from tilewire.kernels.patterns import RowPattern
from tilewire.kernels.stages import Stage as FusedStage
from tilewire.kernels.stages import Stages
from tilewire.nn.initialise_sparse import Floats, Values, initial_values
from tilewire.nn.linear import SparseLinear
from tilewire.topology.stage import Blocks, Stage, Topology

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}
"""Name -> activation between the stages of a branch; "none" is the linear cascade."""


class RowsPart(nn.Module):
    """One stage on compressed rows, y = c x + W x."""

    def __init__(self, stage: Stage, values: Floats, path: str) -> None:
        super().__init__()
        self.skip = stage.skip
        pattern = RowPattern(stage.rows.ptr, stage.rows.source.astype(np.int32), stage.n_in)
        self.linear = SparseLinear(pattern, np.random.default_rng(0), bias=False, path=path)
        self.linear.weight.data = torch.from_numpy(values.astype(np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """[B, n_in] -> [B, n_out]."""
        y: Tensor = self.linear(x)
        return y + self.skip * x if self.skip else y


class FusedPart(nn.Module):
    """A run of square block stages in one operator: no indices, nothing kept between the stages."""

    def __init__(self, stages: list[Stage], values: list[Floats]) -> None:
        super().__init__()
        shapes = [_blocks(stage) for stage in stages]
        self.stages = Stages(stages[0].n_in, tuple(FusedStage(b.radix_in, b.stride) for b in shapes))
        packed = [by_block(value, b) for value, b in zip(values, shapes, strict=True)]
        self.weight = nn.Parameter(torch.from_numpy(np.concatenate(packed).astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, N] -> [B, N]."""
        return cascade(x.contiguous(), self.weight, self.stages)


class BlocksPart(nn.Module):
    """One stage of rectangular or large blocks as a batched product: no indices."""

    def __init__(self, stage: Stage, values: Floats) -> None:
        super().__init__()
        b = _blocks(stage)
        self.shape = (stage.n_in // (b.radix_in * b.stride), b.radix_in, b.stride)
        self.weight = nn.Parameter(
            torch.from_numpy(by_block(values, b).astype(np.float32)).view(-1, b.radix_out, b.radix_in)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, n_in] -> [B, n_out]."""
        groups, radix, stride = self.shape
        rows = x.reshape(-1, groups, radix, stride).permute(1, 3, 0, 2).reshape(groups * stride, -1, radix)
        y: Tensor = torch.bmm(rows, self.weight.transpose(1, 2))
        return y.view(groups, stride, len(x), -1).permute(2, 0, 3, 1).reshape(len(x), -1)


def gained(stage: Stage, values: Floats, gain: float) -> Floats:
    """Weights of a stage whose outputs shall be ``gain`` times as large. Beside a fixed skip c the weights must bring all of it: they
    grow by ((gain^2 - c^2) / (1 - c^2))^0.5. Raises `UsageError` for a gain below the skip.
    """
    if stage.skip and gain <= stage.skip:
        raise UsageError(f"gain {gain:g} is not above the fixed skip {stage.skip:g}")
    return values * float(np.sqrt((gain**2 - stage.skip**2) / (1 - stage.skip**2)))


def by_block(values: Floats, blocks: Blocks) -> NDArray[np.float64]:
    """Packed rows of a square block stage as [blocks, out digit, in digit], flat: the weights of `tilewire.kernels.stages`."""
    r, t = blocks.radix_out, blocks.stride
    ordered: NDArray[np.float64] = values.reshape(-1, r, t, blocks.radix_in).transpose(0, 2, 1, 3).ravel()
    return ordered


LARGEST_FUSED = 32
"""Radix up to which square blocks run in the fused operator; larger ones, and rectangular ones, are batched matrix products."""


def _kind(stage: Stage) -> str:
    """ "fused", "blocks" or "rows": the part that carries a stage."""
    if stage.blocks is None or stage.skip:
        return "rows"
    one = stage.blocks
    return "fused" if one.radix_in == one.radix_out <= LARGEST_FUSED else "blocks"


def _blocks(stage: Stage) -> Blocks:
    if stage.blocks is None:
        raise UsageError("the stage has no block structure")
    return stage.blocks


class TopologyCascade(nn.Module):
    """y = B^(-1/2) sum over branches of W_L f(... f(W_1 x)) + b with the stages of a `Topology`.

    ``law`` names the initial law (`tilewire.nn.initialise_sparse.LAWS`); ``gain`` of the output (2^0.5 before a ReLU): see `gained`.
    ``activation`` f: "none" (linear inside; the cascade folds to one matrix), "relu", "tanh", or a module or function of tensors (a spiking
    neuron), applied between stages. ``path`` as in `SparseLinear` for the stages on rows. ``initial``: packed weights to start from in
    place of a draw of ``law``. Raises `UsageError` for unknown names.
    """

    def __init__(
        self, topology: Topology, rng: np.random.Generator, *, law: str = "auto", gain: float = 1.0, bias: bool = True,
        activation: str | Callable[[Tensor], Tensor] = "none", path: str = "auto", initial: Values | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(activation, str) and activation not in (*ACTIVATIONS, "none"):
            raise UsageError(unknown("activation", activation, [*ACTIVATIONS, "none"]), where="TopologyCascade")
        self.topology = topology
        self.linear_inside = activation == "none"
        self.activation = ACTIVATIONS.get(activation) if isinstance(activation, str) else activation
        values = initial_values(topology, rng, law) if initial is None else initial
        branches = []
        for branch, own in zip(topology.branches, values, strict=True):
            scaled = [*own[:-1], gained(branch[-1], own[-1], gain)]
            branches.append(nn.ModuleList(_parts(branch, scaled, path, self.linear_inside)))
        self.branches = nn.ModuleList(branches)
        self.bias = nn.Parameter(torch.zeros(topology.n_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., n_in] -> [..., n_out]. Raises `UsageError` for other widths."""
        if x.shape[-1] != self.topology.n_in:
            raise UsageError(f"x has width {x.shape[-1]}, the topology {self.topology.n_in}", where=self.topology.name)
        y = self.product(x.reshape(-1, self.topology.n_in)).reshape(*x.shape[:-1], self.topology.n_out)
        return y if self.bias is None else y + self.bias

    def product(self, x: Tensor) -> Tensor:
        """The cascade without its bias, [B, n_in] -> [B, n_out]."""
        ends = [self._through(cast(nn.ModuleList, branch), x) for branch in self.branches]
        total = ends[0] if len(ends) == 1 else torch.stack(ends).sum(0)
        scaled: Tensor = total * len(ends) ** -0.5
        return scaled

    def _through(self, parts: nn.ModuleList, x: Tensor) -> Tensor:
        for number, part in enumerate(parts):
            x = part(self.activation(x) if number and self.activation else x)
        return x

    def dense(self) -> Tensor:
        """The matrix [n_out, n_in] that a linear cascade folds to, differentiable. Raises `UsageError` where activations stand between."""
        if not self.linear_inside:
            raise UsageError("activations between the stages do not fold to one matrix", hint="activation='none'")
        first = next(self.parameters())
        return self.product(torch.eye(self.topology.n_in, dtype=first.dtype, device=first.device)).T

    def to_linear(self) -> nn.Linear:
        """The folded layer, for export."""
        linear = nn.Linear(self.topology.n_in, self.topology.n_out, bias=self.bias is not None)
        with torch.no_grad():
            matrix = self.dense()
            linear = linear.to(matrix)
            linear.weight.copy_(matrix)
            if self.bias is not None:
                linear.bias.copy_(self.bias)
        return linear

    def extra_repr(self) -> str:
        """Name, widths, weights and index bits, for ``print``."""
        one = self.topology
        return f"{one.name}: {one.description}; {one.n_in} -> {one.n_out}, weights={one.weights}, index_bits={one.index_bits}"


def _parts(branch: tuple[Stage, ...], values: list[Floats], path: str, fuse: bool) -> Iterator[nn.Module]:
    """Modules of a branch: runs of square block stages fused where nothing stands between them."""
    pairs = list(zip(branch, values, strict=True))
    for kind, run in groupby(pairs, key=lambda pair: _kind(pair[0])):
        found = list(run)
        if kind == "fused":
            groups = [found] if fuse else [[pair] for pair in found]
            yield from (FusedPart([s for s, _ in group], [v for _, v in group]) for group in groups)
        elif kind == "blocks":
            yield from (BlocksPart(stage, value) for stage, value in found)
        else:
            yield from (RowsPart(stage, value, path) for stage, value in found)
