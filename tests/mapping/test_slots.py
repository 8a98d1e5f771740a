"""Schedules: no bank or PE serves two words in a slot, D slots suffice, blocking is reported where a slow check sees it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.hardware.streaming import SWITCHES, grid_of, switch_ports
from tilewire.mapping.slots import BLOCKING, loads, plan, schedule
from tilewire.mapping.streaming_network import WordStage, streaming_network
from tilewire.mapping.switches import butterfly_position, mesh_path
from tilewire.topology.table import TOPOLOGIES


def stage_of(n_in: int, n_out: int, density: float, rng: np.random.Generator) -> WordStage:
    """Uniform random edges, at least one."""
    mask = rng.random((n_out, n_in)) < density
    mask[0, 0] = True
    target, source = np.nonzero(mask)
    return WordStage(n_in, n_out, source, target, np.arange(source.size), np.ones(source.size), stored=True)


def wires(switch: str, bank: int, pe: int, ports: int) -> list[tuple[int, int]]:
    if switch == "butterfly":
        levels = (ports - 1).bit_length()
        return [(level, butterfly_position(bank, pe, level, levels)) for level in range(1, levels + 1)]
    link = np.empty(2 * ports, np.int64)
    return [(0, int(one)) for one in link[: mesh_path(bank, pe, grid_of(ports)[1], link)]]


def slow_blocked(stage: WordStage, switch: str, pes: int, banks: int, slot: np.ndarray) -> int:
    """Slots in which a bank or a wire is asked for twice."""
    ports, used = switch_ports(switch, pes, banks), Counter[tuple[int, ...]]()
    for source, target, at in zip(stage.source.tolist(), stage.target.tolist(), slot.tolist(), strict=True):
        used[(at, -1, source % banks)] += 1
        used.update((at, *wire) for wire in wires(switch, source % banks, target % pes, ports))
    return len({key[0] for key, count in used.items() if count > 1})


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_colouring_takes_as_many_slots_as_the_largest_load(
    seed: int, n_in: int, n_out: int, pes: int, banks: int
) -> None:
    stage = stage_of(n_in, n_out, 0.3, np.random.default_rng(seed))
    chosen, slot = schedule(stage, "crossbar", pes, banks)
    load = max(np.bincount(stage.target % pes).max(), np.bincount(stage.source % banks).max())
    assert chosen.slots == load == loads(stage, pes, banks).bound == plan(stage, "crossbar", pes, banks).slots
    assert slot.max() + 1 == chosen.slots
    assert np.bincount(slot * pes + stage.target % pes).max() == 1
    assert np.bincount(slot * banks + stage.source % banks).max() == 1


@given(st.integers(0, 2**32), st.sampled_from(BLOCKING), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_blocked_slots_are_those_of_a_slow_count(seed: int, switch: str, pes: int, banks: int) -> None:
    stage = stage_of(12, 12, 0.25, np.random.default_rng(seed))
    chosen, slot = schedule(stage, switch, pes, banks)
    # A word that must wait marks no wire, so the fast count may stop at the first of several words that wait for each other.
    assert bool(chosen.blocked) == bool(slow_blocked(stage, switch, pes, banks, slot))
    assert chosen.blocked <= chosen.slots
    assert chosen._replace(blocked=min(chosen.blocked, 1)) == plan(stage, switch, pes, banks)


@pytest.mark.parametrize(
    "name", ["butterfly", "benes", "monarch", "clos", "hypercube", "parallel-cross", "radix-net", "torus-1d", "dense"]
)
def test_formulas_on_powers_of_two_pass_a_butterfly_without_settings(name: str) -> None:
    for stage in streaming_network([TOPOLOGIES[name](64, 64)]).stages:
        for pes in (4, 16):
            for switch in ("butterfly", "benes"):
                chosen = plan(stage, switch, pes, pes)
                assert (chosen.blocked, chosen.regular) == (0, True)
                assert chosen.slots == loads(stage, pes, pes).bound


def test_a_torus_passes_a_mesh_of_its_shape_and_random_wiring_does_not() -> None:
    torus = streaming_network([TOPOLOGIES["torus-2d"](16, 16)]).stages[0]
    assert plan(torus, "mesh", 16, 16).blocked == 0
    random = streaming_network([TOPOLOGIES["random"](64, 64, np.random.default_rng(0))]).stages[0]
    for switch in BLOCKING:
        assert plan(random, switch, 16, 16).blocked > 0


@pytest.mark.parametrize("switch", SWITCHES)
def test_regular_slots_do_not_exceed_the_bound_on_switches_that_carry_all(switch: str) -> None:
    stage = stage_of(30, 50, 0.2, np.random.default_rng(1))
    if switch not in BLOCKING:
        assert plan(stage, switch, 8, 8).slots == loads(stage, 8, 8).bound


def test_loads_count_pairs_and_distance() -> None:
    stage = stage_of(20, 20, 0.3, np.random.default_rng(2))
    found, columns = loads(stage, 6, 4), grid_of(6)[1]
    ends = [(s % 4, t % 6) for s, t in zip(stage.source.tolist(), stage.target.tolist(), strict=True)]
    assert found.pairs == len(set(ends))
    assert found.distance == sum(abs(b // columns - p // columns) + abs(b % columns - p % columns) for b, p in ends)
