"""The operator: a cascade of sparse stages, and which of its implementations runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from torch import Tensor

from tilewire.errors import UsageError, unknown
from tilewire.kernels.dispatch import choose
from tilewire.kernels.stages import Stages

TIERS: dict[str, str] = {
    "numba": "tilewire.kernels.cascade_numba:cascade_numba",
    "reference": "tilewire.kernels.cascade_reference:cascade_reference",
}
"""Tier name -> ``module:function`` with the signature of ``cascade`` less ``tier``."""


def cascade(x: Tensor, weight: Tensor, stages: Stages, tier: str | None = None) -> Tensor:
    """y = W_L ... W_1 x for every sample, W_s the sparse stages; differentiable in x and in the weights.

    ``x`` [B, N]; ``weight`` [N * sum of the radices] as `Stages` says; both float32 or both float64. Returns [B, N]. The numba tier keeps x
    and the weights for the backward pass, nothing in between. Raises `UsageError` when shapes or types disagree.
    """
    faults = []
    if x.ndim != 2 or x.shape[-1] != stages.size:
        faults.append(f"x is {list(x.shape)}, the cascade needs [batch, {stages.size}]")
    if tuple(weight.shape) != (stages.weights,):
        faults.append(f"the weights are {list(weight.shape)}, the cascade needs [{stages.weights}]")
    if x.dtype != weight.dtype or x.device != weight.device:
        faults.append(f"x is {x.dtype} on {x.device}, the weights are {weight.dtype} on {weight.device}")
    tier = tier or choose(x.device.type)
    if tier not in TIERS:
        faults.append(unknown("cascade tier", tier, TIERS))
    if faults:
        raise UsageError("; ".join(faults), where="cascade")
    module, name = TIERS[tier].split(":")
    run: Callable[[Tensor, Tensor, Stages], Tensor] = getattr(import_module(module), name)
    return run(x, weight, stages)
