import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError, UsageError
from tilewire.mapping.partition import balanced, partition, split, symmetric
from tilewire.mapping.partition_anneal import anneal_cut, tied
from tilewire.mapping.partition_multilevel import multilevel
from tilewire.mapping.partition_native import NativeError, kahypar, run_child
from tilewire.mapping.partition_nets import anneal_nets, gain_tables, move, multicast, touched_cost

SEEDS = st.integers(0, 2**32)


def random_matrix(rng, n, density=0.3):
    return (rng.random((n, n)) < density) * rng.choice([-1.0, 2.0], (n, n))


def planted(rng, n, parts):
    """A shuffled matrix with dense parts and a few synapses between them."""
    label = rng.permutation(np.repeat(np.arange(parts), n // parts))
    same = label[:, None] == label
    return ((rng.random((n, n)) < np.where(same, 0.6, 0.01)) & ~np.eye(n, dtype=bool)).astype(float), label


def slow_cut(matrix, part):
    return sum(1 for i, j in zip(*np.nonzero(matrix), strict=True) if i != j and part[i] != part[j])


def slow_tiles(matrix, part, rate):
    total = 0.0
    for i in range(len(matrix)):
        touched = {int(part[j]) for j in np.flatnonzero(matrix[i]) if j != i} - {int(part[i])}
        total += rate[i] * len(touched)
    return total


def all_partitions(sizes):
    """Every assignment of sum(sizes) neurons to parts of these sizes."""
    if not any(sizes):
        return [()]
    return [
        (part, *rest)
        for part, size in enumerate(sizes)
        if size
        for rest in all_partitions([s - (p == part) for p, s in enumerate(sizes)])
    ]


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_small_partitions_are_optimal_for_both_objectives(seed):
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 4, 3)]
    n = sum(sizes)
    matrix, rate = random_matrix(rng, n), rng.random(n)
    found = split(matrix, 3, sizes=sizes, rng=rng, seconds=0.02)
    assert np.array_equal(np.bincount(found.parts, minlength=3), sizes)
    everything = all_partitions(sizes)
    assert found.cut == slow_cut(matrix, found.parts) == min(slow_cut(matrix, p) for p in everything)
    tiles = split(matrix, 3, sizes=sizes, rng=rng, seconds=0.02, objective="tiles", rate=rate)
    assert tiles.cost == pytest.approx(slow_tiles(matrix, tiles.parts, rate))
    assert tiles.cost <= 1.3 * min(slow_tiles(matrix, p, rate) for p in everything) + 1e-9


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.booleans())
def test_swap_annealing_counts_its_change_exactly(seed, directed):
    rng = np.random.default_rng(seed)
    n, parts = int(rng.integers(4, 30)), int(rng.integers(2, 5))
    matrix = random_matrix(rng, n)
    source, target = np.nonzero(matrix * ~np.eye(n, dtype=bool))
    if source.size == 0:
        return
    start = rng.permutation(np.repeat(np.arange(parts, dtype=np.int32), balanced(n, parts)))
    graph = symmetric(source, target, n)
    best, change = anneal_cut(*graph, start, parts, 3000, 3.0, 0.3, seed, directed)
    assert slow_cut(matrix, best) - slow_cut(matrix, start) == change <= 0
    assert np.array_equal(np.bincount(best, minlength=parts), balanced(n, parts))
    both = (matrix != 0).astype(int) * ~np.eye(n, dtype=bool)
    assert np.array_equal(tied(*graph, best, parts), (both + both.T) @ np.eye(parts, dtype=int)[best])


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_net_gains_equal_the_slow_count(seed):
    rng = np.random.default_rng(seed)
    n, parts = int(rng.integers(4, 20)), int(rng.integers(2, 5))
    matrix, rate = random_matrix(rng, n), rng.integers(0, 4, n).astype(float)
    source, target = np.nonzero(matrix * ~np.eye(n, dtype=bool))
    nets = multicast(source, target, n, rate)
    part = rng.integers(parts, size=n).astype(np.int32)
    tables = gain_tables(*nets.arrays, part, parts)
    for u, q in zip(rng.integers(n, size=5), rng.integers(parts, size=5), strict=True):
        if part[u] == q:
            continue
        promised, before = tables[2][u, q] - tables[1][u], slow_tiles(matrix, part, rate)
        move(*nets.arrays, part, *tables, int(u), int(q))
        assert slow_tiles(matrix, part, rate) - before == pytest.approx(promised)
        assert touched_cost(nets, part) == pytest.approx(slow_tiles(matrix, part, rate))
        for kept, fresh in zip(tables, gain_tables(*nets.arrays, part, parts), strict=True):
            assert np.allclose(kept, fresh)
    if nets.weight.size:
        best, change = anneal_nets(*nets.arrays, part, parts, 2000, 2.0, 0.2, seed)
        assert slow_tiles(matrix, best, rate) - slow_tiles(matrix, part, rate) == pytest.approx(change)
        assert np.array_equal(np.bincount(best, minlength=parts), np.bincount(part, minlength=parts))


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_multilevel_sizes_are_exact(seed):
    rng = np.random.default_rng(seed)
    n, parts = int(rng.integers(20, 400)), int(rng.integers(1, 9))
    sizes = np.bincount(rng.integers(parts, size=n), minlength=parts)
    matrix = random_matrix(rng, n, 0.05)
    graph = symmetric(*np.nonzero(matrix * ~np.eye(n, dtype=bool)), n)
    part = multilevel(*graph, sizes, rng, 20_000)
    assert np.array_equal(np.bincount(part, minlength=parts), sizes)


