"""The law of accuracy over profiles on synthetic trainings of known truth."""

import numpy as np
import pytest

from tilewire.codesign.accuracy_law import fit_law
from tilewire.errors import UsageError
from tilewire.statement.trainings import Training, fabric_of

CHIP, CHANCE = "mosaic 4x5x16", 0.05
PROFILES = [(0.1, 0.0), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0), (0.25, 0.1), (0.5, 0.1), (1.0, 0.1), (0.5, 0.3)]
TRUTH = (0.85, 0.6, 1.8, 2.5)  # a, e, c_1, c_3


def truth(p1, p3):
    a, e, c1, c3 = TRUTH
    return a - (a - CHANCE) * np.exp(-(c1 * p1**e + c3 * p3**e))


def trainings(rng, noise=0.01, seeds=5, profiles=PROFILES, chips=(CHIP,), law=truth):
    found = []
    for p1, p3 in profiles:
        for chip in chips:
            fabric = fabric_of(chip)
            counts = {f"branches_hop_class_{d}": {1: p1, 3: p3}.get(d, 0) * fabric.neurons_per_tile * n
                      for d, n in fabric.hop_classes.items()}  # fmt: skip
            for seed in range(seeds):
                values = counts | {"test_accuracy": law(p1, p3) + noise * rng.normal()}
                found.append(Training(f"{p1}-{p3}", seed, chip, values))
    return found


def test_a_known_law_is_found_again():
    law = fit_law(trainings(np.random.default_rng(0), noise=1e-5), CHANCE, rng=np.random.default_rng(1), draws=5)
    assert law.classes == (1, 3)
    assert np.allclose(law.best, TRUTH, rtol=0.02)
    assert law.lack < 1e-3
    assert (law.most(1), law.most(3)) == pytest.approx((1.0, 0.3))


def test_prediction_intervals_hold_the_truth_of_unseen_profiles():
    held = total = 0
    widths = []
    for case in range(8):
        rng = np.random.default_rng(case)
        law = fit_law(trainings(rng, noise=0.02), CHANCE, rng=rng, draws=60)
        for p1, p3 in ((0.35, 0.0), (0.7, 0.05), (0.15, 0.05)):
            low, high = law.interval({1: p1, 3: p3})
            held += low <= truth(p1, p3) <= high
            widths.append(high - low)
            total += 1
            wide = law.interval({1: p1, 3: p3}, training=True)
            assert wide[0] <= low + 0.01
            assert wide[1] >= high - 0.01
    assert held >= 0.85 * total
    assert np.mean(widths) < 0.08, "intervals that hold everything say nothing"


def test_lack_of_fit_is_seen_and_widens():
    def bent(p1, p3):
        return truth(p1, p3) + 0.08 * np.sin(9 * p1 + 20 * p3)

    rng = np.random.default_rng(2)
    straight = fit_law(trainings(rng, noise=0.005), CHANCE, rng=rng, draws=60)
    crooked = fit_law(trainings(rng, noise=0.005, law=bent), CHANCE, rng=rng, draws=60)
    assert crooked.lack > 0.02 > straight.lack
    spans = [np.diff(law.interval({1: 0.4}))[0] for law in (straight, crooked)]
    assert spans[1] > 2 * spans[0]


def test_the_law_is_monotone_and_inverts():
    rng = np.random.default_rng(3)
    law = fit_law(trainings(rng), CHANCE, rng=rng, draws=5)
    assert law.accuracy({}) == pytest.approx(CHANCE)
    assert law.accuracy({1: 0.2}) < law.accuracy({1: 0.3}) < law.accuracy({1: 0.3, 3: 0.1})
    p = law.density(1, law.needed(0.7) - law.effect(3, 0.05))
    assert law.accuracy({1: p, 3: 0.05}) == pytest.approx(0.7)
    assert law.needed(0.01) == 0
    with pytest.raises(UsageError, match="saturates"):
        law.needed(0.99)


def test_profiles_of_several_chips_are_one_profile():
    rng = np.random.default_rng(4)
    both = fit_law(trainings(rng, chips=(CHIP, "mosaic 3x3x20")), CHANCE, rng=rng, draws=5)
    assert len(both.trained) == len(PROFILES)


def test_too_few_profiles_are_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(UsageError, match="at least 4 profiles"):
        fit_law(trainings(rng, profiles=[PROFILES[i] for i in (0, 1, 4)]), CHANCE, rng=rng)
    with pytest.raises(UsageError, match="hop class"):
        fit_law([Training("a", 1, "", {"test_accuracy": 0.5})], CHANCE, rng=rng)


def test_only_mixtures_of_trained_profiles_are_covered():
    rng = np.random.default_rng(6)
    law = fit_law(trainings(rng), CHANCE, rng=rng, draws=5)
    for p1, p3 in [*PROFILES, (0.0, 0.0), (0.05, 0.0), (0.4, 0.05)]:
        assert law.covers({1: p1, 3: p3})
    for p1, p3 in ((0.0, 0.1), (1.1, 0.0), (1.0, 0.3), (0.1, 0.1)):
        assert not law.covers({1: p1, 3: p3})


def test_a_class_that_was_only_seen_on_the_plateau_stays_uncertain():
    rng = np.random.default_rng(7)
    few = trainings(
        rng, profiles=[(0.2, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 0.1)], law=lambda p1, p3: 0.9 - 0.85 * np.exp(-12 * p1)
    )
    law = fit_law(few, CHANCE, rng=rng, draws=60)
    effect = law.draws[:, 2 + law.classes.index(3)]
    assert np.ptp(effect) > 5, "the prior says so, no training does"
