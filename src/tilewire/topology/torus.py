"""Rings and tori: neighbours in one and two dimensions, wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.digits import divisor_near
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Longs, Stage, Topology, folded


def ring_stage(width: int, halo: int) -> Stage:
    """In(i) = {i + d mod N : |d| <= halo}."""
    offsets = np.arange(-halo, halo + 1)
    return Stage(width, width, offsets.size, lambda i: (i[:, None] + offsets) % width)


def torus_stage(rows: int, columns: int) -> Stage:
    """In(i) = i and its four neighbours on ``rows`` x ``columns``, both at least 3."""

    def inputs(i: Longs) -> Longs:
        row, column = i // columns, i % columns
        up, down = (row - 1) % rows * columns + column, (row + 1) % rows * columns + column
        left, right = row * columns + (column - 1) % columns, row * columns + (column + 1) % columns
        return np.stack([i, up, down, left, right], axis=1)

    return Stage(rows * columns, rows * columns, 5, inputs)


def construct_ring(n_in: int, n_out: int, halo: int = 1, depth: int = 0) -> Topology:
    """``depth`` 0: ceil((N - 1) / (2 halo)) stages, the fewest of full reach. Weights (2 halo + 1) N per stage."""
    width = max(n_in, n_out)
    at_least("width", width, 3, float("inf"), "torus-1d")
    at_least("halo", halo, 1, (width - 1) // 2, "torus-1d")
    at_least("depth", depth, 0, 4096, "torus-1d")
    stages = (ring_stage(width, halo),) * (depth or ceil((width - 1) / (2 * halo)))
    return Topology("torus-1d", (folded(stages, n_in, n_out),), f"ring, halo {halo}, {len(stages)} stages")


def sides(width: int) -> tuple[int, int]:
    """The most square sides of a torus, both at least 3. Raises `UsageError` with the nearest width that has them."""
    found = _sides(width)
    if found is None:
        close = next(w for step in range(1, 9) for w in (width + step, width - step) if _sides(w) is not None)
        raise UsageError(
            f"width {width} is no product of two sides of at least 3",
            where="torus-2d",
            hint=f"width {close}, or torus-1d",
        )
    return found


def _sides(width: int) -> tuple[int, int] | None:
    if width < 9:
        return None
    rows = divisor_near(width, width**0.5)
    return (rows, width // rows) if min(rows, width // rows) >= 3 else None


def construct_torus(n_in: int, n_out: int, depth: int = 0) -> Topology:
    """A x B nodes as square as the width allows, weights 5 N per stage; ``depth`` 0: floor(A / 2) + floor(B / 2), full reach."""
    rows, columns = sides(max(n_in, n_out))
    at_least("depth", depth, 0, 4096, "torus-2d")
    stages = (torus_stage(rows, columns),) * (depth or rows // 2 + columns // 2)
    return Topology("torus-2d", (folded(stages, n_in, n_out),), f"{rows} x {columns} torus, {len(stages)} stages")


def ring_proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Halos 1, 2, 4, ... at the depth of full reach."""
    width = max(n_in, n_out)
    halo = 1
    while halo <= (width - 1) // 2:
        depth = ceil((width - 1) / (2 * halo))
        if depth <= 64 and depth * (2 * halo + 1) * width <= budget:
            yield {"halo": halo, "depth": depth}
        halo *= 2


def torus_proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """The deepest one the budget pays, up to full reach."""
    found = _sides(max(n_in, n_out))
    depth = budget // (5 * max(n_in, n_out))
    if found and depth:
        yield {"depth": min(depth, found[0] // 2 + found[1] // 2)}


RING = Family("torus-1d", "neighbours on a ring", construct_ring, ring_proposals)
TORUS = Family("torus-2d", "four neighbours on a torus", construct_torus, torus_proposals)
