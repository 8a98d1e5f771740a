"""Tier 0: sparse linear layers in plain torch, on any device; the oracle of the other tiers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tilewire.kernels.patterns import BlockPattern, Pattern, RowPattern


def linear_reference(x: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
    """The operator of ``tilewire.kernels.linear.sparse_linear``; gradients by torch autograd."""
    run = _blocks if isinstance(pattern, BlockPattern) else _rows
    return run(x, weight, pattern)  # type: ignore[arg-type]


def _rows(x: Tensor, weight: Tensor, pattern: RowPattern) -> Tensor:
    index, output = (torch.from_numpy(a.astype(np.int64)).to(x.device) for a in (pattern.index, pattern.output))
    return x.new_zeros(len(x), pattern.outputs).index_add(1, output, x[:, index] * weight)


def _blocks(x: Tensor, weight: Tensor, pattern: BlockPattern) -> Tensor:
    """One batched product over the targets; each gathers its blocks, padded to the largest fan-in with a block of zeros."""
    ptr, block = pattern.by_target
    fan_in = np.diff(ptr)
    slot = np.full((pattern.n_targets, int(fan_in.max(initial=0))), len(pattern.source), np.int64)
    slot[np.arange(slot.shape[1]) < fan_in[:, None]] = block
    source = np.append(pattern.source.astype(np.int64), 0)[slot]
    padded = torch.cat([weight, weight.new_zeros(1, pattern.rows, pattern.columns)])
    table = padded[torch.from_numpy(slot).to(x.device)].flatten(1, 2)
    tiles = x.reshape(len(x), pattern.n_sources, pattern.rows)
    gathered = tiles[:, torch.from_numpy(source).to(x.device)].flatten(2).transpose(0, 1)
    return torch.bmm(gathered, table).transpose(0, 1).reshape(len(x), pattern.outputs)
