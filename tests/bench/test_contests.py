"""W2 to W5 in miniature: all contestants run and agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tilewire.bench import overhead, w2, w3, w4, w5
from tilewire.bench.harness import measure
from tilewire.bench.w1 import Workload
from tilewire.kernels.stages import Stages
from tilewire.mapping.trees import loads


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def errors(contest):
    return {figure.name: figure.error for figure in measure(contest, 1).figures}


@pytest.mark.parametrize("storage", ["rows", "blocks"])
@pytest.mark.parametrize("density", [0.1, 1.0])
def test_w2(storage, density):
    found = errors(w2.contest(64, density, storage))
    assert found.pop("dense") is None  # trains weights that do not exist
    assert all(error < 1e-5 for error in found.values())


def test_w2_growth_is_the_automatic_choice_against_both_matrices():
    contests = w2.growth()
    assert len(contests) == len(w2.SIZES) * 2 * len(w2.DENSITIES)
    for contest in contests:
        assert set(contest.exact) < set(contest.contestants) == {"tilewire-auto", "masked-dense", "dense"}


def test_w3():
    start = w3.wire((3, 4), 8, 200)
    before = start.table.tile.copy()
    found = errors(w3.contest(lambda: start))
    assert found == {"python-loops": 0, "tilewire": 0}
    assert np.array_equal(start.table.tile, before)  # every contestant has its own copy


def test_w3_kills_what_it_should():
    wired = w3.wire((2, 3), 8, 60)
    wired.weight[[1, 4]] = 0
    rng = np.random.default_rng(0)
    assert w3.rewire_slowly(wired, rng, rng) == 2
    assert (np.abs(wired.weight) >= np.float32(w3.THRESHOLD)).all()


def test_w4():
    nets = w4.draw((4, 5), 6)
    for contest in w4.contests_of(lambda: nets):
        assert set(errors(contest).values()) == {0}
    assert loads(nets.fabric, w4.route_one_turn(nets.fabric, nets.branches, nets.placement)).sum() > 0


def test_w5():
    found = errors(w5.contest("small", Stages.butterfly(32)))
    assert found["tilewire"] < 1e-5
    assert found["dense"] is None


@pytest.mark.parametrize("width", [5, 16])
def test_overhead(width):
    workload = Workload(batch=2, steps=6, channels=5, tiles=6, size=16, density=0.3, classes=2)
    case = overhead.Case(workload, (2, 3), width)
    for name in overhead.KINDS:
        constrained = overhead.wired(case, name)
        assert constrained.step().killed.size >= 1
        assert constrained.excess().fits
    found = measure(overhead.contest("small", case), 1).figures
    assert [figure.name for figure in found if not figure.own] == ["training-step"]
    assert len(found) == 4
