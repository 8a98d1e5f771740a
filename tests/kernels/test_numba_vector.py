"""The vector operations against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from tilewire.kernels.numba_vector import (
    LANES,
    SCAN,
    TAIL,
    WIDE,
    above,
    add_row,
    lowest_bit,
    neurons_back,
    tile_product,
)


@njit
def call_add(to, i, row, j, scale):
    add_row(to, i, row, j, scale, TAIL)
    add_row(to, i + 10, row, j + 10, scale, LANES)
    add_row(to, i + 30, row, j + 30, scale, WIDE)


@njit
def call_above(row, i, threshold):
    bits = above(row, i, threshold)
    return bits, lowest_bit(bits)


@njit
def call_product(sums, lanes, row, weight, source, first, last):
    tile_product(sums, lanes, row, weight, 0, 20, source, first, last, LANES)
    tile_product(sums, lanes, row + LANES, weight, LANES, 20, source, first, last, TAIL)


@njit
def call_neurons(dv, dz, dz_next, rows, width, v, stride, dynamics):
    for i in range(0, width, LANES):
        neurons_back(dv, dz, dz_next, i * LANES, rows, i, width, v, i, stride, dynamics)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_add_row_adds_its_width_and_no_more(kind):
    rng = np.random.default_rng(0)
    to, row = rng.normal(size=(2, 80)).astype(kind)
    want = to.copy()
    for i, width in ((1, TAIL), (11, LANES), (31, WIDE)):
        want[i : i + width] += kind(0.5) * row[i + 2 : i + 2 + width]
    call_add(to, 1, row, 3, kind(0.5))
    np.testing.assert_allclose(to, want, rtol=1e-6)


def test_above_is_strict_and_ignores_nan():
    row = np.zeros(SCAN + 1, np.float32)
    row[[3, 5, 40, SCAN]] = 1.0, 0.5, np.nan, 2.0
    assert call_above(row, 1, np.float32(0.5)) == ((1 << 2) | (1 << (SCAN - 1)), 2)


def test_tile_product_brings_a_tile_back_to_its_sources():
    rng = np.random.default_rng(1)
    lanes, sums = rng.normal(size=(40, LANES)), rng.normal(size=(30, LANES))
    weight, source = rng.normal(size=(6, 20)), np.array([4, 9, 4, 0, 29, 7], np.int32)
    want = sums.copy()
    for k in range(1, 5):
        want[source[k]] += weight[k] @ lanes[3:23]
    got = sums.ravel().copy()
    call_product(got, lanes.ravel(), 3, weight.ravel(), source, 1, 5)
    np.testing.assert_allclose(got.reshape(sums.shape), want)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)])
def test_neurons_back_is_the_surrogate_step(kind, tolerance):
    rng = np.random.default_rng(2)
    width, stride = 2 * LANES, 50
    v = rng.normal(0.8, 1.0, (LANES, stride)).astype(kind)
    dv, dz, dz_next = rng.normal(size=(3, width, LANES)).astype(kind)
    leak, threshold, slope, reset = 0.9, 1.0, 7.0, 0.6
    surrogate = 1 / (1 + slope * np.abs(v[:, :width].T.astype(float) - threshold)) ** 2
    want = leak * dv.astype(float) + surrogate * (dz - reset * dv.astype(float))
    flat = [array.ravel().copy() for array in (dv, dz, dz_next)]
    rows = np.zeros(LANES * width, kind)
    call_neurons(*flat, rows, width, v.ravel(), stride, tuple(map(kind, (leak, threshold, slope, reset, 1))))
    np.testing.assert_allclose(flat[0].reshape(width, LANES), want, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(rows.reshape(LANES, width).T, flat[0].reshape(width, LANES))
    np.testing.assert_array_equal(flat[1], dz_next.ravel())
