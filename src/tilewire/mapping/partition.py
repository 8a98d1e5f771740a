"""Partition: neurons into parts of exact sizes, few synapses cut or few parts touched by the nets; optional proof of optimality.

Small matrices are annealed from random starts; large ones start from a multilevel partition, by Mt-KaHyPar (Gottesbueren et al., 2021) if
it is installed and by `partition_multilevel` otherwise, and are refined by the same swaps, which keep every size exact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError, UsageError, unknown
from tilewire.mapping.partition_anneal import Ints, Longs, anneal_cut
from tilewire.mapping.partition_multilevel import multilevel, scale
from tilewire.mapping.partition_native import NativeError, installed, kahypar
from tilewire.mapping.partition_nets import anneal_nets, multicast, touched_cost

OBJECTIVES = ("cut", "tiles")
STARTS = ("auto", "random", "multilevel", "mtkahypar")
RATE = 10_000_000  # proposals that one second buys: work is counted, not clocked, so equal seeds give equal partitions
NETS_SHARE = 4  # a proposal on nets costs about this many on the cut
ROUND = 20  # proposals per pair of neurons of one annealing from a random start
ROUNDS = 64  # such annealings at most
TABLE = 1 << 27  # entries of a gain table that annealing may hold
NATIVE_RATE = 120_000  # edge ends per second of budget up to which Mt-KaHyPar is fast enough to start from
SEARCH_SECONDS, PROOF_SECONDS = 5.0, 300.0
OWN_SHARE = 0.8  # of the time for a proof goes to a certificate, the rest to a solver if none was found


@dataclass(frozen=True, eq=False)
class Partition:
    """A partition and what is known about it.

    ``parts`` int32 [neurons]; ``cut`` = directed synapses between parts; ``cost`` = value of the objective; ``lower_bound`` on the cut,
    0 if none was asked for; ``status`` "optimal" if the bound reaches the cut, else "feasible"; ``proof`` "certificate" if
    `partition_verify.verify` accepted ``certificate`` (plain data) as showing it, "solver" if no certificate was found in time but HiGHS
    says so, else None; ``notes`` name solvers that failed and were replaced.
    """

    parts: Ints
    cut: int
    objective: str
    cost: float
    status: str
    proof: str | None
    lower_bound: int
    certificate: dict[str, Any] | None
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """The figures as plain data (JSON)."""
        return {
            "cut": self.cut, "parts": self.parts.tolist(), "status": self.status, "proof": self.proof, "lower_bound": self.lower_bound,
            "objective": self.objective, "cost": self.cost, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Task:
    source: Longs
    target: Longs
    n: int
    sizes: Longs
    objective: str
    rate: NDArray[np.float64]

    def cut(self, parts: Ints) -> int:
        return int(np.count_nonzero(parts[self.source] != parts[self.target]))

    def cost(self, parts: Ints) -> float:
        if self.objective == "cut":
            return float(self.cut(parts))
        return touched_cost(multicast(self.source, self.target, self.n, self.rate), parts)


def synapses(matrix: Any) -> tuple[Longs, Longs, int]:
    """(source, target, neurons) of a square matrix, dense, scipy.sparse or `Connectivity`; any non-zero off the diagonal is a synapse."""
    if isinstance(matrix, Connectivity):
        shape: tuple[int, ...] = (matrix.n_sources, matrix.n_targets)
        source, target = matrix.source.astype(np.int64), matrix.target.astype(np.int64)
    else:
        shape = tuple(int(side) for side in matrix.shape)
        source, target = (np.asarray(index, np.int64) for index in matrix.nonzero())
    if len(shape) != 2 or shape[0] != shape[1]:
        raise NetsError(f"a partition needs a square matrix, this one is {' x '.join(map(str, shape))}")
    keep = source != target
    return source[keep], target[keep], shape[0]


def balanced(n_neurons: int, parts: int) -> Longs:
    """Sizes [parts] that differ by at most one, larger parts first. Raises `UsageError` for more parts than neurons or none."""
    if not 1 <= parts <= n_neurons:
        raise UsageError(f"{n_neurons} neurons in {parts} parts", hint=f"1 to {n_neurons} parts")
    sizes = np.full(parts, n_neurons // parts, np.int64)
    sizes[: n_neurons % parts] += 1
    return sizes


def symmetric(source: Longs, target: Longs, n: int, weight: Longs | None = None) -> tuple[Longs, Ints, Ints]:
    """CSR of w_uv = weight of the synapses between u and v in both directions (1 each if None), neighbours ascending."""
    pairs = np.concatenate([source * n + target, target * n + source])
    key, index = np.unique(pairs, return_inverse=True)
    total = np.bincount(index, weights=None if weight is None else np.tile(weight, 2), minlength=key.size)
    ptr = np.searchsorted(key, np.arange(n + 1, dtype=np.int64) * n)
    return ptr.astype(np.int64), (key % max(n, 1)).astype(np.int32), total.astype(np.int32)


def _graph(task: _Task) -> tuple[Longs, Ints, Ints]:
    """The graph whose cut is the objective, or stands in for it: synapses weighted by rate, in sixteenths of the mean rate."""
    if task.objective == "cut" or not task.rate.any():
        return symmetric(task.source, task.target, task.n)
    weight = np.minimum(np.rint(16 * task.rate / task.rate[task.rate > 0].mean()), 1 << 16).astype(np.int64)[
        task.source
    ]
    live = weight > 0
    return symmetric(task.source[live], task.target[live], task.n, weight[live])


def _task(matrix: Any, parts: int, objective: str, rate: ArrayLike | None, sizes: ArrayLike | None) -> _Task:
    if objective not in OBJECTIVES:
        raise UsageError(unknown("objective", objective, OBJECTIVES))
    source, target, n = synapses(matrix)
    given = balanced(n, parts) if sizes is None else np.asarray(sizes, np.int64)
    if given.shape != (parts,) or (given < 1).any() or int(given.sum()) != n:
        raise UsageError(
            f"sizes {given.tolist()} are not {parts} parts of {n} neurons",
            hint="one size of at least 1 per part, summing up",
        )
    rates = np.ones(n) if rate is None else np.asarray(rate, np.float64)
    if rates.shape != (n,) or not np.isfinite(rates).all() or (rates < 0).any():
        raise NetsError(f"rates are not {n} finite figures >= 0")
    return _Task(source, target, n, given, objective, rates)


def _improve(
    task: _Task, graph: tuple[Longs, Ints, Ints], start: Ints, steps: int, hot: float, directed: bool, seed: int
) -> Ints:
    """Swap annealing from ``start``: on the graph, then on the nets if they are the objective.

    ``hot`` is the first temperature on the graph in units of a typical change.
    """
    k = task.sizes.size
    if k < 2 or graph[1].size == 0 or task.n * k > TABLE:
        return start
    typical = scale(graph[0], graph[2])
    cold = min(0.09 * typical, 0.5 * float(graph[2].min())) if task.n <= 256 else 0.09 * typical
    found: Ints = anneal_cut(*graph, start, k, steps, max(hot * typical, cold), cold, seed, directed)[0]
    if task.objective == "cut":
        return found
    nets = multicast(task.source, task.target, task.n, task.rate)
    if nets.weight.size == 0:
        return found
    squares = np.bincount(nets.pin, weights=np.repeat(nets.weight, np.diff(nets.net_ptr)) ** 2, minlength=task.n)
    typical = float(np.sqrt(squares.mean()))
    found = anneal_nets(*nets.arrays, found, k, max(steps // NETS_SHARE, 1), 0.2 * typical, 0.04 * typical, seed)[0]
    return found


def _search(task: _Task, seconds: float, rng: np.random.Generator, start: str) -> tuple[Ints, tuple[str, ...]]:
    """Best partition that ``seconds`` of counted work find, and notes on solvers that failed."""
    deadline = time.monotonic() + seconds
    graph, budget = _graph(task), max(int(seconds * RATE), 1)
    whole = max(ROUND * task.n**2, 10_000)
    if start == "random" or (start == "auto" and budget >= whole):
        rounds = max(1, min(budget // whole, ROUNDS))
        best: Ints = np.repeat(np.arange(task.sizes.size, dtype=np.int32), task.sizes)
        least = task.cost(best)
        for number in range(rounds):
            fresh = rng.permutation(np.repeat(np.arange(task.sizes.size, dtype=np.int32), task.sizes))
            found = _improve(task, graph, fresh, min(whole, budget), 0.7, False, int(rng.integers(1 << 62)))
            if task.cost(found) < least:
                best, least = found, task.cost(found)
            # The clock only stops a machine far slower than the nominal rate.
            if number + 1 < rounds and time.monotonic() > deadline:
                break
        return best, ()
    notes: tuple[str, ...] = ()
    if start == "mtkahypar" or (start == "auto" and installed() and graph[1].size <= NATIVE_RATE * seconds):
        try:
            parts = kahypar(graph, task.sizes, seed=int(rng.integers(1 << 31)), seconds=max(30.0, 4 * seconds))
            return _improve(task, graph, parts, budget // 2, 0.3, True, int(rng.integers(1 << 62))), notes
        except NativeError as error:
            notes = (f"mtkahypar was replaced by the own multilevel partitioner: {error.message}",)
    parts = multilevel(*graph, task.sizes, rng, budget // 2)
    return _improve(task, graph, parts, budget // 2, 0.3, True, int(rng.integers(1 << 62))), notes


def partition(
    matrix: Any,
    parts: int,
    *,
    seconds: float = SEARCH_SECONDS,
    rng: np.random.Generator,
    objective: str = "cut",
    rate: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
    start: str = "auto",
) -> Ints:
    """Part of each neuron, int32 [neurons]; sizes are exact: ``sizes`` [parts], or equal up to one neuron.

    Row = source, any non-zero off the diagonal is a synapse. ``objective`` "cut" counts directed synapses between parts, "tiles" the
    parts that each net touches besides its own, weighted by ``rate`` [neurons] (equal if None). ``seconds`` buys a counted amount of
    work, so equal seeds give equal results; small matrices stop earlier. ``start`` forces one of `STARTS`.
    Raises `UsageError` and `NetsError`.
    """
    return split(
        matrix, parts, seconds=seconds, rng=rng, objective=objective, rate=rate, sizes=sizes, start=start
    ).parts


def split(
    matrix: Any,
    parts: int,
    *,
    seconds: float | None = None,
    rng: np.random.Generator,
    objective: str = "cut",
    rate: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
    start: str = "auto",
    prove: bool = False,
) -> Partition:
    """`partition` with its figures; ``prove`` then spends the rest of ``seconds`` (default 300) on a proof that no smaller cut exists.

    Only the cut can be proved. The bound that is reported is the one that the verifier computes from the certificate.
    """
    if start not in STARTS:
        raise UsageError(unknown("start", start, STARTS))
    if prove and objective != "cut":
        raise UsageError(f"no proof for objective '{objective}'", hint="prove the objective 'cut'")
    if seconds is not None and not 0 < seconds < np.inf:
        raise UsageError(f"a time limit of {seconds} s", hint="a positive number of seconds")
    began, task = time.monotonic(), _task(matrix, parts, objective, rate, sizes)
    searching = min(SEARCH_SECONDS, seconds / 2) if prove and seconds else seconds or SEARCH_SECONDS
    found, notes = _search(task, searching, rng, start)
    result = Partition(found, task.cut(found), objective, task.cost(found), "feasible", None, 0, None, notes)
    if result.cut == 0 and objective == "cut":
        return replace(result, status="optimal")
    if not prove:
        return result
    return _proved(task, result, (PROOF_SECONDS if seconds is None else seconds) - (time.monotonic() - began))


def _proved(task: _Task, found: Partition, seconds: float) -> Partition:
    """The partition with a certificate, else with the word of a solver, else with the bound that was shown."""
    from tilewire.mapping.partition_exact import LARGEST, prove
    from tilewire.mapping.partition_verify import verify

    if task.n > LARGEST:
        return replace(found, notes=(*found.notes, f"no proof was tried: {task.n} neurons, at most {LARGEST}"))
    began = time.monotonic()
    weight = np.zeros((task.n, task.n), np.int64)
    np.add.at(weight, (task.source, task.target), 1)
    weight += weight.T
    outcome = prove(weight, task.sizes, found.cut, OWN_SHARE * seconds)
    if outcome.better is not None:
        cut = task.cut(outcome.better)
        found = replace(found, parts=outcome.better, cut=cut, cost=float(cut))
    if outcome.document is not None:
        pairs = list(zip(task.source.tolist(), task.target.tolist(), strict=True))
        bound = min(verify(pairs, task.sizes.tolist(), outcome.document), found.cut)
        found = replace(found, lower_bound=bound, certificate=outcome.document)
        if bound >= found.cut:
            return replace(found, status="optimal", proof="certificate")
    return _asked_solver(task, weight, found, seconds - (time.monotonic() - began))


def _asked_solver(task: _Task, weight: Longs, found: Partition, seconds: float) -> Partition:
    """The partition as optimal if HiGHS says so within ``seconds``; a note if HiGHS fails."""
    from tilewire.mapping.partition_solver import LARGEST, no_smaller_cut

    if task.n > LARGEST or seconds <= 0:
        return found
    try:
        proved = no_smaller_cut(weight, task.sizes, found.cut, seconds)
    except NativeError as error:
        return replace(found, notes=(*found.notes, f"no proof by solver: {error.message}"))
    return replace(found, status="optimal", proof="solver", lower_bound=found.cut) if proved else found
