"""A cascade on the CPU: a chunk of samples passes all stages while it is in the cache.

The chunk is held as lanes (``numba_lanes``), so every weight meets ``WIDE`` samples at once. Two neighbouring radix-2 stages are
multiplied out to one stage of radix 4 beforehand: there is one path per pair, so the product costs no more per sample and saves a pass
over the chunk. Only the input of the cascade is kept for the backward pass, which computes the inputs of the stages again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.kernels.numba_products import LARGE, SQUARE, dot_square, outer_products, transpose
from tilewire.kernels.numba_vector import LANES
from tilewire.kernels.stages import Stage, Stages

WIDE = 64 if LARGE else 16
"""Samples of a full chunk: ``SQUARE`` rows of them fill the vector registers."""
ROOM = 1 << 21
"""Bytes of a chunk's states that stay near; larger cascades take narrow chunks."""


class Plan(NamedTuple):
    """Stages as they run: ``radix``, ``stride``, ``offset`` of the weights; int64 [passes + 1], the last entry only ends ``offset``.

    ``first`` and ``second`` are the offsets of the given stages that a pass multiplies out, ``second`` = -1 where it copies one;
    ``rising`` says whether the first has the smaller stride.
    """

    size: int
    radix: NDArray[np.int64]
    stride: NDArray[np.int64]
    offset: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    rising: NDArray[np.bool_]


@lru_cache(maxsize=64)
def plan_of(stages: Stages) -> Plan:
    """Pair up neighbouring radix-2 stages; kept, since it takes as long as a tenth of a small cascade."""
    passes: list[tuple[Stage, int, int, bool]] = []
    at = 0
    while at < len(stages.stages):
        one = stages.stages[at]
        two = stages.stages[at + 1] if at + 1 < len(stages.stages) else Stage(1, 1)
        low, high = sorted((one.stride, two.stride))
        if one.radix == two.radix == 2 and high == 2 * low:
            passes.append((Stage(4, low), stages.offset(at), stages.offset(at + 1), one.stride == low))
            at += 2
        else:
            passes.append((one, stages.offset(at), -1, True))
            at += 1
    radix = np.array([stage.radix for stage, *_ in passes], np.int64)
    return Plan(
        stages.size, radix, np.array([stage.stride for stage, *_ in passes], np.int64),
        np.concatenate([[0], np.cumsum(radix * stages.size)]), np.array([p[1] for p in passes], np.int64),
        np.array([p[2] for p in passes], np.int64),
        np.array([p[3] for p in passes], np.bool_),
    )  # fmt: skip


