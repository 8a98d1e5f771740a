"""Scores of a topology without data, at the initial weights that training would use; one table, one interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tilewire.errors import UsageError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.nn.initialise_sparse import Floats, Values, initial_values
from tilewire.topology.controllability import controllability
from tilewire.topology.paths import path_counts, stage_matrix
from tilewire.topology.stage import Stage, Topology

PROBED_WIDTH, PROBES = 128, 32
"""Ends wider than the first number are probed with so many random signs; narrower ones with the whole identity."""


@dataclass(frozen=True, eq=False)
class Case:
    """A topology with its initial weights, and what several scores need of both; ``fabric`` for the scores of wiring."""

    topology: Topology
    values: Values
    rng: np.random.Generator
    fabric: TileFabric | None = None

    @cached_property
    def matrices(self) -> list[list[Any]]:
        """Sparse matrix of every stage, branch by branch."""
        return [
            [_plain(stage_matrix(stage, value)) for stage, value in zip(branch, own, strict=True)]
            for branch, own in zip(self.topology.branches, self.values, strict=True)
        ]

    @cached_property
    def transposed(self) -> list[list[Any]]:
        """The transposes of `matrices`, in the order in which they are applied."""
        return [_transposed(matrices) for matrices in self.matrices]

    @cached_property
    def counts(self) -> Floats:
        """Path counts from all inputs, or from a random sample of wide ones."""
        n = self.topology.n_in
        return path_counts(self.topology, None if n <= PROBED_WIDTH else self.rng.choice(n, PROBES, replace=False))

    def forward(self, x: Floats) -> Floats:
        """W x."""
        return _sum([_chain(matrices, x) for matrices in self.matrices])

    def backward(self, y: Floats) -> Floats:
        """W^T y."""
        return _sum([_chain(matrices, y) for matrices in self.transposed])


def _probes(width: int, rng: np.random.Generator) -> Floats:
    """Columns X [width, n] with X X^T = I, exactly or in expectation."""
    probes: Floats = (
        np.eye(width) if width <= PROBED_WIDTH else rng.choice([-1.0, 1.0], (width, PROBES)) / np.sqrt(PROBES)
    )
    return probes


def _plain(matrix: Any) -> Any:
    """A narrow stage as a plain array: its products cost less than the bookkeeping of a sparse one."""
    return matrix.toarray() if max(matrix.shape) <= PROBED_WIDTH else matrix


def _transposed(matrices: Sequence[Any]) -> list[Any]:
    """Transposes in reverse order, sparse ones as compressed rows: a product with them is made many times."""
    return [m.T if isinstance(m, np.ndarray) else m.T.tocsr() for m in reversed(matrices)]


def _chain(matrices: Sequence[Any], x: Floats) -> Floats:
    for matrix in matrices:
        x = matrix @ x
    return x


def _sum(parts: Sequence[Floats]) -> Floats:
    total: Floats = np.sum(parts, axis=0) / np.sqrt(len(parts))
    return total


def isometry(case: Case) -> float:
    """(sum s^2)^2 / (r sum s^4) over the singular values s of the initial product, r = min(n_in, n_out): 1 if it is orthogonal up to a
    scale, 0.5 for a square dense Gaussian matrix.
    """
    there, back = (
        (case.forward, case.backward) if case.topology.n_in <= case.topology.n_out else (case.backward, case.forward)
    )
    y = there(_probes(min(case.topology.n_in, case.topology.n_out), case.rng))
    z = back(y)
    second, fourth = float((y**2).sum()), float((z**2).sum())
    return second**2 / (min(case.topology.n_in, case.topology.n_out) * fourth) if fourth > 0 else 0.0


def path_variation(case: Case) -> float:
    """Standard deviation over mean of the path counts of all pairs, unjoined ones included."""
    mean = case.counts.mean()
    return float(case.counts.std() / mean) if mean > 0 else float("inf")


def ntk_participation(case: Case) -> float:
    """(tr K)^2 / (m tr K^2) of the neural tangent kernel K [m, m] on m white inputs, summed over outputs: 1 if training moves all equally.

    K = sum over stages of H^T diag(c) H, H the inputs of the stage, c_j = sum over its outputs i of |column i of the product after it|^2.
    """
    x = case.rng.standard_normal((case.topology.n_in, min(case.topology.n_in, 32)))
    kernel = np.zeros((x.shape[1], x.shape[1]))
    for branch, matrices in zip(case.topology.branches, case.matrices, strict=True):
        states: list[Any] = [x]
        sizes = []
        tail: Any = _probes(case.topology.n_out, case.rng)
        for matrix in matrices[:-1]:
            states.append(matrix @ states[-1])
        for stage, matrix in zip(reversed(branch), reversed(matrices), strict=True):
            sizes.append(stage_matrix(stage, skip=0.0).T @ (tail**2).sum(axis=1))
            tail = matrix.T @ tail
        kernel += sum((h.T * c) @ h for h, c in zip(states, reversed(sizes), strict=True))
    square = float((kernel**2).sum())
    return float(np.trace(kernel)) ** 2 / (len(kernel) * square) if square > 0 else 0.0


def synflow(case: Case) -> float:
    """log10 of 1^T |W_L| ... |W_1| 1 / n_out, the data-free saliency of SynFlow (Tanaka et al. 2020), branches summed."""
    ones = np.ones((case.topology.n_in, 1))
    flow = sum(float(_chain([abs(m) for m in matrices], ones).sum()) for matrices in case.matrices)
    return float(np.log10(flow / case.topology.n_out)) if flow > 0 else float("-inf")


def _second_singular(
    forward: Callable[[Floats], Floats], backward: Callable[[Floats], Floats], start: Floats
) -> Floats:
    """The two largest singular values, by subspace iteration until they move by less than 1e-5."""
    basis, before = start, np.zeros(2)
    for _ in range(40):
        basis, upper = np.linalg.qr(backward(forward(basis)))
        now = np.sqrt(np.sort(np.abs(np.diagonal(upper)))[::-1][:2])
        if np.allclose(now, before, rtol=1e-5, atol=1e-12):
            break
        before = now
    return np.asarray(np.linalg.svd(forward(basis), compute_uv=False)[:2], np.float64)


def spectral_gap(case: Case) -> float:
    """1 - s2 / s1 of the path counts, every stage scaled by its mean fan-in: 1 if all pairs have equally many paths."""
    chains = [
        [_plain(stage_matrix(s, skip=1.0)) / max(float(s.fan_ins.mean()), 1.0) for s in branch]
        for branch in case.topology.branches
    ]
    back = [_transposed(chain) for chain in chains]
    start = case.rng.standard_normal((case.topology.n_in, min(4, case.topology.n_in)))
    first, second = _second_singular(
        lambda x: _sum([_chain(chain, x) for chain in chains]),
        lambda y: _sum([_chain(chain, y) for chain in back]),
        start,
    )
    return float(1 - second / first) if first > 0 else 0.0


def ramanujan_ratio(case: Case) -> float:
    """Largest over the stages of s2 / (sqrt(k_in - 1) + sqrt(k_out - 1)), s2 the second singular value of the 0/1 pattern; a stage is
    Ramanujan up to 1. Stages of separate blocks lie above by construction: their mixing is the next stage's work.
    """
    different = dict.fromkeys(case.topology.stages)  # a stage that is repeated is the same object
    return max(_stage_ratio(stage, case.rng) for stage in different)


def _stage_ratio(stage: Stage, rng: np.random.Generator) -> float:
    if min(stage.n_in, stage.n_out) < 2:
        return 0.0
    matrix = _plain(stage_matrix(stage, skip=0.0))
    (back,) = _transposed([matrix])
    _, second = _second_singular(
        lambda x: matrix @ x, lambda y: back @ y, rng.standard_normal((stage.n_in, min(4, stage.n_in, stage.n_out)))
    )
    k_in, k_out = float(stage.fan_ins.mean()), float(stage.fan_outs.mean())
    bound = np.sqrt(max(k_in - 1, 0)) + np.sqrt(max(k_out - 1, 0))
    return float(second / bound) if bound > 0 else 0.0


def wiring(topology: Topology, fabric: TileFabric) -> dict[str, float]:
    """Branches that leave their tile and the routers they pass when every interface is laid over the tiles in index order.

    Node i of an interface of n nodes sits on tile floor(i T / n). ``edge_cut`` counts (source node, other tile) pairs, skips included
    (their straight edges stay on the tile); ``hops`` sums their hop classes.
    """
    cut, hops, tiles = 0, 0, fabric.n_tiles
    for stage in topology.stages:
        home = np.arange(stage.n_in) * tiles // stage.n_in
        branches = stage.connectivity().branches(np.arange(stage.n_out) * tiles // stage.n_out, tiles).without_own(home)
        cut += len(branches)
        hops += int(fabric.hop_distance[home[branches.source], branches.target].sum())
    return {"edge_cut": float(cut), "hops": float(hops)}


SCORES: dict[str, Callable[[Case], float | None]] = {
    "weights": lambda case: float(case.topology.weights),
    "density": lambda case: case.topology.density,
    "depth": lambda case: float(case.topology.depth),
    "index_bits": lambda case: float(case.topology.index_bits),
    "reach": lambda case: float((case.counts > 0).mean()),
    "paths_min": lambda case: float(case.counts.min()),
    "paths_mean": lambda case: float(case.counts.mean()),
    "paths_variation": path_variation,
    "controllability": lambda case: float(controllability(case.topology)),
    "isometry": isometry,
    "ntk_participation": ntk_participation,
    "synflow": synflow,
    "spectral_gap": spectral_gap,
    "ramanujan_ratio": ramanujan_ratio,
    "edge_cut": lambda case: wiring(case.topology, case.fabric)["edge_cut"] if case.fabric else None,
    "hops": lambda case: wiring(case.topology, case.fabric)["hops"] if case.fabric else None,
}
"""Name -> score; null where it needs a fabric and none is given."""


def score(
    topology: Topology, rng: np.random.Generator, *, law: str = "auto", names: Sequence[str] | None = None,
    fabric: TileFabric | None = None,
) -> dict[str, float | None]:  # fmt: skip
    """The scores of ``names`` (default: all) at one draw of the initial ``law``. Raises `UsageError` for an unknown name or law."""
    for name in names or ():
        if name not in SCORES:
            raise UsageError(unknown("score", name, SCORES), where="score")
    return score_case(topology, initial_values(topology, rng, law), rng, names=names, fabric=fabric)


def score_case(
    topology: Topology,
    values: Values,
    rng: np.random.Generator,
    *,
    names: Sequence[str] | None = None,
    fabric: TileFabric | None = None,
) -> dict[str, float | None]:
    """`score` at given weights; ``rng`` draws the probes of wide ends."""
    case = Case(topology, values, rng, fabric)
    return {name: SCORES[name](case) for name in names or SCORES}
