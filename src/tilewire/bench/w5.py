"""W5: a butterfly cascade N=1024 in place of a dense layer, batch 256, forward + backward.

The dense layer computes another function and is the yardstick for time; the same cascade stage by stage in torch is the check of the
result. Two block stages of radix 32 are the batched-product way of the same idea.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.bench.contest import Contest, Contestant
from tilewire.kernels.cascade import cascade
from tilewire.kernels.stages import Stages
from tilewire.nn.cascade import SparseCascade

BATCH, SIZE = 256, 1024


def contests() -> list[Contest]:
    """Radix 2, and two block stages."""
    return [
        contest(f"W5 butterfly N={SIZE}", Stages.butterfly(SIZE)),
        contest(f"W5 two 32-block stages N={SIZE}", Stages.of_radices([32, 32])),
    ]


def contest(title: str, stages: Stages) -> Contest:
    """One cascade against a dense layer of its size."""
    case = lru_cache(maxsize=1)(partial(_case, stages))
    table: dict[str, Callable[[], Contestant]] = {
        "torch-stages": lambda: _cascade(stages, "reference", *case()),
        "tilewire": lambda: _cascade(stages, "numba", *case()),
        "dense": lambda: _dense(stages.size, *case()),
    }
    return Contest(title, table, frozenset({"tilewire"}), ("torch-stages", "tilewire"))


def _case(stages: Stages) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, inputs, errors."""
    rng = np.random.default_rng(0)
    weight = SparseCascade(stages, rng).weight.detach()
    x, error = (torch.from_numpy(rng.standard_normal((BATCH, stages.size)).astype(np.float32)) for _ in range(2))
    return weight, x, error


def _contestant(forward: Callable[[Tensor], Tensor], x: Tensor, error: Tensor, parameters: list[Tensor]) -> Contestant:
    leaf, last = x.clone().requires_grad_(), list[Tensor]()

    def step() -> None:
        for tensor in (leaf, *parameters):
            tensor.grad = None
        last[:] = [forward(leaf)]
        last[0].backward(error)  # type: ignore[no-untyped-call]

    def outcome() -> list[NDArray[Any]]:
        grads = [tensor.grad for tensor in (leaf, *parameters)]
        return [last[0].detach().numpy(), *(grad.numpy() for grad in grads if grad is not None)]

    return Contestant(step, outcome)


def _cascade(stages: Stages, tier: str, weight: Tensor, x: Tensor, error: Tensor) -> Contestant:
    own = weight.clone().requires_grad_()
    return _contestant(lambda a: cascade(a, own, stages, tier), x, error, [own])


def _dense(size: int, weight: Tensor, x: Tensor, error: Tensor) -> Contestant:
    layer = torch.nn.Linear(size, size)
    return _contestant(layer, x, error, list(layer.parameters()))
