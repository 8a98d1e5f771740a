"""A network as a streaming accelerator sees it: one list of word stages, whatever topologies it was built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.topology.stage import Longs, Stage, Topology

Floats = NDArray[np.float64]
FIXED_WEIGHT = -1
"""Entry of `WordStage.weight` for an edge whose value is a constant."""


@dataclass(frozen=True, eq=False)
class WordStage:
    """One stage: output i = sum over its edges of value times input word, by ascending (target, source).

    ``source``, ``target``, ``weight``, ``factor`` [edges]: the value of an edge is ``factor`` times packed weight ``weight``, or ``factor``
    alone where that is `FIXED_WEIGHT` (a skip, or a word that only passes through). ``stored``: the pattern is a table. ``biased``: a bias
    per output. ``rectified``: outputs below zero become zero.
    """

    n_in: int
    n_out: int
    source: Longs
    target: Longs
    weight: Longs
    factor: Floats
    stored: bool = False
    biased: bool = False
    rectified: bool = False

    @property
    def edges(self) -> int:
        """Words that must reach a PE."""
        return self.source.size

    @cached_property
    def weights(self) -> int:
        """Trainable weights, biases not counted."""
        return int(self.weight.max(initial=FIXED_WEIGHT)) + 1

    @cached_property
    def ptr(self) -> Longs:
        """Edges of output i are ``ptr[i] : ptr[i + 1]``."""
        return np.concatenate(([0], np.cumsum(np.bincount(self.target, minlength=self.n_out)))).astype(np.int64)

    @cached_property
    def fan_in(self) -> int:
        """Most words that one output sums."""
        return int(np.diff(self.ptr).max(initial=0))

    def values(self, packed: Floats) -> Floats:
        """Value of every edge, [edges]. Raises `UsageError` for another number of weights."""
        if packed.shape != (self.weights,):
            raise UsageError(f"{packed.size} weights for a stage of {self.weights}", where="streaming network")
        values: Floats = self.factor * np.append(packed, 1.0)[self.weight]
        return values


@dataclass(frozen=True, eq=False)
class StreamingNetwork:
    """Stages in the order of execution. ``activity``: share of activations that are not zero (a zero operand switches no multiplier)."""

    layers: tuple[Topology, ...]
    stages: tuple[WordStage, ...]
    activity: float = 1.0
    name: str = ""
    plans: dict[tuple[str, int, int], object] = field(default_factory=dict, repr=False)
    """Schedules that were already found, by switch, PEs and banks."""

    @property
    def n_in(self) -> int:
        """Inputs."""
        return self.stages[0].n_in

    @property
    def n_out(self) -> int:
        """Outputs."""
        return self.stages[-1].n_out

    @property
    def depth(self) -> int:
        """Stages."""
        return len(self.stages)

    @property
    def parameters(self) -> int:
        """Trainable weights and biases."""
        return sum(stage.weights + stage.biased * stage.n_out for stage in self.stages)

    def pack(self, values: Sequence[Sequence[Sequence[Floats]]]) -> list[Floats]:
        """Packed weights of every stage from those of each layer, branch by branch and stage by stage, in the order of `Stage.rows`."""
        packed: list[Floats] = []
        for layer, own in zip(self.layers, values, strict=True):
            for step in range(layer.depth):
                parts = [
                    np.asarray(branch[step - offset], float)
                    for branch, offset in zip(own, _offsets(layer), strict=True)
                    if 0 <= step - offset < len(branch)
                ]
                packed.append(np.concatenate([np.zeros(0), *parts]))
        return packed


def streaming_network(
    layers: Sequence[Topology], *, rectified: bool = True, biased: bool = True, activity: float = 1.0, name: str = ""
) -> StreamingNetwork:
    """Layers in a row, each y = B^(-1/2) sum over branches of W_L ... W_1 x + b (``biased``), with a ReLU between layers (``rectified``).

    The branches of a layer run side by side: equal steps of all branches are one stage, a shorter branch passes its words on unchanged
    where it is narrowest, and the last stage sums. Raises `UsageError` where widths do not fit or ``activity`` is not in [0, 1].
    """
    if not layers or not 0 <= activity <= 1:
        raise UsageError("a network needs a layer and an activity in [0, 1]", where=name or "streaming network")
    for number, (before, after) in enumerate(pairwise(layers)):
        if before.n_out != after.n_in:
            raise UsageError(
                f"layer {number} has {before.n_out} outputs, the next {after.n_in} inputs", where=name or None
            )
    stages: list[WordStage] = []
    for number, layer in enumerate(layers):
        merged = [_merged(layer, step) for step in range(layer.depth)]
        if not all(stage.edges for stage in merged):
            raise UsageError(f"layer {number} has a stage without edges", where=name or layer.name)
        merged[-1] = replace(merged[-1], biased=biased, rectified=rectified and number + 1 < len(layers))
        stages += merged
    return StreamingNetwork(tuple(layers), tuple(stages), activity, name)


def _offsets(layer: Topology) -> list[int]:
    """Step at which each branch begins; words wait at the narrower end."""
    return [layer.depth - len(branch) if layer.n_in <= layer.n_out else 0 for branch in layer.branches]


def _merged(layer: Topology, step: int) -> WordStage:
    """Step ``step`` of all branches as one stage."""
    first, last = step == 0, step == layer.depth - 1
    scale = len(layer.branches) ** -0.5 if last else 1.0
    parts, start_in, start_out, weights, stored = [], 0, 0, 0, False
    for branch, offset in zip(layer.branches, _offsets(layer), strict=True):
        own = branch[step - offset] if 0 <= step - offset < len(branch) else None
        n_in, n_out, edges = _edges(own, layer.n_in if step < offset else layer.n_out)
        weight = np.where(edges[2] >= 0, edges[2] + weights, FIXED_WEIGHT)
        parts.append((edges[0] + start_in, edges[1] + start_out, weight, edges[3] * scale))
        weights += 0 if own is None else own.weights
        stored |= own is not None and own.stored
        start_in, start_out = (0 if first else start_in + n_in), (0 if last else start_out + n_out)
    source, target, weight, factor = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((source, target))
    return WordStage(
        layer.n_in if first else start_in, layer.n_out if last else start_out,
        source[order], target[order], weight[order], factor[order], stored,
    )  # fmt: skip


def _edges(stage: Stage | None, width: int) -> tuple[int, int, tuple[Longs, Longs, Longs, Floats]]:
    """Widths, then source, target, weight and factor of the edges; None passes ``width`` words on."""
    straight = np.arange(width if stage is None else stage.n_out, dtype=np.int64)
    fixed = np.full(straight.size, FIXED_WEIGHT)
    if stage is None:
        return width, width, (straight, straight, fixed, np.ones(width))
    source, target = stage.rows.source, stage.outputs
    weight, factor = np.arange(source.size), np.ones(source.size)
    if stage.skip:
        source, target = np.concatenate([source, straight]), np.concatenate([target, straight])
        weight, factor = np.concatenate([weight, fixed]), np.concatenate([factor, np.full(straight.size, stage.skip)])
    return stage.n_in, stage.n_out, (source, target, weight, factor)
