"""Straight runs against hop by hop walks, one-turn runs against the rule in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.hardware.fabric import EAST, NORTH, SOUTH, WEST
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic, one_turn_reference
from tilewire.hardware.runs import _lines

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6))


@settings(deadline=None, max_examples=30)
@given(SHAPES, st.sampled_from([mosaic, mesh]))
def test_runs_are_pieces_of_lines(grid, family):
    fabric = family(grid, 2)
    lines = fabric.lines
    assert set(lines.link.tolist()) == set(range(fabric.n_links))
    assert np.array_equal(lines.target, fabric.link_target[lines.link])
    for (node, port), link in np.ndenumerate(fabric.link_at):
        place = lines.at[node, port]
        assert (place < 0) == (link < 0)
        walked = []
        while link >= 0 and len(walked) < 2 * fabric.n_links:
            walked.append(int(link))
            link = fabric.link_at[fabric.link_target[link], port]
        if walked:
            found = lines.link[place : lines.end[place]].tolist()
            assert found == walked[: len(found)]
            assert set(found) == set(walked)  # a ring: every link of it, from any of them on


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 12), st.integers(0, 999))
def test_rings_and_chains_of_any_kind(n, seed):
    rng = np.random.default_rng(seed)
    after = rng.permutation(n).astype(np.int32)
    after[rng.random(n) < 0.3] = -1
    fed = np.isin(np.arange(n), after)
    link, end, place = _lines(np.concatenate([np.flatnonzero(~fed), np.flatnonzero(fed)]).astype(np.int32), after)
    for one in range(n):
        at, walked = one, []
        while at >= 0 and at not in walked:
            walked.append(at)
            at = int(after[at])
        assert link[place[one] : end[place[one]]].tolist()[: len(walked)] == walked


def in_words(columns, source, target):
    """The one-turn rule as its docstring has it: runs of (port, links) that are not empty."""
    (r0, c0), (r1, c1) = divmod(source, columns), divmod(target, columns)
    down, right = r1 - r0, c1 - c0
    if (abs(down), abs(right)) in ((0, 1), (1, 0)):
        port = (SOUTH if down > 0 else NORTH) if down else (EAST if right > 0 else WEST)
        return [(port, 1), (port, 1)]
    if right == 0:
        return [(WEST, 1), (SOUTH if down > 0 else NORTH, 2 * abs(down)), (EAST, 1)]
    side, leave = EAST if right > 0 else WEST, SOUTH if down > 0 else NORTH
    turn = (leave, 2 * abs(down) - 1) if down else (SOUTH, 1)
    return [(leave, 1), (side, 2 * abs(right) - 1), turn, (side, 1)]


@pytest.mark.parametrize("grid", [(1, 4), (4, 1), (3, 5), (6, 4)])
def test_one_turn_runs_follow_the_rule(grid):
    fabric = mosaic(grid, 1)
    source, target = np.nonzero(~np.eye(fabric.n_tiles, dtype=bool))
    port, length = fabric.fixed_path(fabric, source.astype(np.int32), target.astype(np.int32))
    slow = one_turn_reference(fabric, source.astype(np.int32), target.astype(np.int32))
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip((port, length), slow, strict=True))
    for k, pair in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        runs = [(int(p), int(n)) for p, n in zip(port[k], length[k], strict=True) if n]
        assert runs == in_words(grid[1], *pair)
