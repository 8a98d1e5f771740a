"""One seed fans out to named streams of random numbers; a stream at a cursor never depends on what was drawn before."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str, *cursor: int) -> np.random.Generator:
    """Generator of stream ``name`` at a position such as (epoch, step). The same arguments always give the same numbers,
    so an interrupted run needs no saved generator states: the cursor is the state.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode()), *cursor]))
