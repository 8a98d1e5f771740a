"""Comparison of methods on sweeps whose truth is known."""

import math

import numpy as np
import pytest

from tilewire.errors import UsageError
from tilewire.statement.comparison import COUNTS, PARAMETERS, compare, objective_of
from tilewire.statement.trainings import Training, densities, fabric_of, floors, read_trainings
from tilewire.sweep.cells import Cell
from tilewire.sweep.outcome import Outcome
from tilewire.sweep.tables import write_tables

CHIP = "mosaic 3x4x8"
FACTOR = {"paper": 1.0, "ours": 0.25, "weak": 2.0}  # memory at equal accuracy, against paper
SEEDS = (1, 2, 3, 4, 5)


def training(group, size, seed, noise=0.0, **other):
    """Accuracy 0.5 + 0.1 log2(size); the seed scales every memory and shifts every accuracy alike, ``noise`` does not."""
    memory = 1000 * 2.0**size * FACTOR[group] * (1 + 0.1 * seed)
    values = {objective_of(count): memory * (1 + i) for i, count in enumerate(COUNTS)}
    accuracy = 0.5 + 0.1 * size + 0.01 * (seed - 3) + noise
    values |= {"test_accuracy": accuracy, PARAMETERS: 100 * 2.0**size * FACTOR[group]} | other
    return Training(f"{group}-{size}", seed, CHIP, values)


def sweep(groups=("paper", "ours"), noise=0.0, rng=None):
    rng = rng or np.random.default_rng(0)
    return [
        training(g, size, s, noise * rng.normal()) for g in groups for size in (0, 1, 2) for s in SEEDS
    ]  # fmt: skip


def stated(trainings, **options):
    groups = {g: [f"{g}-"] for g in FACTOR if any(t.cell.startswith(g) for t in trainings)}
    return compare(trainings, groups, ["paper"], rng=np.random.default_rng(1), **options)


def test_a_known_ratio_is_found_and_shared_noise_cancels():
    found = stated(sweep(), accuracies=[0.55, 0.6, 0.65])
    like = [r for r in found.ratios if r.group == "ours" and r.count == r.baseline_count]
    assert len(like) == 3 * len(COUNTS)
    for row in like:
        assert math.isclose(row.ratio.value, 4, rel_tol=1e-9)
        assert math.isclose(row.ratio.low95, 4, rel_tol=0.02)
        assert math.isclose(row.ratio.high95, 4, rel_tol=0.02)
        assert math.isclose(row.baseline_devices / row.devices, 4, rel_tol=1e-9)


def test_counts_of_both_sides_enter_a_mixed_ratio():
    found = stated(sweep(), accuracies=[0.6])
    mixed = {(r.baseline_count, r.count): r.ratio.value for r in found.ratios if r.group == "ours"}
    assert math.isclose(mixed["one_turn", "negotiated_sized_output"], 4 * 1 / 4)
    saved = {(r.baseline_count, r.count): r.ratio.value for r in found.ratios if r.group == "paper"}
    assert ("one_turn", "one_turn") not in saved
    assert math.isclose(saved["one_turn", "negotiated"], 1 / 2)


def test_intervals_hold_the_truth_of_noisy_sweeps_and_exclude_none_where_there_is_nothing():
    rng, held, apart = np.random.default_rng(5), 0, 0
    for _ in range(20):
        found = stated(sweep(noise=0.01, rng=rng), accuracies=[0.6])
        row = next(
            r.ratio for r in found.ratios if (r.group, r.count, r.baseline_count) == ("ours", "one_turn", "one_turn")
        )
        held += row.low95 <= 4 <= row.high95
        apart += row.low95 > 1
    assert held >= 16
    assert apart >= 18


def test_gain_at_equal_memory_and_parameters():
    found = stated(sweep())
    gains = {(g.at_cell, g.count): g for g in found.gains if g.group == "ours" and g.count == g.baseline_count}
    for count in (*COUNTS, PARAMETERS):
        assert math.isclose(gains["paper-0", count].gain.value, 0.2), "a quarter of the memory: two sizes larger"
        assert math.isclose(gains["paper-2", count].gain.value, 0.0, abs_tol=1e-12), "flat beyond the dearest cell"
    back = [g for g in compare(sweep(), {"paper": ["paper-"], "ours": ["ours-"]}, ["ours"], rng=np.random.default_rng(0)).gains
            if g.group == "paper" and g.at_cell == "ours-0"]  # fmt: skip
    assert not back, "paper has no cell so cheap"


