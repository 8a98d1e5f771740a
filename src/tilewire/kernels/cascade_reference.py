"""Tier 0: a cascade stage by stage in plain torch, on any device; the oracle of the other tiers."""

from __future__ import annotations

import torch
from torch import Tensor

from tilewire.kernels.stages import Stages


def cascade_reference(x: Tensor, weight: Tensor, stages: Stages) -> Tensor:
    """The operator of ``tilewire.kernels.cascade.cascade``; gradients by torch autograd."""
    start = 0
    for stage in stages.stages:
        r, t = stage.radix, stage.stride
        outer = stages.size // (r * t)
        blocks = weight[start : start + stages.size * r].view(outer, t, r, r)
        x = torch.einsum("acde,baec->badc", blocks, x.reshape(len(x), outer, r, t)).reshape(len(x), stages.size)
        start += stages.size * r
    return x
