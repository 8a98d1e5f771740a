"""The solver's word on a cut: true against enumeration, the fallback of the proof, and a clean error when the child fails."""

import sys
from itertools import combinations

import numpy as np
import pytest

from tilewire.mapping import partition_exact
from tilewire.mapping.partition import split
from tilewire.mapping.partition_exact import Proof
from tilewire.mapping.partition_native import NativeError
from tilewire.mapping.partition_solver import no_smaller_cut

MATRIX = np.random.default_rng(3).random((8, 8)) < 0.4
WEIGHT = (MATRIX.astype(np.int64) + MATRIX.T) * (1 - np.eye(8, dtype=np.int64))


def least_cut():
    def cut(part):
        inside = np.isin(np.arange(8), part)
        return int(WEIGHT[inside][:, ~inside].sum())

    return min(cut(part) for part in combinations(range(8), 3))


def test_the_word_of_the_solver_is_true():
    sizes, best = np.array([5, 3]), least_cut()
    assert no_smaller_cut(WEIGHT, sizes, best, 30.0)
    assert not no_smaller_cut(WEIGHT, sizes, best + 1, 30.0)


def test_without_a_certificate_the_solver_is_asked(monkeypatch):
    monkeypatch.setattr(partition_exact, "prove", lambda *_: Proof(0, False, None, 1))
    found = split(MATRIX, 2, sizes=[5, 3], rng=np.random.default_rng(0), prove=True, seconds=60)
    assert (found.status, found.proof, found.certificate) == ("optimal", "solver", None)
    assert found.cut == found.lower_bound == least_cut()


def test_a_solver_that_crashes_is_a_note(monkeypatch):
    from tilewire.mapping import partition_solver

    def crash(*_):
        raise NativeError("HiGHS ended with signal 11")

    monkeypatch.setattr(partition_exact, "prove", lambda *_: Proof(0, False, None, 1))
    monkeypatch.setattr(partition_solver, "no_smaller_cut", crash)
    found = split(MATRIX, 2, rng=np.random.default_rng(0), prove=True, seconds=20)
    assert (found.status, found.proof) == ("feasible", None)
    assert "signal 11" in found.notes[0]


@pytest.mark.parametrize(("code", "message"), [("import os; os.abort()", "signal 6"), ("pass", "no readable answer")])
def test_a_child_that_dies_or_says_nothing_is_named(code, message):
    with pytest.raises(NativeError, match=message):
        no_smaller_cut(WEIGHT, np.array([4, 4]), 3, 20.0, command=[sys.executable, "-c", code])