@pytest.mark.parametrize("start", ["random", "multilevel", "mtkahypar"])
def test_every_start_finds_planted_parts(start):
    if start == "mtkahypar":
        pytest.importorskip("mtkahypar")
    rng = np.random.default_rng(1)
    matrix, label = planted(rng, 320, 8)
    found = split(csr_array(matrix), 8, rng=rng, seconds=0.5, start=start)
    assert found.notes == ()
    assert found.cut <= slow_cut(matrix, label)


@pytest.mark.slow
def test_small_world_of_a_thousand_neurons_beats_mt_kahypar():
    networkx, native = pytest.importorskip("networkx"), pytest.importorskip("mtkahypar")
    edges = np.array(networkx.watts_strogatz_graph(1024, 32, 0.2, seed=0).edges())
    edges = np.random.default_rng(0).permutation(1024)[edges]
    matrix = csr_array((np.ones(2 * len(edges)), np.concatenate([edges, edges[:, ::-1]]).T), shape=(1024, 1024))
    solver, cuts = native.initialize(1), []
    context = solver.context_from_preset(native.PresetType.QUALITY)
    context.set_partitioning_parameters(16, 0.0, native.Objective.CUT)
    context.logging = False
    for seed in range(5):
        native.set_seed(seed)
        graph = solver.create_graph(context, 1024, len(edges), [tuple(edge) for edge in edges.tolist()])
        cuts.append(2 * graph.partition(context).cut())
    found = split(matrix, 16, rng=np.random.default_rng(0), seconds=5)
    assert np.array_equal(np.bincount(found.parts), np.full(16, 64))
    assert found.cut <= 0.995 * min(cuts)


def test_equal_seeds_equal_parts_whatever_holds_the_matrix():
    matrix, _ = planted(np.random.default_rng(2), 60, 4)
    forms = [matrix, csr_array(matrix), Connectivity.of(*np.nonzero(matrix), 60, 60), -matrix + 5 * np.eye(60)]
    answers = [partition(form, 4, rng=np.random.default_rng(5), seconds=0.05) for form in forms]
    assert all(np.array_equal(answers[0], other) for other in answers)