def test_accuracies_that_a_side_does_not_reach_are_said():
    found = stated(sweep(("paper", "ours")), accuracies=[0.3, 0.9])
    rows = {
        r.accuracy: r for r in found.ratios if (r.group, r.count, r.baseline_count) == ("ours", "one_turn", "one_turn")
    }
    assert "exceeds" in rows[0.3].note
    assert math.isclose(rows[0.3].ratio.value, 4)
    assert rows[0.9].ratio.value is None
    assert "reaches" in rows[0.9].note


def test_cells_that_lack_a_seed_are_listed_but_not_compared():
    rows = [t for t in sweep() if (t.cell, t.seed) != ("ours-0", 5)]
    rows.append(Training("ours-0", 5, "", {}, "diverged"))
    found = stated(rows, accuracies=[0.5])
    cell = next(c for c in found.cells if c.cell == "ours-0")
    assert (cell.seeds, cell.complete) == (4, False)
    assert [cell for _, _, cell in found.fronts["ours"]["one_turn"]] == ["ours-1", "ours-2"]
    assert found.failed == ({"cell": "ours-0", "seed": 5, "error": "diverged"},)


def test_few_seeds_give_no_intervals():
    found = stated([t for t in sweep() if t.seed < 4], accuracies=[0.6])
    assert all(r.ratio.low95 is None and r.ratio.value for r in found.ratios)


def test_wrong_baseline_and_empty_sweep():
    with pytest.raises(UsageError, match="baseline"):
        compare(sweep(), {"paper": ["paper-"]}, ["theirs"], rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="no finished"):
        compare([Training("a", 1, "", {}, "bad")], rng=np.random.default_rng(0))


def test_cells_without_sizes_are_compared_in_parameters_only():
    bare = [Training(t.cell, t.seed, "", {k: v for k, v in t.values.items() if "memory" not in k}) for t in sweep()]
    found = stated(bare)
    assert not found.ratios
    assert {g.count for g in found.gains} == {PARAMETERS}


def test_floors_are_those_of_the_formula():
    tiles, edges, s = 12, 3 * 5 + 4 * 4, 8  # 3x4 tiles: edge routers on all shared and outer sides
    assert floors(CHIP) == (tiles * s * s + edges * (2 * s) ** 2, tiles * s * s)
    assert floors("mosaic 5x5x32") == (271_360, 25_600)
    assert floors("mesh 2x3x4")[0] >= 6 * 16
    with pytest.raises(UsageError):
        fabric_of("5x5")


def test_results_are_read_back_with_densities(tmp_path):
    pairs = fabric_of(CHIP).hop_classes
    objectives = {"test_accuracy": 0.5, "energy": None} | {
        f"branches_hop_class_{d}": n * 8 / 2 for d, n in pairs.items()
    }
    write_tables(tmp_path, [
        Outcome(Cell("a", 1, (), tmp_path), "fits", objectives, chip=CHIP),
        Outcome(Cell("b", 1, (), tmp_path), "none", {}, "no such chip\nmore"),
    ])  # fmt: skip
    good, bad = read_trainings(tmp_path)
    assert good.values["test_accuracy"] == 0.5
    assert "energy" not in good.values
    assert densities(good) == dict.fromkeys(pairs, 0.5)
    assert (bad.error, bad.values, densities(bad)) == ("no such chip", {}, {})


def test_several_baselines_say_what_each_says_alone():
    groups = {"paper": ["paper-"], "ours": ["ours-"]}
    both = compare(sweep(), groups, ["paper", "ours"], rng=np.random.default_rng(0))
    for base in ("paper", "ours"):
        alone = compare(sweep(), groups, [base], rng=np.random.default_rng(0))
        assert [r for r in both.ratios if r.baseline == base] == list(alone.ratios)
        assert [g for g in both.gains if g.baseline == base] == list(alone.gains)
    assert both.baselines == ("paper", "ours")
