"""Chips for a profile and the cheapest one for an accuracy."""

import numpy as np
import pytest

from tilewire.codesign.accuracy_law import fit_law
from tilewire.codesign.choose import carries, chips_for, profiles_for
from tilewire.codesign.profile_chip import coverage, profile_chip
from tilewire.errors import UsageError
from tilewire.hardware.description import from_mapping
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.profile_sizing import draw_branches, profile_sizes
from tilewire.mapping.routing import map_nets
from tilewire.statement.trainings import Training, fabric_of, floors

CHIP = "mosaic 3x4x12"


@pytest.fixture(scope="module")
def law():
    """Fitted to profiles of classes 1 and 3 whose branches count alike."""
    rng, fabric, rows = np.random.default_rng(0), fabric_of(CHIP), []
    for p1, p3 in ((0.1, 0.0), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0), (0.25, 0.1), (0.5, 0.1), (1.0, 0.1), (0.25, 0.3)):
        counts = {f"branches_hop_class_{d}": {1: p1, 3: p3}.get(d, 0) * 12 * n for d, n in fabric.hop_classes.items()}
        accuracy = 0.85 - 0.8 * np.exp(-2 * p1**0.6 - 2.5 * p3**0.6)
        rows += [
            Training("", seed, CHIP, counts | {"test_accuracy": accuracy + 0.003 * rng.normal()}) for seed in range(5)
        ]
    return fit_law(rows, 0.05, rng=rng, draws=20)


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
@pytest.mark.parametrize("sized", [False, True])
def test_the_chip_carries_the_networks_it_was_sized_for(router, sized):
    fabric, profile = fabric_of(CHIP), {1: 0.5, 3: 0.1}
    found = profile_chip(fabric, profile, router=router, tile_out_sized=sized, networks=3, rng=np.random.default_rng(7))
    built = from_mapping(found.hardware(fabric))
    assert built.memory().total == found.memory_devices >= found.needed >= floors(CHIP)[int(sized)]
    assert found.tile_out == 12 or sized
    if router == "one-turn":  # the same draws again: each of them fits the chip
        rng = np.random.default_rng(7)
        for _ in range(3):
            nets = Nets.of(draw_branches(fabric, profile, rng))
            mapping = map_nets(
                built, nets, by_index(built.n_neurons, built), router="one-turn", rng=np.random.default_rng(0)
            )
            assert mapping.verdict == "fits"


def test_needed_memory_is_that_of_the_mapping_experiment():
    fabric, profile = fabric_of(CHIP), {1: 0.6, 3: 0.2}
    found = profile_chip(fabric, profile, networks=6, rng=np.random.default_rng(1))
    published = profile_sizes(fabric, profile, 6, np.random.default_rng(1)).memory_devices
    assert found.needed == pytest.approx(published.mean())
    assert found.densities[1] == pytest.approx(0.6, abs=0.03)
    assert found.probability == coverage(6, 5)  # four sides and the router


def test_coverage_of_several_limits_holds_and_is_that_of_wilks_for_one():
    assert coverage(59, 1) == pytest.approx(0.05 ** (1 / 59))
    assert coverage(153, 4) >= 0.95 > coverage(152, 4)
    assert coverage(3, 4) == 0
    assert coverage(0, 0) == 1
    # Independent limits: in at least 95 % of the repetitions a fresh draw keeps all maxima with the stated probability.
    rng, n, k = np.random.default_rng(3), 40, 4
    kept = [np.prod(rng.random((n, k)).max(axis=0)) for _ in range(4000)]
    assert (np.array(kept) >= coverage(n, k)).mean() >= 0.945


def test_negotiated_and_sized_chips_are_cheaper():
    fabric, profile = fabric_of(CHIP), {1: 0.4, 3: 0.15}

    def needed(router, sized):
        return profile_chip(
            fabric, profile, router=router, tile_out_sized=sized, networks=2, rng=np.random.default_rng(1)
        ).needed

    assert needed("negotiated", False) <= needed("one-turn", False)
    assert needed("one-turn", True) <= needed("one-turn", False)


def test_profiles_reach_the_accuracy_inside_the_trained_densities(law):
    found = list(profiles_for(law, law.needed(0.75), fabric_of(CHIP)))
    assert len(found) > 2
    for profile in found:
        assert law.accuracy(profile) >= 0.75 - 1e-9
        assert law.covers(profile)
        assert all(0 < p <= law.most(d) for d, p in profile.items())


def test_the_cheapest_profile_beats_the_obvious_one(law):
    choices = chips_for(law, 0.7, [CHIP, "mosaic 4x4x12"], networks=4, channels=20, outputs=10)
    assert [c.size.memory_devices for c in choices] == sorted(c.size.memory_devices for c in choices)
    assert {c.chip for c in choices} == {CHIP, "mosaic 4x4x12"}
    best = choices[0]
    assert best.training_low95 < best.low95 < best.accuracy < best.high95 < best.training_high95
    assert best.accuracy == pytest.approx(0.7, abs=0.03)
    far = max(profiles_for(law, law.needed(0.7), fabric_of(best.chip)), key=lambda p: p.get(3, 0))
    rival = profile_chip(fabric_of(best.chip), far, networks=4, rng=np.random.default_rng(0))
    assert best.size.needed < rival.needed, "far branches are dear on this router, near ones suffice"


def test_grids_without_room_and_accuracies_out_of_reach(law):
    assert carries(fabric_of("mosaic 2x2x8"), 16, 8)
    assert not carries(fabric_of("mosaic 2x2x8"), 25, 8)
    with pytest.raises(UsageError, match="no profile"):
        chips_for(law, 0.5, ["mosaic 2x2x8"], networks=2, channels=140, outputs=20)
    with pytest.raises(UsageError, match="saturates"):
        chips_for(law, 0.97, [CHIP], networks=2)
    assert not list(profiles_for(law, 1e6, fabric_of(CHIP)))