@njit(cache=True)
def _fold(
    passes: NDArray[Any], one: NDArray[Any], two: NDArray[Any], size: int, stride: int, bits: tuple[int, int, int, int]
) -> None:
    """Multiply two radix-2 stages out. Weight (p, q, u, v) of a group is ``one[q; p, u] * two[p; v, q]`` and lies at their ``bits``.

    p, q: the digit that both stages share, before and after it is exchanged; u, v: the digits that only the first, the second stage sees.
    """
    p_bit, q_bit, u_bit, v_bit = bits
    for a in range(size // (4 * stride)):
        for c in range(stride):
            group, base = passes[(a * stride + c) * 16 :], (2 * a * stride + c) * 4
            for p in range(2):
                for q in range(2):
                    i, j, k = base + q * stride * 4 + p * 2, base + p * stride * 4 + q, p * p_bit + q * q_bit
                    group[k] = one[i] * two[j]
                    group[k + u_bit] = one[i + 1] * two[j]
                    group[k + v_bit] = one[i] * two[j + 2]
                    group[k + u_bit + v_bit] = one[i + 1] * two[j + 2]


@njit(cache=True)
def _unfold(
    gradient: NDArray[Any], one: NDArray[Any], two: NDArray[Any], d_one: NDArray[Any], d_two: NDArray[Any], size: int, stride: int,
    bits: tuple[int, int, int, int],
) -> None:  # fmt: skip
    """The gradients of both factors; each of their weights is met once."""
    p_bit, q_bit, u_bit, v_bit = bits
    for a in range(size // (4 * stride)):
        for c in range(stride):
            group, base = gradient[(a * stride + c) * 16 :], (2 * a * stride + c) * 4
            for p in range(2):
                for q in range(2):
                    i, j, k = base + q * stride * 4 + p * 2, base + p * stride * 4 + q, p * p_bit + q * q_bit
                    g, g_u, g_v, g_uv = group[k], group[k + u_bit], group[k + v_bit], group[k + u_bit + v_bit]
                    d_one[i], d_one[i + 1] = g * two[j] + g_v * two[j + 2], g_u * two[j] + g_uv * two[j + 2]
                    d_two[j], d_two[j + 2] = g * one[i] + g_u * one[i + 1], g_v * one[i] + g_uv * one[i + 1]


@njit(cache=True)
def multiply_out(plan: Plan, weight: NDArray[Any]) -> NDArray[Any]:
    """The weights of the passes."""
    passes = np.empty(plan.offset[-1], weight.dtype)
    for p in range(plan.radix.size):
        target, one = passes[plan.offset[p] : plan.offset[p + 1]], weight[plan.first[p] :]
        if plan.second[p] < 0:
            target[:] = one[: target.size]
        else:
            bits = (4, 2, 1, 8) if plan.rising[p] else (8, 1, 2, 4)
            _fold(target, one, weight[plan.second[p] :], plan.size, plan.stride[p], bits)
    return passes


@njit(cache=True)
def multiply_back(plan: Plan, weight: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
    """The gradient of the given weights from that of the passes."""
    result = np.empty(weight.size, weight.dtype)
    for p in range(plan.radix.size):
        first, second, part = plan.first[p], plan.second[p], gradient[plan.offset[p] : plan.offset[p + 1]]
        if second < 0:
            result[first : first + part.size] = part
        else:
            bits = (4, 2, 1, 8) if plan.rising[p] else (8, 1, 2, 4)
            _unfold(
                part, weight[first:], weight[second:], result[first:], result[second:], plan.size, plan.stride[p], bits
            )
    return result


def chunk_of(plan: Plan, itemsize: int) -> int:
    """Samples of a chunk."""
    return WIDE if (plan.radix.size + 2) * plan.size * WIDE * itemsize <= ROOM else LANES


@njit(cache=True)
def _mix(
    to: NDArray[Any], x: NDArray[Any], width: int, radix: int, stride: int, size: int, weight: NDArray[Any], at: int, row: int,
    column: int,
) -> None:  # fmt: skip
    """One stage: ``to`` from ``x``, both [size, width]; weight (d, e) of a group lies at ``d * row + e * column``.

    They may be the same array if the radix is ``SQUARE``: a group is read before it is written.
    """
    for group in range(size // radix):
        a, c = group // stride, group % stride
        base, w = (a * radix * stride + c) * width, at + group * radix * radix
        d = 0
        while d < radix:
            start, factor = base + d * stride * width, w + d * row
            step = stride * width
            if radix - d >= SQUARE:
                if width == WIDE:
                    outer_products(
                        to, start, step, weight, factor, row, column, x, base, step, radix, False, SQUARE, WIDE
                    )
                else:
                    outer_products(
                        to, start, step, weight, factor, row, column, x, base, step, radix, False, SQUARE, LANES
                    )
                d += SQUARE
            else:
                if width == WIDE:
                    outer_products(to, start, step, weight, factor, row, column, x, base, step, radix, False, 1, WIDE)
                else:
                    outer_products(to, start, step, weight, factor, row, column, x, base, step, radix, False, 1, LANES)
                d += 1


@njit(cache=True, fastmath={"reassoc", "contract"})
def _dot(a: NDArray[Any], i: int, b: NDArray[Any], j: int, width: int) -> Any:
    total = a[i] * b[j]
    for k in range(1, width):
        total += a[i + k] * b[j + k]
    return total


@njit(cache=True)
def _gradient(
    to: NDArray[Any], at: int, error: NDArray[Any], x: NDArray[Any], width: int, radix: int, stride: int, size: int
) -> None:
    """Add the weight gradient of one stage: dW[d, e] = <error_d, x_e> per group."""
    step, whole = stride * width, radix // SQUARE * SQUARE
    for group in range(size // radix):
        base, w = (group // stride * radix * stride + group % stride) * width, at + group * radix * radix
        for d in range(0, whole, SQUARE):
            for e in range(0, whole, SQUARE):
                place, i, j = w + d * radix + e, base + d * step, base + e * step
                if width == WIDE:
                    dot_square(to, place, radix, error, i, step, x, j, step, WIDE // LANES)
                else:
                    dot_square(to, place, radix, error, i, step, x, j, step, 1)
        for d in range(radix):
            for e in range(whole if d < whole else 0, radix):
                to[w + d * radix + e] += _dot(error, base + d * step, x, base + e * step, width)


@njit(cache=True)
def _load(rows: NDArray[Any], first: int, width: int, state: NDArray[Any]) -> None:
    """Samples from ``first`` on as lanes [features, width]; lanes past the batch are zero."""
    batch, features = rows.shape
    flat = rows.reshape(rows.size)
    for lane in range(0, width, LANES):
        column = 0
        if first + lane + LANES <= batch:
            while column + LANES <= features:
                transpose(state, column * width + lane, width, flat, (first + lane) * features + column, features)
                column += LANES
        for i in range(column, features):
            for b in range(LANES):
                state[i * width + lane + b] = rows[first + lane + b, i] if first + lane + b < batch else 0


@njit(cache=True)
def _store(state: NDArray[Any], first: int, width: int, rows: NDArray[Any]) -> None:
    """Lanes back to samples."""
    batch, features = rows.shape
    flat = rows.reshape(rows.size)
    for lane in range(0, min(width, batch - first), LANES):
        column = 0
        if first + lane + LANES <= batch:
            while column + LANES <= features:
                transpose(flat, (first + lane) * features + column, features, state, column * width + lane, width)
                column += LANES
        for i in range(column, features):
            for b in range(min(LANES, batch - first - lane)):
                rows[first + lane + b, i] = state[i * width + lane + b]


@njit(cache=True, nogil=True)
def forward(
    first: int, last: int, chunk: int, plan: Plan, weight: NDArray[Any], x: NDArray[Any], y: NDArray[Any], states: NDArray[Any]
) -> None:  # fmt: skip
    """Samples of chunks ``first .. last - 1``, ``x`` -> ``y``, both [B, size]; ``states`` [2, size * chunk] is room to work."""
    now, then = states[0], states[1]
    for b in range(first * chunk, min(last * chunk, x.shape[0]), chunk):
        _load(x, b, chunk, now)
        for p in range(plan.radix.size):
            radix = plan.radix[p]
            to = now if radix == SQUARE else then
            _mix(to, now, chunk, radix, plan.stride[p], plan.size, weight, plan.offset[p], radix, 1)
            if radix != SQUARE:
                now, then = then, now
        _store(now, b, chunk, y)


@njit(cache=True, nogil=True)
def backward(
    first: int, last: int, chunk: int, plan: Plan, weight: NDArray[Any], x: NDArray[Any], dy: NDArray[Any], dx: NDArray[Any],
    gradient: NDArray[Any], states: NDArray[Any],
) -> None:  # fmt: skip
    """Errors of chunks ``first .. last - 1``, ``dy`` -> ``dx``; adds to ``gradient`` of the weights of the passes.

    ``states`` [passes + 2, size * chunk] is room to work.
    """
    passes = plan.radix.size
    for b in range(first * chunk, min(last * chunk, x.shape[0]), chunk):
        _load(x, b, chunk, states[0])
        for p in range(passes - 1):
            radix = plan.radix[p]
            _mix(states[p + 1], states[p], chunk, radix, plan.stride[p], plan.size, weight, plan.offset[p], radix, 1)
        now, then = states[passes], states[passes + 1]
        _load(dy, b, chunk, now)
        for p in range(passes - 1, -1, -1):
            radix, stride, at = plan.radix[p], plan.stride[p], plan.offset[p]
            _gradient(gradient, at, now, states[p], chunk, radix, stride, plan.size)
            to = now if radix == SQUARE else then
            _mix(to, now, chunk, radix, stride, plan.size, weight, at, 1, radix)
            if radix != SQUARE:
                now, then = then, now
        _store(now, b, chunk, dx)
