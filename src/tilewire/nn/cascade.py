"""A cascade of sparse stages in place of a dense layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tilewire.kernels.cascade import cascade
from tilewire.kernels.stages import Stages


class SparseCascade(nn.Module):
    """y = W_L ... W_1 x + b with the stages of `Stages`; ``weight`` is one vector, N times the sum of the radices.

    Initial law: every r x r block is a random orthogonal matrix (QR of a Gaussian), so the whole cascade is orthogonal and as deep as
    one likes; bias 0. ``tier`` names an implementation of ``tilewire.kernels.cascade``; None is the choice of the device.
    """

    def __init__(self, stages: Stages, rng: np.random.Generator, *, bias: bool = True, tier: str | None = None) -> None:
        super().__init__()
        self.stages, self.tier = stages, tier
        blocks = [_orthogonal(stages.size // stage.radix, stage.radix, rng) for stage in stages.stages]
        values = np.concatenate([np.zeros(0), *(block.ravel() for block in blocks)])
        self.weight = nn.Parameter(torch.from_numpy(values.astype(np.float32)))
        self.bias = nn.Parameter(torch.zeros(stages.size)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., N] -> [..., N]."""
        y = cascade(x.reshape(-1, x.shape[-1]), self.weight, self.stages, self.tier).reshape(x.shape)
        return y if self.bias is None else y + self.bias

    def stage_weight(self, stage: int) -> Tensor:
        """Weights of one stage as [N / r, r, r] (group, out digit, in digit), a view."""
        r, start = self.stages.stages[stage].radix, self.stages.offset(stage)
        return self.weight[start : start + self.stages.size * r].view(-1, r, r)

    def extra_repr(self) -> str:
        """Size, radices and weights, for ``print``."""
        radices = [stage.radix for stage in self.stages.stages]
        return f"size={self.stages.size}, radices={radices}, weights={self.stages.weights}"


def _orthogonal(count: int, radix: int, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Orthogonal matrices, uniform: QR with the signs of the diagonal of R moved into Q; [count, radix, radix]."""
    q, r = np.linalg.qr(rng.standard_normal((count, radix, radix)))
    result: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (
        q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    )
    return result
