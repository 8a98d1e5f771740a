"""Random dense blocks: the constant fan-in topology between blocks of neurons."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from tilewire.topology.digits import divisor_near
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.random import balanced_rows
from tilewire.topology.stage import Topology, blocked, table_stage


def construct(n_in: int, n_out: int, rng: np.random.Generator, block: int = 0, fan_in: int = 0) -> Topology:
    """Every block of ``block`` outputs reads ``fan_in`` blocks of inputs (0: a quarter of them). One stage."""
    b = block or divisor_near(int(np.gcd(n_in, n_out)), min(n_in, n_out) ** 0.5)
    at_least("block", b, 1, min(n_in, n_out), "block")
    blocks_in, blocks_out = ceil(n_in / b), ceil(n_out / b)
    k = fan_in or max(ceil(blocks_in / blocks_out), ceil(blocks_in / 4))
    at_least("fan_in", k, 1, blocks_in, "block")
    stage = blocked(table_stage(balanced_rows(blocks_in, blocks_out, k, rng), blocks_in), b, n_in, n_out)
    return Topology("block", ((stage,),), f"{k} of {blocks_in} blocks of {b}")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Blocks that divide both widths, as many as the budget pays."""
    shared = int(np.gcd(n_in, n_out))
    for block in (2, 4, 8, 16, 32):
        if shared % block == 0:
            k = min(budget // (n_out * block), n_in // block)
            if k >= 1:
                yield {"block": block, "fan_in": k}


FAMILY = Family("block", "random dense blocks", construct, proposals, full=False)