def test_parts_that_do_not_divide_differ_by_one_neuron():
    found = partition(random_matrix(np.random.default_rng(0), 11), 4, rng=np.random.default_rng(0), seconds=0.01)
    assert sorted(np.bincount(found).tolist()) == [2, 3, 3, 3]


def test_nothing_to_cut():
    whole = split(np.eye(5), 2, rng=np.random.default_rng(0))
    assert (whole.cut, whole.status, whole.lower_bound, whole.proof) == (0, "optimal", 0, None)
    assert split(np.ones((3, 3)), 1, rng=np.random.default_rng(0)).parts.tolist() == [0, 0, 0]
    assert split(np.ones((3, 3)), 3, rng=np.random.default_rng(0)).cut == 6
    silent = split(np.ones((4, 4)), 2, rng=np.random.default_rng(0), objective="tiles", rate=np.zeros(4))
    assert silent.cost == 0.0


def test_native_failures_are_named():
    with pytest.raises(NativeError, match=r"did not finish within 0\.2 s"):
        run_child([sys.executable, "-c", "import time; time.sleep(60)"], 0.2, "solver")
    with pytest.raises(NativeError, match="signal 9"):
        run_child([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 30, "solver")
    with pytest.raises(NativeError, match="exit code 1: ValueError: broken"):
        run_child([sys.executable, "-c", "raise ValueError('broken')"], 30, "solver")
    with pytest.raises(NativeError, match="could not be started"):
        run_child(["/nowhere/solver"], 30, "solver")
    graph, sizes = symmetric(np.array([0, 1]), np.array([1, 2]), 3), np.array([2, 1])
    with pytest.raises(NativeError, match="no readable answer"):
        kahypar(graph, sizes, seed=0, seconds=30, command=[sys.executable, "-c", "pass"])
    lie = "import sys, numpy; numpy.save(sys.argv[2], numpy.zeros(3, numpy.int32))"
    with pytest.raises(NativeError, match="not a partition of the asked sizes"):
        kahypar(graph, sizes, seed=0, seconds=30, command=[sys.executable, "-c", lie])


def test_a_broken_native_solver_is_replaced_and_noted(monkeypatch):
    def broken(*args, **kwargs):
        raise NativeError("mtkahypar ended with signal 11")

    monkeypatch.setattr("tilewire.mapping.partition.kahypar", broken)
    rng = np.random.default_rng(1)
    matrix, label = planted(rng, 96, 4)
    found = split(matrix, 4, rng=rng, seconds=0.3, start="mtkahypar")
    assert found.cut <= slow_cut(matrix, label)
    assert "signal 11" in found.notes[0]


def test_faulty_requests_are_named():
    rng, matrix = np.random.default_rng(0), np.ones((4, 4))
    with pytest.raises(NetsError, match="square matrix, this one is 2 x 3"):
        partition(np.ones((2, 3)), 2, rng=rng)
    with pytest.raises(UsageError, match="4 neurons in 5 parts"):
        partition(matrix, 5, rng=rng)
    with pytest.raises(UsageError, match="are not 2 parts of 4 neurons"):
        partition(matrix, 2, sizes=[3, 2], rng=rng)
    with pytest.raises(UsageError, match="did you mean 'tiles'"):
        partition(matrix, 2, objective="tile", rng=rng)
    with pytest.raises(UsageError, match="did you mean 'multilevel'"):
        partition(matrix, 2, start="multilevl", rng=rng)
    with pytest.raises(NetsError, match="rates are not 4 finite figures"):
        partition(matrix, 2, rate=[1, 2, 3, -1], rng=rng)
    with pytest.raises(UsageError, match="time limit"):
        partition(matrix, 2, seconds=0, rng=rng)
    with pytest.raises(UsageError, match="no proof for objective 'tiles'"):
        split(matrix, 2, objective="tiles", prove=True, rng=rng)
