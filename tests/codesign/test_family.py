"""Chips of one profile: agreement and disagreement of their accuracies."""

import pytest

from tilewire.codesign.family import families
from tilewire.statement.trainings import Training, fabric_of


def cell(name, chip, p, accuracy, seeds=(1, 2, 3, 4, 5)):
    fabric = fabric_of(chip)
    counts = {f"branches_hop_class_{d}": round((p if d == 1 else 0) * fabric.neurons_per_tile * n)
              for d, n in fabric.hop_classes.items()}  # fmt: skip
    return [Training(name, s, chip, counts | {"test_accuracy": accuracy + 0.02 * s + 0.001 * (-1) ** s}) for s in seeds]


def test_pairs_of_one_profile_on_different_chips():
    rows = [
        *cell("small", "mosaic 3x3x8", 0.5, 0.7), *cell("wide", "mosaic 2x5x8", 0.5, 0.7),
        *cell("poor", "mosaic 4x4x8", 0.5, 0.6), *cell("other", "mosaic 4x4x8", 0.9, 0.7),
        *cell("same chip", "mosaic 3x3x8", 0.5, 0.5), Training("lost", 1, "", {}, "diverged"),
    ]  # fmt: skip
    found = {kin.cells: kin for kin in families(rows)}
    assert set(found) == {
        ("small", "wide"), ("small", "poor"), ("wide", "poor"), ("wide", "same chip"), ("poor", "same chip"),
    }  # fmt: skip
    like = found["small", "wide"]
    assert like.agree
    assert like.difference == pytest.approx(0)
    assert like.profile == {1: pytest.approx(0.5)}
    apart = found["small", "poor"]
    assert apart.agree is False
    assert apart.difference == pytest.approx(-0.1), "what a seed does to both cancels"
    assert apart.high95 < -0.05


def test_a_single_common_seed_says_nothing():
    rows = [*cell("a", "mosaic 3x3x8", 0.5, 0.7, (1, 2)), *cell("b", "mosaic 2x5x8", 0.5, 0.7, (2, 3))]
    (kin,) = families(rows)
    assert (kin.seeds, kin.agree, kin.low95) == (1, None, None)
    assert not families([*rows[:2], *cell("b", "mosaic 2x5x8", 0.5, 0.7, (8, 9))])
