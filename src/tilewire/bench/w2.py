"""W2: a sparse linear layer, forward + gradient of the input + gradient of the weights, batch 128.

Rows: every output reads round(d N) inputs drawn uniformly. Blocks: every group of 32 outputs reads round(d N / 32) groups of 32 inputs. The
usual way of training such a layer is a dense matrix times a mask; torch also has a CSR product and batched products.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.bench.contest import Contest, Contestant
from tilewire.kernels.crossover import measure
from tilewire.kernels.linear import sparse_linear
from tilewire.kernels.linear_dense import dense_matrix
from tilewire.kernels.patterns import BlockPattern, Pattern, RowPattern
from tilewire.nn.linear import SparseLinear

BATCH, DENSITY, SIZES = 128, 0.05, (1024, 4096)
DENSITIES = (0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)


def contests() -> list[Contest]:
    """Rows and 32-blocks at 5 % density."""
    return [contest(n, DENSITY, storage) for n in SIZES for storage in ("rows", "blocks")]


def growth() -> list[Contest]:
    """Rows and 32-blocks from 0.1 % to 100 %: the automatic choice must never lose to the masked matrix.

    At least one input or block per output, so the lowest densities of blocks are the same layer.
    """
    kept = ("tilewire-auto", "masked-dense", "dense")
    return [
        replace(
            full,
            contestants={name: full.contestants[name] for name in kept},
            exact=("masked-dense", "tilewire-auto"),
            own=frozenset({"tilewire-auto"}),
        )
        for full in (contest(n, d, storage) for n in SIZES for storage in ("rows", "blocks") for d in DENSITIES)
    ]


def contest(n: int, density: float, storage: str) -> Contest:
    """One layer n -> n; ``storage`` "rows" or "blocks"."""
    case = lru_cache(maxsize=1)(partial(_case, n, density, storage))
    table: dict[str, Callable[[], Contestant]] = {
        "tilewire": lambda: _own(*case(), tier="numba"),
        "tilewire-auto": lambda: _own(*case(), tier="auto"),
        "masked-dense": lambda: _dense(*case(), masked=True),
        "dense": lambda: _dense(*case(), masked=False),
    }
    if storage == "blocks":
        table["torch-bmm"] = lambda: _own(*case(), tier="reference")
    else:
        table["torch-csr"] = lambda: _torch_csr(*case())
    title = f"W2 {storage}, N={n}, {density:.3g} dense"
    own = frozenset({"tilewire", "tilewire-auto"})
    return Contest(
        title, table, own, ("masked-dense", *(name for name in table if name not in ("masked-dense", "dense")))
    )


Case = tuple[Pattern, Tensor, Tensor, Tensor]


def _case(n: int, density: float, storage: str) -> Case:
    """Pattern, weights, inputs, errors."""
    rng = np.random.default_rng(0)
    if storage == "blocks":
        layer = SparseLinear.blocks(n, n, max(1, round(density * n / 32)), rng, path="sparse")
    else:
        layer = SparseLinear.fan_in(n, n, max(1, round(density * n)), rng, path="sparse")
    x, error = (torch.from_numpy(rng.standard_normal((BATCH, n)).astype(np.float32)) for _ in range(2))
    return layer.pattern, layer.weight.detach(), x, error


def _contestant(
    forward: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, error: Tensor,
    packed: Callable[[Tensor], NDArray[Any]],
) -> Contestant:  # fmt: skip
    """Forward and backward of one way; its outcome is y, dx and the packed dw."""
    leaves = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    last: list[Tensor] = []

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        last[:] = [forward(*leaves)]
        last[0].backward(error)  # type: ignore[no-untyped-call]

    def outcome() -> list[NDArray[Any]]:
        dx, dw = (leaf.grad if leaf.grad is not None else torch.zeros(0) for leaf in leaves)
        return [last[0].detach().numpy(), dx.numpy(), packed(dw)]

    return Contestant(step, outcome)


def _own(pattern: Pattern, weight: Tensor, x: Tensor, error: Tensor, tier: str) -> Contestant:
    if tier == "auto":
        tier = "dense" if measure(pattern, len(x)).dense else "numba"
    return _contestant(lambda a, b: sparse_linear(a, b, pattern, tier), x, weight, error, lambda dw: dw.numpy())


def _dense(pattern: Pattern, weight: Tensor, x: Tensor, error: Tensor, masked: bool) -> Contestant:
    matrix = dense_matrix(weight, pattern).contiguous()
    mask = dense_matrix(torch.ones_like(weight), pattern).contiguous()

    def forward(a: Tensor, b: Tensor) -> Tensor:
        return torch.nn.functional.linear(a, b * mask if masked else b)

    return _contestant(forward, x, matrix, error, partial(_packed, pattern))


def _packed(pattern: Pattern, matrix: Tensor) -> NDArray[Any]:
    """The entries of a matrix [outputs, inputs] at the places of the packed weights."""
    full: NDArray[Any] = matrix.numpy()
    if isinstance(pattern, BlockPattern):
        tiles = full.reshape(pattern.n_targets, pattern.columns, pattern.n_sources, pattern.rows)
        picked: NDArray[Any] = tiles[pattern.target, :, pattern.source].transpose(0, 2, 1)
        return picked
    entries: NDArray[Any] = full[pattern.output, pattern.index]
    return entries


def _torch_csr(pattern: Pattern, weight: Tensor, x: Tensor, error: Tensor) -> Contestant:
    """torch's own CSR product; its gradient of the values comes back as a matrix or as CSR, whichever torch likes."""
    if not isinstance(pattern, RowPattern):
        raise TypeError("rows only")
    ptr, index = torch.from_numpy(pattern.ptr), torch.from_numpy(pattern.index.astype(np.int64))

    def forward(a: Tensor, b: Tensor) -> Tensor:
        shape = (pattern.outputs, pattern.inputs)
        matrix = torch.sparse_csr_tensor(ptr, index, b, shape, check_invariants=False)
        y: Tensor = torch.sparse.mm(matrix, a.t()).t()
        return y

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that CSR is in beta
        forward(x, weight)
    return _contestant(forward, x, weight, error, lambda dw: dw.numpy())
