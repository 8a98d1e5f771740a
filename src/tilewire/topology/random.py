"""Random topologies of constant fan-in and fan-out: k-regular expanders (Prabhu, Varma, Namboodiri 2018, Deep Expander Networks)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import ceil, log

import numpy as np

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Longs, Stage, Topology, table_stage

SKIP = 0.82
"""Weight c of a fixed straight edge, 1 / sqrt(1 + s^2) at s = 0.7: trainable edges then carry a third of the variance."""


def balanced_rows(n_in: int, n_out: int, k: int, rng: np.random.Generator) -> Longs:
    """k different inputs for every output, every input used floor or ceil(k n_out / n_in) times: int64 [n_out, k].

    Row by row: inputs with as many uses left as rows are left must be taken, the others are drawn in proportion to the uses left.
    """
    left = np.full(n_in, n_out * k // n_in)
    left[rng.permutation(n_in)[: n_out * k % n_in]] += 1
    table = np.empty((n_out, k), np.int64)
    for row in range(n_out):
        with np.errstate(divide="ignore"):
            key = np.log(rng.random(n_in)) / left  # the k largest are a weighted draw without replacement
        key[left == n_out - row] = 1.0
        chosen = np.argpartition(key, n_in - k)[n_in - k :]
        table[row] = chosen
        left[chosen] -= 1
    return table[rng.permutation(n_out)]


def without_self(table: Longs, rng: np.random.Generator) -> Longs:
    """The same degrees without edges i -> i, by swaps of single entries. Needs fan-in below the width."""
    table = table.copy()
    for row in np.flatnonzero((table == np.arange(len(table))[:, None]).any(axis=1)):
        if row not in table[row]:
            continue  # an earlier swap has taken it
        place = int(np.argmax(table[row] == row))
        for other in rng.permutation(len(table)):
            mine, theirs = set(table[row].tolist()), table[other]
            if other == row or row in theirs:
                continue
            fitting = [slot for slot, value in enumerate(theirs.tolist()) if value not in mine and value != row]
            if fitting:
                slot = fitting[int(rng.integers(len(fitting)))]
                table[row, place], table[other, slot] = theirs[slot], row
                break
    return table


def widths(n_in: int, n_out: int, depth: int) -> list[int]:
    """Widths of the interfaces, geometric between the ends."""
    return [round(n_in ** (1 - s / depth) * n_out ** (s / depth)) for s in range(depth + 1)]


def fan_in_for(n_in: int, n_out: int, k: int) -> int:
    """Fan-in that gives a stage k sqrt(n_in n_out) edges, at least one per input, at most all."""
    share = k * float(np.sqrt(n_in / n_out))
    return min(n_in, max(ceil(n_in / n_out), round(share)))


def construct(
    n_in: int, n_out: int, rng: np.random.Generator, depth: int = 2, fan_in: int = 0, skip: int = 0
) -> Topology:
    """``depth`` stages of about ``fan_in`` edges per node (0: k^L = 2 N ln N, which reaches all pairs as a rule), drawn anew each.

    ``skip`` 1: fixed straight edges beside every stage of equal widths, which then draws no straight edges itself.
    """
    ends, wide = widths(n_in, n_out, depth), max(n_in, n_out)
    at_least("depth", depth, 1, 4096, "random")
    k = fan_in or min(wide, ceil(float(2 * wide * log(wide)) ** (1 / depth)))
    at_least("fan_in", k, 1, wide, "random")
    stages: list[Stage] = []
    for before, after in itertools.pairwise(ends):
        fan = fan_in_for(before, after, k)
        table = balanced_rows(before, after, fan, rng)
        straight = bool(skip) and before == after and fan < before
        stage = table_stage(without_self(table, rng) if straight else table, before)
        stages.append(Stage(before, after, fan, stage.inputs, stored=True, skip=SKIP if straight else 0.0))
    return Topology("random", (tuple(stages),), f"{depth} random stages, fan-in {stages[0].fan_in}")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Depths 1 to 8 at the largest fan-in the budget allows, the deep ones with and without skips."""
    for depth in (1, 2, 3, 4, 6, 8):
        ends = widths(n_in, n_out, depth)
        k = int(budget / sum((a * b) ** 0.5 for a, b in itertools.pairwise(ends)))
        if 1 <= k <= max(n_in, n_out):
            yield {"depth": depth, "fan_in": k}
            if depth > 2 and n_in == n_out:
                yield {"depth": depth, "fan_in": k, "skip": 1}


FAMILY = Family("random", "random edges, constant fan-in and fan-out", construct, proposals, full=False)
