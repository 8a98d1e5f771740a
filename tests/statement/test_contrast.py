"""Contrasts of two cells on trainings whose truth is known."""

import math

from scipy import stats

from tilewire.statement.contrast import contrast
from tilewire.statement.trainings import Training

ACCURACY = "test_accuracy"


def cell(name, accuracies, devices, seeds=(1, 2, 3, 4, 5)):
    rows = zip(seeds, accuracies, devices, strict=True)
    return [Training(name, s, "", {ACCURACY: a} | ({"devices": d} if d else {})) for s, a, d in rows]


def test_difference_and_ratio_are_paired_by_seed_with_students_interval():
    a, b = [0.8, 0.7, 0.9, 0.6, 0.85], [0.75, 0.66, 0.83, 0.6, 0.8]
    trainings = cell("a", a, [10, 20, 30, 40, 50]) + cell("b", b, [20, 50, 60, 70, 150])
    found = contrast("name", ["a", "b"], trainings, ACCURACY, ["devices", "absent"])
    truth = stats.ttest_rel(a, b)
    low, high = truth.confidence_interval(0.95)
    assert (found.name, found.cells, found.seeds) == ("name", ("a", "b"), 5)
    assert math.isclose(found.difference.value, sum(x - y for x, y in zip(a, b, strict=True)) / 5)
    assert math.isclose(found.difference.low95, low)
    assert math.isclose(found.difference.high95, high)
    logs = [math.log(r) for r in (2, 2.5, 2, 1.75, 3)]
    low, high = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    ratio = found.ratios["devices"]
    assert math.isclose(ratio.value, math.exp(sum(logs) / 5))
    assert math.isclose(ratio.low95, math.exp(low))
    assert math.isclose(ratio.high95, math.exp(high))
    assert set(found.ratios) == {"devices"}


def test_only_common_seeds_count_and_one_seed_has_no_interval():
    trainings = cell("a", [0.5, 0.6], [1, 2], (1, 2)) + cell("b", [0.4, 0.9], [3, None], (2, 3))
    found = contrast("x", ["a", "b"], trainings, ACCURACY, ["devices"])
    assert (found.seeds, found.difference.low95) == (1, None)
    assert math.isclose(found.difference.value, 0.2)
    assert math.isclose(found.ratios["devices"].value, 1.5)
    assert contrast("x", ["a", "c"], trainings, ACCURACY, []) is None


def test_a_figure_that_one_training_lacks_has_no_ratio():
    trainings = cell("a", [0.5] * 5, [1, 2, None, 4, 5]) + cell("b", [0.4] * 5, [1] * 5)
    assert contrast("x", ["a", "b"], trainings, ACCURACY, ["devices"]).ratios == {}
