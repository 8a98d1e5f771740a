"""Degrees of freedom of a cascade: the local dimension of the set of matrices that its weights can reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.paths import Floats, stage_matrix, useful_edges
from tilewire.topology.stage import Stage, Topology

MOST_WEIGHTS = 4096


def gauge(before: Any, after: Any) -> int:
    """Dimension of the changes of basis T of an interface that keep both patterns, W_after T^-1 and T W_before, and act freely.

    ``before`` [nodes, *] and ``after`` [nodes, *] are the patterns of the interface's nodes, inputs and outputs, 0/1 in sparse rows. T
    mixes h nodes of the same a inputs and the same outputs: h min(h, a) dimensions; h = 1 is the scale of a node, h = q gives q^2 for
    a bottleneck of q nodes between dense factors.
    """
    fan_in, fan_out = before.sum(axis=1), after.sum(axis=1)
    live = (fan_in > 0) & (fan_out > 0)
    names = _names(before)[live] + 1j * _names(after)[live]
    _, twins, size = np.unique(names, return_inverse=True, return_counts=True)
    return int(np.minimum(size[twins], fan_in[live]).sum())


def _names(pattern: Any) -> Floats:
    """A number per row, the same for rows of the same pattern: a sum of fixed random numbers, always added in the same order."""
    found: Floats = pattern.sorted_indices() @ np.random.default_rng(0).standard_normal(pattern.shape[1])
    return found


def controllability(topology: Topology) -> int:
    """Closed form C = P - sum over interfaces of dim(gauge): the rank for regular full-reach families, an upper bound of it elsewhere.

    P counts weights on paths only. A stage with a skip beside cross edges ties the bases of its two interfaces; interfaces tied to an end
    have no gauge left. Branches add. C is at most n_in n_out.
    """
    total = sum(_of_branch(branch) for branch in topology.branches)
    return min(total, topology.n_in * topology.n_out)


def _of_branch(branch: Sequence[Stage]) -> int:
    useful = useful_edges(branch)
    patterns = []
    for stage, own in zip(branch, useful, strict=True):
        pattern = stage_matrix(stage, own, skip=0.0).copy()  # its arrays are the stage's own
        pattern.eliminate_zeros()
        patterns.append(pattern)
    tied = list(range(len(branch) + 1))
    for level, stage in enumerate(branch):
        if stage.skip and not (stage.rows.source == stage.outputs).all():
            old, new = tied[level + 1], tied[level]
            tied = [new if group == old else group for group in tied]
    loss = 0
    for group in set(tied) - {tied[0], tied[-1]}:
        first, *others = (level for level, own in enumerate(tied) if own == group)
        scales = int((patterns[first - 1].sum(axis=1) > 0).sum())
        loss += scales if others else gauge(patterns[first - 1], patterns[first].T.tocsr())
    return sum(int(own.sum()) for own in useful) - loss


def controllability_rank(topology: Topology, rng: np.random.Generator, tolerance: float = 1e-9) -> int:
    """Rank of d vec(W) / d weights at random weights, the slow and exact count that the closed form is held against.

    The Gram matrix of the derivative is a Hadamard product of P x P matrices, (A^T A) * (B B^T), A the product after and B the product
    before each weight, scaled to a diagonal of ones; rank by pivoted Cholesky up to pivots of ``tolerance``. Raises `UsageError` above
    4096 weights.
    """
    from scipy.linalg.lapack import dpstrf

    if topology.weights > MOST_WEIGHTS:
        raise UsageError(
            f"{topology.weights} weights, the rank is taken up to {MOST_WEIGHTS}", hint="use the closed form"
        )
    after, before = [], []
    for branch in topology.branches:
        a, b = _factors(branch, rng)
        after.append(a)
        before.append(b)
    a, b = np.hstack(after), np.hstack(before)
    a, b = a[:, keep := (a != 0).any(axis=0) & (b != 0).any(axis=0)], b[:, keep]
    a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
    return int(dpstrf((a.T @ a) * (b.T @ b), tol=tolerance)[2])


def _factors(branch: Sequence[Stage], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Per weight (i, j): column i of the product after its stage [n_out, P], row j of the product before it, transposed [n_in, P]."""
    matrices = [
        stage_matrix(s, rng.standard_normal(s.rows.source.size) / np.sqrt(s.fan_ins[s.outputs])) for s in branch
    ]
    state, products = np.eye(branch[0].n_in), []
    for matrix in matrices:
        products.append(state)
        state = matrix @ state
    after, before, tail = [], [], np.eye(branch[-1].n_out)
    for stage, matrix, product in zip(reversed(branch), reversed(matrices), reversed(products), strict=True):
        after.append(tail[:, stage.outputs])
        before.append(product[stage.rows.source].T)
        tail = (matrix.T @ tail.T).T
    return np.hstack(after), np.hstack(before)
