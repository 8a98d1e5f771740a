"""From a chip to a profile: the largest profile whose random networks fit its channels with a stated probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError, UsageError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import HopProfile
from tilewire.mapping.negotiated import Effort, negotiate
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placement_index import by_index
from tilewire.mapping.port_loads import PortLoads
from tilewire.mapping.profile_sizing import CONFIDENCE, covered
from tilewire.mapping.trees import loads

Direction = Mapping[int, float] | Literal["nearest"]
Longs = NDArray[np.int64]
HALVINGS = 20  # of the range of scales: finer than a branch on any chip
EFFORT = Effort(rounds=60, patience=20)


@dataclass(frozen=True)
class Admissible:
    """The largest profile {hop class: density} along a direction, and the scale that reaches it.

    A random network of ``profile`` fits with at least ``probability``. By `monte-carlo` that holds with ``confidence`` over ``networks``
    sampled ones, whatever the distribution; by `closed-form` it rests on a normal approximation and both are None.
    """

    profile: dict[int, float]
    scale: float
    probability: float
    method: str
    confidence: float | None = None
    networks: int | None = None


def along(fabric: TileFabric, direction: Direction) -> tuple[Callable[[float], dict[int, float]], float]:
    """Profiles along a direction as a function of a scale x >= 0, never falling in x, and the x beyond which nothing grows.

        {d: w_d}:  p_d = min(1, x w_d)          "nearest":  p_d = min(1, max(0, x - number of nearer classes))

    Raises `BudgetError` for hop classes that the chip lacks and for weights that are negative or all zero.
    """
    classes = list(fabric.hop_classes)
    if isinstance(direction, str):
        if direction != "nearest":
            raise BudgetError(f"direction '{direction}'", hint="nearest, or weights such as {1: 1, 3: 0.1}")
        return lambda x: {d: float(np.clip(x - i, 0, 1)) for i, d in enumerate(classes)}, float(len(classes))
    weights = {int(d): float(w) for d, w in direction.items()}
    lacking = sorted(set(weights) - set(classes))
    if lacking or not weights or min(weights.values()) < 0 or not any(weights.values()):
        raise BudgetError(
            f"direction {weights}: the chip has no hop class {lacking}" if lacking else f"direction {weights}",
            hint=f"weights >= 0, not all 0, for hop classes {', '.join(map(str, classes))}",
        )
    least = min(w for w in weights.values() if w > 0)
    return lambda x: {d: min(1.0, x * w) for d, w in weights.items()}, 1 / least


class _Nested:
    """A random network of every profile at once: branches only come in as densities rise, each profile's network uniform for itself."""

    def __init__(self, fabric: TileFabric, classes: list[int], rng: np.random.Generator) -> None:
        self.fabric, self.placement = fabric, by_index(fabric.n_neurons, fabric)
        distance = fabric.hop_distance[self.placement]
        source, target = np.nonzero(np.isin(distance, classes))
        column = np.searchsorted(np.array(list(fabric.hop_classes)), distance[source, target])
        self.cell = self.placement[source].astype(np.int64) * len(fabric.hop_classes) + column
        order = np.lexsort((rng.random(source.size), self.cell))
        cell = self.cell[order]
        self.rank = np.empty(source.size, np.int64)
        self.rank[order] = np.arange(source.size) - np.searchsorted(cell, cell, side="left")
        self.source, self.target = source.astype(np.int32), target.astype(np.int32)

    def branches(self, profile: Mapping[int, float]) -> Connectivity:
        """round(p_d S n_sd) branches of each source tile and class."""
        quota = HopProfile.of(self.fabric, profile, self.placement).quota().ravel()
        keep = self.rank < quota[self.cell]
        return Connectivity(self.fabric.n_neurons, self.fabric.n_tiles, self.source[keep], self.target[keep])


def _fits_one_turn(fabric: TileFabric, network: _Nested, profile: Mapping[int, float], seed: int) -> bool:
    load = loads(fabric, route_one_turn(fabric, network.branches(profile), network.placement))
    return bool((load <= fabric.capacity).all())


def _fits_negotiated(fabric: TileFabric, network: _Nested, profile: Mapping[int, float], seed: int) -> bool:
    rng = np.random.default_rng(seed)
    found = negotiate(
        fabric, network.branches(profile), network.placement, capacity=fabric.capacity, effort=EFFORT, rng=rng
    )
    return not found.overuse


FITS = {"one-turn": _fits_one_turn, "negotiated": _fits_negotiated}


def monte_carlo(
    fabric: TileFabric,
    direction: Direction,
    probability: float,
    *,
    router: str = "one-turn",
    networks: int = 100,
    rng: np.random.Generator,
) -> Admissible:
    """The largest profile of which ``networks`` sampled networks show that a fresh one fits with ``probability``, at 95 % confidence.

    Network j is drawn for all scales at once, so that it only grows with the scale, and bisection finds the largest scale x_j at which
    it fits. With m = `covered` networks the scale is the m-th largest x_j, a one-sided tolerance limit (Wilks 1941): no law of x_j is
    assumed. Under the negotiated router "fits" means that its search found a routing. Raises `BudgetError` if there are too few
    networks or a chip that not even an empty network fits, `UsageError` for an unknown router.
    """
    if router not in FITS:
        raise UsageError(unknown("router", router, FITS))
    profile_at, most = along(fabric, direction)
    m = covered(networks, probability)
    classes = [d for d, p in profile_at(most).items() if p > 0]
    scales = np.zeros(networks)
    for j in range(networks):
        network, seed = _Nested(fabric, classes, rng), int(rng.integers(1 << 62))

        def fits(x: float, network: _Nested = network, seed: int = seed) -> bool:
            return FITS[router](fabric, network, profile_at(x), seed)

        scales[j] = _largest(fits, most)
    scale = float(np.sort(scales)[::-1][m - 1])
    return Admissible(profile_at(scale), scale, probability, "monte-carlo", CONFIDENCE, networks)


