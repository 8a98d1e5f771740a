"""The operator: a sparse linear layer with packed weights, and which of its implementations runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from torch import Tensor

from tilewire.errors import UsageError, unknown
from tilewire.kernels.dispatch import choose
from tilewire.kernels.patterns import Pattern

TIERS: dict[str, str] = {
    "numba": "tilewire.kernels.linear_numba:linear_numba",
    "reference": "tilewire.kernels.linear_reference:linear_reference",
    "dense": "tilewire.kernels.linear_dense:linear_dense",
}
"""Tier name -> ``module:function`` with the signature of ``sparse_linear`` less ``tier``."""


def implementation(tier: str) -> Callable[[Tensor, Tensor, Pattern], Tensor]:
    """The function behind a tier name. Raises `UsageError` for a name the table does not hold."""
    if tier not in TIERS:
        raise UsageError(unknown("linear tier", tier, TIERS), where="kernels")
    return _function(TIERS[tier])


@cache
def _function(place: str) -> Callable[[Tensor, Tensor, Pattern], Tensor]:
    module, name = place.split(":")
    function: Callable[[Tensor, Tensor, Pattern], Tensor] = getattr(import_module(module), name)
    return function


def sparse_linear(x: Tensor, weight: Tensor, pattern: Pattern, tier: str | None = None) -> Tensor:
    """y[b, o] = sum over the weights w of output o of w x[b, input of w]; differentiable in x and in the weights.

    ``x`` [B, inputs]; ``weight`` packed as ``pattern.shape`` says; both float32 or both float64. Returns [B, outputs]. The sparse tiers
    cost B times the number of weights; ``dense`` spreads the weights to a matrix. The default is the sparse tier of the device;
    `tilewire.kernels.crossover` measures where ``dense`` wins. Raises `UsageError` when shapes or types disagree.
    """
    faults = []
    if x.ndim != 2 or x.shape[-1] != pattern.inputs:
        faults.append(f"x is {list(x.shape)}, the pattern needs [batch, {pattern.inputs}]")
    if tuple(weight.shape) != pattern.shape:
        faults.append(f"the weights are {list(weight.shape)}, the pattern needs {list(pattern.shape)}")
    if x.dtype != weight.dtype or x.device != weight.device:
        faults.append(f"x is {x.dtype} on {x.device}, the weights are {weight.dtype} on {weight.device}")
    if faults:
        raise UsageError("; ".join(faults), where="sparse_linear")
    return implementation(tier or choose(x.device.type))(x, weight, pattern)
