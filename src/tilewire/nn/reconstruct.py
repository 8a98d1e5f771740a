"""How well a topology reconstructs a random matrix: the error left after gradient descent."""

from __future__ import annotations

import numpy as np
import torch

from tilewire.errors import UsageError
from tilewire.nn.topology_cascade import TopologyCascade
from tilewire.topology.stage import Topology

MOST_PAIRS = 1 << 20


def reconstruction_error(
    topology: Topology,
    rng: np.random.Generator,
    *,
    law: str = "auto",
    targets: int = 3,
    steps: int = 600,
    lr: float = 0.03,
) -> float:
    """Mean over Gaussian targets T of min |W_L ... W_1 - T|_F^2 / |T|_F^2, approached by Adam with a cosine rate from ``law``.

    T has variance 1 / n_in per entry. An upper bound of the true minimum. Raises `UsageError` above 2^20 pairs.
    """
    if topology.n_in * topology.n_out > MOST_PAIRS:
        raise UsageError(f"{topology.n_in} x {topology.n_out} targets", hint=f"at most {MOST_PAIRS} pairs")
    errors = []
    for _ in range(targets):
        target = (
            torch.from_numpy(rng.standard_normal((topology.n_out, topology.n_in)).astype(np.float32))
            * topology.n_in**-0.5
        )
        layer = TopologyCascade(topology, rng, law=law, bias=False, path="sparse")
        optimiser = torch.optim.Adam(layer.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            optimiser.zero_grad()
            loss = (layer.dense() - target).square().sum() / target.square().sum()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            errors.append(float((layer.dense() - target).square().sum() / target.square().sum()))
    return float(np.mean(errors))
