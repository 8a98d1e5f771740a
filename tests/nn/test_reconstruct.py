"""Reconstruction of random matrices, against the optimum where it has a closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tilewire.errors import UsageError
from tilewire.nn.reconstruct import reconstruction_error
from tilewire.topology.table import family


def test_low_rank_comes_near_the_singular_value_optimum():
    topology = family("low-rank")(16, 16, rank=4)
    found = reconstruction_error(topology, np.random.default_rng(0), targets=1, steps=300)
    target = np.random.default_rng(0).standard_normal((16, 16))
    s = np.linalg.svd(target, compute_uv=False) ** 2
    optimum = s[4:].sum() / s.sum()
    assert optimum - 1e-6 <= found <= optimum + 0.02


def test_monarch_comes_near_the_blockwise_optimum():
    topology = family("monarch")(16, 16)
    found = reconstruction_error(topology, np.random.default_rng(1), targets=1, steps=300)
    target = np.random.default_rng(1).standard_normal((16, 16))
    # W[d 4 + q, a 4 + e] = second[q][d, a] first[a][q, e]: for each (q, a) a matrix [d, e] of rank one
    blocks = target.reshape(4, 4, 4, 4).transpose(1, 2, 0, 3)
    s = np.linalg.svd(blocks, compute_uv=False) ** 2
    optimum = s[..., 1:].sum() / s.sum()
    assert optimum - 1e-6 <= found <= optimum + 0.03


def test_limit():
    with pytest.raises(UsageError, match="targets"):
        reconstruction_error(family("butterfly")(2048, 1024), np.random.default_rng(0))
