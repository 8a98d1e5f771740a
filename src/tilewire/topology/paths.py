"""Paths through a topology: the matrix of a stage, path counts, reach, and which weights lie on a path at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.topology.stage import Stage, Topology

Floats = NDArray[np.float64]


def stage_matrix(stage: Stage, values: ArrayLike | None = None, skip: float | None = None) -> Any:
    """Sparse matrix [n_out, n_in] of a stage (scipy CSR): ``values`` [weights] or ones on its edges, plus the skip c I.

    ``skip`` overrides the weight of the skip where the stage has one.
    """
    from scipy.sparse import csr_array, eye_array

    data = np.ones(stage.rows.source.size) if values is None else np.asarray(values, np.float64)
    matrix = csr_array((data, stage.rows.source, stage.rows.ptr), shape=(stage.n_out, stage.n_in))
    straight = (stage.skip if skip is None else skip) if stage.skip else 0.0
    return matrix + straight * eye_array(stage.n_in) if straight else matrix


def path_counts(topology: Topology, inputs: ArrayLike | None = None) -> Floats:
    """Number of paths from each of ``inputs`` [s] (default all) to every output, over all branches, skips included: [n_out, s]."""
    chosen = np.arange(topology.n_in) if inputs is None else np.asarray(inputs)
    counts = np.zeros((topology.n_out, chosen.size))
    for branch in topology.branches:
        state = np.zeros((topology.n_in, chosen.size))
        state[chosen, np.arange(chosen.size)] = 1.0
        for stage in branch:
            state = stage_matrix(stage, skip=1.0) @ state
        counts += state
    return counts


def reach(topology: Topology, inputs: ArrayLike | None = None) -> float:
    """Share of (input, output) pairs joined by a path."""
    return float((path_counts(topology, inputs) > 0).mean())


def useful_edges(branch: Sequence[Stage]) -> list[NDArray[np.bool_]]:
    """Per stage, which packed weights lie on some path from an input to an output of the branch."""
    if all(stage.fan_ins.all() and stage.fan_outs.all() for stage in branch):
        return [np.ones(stage.rows.source.size, bool) for stage in branch]
    fed = [np.ones(branch[0].n_in, bool)]
    for stage in branch:
        fed.append(stage_matrix(stage) @ fed[-1].astype(float) > 0)
    used = np.ones(branch[-1].n_out, bool)
    useful = []
    for stage, source in zip(reversed(branch), reversed(fed[:-1]), strict=True):
        useful.append(source[stage.rows.source] & used[stage.outputs])
        used = stage_matrix(stage).T @ used.astype(float) > 0
    return useful[::-1]
