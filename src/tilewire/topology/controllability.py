"""Degrees of freedom of a cascade: the local dimension of the set of matrices that its weights can reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.paths import Floats, stage_matrix, useful_edges
from tilewire.topology.stage import Stage, Topology

MOST_WEIGHTS = 4096


def gauge(before: Stage, after: Stage) -> int:
    """Dimension of the changes of basis T of an interface that keep both patterns: W_after T^-1, T W_before.

    T may mix node q into node p exactly when In(q) is within In(p) and Out(p) within Out(q); counted over live nodes, p = q included (one
    scale per node). q^2 for a bottleneck of q nodes between dense factors.
    """
    into, out = stage_matrix(before, skip=0.0), stage_matrix(after, skip=0.0).T.tocsr()
    fan_in, fan_out = np.diff(before.rows.ptr), after.fan_outs
    shared_in, shared_out = (into @ into.T).tocoo(), (out @ out.T).tocsr()
    p, q = shared_in.coords
    within = (shared_in.data == fan_in[q]) & (fan_out[p] > 0)
    p, q = p[within], q[within]
    return int((shared_out[p, q] == fan_out[p]).sum()) if p.size else 0


def controllability(topology: Topology) -> int:
    """Closed form C = P - sum over interfaces of dim(gauge), an upper bound of the rank and equal to it for regular full-reach families.

    P counts weights on paths only. A stage with a skip beside cross edges ties the bases of its two interfaces; interfaces tied to an end
    have no gauge left. Branches add. C is at most the number of joined pairs when one stage holds them, n_in n_out in any case.
    """
    total = sum(_of_branch(branch) for branch in topology.branches)
    return min(total, topology.n_in * topology.n_out)


def _of_branch(branch: Sequence[Stage]) -> int:
    weights = sum(int(useful.sum()) for useful in useful_edges(branch))
    tied = list(range(len(branch) + 1))
    for level, stage in enumerate(branch):
        if stage.skip and not (stage.rows.source == stage.outputs).all():
            old, new = tied[level + 1], tied[level]
            tied = [new if group == old else group for group in tied]
    loss = 0
    for group in set(tied) - {tied[0], tied[-1]}:
        interfaces = [level for level, own in enumerate(tied) if own == group]
        loss += (
            gauge(branch[interfaces[0] - 1], branch[interfaces[0]])
            if len(interfaces) == 1
            else branch[interfaces[0]].n_in
        )
    return weights - loss


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
