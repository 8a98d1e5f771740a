"""Shares of work cover the items once, in order, on any number of threads."""

from __future__ import annotations

import os
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.kernels.threads import in_shares


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 20), st.integers(1, 6))
def test_shares_cover_the_items(items, threads):
    seen = []
    in_shares(lambda share, first, last: seen.append((share, first, last)), items, threads)
    assert [i for _, first, last in sorted(seen) for i in range(first, last)] == list(range(items))
    assert len({share for share, _, _ in seen}) == len(seen) == min(items, threads)


@pytest.mark.parametrize("bad", [0, 2])
def test_an_exception_of_any_share_comes_out(bad):
    def work(share, first, last):
        if share == bad:
            raise ArithmeticError(share)

    with pytest.raises(ArithmeticError):
        in_shares(work, 9, 3)


def _seen():
    seen = []
    in_shares(lambda share, first, last: seen.append((share, first, last)), 6, 3)
    return sorted(seen)


def test_it_works_from_several_threads_at_once():
    found = []
    callers = [Thread(target=lambda: found.append(_seen())) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [[(0, 0, 2), (1, 2, 4), (2, 4, 6)]] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_works_in_a_forked_child():
    want = _seen()
    child = os.fork()
    if child == 0:
        os._exit(0 if _seen() == want else 1)
    assert os.waitpid(child, 0)[1] == 0
