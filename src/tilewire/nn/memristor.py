"""Memristive weights: what a crossbar makes of the numbers that training would like to have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.errors import UsageError

SCALES = ("layer", "tile")
DIGITS = 12  # significant bits of the step between levels


class _StraightThrough(torch.autograd.Function):
    """The programmed weights forward, the gradient unchanged backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, programmed: Tensor) -> Tensor:
        return programmed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


@dataclass(frozen=True)
class Memristor:
    """Clipping, levels and programming noise of the weights of a crossbar.

        c = max |w|, at most clip * rms(w)                           over the weights w != 0 of a scale group
        q = delta * round(min(max(w, -c), c) / delta),               delta >= c / (levels - 1)
        programmed = q (1 + spread nu_1) + noise c nu_2,             nu_1, nu_2 ~ N(0, 1) for each synapse

    A synapse is a pair of devices with ``levels`` conductances each, one of which rests at the lowest: 2 levels - 1 values, zero among
    them. None: any conductance, any range. Groups: all rows of a ``layer`` (input rows, recurrent rows), or the rows into one ``tile``. A
    weight of exactly 0 is no synapse and stays 0. The gradient passes straight through all three, outside the clipped range too, so that
    a weight can come back. Noise is drawn anew by every call that is given a generator.

    delta is rounded up to 12 significant bits. Sums of quantised weights (up to 4,096 levels) are then exact in float64 as long as the
    groups' ranges differ by less than a factor 2^20 or so: integer arithmetic in codes w / delta gives the same spikes, in any order.

    Source of the noise model: public code of Mosaic (Dalgaty et al. 2024), which clips at 2.5 sigma and adds .05 of the largest weight
    while it trains. Departures: sigma is the root mean square; the clipped weights are seen by the forward pass, the trained ones stay.
    Raises `UsageError` for values out of range.
    """

    levels: int | None = None
    clip: float | None = None
    noise: float = 0.0
    spread: float = 0.0
    scale: str = "layer"

    def __post_init__(self) -> None:
        wrong = (
            (self.levels is not None and self.levels < 2)
            or (self.clip is not None and self.clip <= 0)
            or min(self.noise, self.spread) < 0
            or self.scale not in SCALES
        )
        if wrong:
            raise UsageError(
                f"levels {self.levels}, clip {self.clip}, noise {self.noise}, spread {self.spread}, scale '{self.scale}'",
                hint=f"levels >= 2, clip > 0, noise and spread >= 0, scale one of {', '.join(SCALES)}",
            )

    @property
    def noisy(self) -> bool:
        return self.noise > 0 or self.spread > 0

    def __call__(self, weight: Tensor, tile: NDArray[np.int32], rng: np.random.Generator | None = None) -> Tensor:
        """Programmed weights [P, S] of a layer whose rows go to ``tile`` int32 [P] (dead rows: any); without ``rng`` no noise."""
        w = weight.detach()
        group = torch.from_numpy(tile if self.scale == "tile" else np.zeros_like(tile)).long().clamp(min=0)
        limit = self.limit(w, group)
        programmed = w.clamp(-limit, limit)
        if self.levels is not None:
            delta = step(limit / (self.levels - 1))
            programmed = torch.where(limit > 0, torch.round(programmed / delta) * delta, programmed)
        if rng is not None and self.noisy:
            programmed = self._drawn(programmed, limit, rng)
        return _StraightThrough.apply(weight, torch.where(w == 0, 0.0, programmed))  # type: ignore[no-any-return, no-untyped-call]

    def limit(self, weight: Tensor, group: Tensor) -> Tensor:
        """c of every row, [P, 1], from weights [P, S] and the scale group of each row, int64 [P]."""
        groups = int(group.max()) + 1 if group.numel() else 0
        largest = weight.new_zeros(groups).scatter_reduce(0, group, weight.abs().amax(dim=1), "amax")
        if self.clip is not None:
            number, square = (
                weight.new_zeros(groups, dtype=torch.float64).index_add(0, group, part.sum(dim=1, dtype=torch.float64))
                for part in (weight != 0, weight.square())
            )
            rms = (square / number.clamp(min=1)).sqrt().to(weight.dtype)
            largest = torch.minimum(largest, self.clip * rms)
        return largest[group][:, None]

    def _drawn(self, weight: Tensor, limit: Tensor, rng: np.random.Generator) -> Tensor:
        def nu() -> Tensor:
            return torch.from_numpy(rng.standard_normal(tuple(weight.shape), np.float32)).to(weight.dtype)

        if self.spread:
            weight = weight * (1 + self.spread * nu())
        return weight + self.noise * limit * nu() if self.noise else weight


def step(least: Tensor) -> Tensor:
    """The smallest number of `DIGITS` significant bits that is not below ``least`` >= 0; 1 for 0."""
    mantissa, exponent = torch.frexp(torch.where(least > 0, least, 1.0))
    return torch.ldexp(torch.ceil(torch.ldexp(mantissa, torch.tensor(DIGITS))), exponent - DIGITS)
