"""Uniform random edges, shared out over the stages by the Erdos-Renyi rule (Mocanu et al. 2018, SET; Evci et al. 2020, RigL)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.random import widths
from tilewire.topology.stage import Stage, Topology, pad_rows, table_stage


def erdos_renyi_shares(ends: list[int], weights: int) -> list[int]:
    """Edges of every stage, density in proportion to (n_in + n_out) / (n_in n_out), at most n_in n_out, ``weights`` in all."""
    room = np.array([a * b for a, b in itertools.pairwise(ends)], float)
    raw = np.array([a + b for a, b in itertools.pairwise(ends)], float)
    share, full = np.zeros(room.size), np.zeros(room.size, bool)
    for _ in range(room.size):
        share = np.where(full, room, raw * (weights - room[full].sum()) / max(raw[~full].sum(), 1.0))
        if not (share > room).any():
            break
        full |= share >= room
    counts = np.minimum(np.floor(share), room).astype(int)
    for stage in np.argsort(counts - share)[: weights - counts.sum()]:
        counts[stage] += counts[stage] < room[stage]
    return [int(n) for n in counts]


def uniform_stage(n_in: int, n_out: int, edges: int, rng: np.random.Generator) -> Stage:
    """``edges`` different (input, output) pairs, all sets of pairs equally likely."""
    key = np.sort(rng.choice(n_in * n_out, edges, replace=False, shuffle=False))
    ptr = np.searchsorted(key, np.arange(n_out + 1) * n_in)
    return table_stage(pad_rows(ptr, key % n_in), n_in)


def construct(n_in: int, n_out: int, rng: np.random.Generator, depth: int = 2, weights: int = 0) -> Topology:
    """``depth`` stages with ``weights`` edges in all (0: six per node and stage). Nodes may stay without edges."""
    at_least("depth", depth, 1, 4096, "uniform")
    ends = widths(n_in, n_out, depth)
    room = sum(a * b for a, b in itertools.pairwise(ends))
    total = weights or min(room, 6 * sum(ends[1:]))
    at_least("weights", total, depth, room, "uniform")
    counts = erdos_renyi_shares(ends, total)
    stages = tuple(uniform_stage(a, b, max(n, 1), rng) for a, b, n in zip(ends, ends[1:], counts, strict=False))
    return Topology("uniform", (stages,), f"{depth} stages of uniform random edges")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Depths 1 to 3 with the whole budget."""
    for depth in (1, 2, 3):
        ends = widths(n_in, n_out, depth)
        room = sum(a * b for a, b in itertools.pairwise(ends))
        if depth <= budget <= room:
            yield {"depth": depth, "weights": budget}


FAMILY = Family("uniform", "uniform random edges, Erdos-Renyi shares", construct, proposals, even=False, full=False)
