"""Verdicts: every limit is checked exactly, names its place and fix, and the fix works."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import HardwareError
from tilewire.hardware.streaming import StreamingAccelerator, Wiring
from tilewire.mapping.streaming import arrays_of, fit, sized, wired_stages
from tilewire.mapping.streaming_network import streaming_network
from tilewire.topology.table import TOPOLOGIES

BASE = StreamingAccelerator(2, 8, 8, 8, 8, 8, 0, 5e8, "crossbar")
BUTTERFLY = streaming_network([TOPOLOGIES["butterfly"](32, 32, radix=4)])
RANDOM = streaming_network([TOPOLOGIES["random"](32, 32, np.random.default_rng(0), depth=2, fan_in=5)])


def test_the_least_sizes_fit_and_one_less_does_not() -> None:
    least = sized(BASE, RANDOM)
    assert fit(least, RANDOM).verdict == "fits"
    for name in (
        "weight_memory_bits",
        "index_memory_bits",
        "activation_memory_bits",
        "accumulator_bits",
        "accumulators",
        "index_bits",
    ):
        smaller = fit(least.with_sizes(**{name: getattr(least, name) - 1}), RANDOM)
        assert smaller.verdict == "infeasible", name
        worst = smaller.violations[0]
        assert worst.used == worst.limit + 1 == getattr(least, name), name
        assert str(worst.used) in worst.fix


def test_needs_are_those_counted_by_hand() -> None:
    least = sized(BASE, RANDOM)
    # 32 x 5 words on 8 PEs and banks: 20 slots a stage and array; 5 bits of the word, 2 bits for one of 4 accumulators.
    assert (least.index_bits, least.accumulators) == (7, 4)
    assert least.index_memory_bits == 20 * 7
    assert least.accumulator_bits == 8 + 8 + 3  # 5 words and a bias
    assert least.weight_memory_bits == 20 * 8 + 4 * least.accumulator_bits
    assert least.activation_memory_bits == 4 * 8
    assert sized(BASE, BUTTERFLY).index_memory_bits == 0
    benes = sized(BASE.with_sizes(switch="benes"), RANDOM)
    assert benes.route_memory_bits == 20 * 4 * 5
    assert sized(BASE.with_sizes(switch="benes"), BUTTERFLY).route_memory_bits == 0


def test_stages_are_shared_or_refused() -> None:
    deep = streaming_network([TOPOLOGIES["butterfly"](32, 32)])
    assert deep.depth == 5
    least = sized(BASE, deep)
    assert sorted(set(fit(least, deep).home.tolist())) == [0, 1]
    refused = fit(least.with_sizes(time_shared=False), deep).violations
    assert (refused[0].what, refused[0].used, refused[0].limit) == ("stages", 5, 2)
    with pytest.raises(HardwareError, match="stages"):
        sized(BASE.with_sizes(time_shared=False), deep)


def test_a_blocking_switch_is_named() -> None:
    fitted = fit(sized(BASE, RANDOM).with_sizes(switch="butterfly"), RANDOM)
    assert fitted.verdict == "infeasible"
    assert "butterfly of 8 ports" in fitted.violations[0].where
    assert "benes" in fitted.violations[0].fix
    for switch in ("butterfly", "benes", "crossbar"):
        assert fit(sized(BASE.with_sizes(switch=switch), BUTTERFLY), BUTTERFLY).verdict == "fits"


def test_fixed_wires_carry_only_their_pattern() -> None:
    own = Wiring(topology="butterfly", inputs=32, outputs=32, options={"radix": 4})
    fixed = sized(BASE.with_sizes(switch="fixed", wiring=(own,)), BUTTERFLY)
    assert fit(fixed, BUTTERFLY).verdict == "fits"
    other = streaming_network([TOPOLOGIES["butterfly"](32, 32, radix=2)])
    found = fit(fixed, other).violations
    assert {violation.what for violation in found} >= {"words off the wires"}
    assert all("crossbar" in violation.fix for violation in found if violation.what == "words off the wires")
    drawn = Wiring(topology="random", inputs=32, outputs=32, options={"depth": 2, "fan_in": 5}, seed=0)
    wired = BASE.with_sizes(switch="fixed", wiring=(drawn,))
    assert fit(sized(wired, RANDOM), RANDOM).verdict == "fits"
    assert sized(wired, RANDOM).index_memory_bits == 0
    assert [stage.edges for stage in wired_stages(wired)] == [160, 160]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(0, 2**32), st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_stages_are_shared_out_as_well_as_possible(busy: list[int], seed: int, arrays: int) -> None:
    n = len(busy)
    tail = np.random.default_rng(seed).integers(0, 10, n)
    home = np.empty(n, np.int64)
    found = arrays_of(np.array(busy), tail, arrays, home)

    def worst(cuts: tuple[int, ...]) -> int:
        ends = [0, *cuts, n]
        return max(sum(busy[a:b]) + int(tail[a : b - 1].sum()) for a, b in pairwise(ends))

    best = min(worst(cuts) for count in range(min(arrays, n)) for cuts in combinations(range(1, n), count))
    assert found == best == worst(tuple(np.flatnonzero(np.diff(home)) + 1))
    assert home.max() < arrays
    assert (np.diff(home) >= 0).all()