def _largest(fits: Callable[[float], bool], most: float) -> float:
    """The largest scale that fits, 0 if none does, for a property that is lost once as the scale rises."""
    if fits(most):
        return most
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class _Crossings:
    """Which fixed paths cross which link: ``times`` paths of a hop class from a source tile, at row source tile * links + link."""

    def __init__(self, fabric: TileFabric) -> None:
        self.fabric, tiles = fabric, fabric.n_tiles
        self.kinds = len(fabric.hop_classes)
        paths = PortLoads(fabric, np.arange(tiles, dtype=np.int32))
        column = np.searchsorted(np.array(list(fabric.hop_classes)), fabric.hop_distance)
        keys = [np.empty(0, np.int64)]
        for source in range(tiles):
            for target in range(tiles):
                if source != target:
                    row = paths.path(source, target).astype(np.int64) + source * fabric.n_links
                    keys.append(row * self.kinds + column[source, target])
        key, self.times = np.unique(np.concatenate(keys), return_counts=True)
        self.row, self.kind = np.divmod(key, max(self.kinds, 1))

    def probability(self, profile: Mapping[int, float]) -> float:
        """Probability that a random network of a profile fits, see `closed_form`."""
        from scipy.special import log_ndtr

        fabric, size = self.fabric, self.fabric.neurons_per_tile
        shape = fabric.n_tiles, fabric.n_links
        placement = by_index(fabric.n_neurons, fabric)
        offered = HopProfile.of(fabric, dict.fromkeys(fabric.hop_classes, 1.0), placement).quota()
        density = HopProfile.of(fabric, profile, placement).quota() / np.maximum(offered, 1)
        there = self.row // max(fabric.n_links, 1), self.kind
        p, reach = density[there], offered[there] / size
        with np.errstate(divide="ignore"):
            log_free = np.bincount(self.row, self.times * np.log1p(-p), shape[0] * shape[1]).reshape(shape)
        known = np.where(p < 1, p * self.times**2 / (reach * np.maximum(1 - p, 1e-300)), 0.0)
        fixed = np.bincount(self.row, known, shape[0] * shape[1]).reshape(shape)
        free = np.exp(log_free)
        mean, variance = size * (1 - free).sum(axis=0), size * (free * (1 - free) - free**2 * fixed).sum(axis=0)
        margin = fabric.capacity + 0.5 - mean
        spread = np.sqrt(np.maximum(variance, 1e-12))
        open_ = size * (free < 1).sum(axis=0) > fabric.capacity  # all neurons that may come could be too many
        return float(np.exp(log_ndtr(margin / spread)[open_].sum()))


def closed_form(fabric: TileFabric, direction: Direction, probability: float) -> Admissible:
    """The same without drawing a network, for fixed paths, in milliseconds.

        Q_sl  = prod_d (1 - p_sd)^k_sdl                               a neuron of tile s does not use link l
        load_l ~ N( sum_s S (1 - Q_sl),  sum_s S (Q_sl (1 - Q_sl) - Q_sl^2 sum_d p_sd k_sdl^2 / (n_sd (1 - p_sd))) )
        P(fits) = prod_l Phi((channels_l + 1/2 - mean_l) / sd_l)

    p_sd = density after the quotas are rounded, n_sd = tiles at distance d from s, k_sdl = those whose path from s crosses l. The second
    term of the variance is what the quotas take away: neurons drawn independently, given the number of branches of each class (both
    taken as normal). Links that all neurons behind them could not overload count as 1. Links are taken as independent, which is
    pessimistic, since overloads come together.
    """
    profile_at, most = along(fabric, direction)
    crossings = _Crossings(fabric)
    scale = _largest(lambda x: crossings.probability(profile_at(x)) >= probability, most)
    return Admissible(profile_at(scale), scale, probability, "closed-form")


def admissible_profile(
    fabric: TileFabric,
    direction: Direction = "nearest",
    probability: float = 0.95,
    *,
    method: str = "monte-carlo",
    router: str = "one-turn",
    networks: int = 100,
    rng: np.random.Generator,
) -> Admissible:
    """The largest profile along a direction that the channels of a chip carry with ``probability``, by `monte_carlo` or `closed_form`.

    Raises `UsageError` for an unknown method and for the closed form under a router other than one-turn.
    """
    if method == "monte-carlo":
        return monte_carlo(fabric, direction, probability, router=router, networks=networks, rng=rng)
    if method != "closed-form":
        raise UsageError(unknown("method", method, ("monte-carlo", "closed-form")))
    if router != "one-turn":
        raise UsageError("the closed form knows fixed paths only", hint="method: monte-carlo, or router: one-turn")
    return closed_form(fabric, direction, probability)
