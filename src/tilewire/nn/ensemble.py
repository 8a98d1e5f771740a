"""R classifiers of one shape trained side by side: one block-diagonal network, so that small trainings share the cost of every call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.errors import UsageError
from tilewire.nn.initialise_sparse import Floats, Values, initial_values
from tilewire.nn.topology_cascade import TopologyCascade, gained
from tilewire.topology.beside import beside
from tilewire.topology.stage import Topology

GAIN = 2**0.5
"""Gain of a hidden layer: half the variance is lost in the ReLU behind it."""
WIDEST_FOLDED = 96
"""Up to this width the stage matrices of a layer are multiplied out once a step: cheaper than a call per stage and batch."""

Layers = Sequence[Topology]


class FoldedLayer(nn.Module):
    """R cascades of narrow stages: x_r W_r^T + b_r with W_r the product of its stage matrices; ``weight`` holds the live weights only."""

    def __init__(self, group: Sequence[Topology], values: Sequence[Values]) -> None:
        super().__init__()
        self.members, branches = len(group), group[0].branches
        self.depths, self.shapes = [len(branch) for branch in branches], [(s.n_out, s.n_in) for s in chain(*branches)]
        self.sizes = [self.members * a * b for a, b in self.shapes]
        places: list[NDArray[np.int64]] = []
        packed: list[Floats] = []
        owners: list[NDArray[np.int64]] = []
        fixed: list[Floats] = []
        start = 0
        for branch, level in ((b, v) for b, own in enumerate(branches) for v in range(len(own))):
            for number, (one, own) in enumerate(zip(group, values, strict=True)):
                stage, value = one.branches[branch][level], own[branch][level]
                last = level == len(one.branches[branch]) - 1
                packed.append(gained(stage, value, GAIN) * len(branches) ** -0.5 if last else value)
                places.append(start + stage.outputs * stage.n_in + stage.rows.source)
                owners.append(np.full(value.size, number))
                fixed.append((stage.skip * np.eye(stage.n_out, stage.n_in)).ravel())
                start += stage.n_out * stage.n_in
        self.register_buffer("place", torch.from_numpy(np.concatenate(places)))
        self.register_buffer("fixed", torch.from_numpy(np.concatenate(fixed).astype(np.float32)))
        self.owner = torch.from_numpy(np.concatenate(owners))
        self.weight = nn.Parameter(torch.from_numpy(np.concatenate(packed).astype(np.float32)))
        self.bias = nn.Parameter(torch.zeros(self.members, 1, group[0].n_out))

    def forward(self, x: Tensor) -> Tensor:
        """[R, B, n_in] -> [R, B, n_out]."""
        flat = self.get_buffer("fixed").index_add(0, self.get_buffer("place"), self.weight)
        matrices = [
            part.view(self.members, *shape)
            for part, shape in zip(torch.split(flat, self.sizes), self.shapes, strict=True)
        ]
        products, start = [], 0
        for depth in self.depths:
            products.append(reduce(lambda before, after: torch.bmm(after, before), matrices[start : start + depth]))
            start += depth
        return torch.baddbmm(self.bias, x, reduce(torch.add, products).transpose(1, 2))

    def member_of(self) -> list[Tensor]:
        """Member of every entry of ``weight`` and ``bias``."""
        return [self.owner, torch.arange(self.members).view(-1, 1, 1).expand_as(self.bias)]


class BesideLayer(nn.Module):
    """R cascades as one `TopologyCascade` of R times the width."""

    def __init__(self, group: Sequence[Topology], values: Sequence[Values]) -> None:
        super().__init__()
        self.members, self.joined = len(group), beside(group)
        self.cascade = TopologyCascade(
            self.joined, np.random.default_rng(0), gain=GAIN, path="sparse", initial=_joined(values)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[R, B, n_in] -> [R, B, n_out]."""
        rows = x.transpose(0, 1).reshape(x.shape[1], -1)
        y: Tensor = self.cascade(rows).view(x.shape[1], self.members, -1).transpose(0, 1)
        return y

    def member_of(self) -> list[Tensor]:
        """Member of every entry of every parameter, packed as the layer packs its weights: found by a layer whose weights are members."""
        marks = tuple(tuple(self._marks(stage.rows.source.size) for stage in branch) for branch in self.joined.branches)
        marked = TopologyCascade(self.joined, np.random.default_rng(0), path="sparse", initial=marks)
        if marked.bias is not None:
            marked.bias.data.copy_(torch.from_numpy(self._marks(self.joined.n_out)))
        return [parameter.detach().round().long() for parameter in marked.parameters()]

    def _marks(self, size: int) -> Floats:
        return np.repeat(np.arange(self.members, dtype=np.float64), size // self.members)


class Ensemble(nn.Module):
    """x -> relu(cascade + b) -> ... -> read-out W h + b, R times side by side; no member sees another.

    ``hidden[r]`` are the topologies of member r, ``values[r]`` their packed initial weights, ``readout[r]`` [classes, width] its dense
    read-out. Raises `UsageError` unless all members have the same shape.
    """

    def __init__(self, hidden: Sequence[Layers], values: Sequence[Sequence[Values]], readout: Sequence[Floats]) -> None:
        super().__init__()
        if not hidden or len({len(layers) for layers in hidden}) > 1 or not len(hidden) == len(values) == len(readout):
            raise UsageError("the members of an ensemble need equally many layers")
        self.members = len(hidden)
        self.hidden = nn.ModuleList(
            _layer(group, [own[level] for own in values]) for level, group in enumerate(zip(*hidden, strict=True))
        )
        self.readout = nn.Parameter(torch.from_numpy(np.stack(readout).astype(np.float32)))
        self.bias = nn.Parameter(torch.zeros(self.members, 1, self.readout.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        """[R, B, n_in] -> scores [R, B, classes]."""
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return torch.baddbmm(self.bias, x, self.readout.transpose(1, 2))

    def member_of(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Every parameter with the member that each of its entries belongs to, int64 of the same shape."""
        inner: list[Any] = [zip(layer.parameters(), layer.member_of(), strict=True) for layer in self.hidden]  # type: ignore[operator]
        ends = [(own, torch.arange(self.members).view(-1, 1, 1).expand_as(own)) for own in (self.readout, self.bias)]
        return [*chain.from_iterable(inner), *ends]


def _layer(group: Sequence[Topology], values: Sequence[Values]) -> nn.Module:
    narrow = all(max(stage.n_in, stage.n_out) <= WIDEST_FOLDED for stage in group[0].stages)
    same = len({tuple(len(branch) for branch in one.branches) for one in group}) == 1
    return FoldedLayer(group, values) if narrow and same else BesideLayer(group, values)


def _joined(values: Sequence[Values]) -> Values:
    """Packed weights of several topologies one after the other, as `tilewire.topology.beside` orders them."""
    return tuple(
        tuple(np.concatenate(stage) for stage in zip(*branches, strict=True)) for branches in zip(*values, strict=True)
    )


def readout_weights(classes: int, width: int, rng: np.random.Generator) -> Floats:
    """N(0, 1 / width), [classes, width]."""
    drawn: Floats = rng.standard_normal((classes, width)) / np.sqrt(width)
    return drawn


def draw_values(layers: Layers, rng: np.random.Generator, law: str) -> list[Values]:
    """Initial weights of every hidden layer."""
    return [initial_values(one, rng, law) for one in layers]
