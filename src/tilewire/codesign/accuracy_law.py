"""Accuracy as a function of the hop profile, fitted from few trainings, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.statement.trainings import Training, densities

Floats = NDArray[np.float64]
EXPONENT, SPREAD, EXPONENTS = 0.7, 0.5, (0.2, 2.0)  # what is believed of e before: log e ~ N(log 0.7, 0.5^2); its range
EFFECT = 20.0  # of c_d: the positive half of N(0, 20^2); 20 at a density of 0.1 alone closes 98 % of the gap
LEAST_NOISE = 1e-3  # of a mean, where seeds do not spread
STEEPEST = 1e3


@dataclass(frozen=True, eq=False)
class AccuracyLaw:
    """acc(p) = a - (a - chance) exp(-sum_d c_d p_d^e): monotone in every density, saturating, at chance without branches.

    ``draws`` [b, 2 + classes] are bootstrap parameters (a, e, c_1, ...), ``best`` those of least squares. ``lack`` is the standard
    deviation of true accuracies around the law, ``seed_sd`` the one of trainings around the mean of their profile. ``trained``
    [profiles, classes] are the densities it was fitted to; it says nothing outside their hull with the empty profile (`covers`).
    """

    classes: tuple[int, ...]
    chance: float
    best: Floats
    draws: Floats
    lack: float
    seed_sd: float
    trained: Floats
    noise: Floats = field(repr=False)  # [b], standard normal, one for each draw

    def accuracy(self, profile: Mapping[int, float]) -> float:
        """Expected accuracy of a profile."""
        return float(_law(self.best[None], self._row(profile), self.chance)[0])

    def interval(self, profile: Mapping[int, float], *, training: bool = False) -> tuple[float, float]:
        """95 % interval of the expected accuracy; of a single ``training`` if asked: draws of the parameters, plus the lack of fit."""
        spread = np.hypot(self.lack, self.seed_sd) if training else self.lack
        values = np.clip(_law(self.draws, self._row(profile), self.chance) + spread * self.noise, 0, 1)
        low, high = np.percentile(values, [2.5, 97.5])
        return float(low), float(high)

    def most(self, d: int) -> float:
        """Largest trained density of a class."""
        return float(self.trained[:, self.classes.index(d)].max())

    def covers(self, profile: Mapping[int, float]) -> bool:
        """Whether a profile is a mixture of trained ones and the empty one: convex combination, to 1e-6."""
        from scipy.optimize import nnls

        corners = np.vstack([self.trained, np.zeros(len(self.classes))])
        mixture = np.vstack([corners.T, np.ones(len(corners))])
        return bool(nnls(mixture, np.append(self._row(profile), 1.0))[1] < 1e-6)

    def needed(self, accuracy: float) -> float:
        """sum_d c_d p_d^e that an accuracy takes. Raises `UsageError` at or above the asymptote a."""
        a = float(self.best[0])
        if accuracy >= a:
            raise UsageError(f"accuracy {accuracy:.1%} is not below {a:.1%}, where the fitted law saturates")
        return float(np.log((a - self.chance) / (a - accuracy))) if accuracy > self.chance else 0.0

    def effect(self, d: int, density: float) -> float:
        """c_d p_d^e."""
        return float(self.best[2 + self.classes.index(d)] * density ** self.best[1])

    def density(self, d: int, effect: float) -> float:
        """The density of class d that has this effect; infinite for a class without effect."""
        c = float(self.best[2 + self.classes.index(d)])
        return 0.0 if effect <= 0 else float((effect / c) ** (1 / self.best[1])) if c > 0 else float("inf")

    def _row(self, profile: Mapping[int, float]) -> Floats:
        return np.array([profile.get(d, 0.0) for d in self.classes])


def _law(parameters: Floats, p: Floats, chance: float) -> Floats:
    """Accuracies [b] of parameters [b or 1, 2 + classes] at densities [classes] or [b, classes]."""
    a, e, c = parameters[:, 0], parameters[:, 1], parameters[:, 2:]
    found: Floats = a - (a - chance) * np.exp(-(c * p ** e[:, None]).sum(axis=1))
    return found


def fit_law(trainings: Sequence[Training], chance: float, *, rng: np.random.Generator, draws: int = 300) -> AccuracyLaw:
    """Least squares over the means of profiles, weighted by their numbers of trainings, with weak priors.

    Trainings of equal densities (to 1 %) form a profile, whatever chip they ran on. Minimises

        sum_i n_i (acc(p_i) - mean_i)^2 / s^2 + (log(e / 0.7) / 0.5)^2 + sum_d (c_d / 20)^2,   s = pooled sd of seeds

    The priors only speak where trainings do not: a class that was trained on the plateau alone could have any effect.
    Bootstrap: each profile's mean gets the resampled mean of its seeds (deviations times sqrt(n / (n - 1)); normal where it has one),
    normal noise of the lack of fit, and each prior a centre drawn from itself:

        lack^2 = max(0, sum r^2 / (P - k) - s^2 mean(1 / n)),     r = residuals of P profiles, k = 1 + classes

    Raises `UsageError` for fewer than k + 1 profiles or trainings without known densities.
    """
    p, groups, classes = _profiles(trainings)
    mean, n = np.array([g.mean() for g in groups]), np.array([len(g) for g in groups])
    k = 1 + len(classes)
    if len(groups) <= k or not classes:
        raise UsageError(
            f"{len(groups)} different profiles cannot bear a law of {k} parameters",
            hint=f"train at least {k + 1} profiles",
        )
    inside = [g - g.mean() for g in groups]
    seed_sd = float(np.sqrt(sum(float((d**2).sum()) for d in inside) / max(int((n - 1).sum()), 1)))
    weight = np.sqrt(n) / max(seed_sd, LEAST_NOISE)
    centre = np.array([np.log(EXPONENT), *([0.0] * len(classes))])
    spread = np.array([SPREAD, *([EFFECT] * len(classes))])
    fits = (_fit(p, mean, weight, chance, centre, start) for start in _starts(mean, len(classes)))
    best = min(fits, key=lambda found: found[1])[0]
    residual = mean - _law(best[None], p, chance)
    lack = float(np.sqrt(max(0.0, (residual**2).sum() / (len(groups) - k) - seed_sd**2 * (1 / n).mean())))
    found = []
    for _ in range(draws):
        moved = [
            rng.choice(d, len(d)).mean() * (len(d) / (len(d) - 1)) ** 0.5 if len(d) > 1 else rng.normal(0, seed_sd)
            for d in inside
        ]
        drawn = mean - residual + np.array(moved) + rng.normal(0, lack, len(mean))
        found.append(_fit(p, drawn, weight, chance, centre + rng.normal(0, spread), best)[0])
    return AccuracyLaw(classes, chance, best, np.array(found), lack, seed_sd, p, rng.normal(size=draws))


def _profiles(trainings: Sequence[Training]) -> tuple[Floats, list[Floats], tuple[int, ...]]:
    """Densities [profiles, classes], accuracies per profile, hop classes that any of them uses."""
    known = [(densities(one), one.values["test_accuracy"]) for one in trainings if "test_accuracy" in one.values]
    known = [(found, accuracy) for found, accuracy in known if found]
    if not known:
        raise UsageError("no training tells its branches per hop class", hint="tilewire sweep GRID --resize")
    classes = tuple(sorted({d for found, _ in known for d, p in found.items() if p > 0}))
    groups: dict[tuple[float, ...], list[tuple[Floats, float]]] = {}
    for found, accuracy in known:
        row = np.array([found.get(d, 0.0) for d in classes])
        groups.setdefault(tuple(np.round(row, 2)), []).append((row, accuracy))
    p = np.array([np.mean([row for row, _ in group], axis=0) for group in groups.values()])
    return p, [np.array([accuracy for _, accuracy in group]) for group in groups.values()], classes


def _starts(mean: Floats, classes: int) -> list[Floats]:
    top = min(mean.max() + 0.02, 0.999)
    return [np.array([top, e, *([c] * classes)]) for e in (0.35, EXPONENT, 1.2) for c in (1.0, 4.0)]


def _fit(p: Floats, mean: Floats, weight: Floats, chance: float, centre: Floats, start: Floats) -> tuple[Floats, float]:
    """Parameters that minimise the weighted residuals and the prior, from a start; and the cost."""
    from scipy.optimize import least_squares

    low = np.array([chance + 1e-3, EXPONENTS[0], *([0.0] * p.shape[1])])
    high = np.array([1.0, EXPONENTS[1], *([STEEPEST] * p.shape[1])])

    def residuals(x: Floats) -> Floats:
        prior = (np.log(x[1]) - centre[0]) / SPREAD, (x[2:] - centre[1:]) / EFFECT
        return np.hstack([weight * (_law(x[None], p, chance) - mean), *prior])

    inner = np.clip(start, low + 1e-9 * (high - low), high - 1e-9 * (high - low))
    found = least_squares(residuals, inner, bounds=(low, high), x_scale="jac")
    return np.asarray(found.x, np.float64), float(found.cost)
