"""The cheapest chip for a wanted accuracy: over grids, neurons per tile and profiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tilewire.codesign.accuracy_law import AccuracyLaw
from tilewire.codesign.profile_chip import ProfileChip, profile_chip
from tilewire.errors import UsageError
from tilewire.hardware.fabric import TileFabric
from tilewire.statement.trainings import fabric_of
from tilewire.streams import stream

HALVINGS = 6  # densities tried of each class but the nearest: none, and the largest trained one halved so many times
SCREENED = 2  # networks that a profile is screened by


@dataclass(frozen=True)
class Choice:
    """A chip for an accuracy: grid, profile to train inside, predicted accuracy with 95 % interval (of a single training too)."""

    chip: str
    profile: dict[int, float]
    accuracy: float
    low95: float
    high95: float
    training_low95: float
    training_high95: float
    size: ProfileChip


def chips_for(
    law: AccuracyLaw,
    accuracy: float,
    chips: Sequence[str],
    *,
    router: str = "one-turn",
    tile_out_sized: bool = False,
    networks: int = 153,
    channels: int = 1,
    outputs: int = 1,
    seed: int = 0,
) -> list[Choice]:
    """For each grid ("mosaic 5x5x32") the profile of least device memory that the law gives the accuracy, the cheapest grid first.

    The law is taken to hold on every grid (one profile, one accuracy: the claim of Weber, Ballet, Payvand 2024, section 4); profiles
    stay inside the hull of the trained ones. Grids without room for the inputs and outputs (`carries`) and grids on which no such profile
    reaches the accuracy are left out. Raises `UsageError` above the asymptote of the law, and if no grid is left.
    """
    needed, found = law.needed(accuracy), []
    for chip in chips:
        fabric = fabric_of(chip)
        rng = stream(seed, "codesign", fabric.n_tiles, fabric.neurons_per_tile)
        size = partial(profile_chip, fabric, router=router, tile_out_sized=tile_out_sized, rng=rng)
        profiles = list(profiles_for(law, needed, fabric)) if carries(fabric, channels, outputs) else []
        if profiles:
            best = min(profiles, key=lambda p: size(p, networks=SCREENED).needed)
            found.append(_choice(law, chip, best, size(best, networks=networks)))
    if not found:
        raise UsageError(
            f"no profile inside the hull of the trained ones reaches {accuracy:.1%} on {', '.join(chips)}",
            hint="a lower accuracy, larger grids, or trainings of denser profiles",
        )
    return sorted(found, key=lambda choice: choice.size.memory_devices)


def _choice(law: AccuracyLaw, chip: str, profile: Mapping[int, float], size: ProfileChip) -> Choice:
    real = size.densities
    return Choice(  # quotas round small densities to nothing
        chip,
        {d: p for d, p in profile.items() if real[d] > 0},
        law.accuracy(real),
        *law.interval(real),
        *law.interval(real, training=True),
        size,
    )


def carries(fabric: TileFabric, channels: int, outputs: int) -> bool:
    """Whether inputs and outputs have tiles of their own: ceil(C / S) + ceil(K / S) <= tiles."""
    s = fabric.neurons_per_tile
    return -(-channels // s) + -(-outputs // s) <= fabric.n_tiles


def profiles_for(law: AccuracyLaw, needed: float, fabric: TileFabric) -> Iterator[dict[int, float]]:
    """Profiles of the classes of a grid with sum_d c_d p_d^e = ``needed``: far classes at a few densities, the nearest solved for.

    Only those that the law covers.
    """
    classes = [d for d in law.classes if d in fabric.hop_classes and law.most(d) > 0]
    if not classes:
        return
    near, far = classes[0], classes[1:]
    tried = [(0.0, *(law.most(d) * 0.5**k for k in range(HALVINGS))) for d in far]
    for densities in itertools.product(*tried):
        rest = needed - sum(law.effect(d, p) for d, p in zip(far, densities, strict=True))
        p = law.density(near, rest)
        profile = {near: p, **dict(zip(far, densities, strict=True))}
        if np.isfinite(p) and law.covers(profile):
            yield {d: density for d, density in profile.items() if density > 0}
