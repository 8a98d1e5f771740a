"""DEEP R: signs are fixed, magnitudes walk; a synapse whose magnitude crosses zero falls dormant.

A synapse is w_k = s_k max(theta_k, 0) with s_k = +-1 fixed. The optimiser's own step on a live w_k is its step on theta_k; then

    theta_k <- theta_k - eta alpha + sqrt(2 eta T) nu_k,   nu_k ~ N(0, 1)

Bellec, Kappel, Maass, Legenstein 2018 (ICLR, arXiv:1711.05136); constants from the authors' public code (deep_rewiring).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.rewire.rule import TINY, Flags, Floats, Synapses, fewest


def _check(l1: float, temperature: float, min_live: float) -> None:
    if min(l1, temperature) < 0 or not 0 <= min_live <= 1:
        raise UsageError(
            f"l1 {l1}, temperature {temperature}, min_live {min_live}", hint="l1 and temperature >= 0, min_live 0 to 1"
        )


def _moved(theta: Floats, l1: float, temperature: float, rate: float, rng: np.random.Generator) -> Floats:
    """theta after drift and noise."""
    noise = np.sqrt(2 * rate * temperature) * rng.standard_normal(theta.size) if temperature else 0.0
    return (theta - rate * l1 + noise).astype(theta.dtype)


def _dies(weight: Floats, min_live: float) -> Flags:
    """A unit dies when fewer than ceil(min_live S) of its synapses, or none, are left."""
    return np.asarray((weight != 0).sum(axis=1) < max(fewest(min_live, weight.shape[1]), 1))


@dataclass(frozen=True)
class DeepR:
    """One out, one in: a dormant synapse stays at zero until its unit is born again; as many units are born as die.

    ``l1`` = alpha, ``temperature`` = T (the authors' ``noise`` n at learning rate eta is T = eta n^2 / 2: 2.5e-11 at n = 1e-5,
    eta = .5). With units of one synapse this is the published rule: exactly K live at all times, reborn at 1e-12. Departure for
    larger units: a unit of S synapses dies when fewer than ``min_live`` S are left, and is reborn at full strength, since at 1e-12
    about half of it would cross zero in its first step. Raises `UsageError` for negative ``l1`` or ``temperature``.
    """

    l1: float = 1e-5
    temperature: float = 2.5e-11
    min_live: float = 0.625

    def __post_init__(self) -> None:
        _check(self.l1, self.temperature, self.min_live)

    def __call__(self, weight: Floats) -> Flags:
        """Units to drop, bool [units]; a dormant synapse is one whose weight is exactly 0."""
        return _dies(weight, self.min_live)

    def born(self, shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Floats:
        """Magnitudes of newborn units in an `nn.Module`: 1e-12, for larger units half-normal of the layer's ``scale``."""
        if shape[1] == 1:
            return np.full(shape, TINY)
        return (scale * np.abs(rng.standard_normal(shape))).astype(np.float32)

    def walk(self, synapses: Synapses, rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Drift and noise for the live synapses; those that cross zero fall dormant."""
        return _walk_live(synapses, self.l1, self.temperature, rate, rng)[0]


@dataclass(frozen=True)
class SoftDeepR:
    """Dormant synapses wander too, without drift, no deeper than theta_min, and come back where they cross zero.

        dormant: theta <- max(theta + sqrt(2 eta T) nu, theta_min),   theta_min = -(1 - p) T / (p alpha)

    Without a gradient the live share is then p = ``density`` in the long run (uniform law on [theta_min, 0], exponential law of mean
    T / alpha above): the number of live synapses is bounded in expectation only, and the loss may hold more. The defaults are ours: with
    the authors' (1e-5, 2.5e-12) the floor is so near that the loss decides alone. In a tiled network all this happens inside the
    branches that live; branches themselves keep to their budget and die as under `DeepR`. Raises `UsageError` unless ``l1`` and
    ``temperature`` are positive and 0 < density <= 1.
    """

    density: float
    l1: float = 1e-4
    temperature: float = 1e-8
    min_live: float = 0.625

    def __post_init__(self) -> None:
        _check(self.l1, self.temperature, self.min_live)
        if not (self.l1 > 0 and self.temperature > 0 and 0 < self.density <= 1):
            raise UsageError(
                f"l1 {self.l1}, temperature {self.temperature}, density {self.density}",
                hint="soft-deepr needs l1 > 0, temperature > 0 and a density above 0 and up to 1",
            )

    @property
    def deepest(self) -> float:
        """theta_min, <= 0."""
        return -(1 - self.density) * self.temperature / (self.density * self.l1)

    def _held(self, theta: Floats) -> Floats:
        """theta of dormant synapses inside its range, never quite 0."""
        return np.minimum(np.maximum(theta, theta.dtype.type(self.deepest)), -TINY)

    def __call__(self, weight: Floats) -> Flags:
        """Units to drop, bool [units]."""
        return _dies(weight, self.min_live)

    def walk(self, synapses: Synapses, rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Drift and noise for the live synapses, noise for the dormant ones; either kind may cross zero."""
        weight, sign, live, depth = synapses.flat()
        resting = np.flatnonzero(~live & (sign != 0))
        fallen, below = _walk_live(synapses, self.l1, self.temperature, rate, rng)
        depth[fallen] = self._held(below)
        theta = _moved(depth[resting], 0.0, self.temperature, rate, rng)
        depth[resting] = self._held(theta)
        risen = resting[theta > 0]
        weight[risen], live[risen], depth[risen] = sign[risen] * theta[theta > 0], True, 0.0
        return np.concatenate([fallen, risen])


def _walk_live(
    synapses: Synapses, l1: float, temperature: float, rate: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """The walk of the live ones; indices of those that fell, and their theta <= 0."""
    weight, sign, live, _ = synapses.flat()
    weight[~live] = 0.0
    walking = np.flatnonzero(live)
    theta = _moved(sign[walking] * weight[walking], l1, temperature, rate, rng)
    weight[walking] = sign[walking] * np.maximum(theta, 0)
    fallen = walking[theta <= 0]
    weight[fallen], live[fallen] = 0.0, False  # 0 * -1 is -0.0
    return fallen, theta[theta <= 0]
