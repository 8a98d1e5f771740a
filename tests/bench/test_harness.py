"""The harness: what it times, compares and refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tilewire.bench import child, harness
from tilewire.bench.contest import Contest, Contestant, disagreement
from tilewire.bench.harness import measure, peak_bytes, restart_peak
from tilewire.bench.workloads import WORKLOADS, contests
from tilewire.errors import TilewireError, UsageError


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def sleeper(seconds, value, log=None, name=""):
    def step():
        time.sleep(seconds)
        if log is not None:
            log.append(name)

    return lambda: Contestant(step, lambda: [np.array([value])])


def test_ratios_are_to_the_best_peer_and_rounds_interleave():
    log = []
    table = {
        "own": sleeper(0.01, 1.0, log, "own"),
        "slow": sleeper(0.06, 1.0, log, "slow"),
        "peer": sleeper(0.03, 5.0, log, "peer"),
    }
    result = measure(Contest("c", table, frozenset({"own"}), ("own", "slow"), rounds=3), 2)
    own, slow, peer = result.figures
    assert 1.5 < own.ratio < 5
    assert peer.ratio == 1
    assert slow.ratio < 1
    assert (own.own, peer.own) == (True, False)
    assert (own.error, slow.error, peer.error) == (0, 0, None)
    assert own.seconds <= own.median_seconds
    assert log[3:] == ["own", "slow", "peer"] * 3  # the first round compares, those after it are timed
    assert result.clock == "wall"
    assert json.loads(json.dumps(result.record()))["contestants"]["peer"]["memory_bytes"] is None


def test_one_thread_counts_processor_time():
    result = measure(Contest("c", {"peer": sleeper(0.05, 1.0)}, frozenset(), ("peer",), rounds=1), 1)
    assert result.clock == "cpu"
    assert result.figures[0].seconds < 0.04


def test_those_who_disagree_are_named():
    table = {"a": sleeper(0, 1.0), "b": sleeper(0, 1.1)}
    with pytest.raises(TilewireError, match=r"b differs from a by 0\.1, limit 1e-05"):
        measure(Contest("c", table, frozenset(), ("a", "b")), 1)
    table["b"] = sleeper(0, float("nan"))
    with pytest.raises(TilewireError, match="b differs"):
        measure(Contest("c", table, frozenset(), ("a", "b")), 1)


def test_slow_contestants_run_once():
    log = []
    table = {"slow": sleeper(0.05, 1.0, log, "slow"), "fast": sleeper(0.001, 1.0, log, "fast")}
    measure(Contest("c", table, frozenset(), ("slow",), rounds=4, seconds=0.06), 2)
    assert log.count("slow") == 1
    assert log.count("fast") == 5


def test_disagreement_is_relative_and_sees_shapes():
    one = np.array([3.0, 4.0])
    assert disagreement([one], [one * 2]) == 0.5
    assert disagreement([one], [one[None]]) == float("inf")
    assert disagreement([one], []) == float("inf")
    assert disagreement([], []) == 0


def test_the_peak_starts_anew():
    restart_peak()
    before = peak_bytes()
    block = np.ones(8_000_000)
    assert peak_bytes() - before > 0.8 * block.nbytes


def test_what_a_child_reports(capsys):
    assert child.main(["w5", "0", "tilewire", "1"]) == 0
    grown = json.loads(capsys.readouterr().out)["memory_bytes"]
    assert 1 << 20 < grown < 1 << 27  # y, dx and a few chunks


@pytest.mark.slow
def test_memory_of_a_process_of_its_own():
    assert (harness._memory("w5", 0, "tilewire", 1) or 0) > 1 << 20
    assert harness._memory("w5", 0, "nobody", 1) is None


def test_every_workload_lists_contests():
    for name in WORKLOADS:
        for contest in contests(name):
            assert contest.own <= contest.contestants.keys()
            assert set(contest.exact) <= contest.contestants.keys()
            assert contest.own < contest.contestants.keys()
    with pytest.raises(UsageError, match="did you mean 'w1"):
        contests("w11")
