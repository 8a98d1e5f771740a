"""Readouts: from output spikes to class scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CountReadout:
    """Score of a class = scale * spikes of its neurons, averaged over ``per_class`` of them (the published readout has 1).

    Output neuron o, in the order of the trains, belongs to class o // per_class.
    """

    classes: int
    per_class: int = 1
    scale: float = 2.0

    def __call__(self, counts: Tensor, trains: Tensor) -> Tensor:
        """Scores [B, classes] from spike trains [B, T, classes * per_class]."""
        own = trains.sum(dim=1)
        return self.scale * own.reshape(-1, self.classes, self.per_class).mean(dim=2)


@dataclass(frozen=True)
class LeakyReadout:
    """Score of a class = scale * mean over time of a leaky trace of its neurons' spikes.

        u[t] = b u[t-1] + z[t],   b = exp(-1 / tau)

    The sum over t of u has the closed form sum_t z[t] (1 - b^(T-t)) / (1 - b), so no recursion is run.
    """

    classes: int
    per_class: int = 1
    scale: float = 2.0
    tau: float = 16.0

    def __call__(self, counts: Tensor, trains: Tensor) -> Tensor:
        """Scores [B, classes] from spike trains [B, T, classes * per_class]."""
        steps = trains.shape[1]
        b = torch.exp(torch.tensor(-1.0 / self.tau, dtype=trains.dtype))
        remaining = torch.arange(steps, 0, -1, dtype=trains.dtype)
        weight = (1 - b**remaining) / (1 - b) / steps
        trace = torch.einsum("btn,t->bn", trains, weight)
        return self.scale * trace.reshape(-1, self.classes, self.per_class).mean(dim=2)


Readout = Callable[[Tensor, Tensor], Tensor]
READOUTS: dict[str, Callable[..., Readout]] = {"counts": CountReadout, "leaky": LeakyReadout}


def rate_hinge(counts: Tensor, steps: int, low: float, high: float, weight: float) -> Tensor:
    """Penalty on neurons whose mean rate leaves a free band.

        weight * sum_i [ relu(low - rate_i)^2 + relu(rate_i - high)^2 ],   rate_i = mean over samples and steps of z_i

    Rates in spikes per neuron and step.
    """
    rate = counts.mean(dim=0) / steps
    return weight * (torch.relu(low - rate).square() + torch.relu(rate - high).square()).sum()
