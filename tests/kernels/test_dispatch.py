"""Tiers, threads and warm-up."""

from __future__ import annotations

import subprocess
import sys

import numba
import pytest
import torch

from tilewire.errors import UsageError
from tilewire.kernels import dispatch


def test_choice_by_device():
    assert [dispatch.choose(device) for device in ("cpu", "cuda", "mps")] == ["numba", "reference", "reference"]


def test_every_tier_is_there():
    assert all(callable(dispatch.implementation(tier)) for tier in dispatch.TIERS)


def test_a_new_tier_is_one_line(monkeypatch):
    monkeypatch.setitem(dispatch.TIERS, "mine", "math:hypot")
    assert dispatch.implementation("mine")(3, 4) == 5


@pytest.fixture
def threads_restored():
    before = torch.get_num_threads()
    yield
    dispatch.set_threads(before)


def test_threads_of_torch_and_numba_together(threads_restored):
    for number in (1, 2, 1):
        dispatch.set_threads(number)
        assert torch.get_num_threads() == number
        assert numba.get_num_threads() == min(number, numba.config.NUMBA_NUM_THREADS)
    dispatch.set_threads(64)
    assert torch.get_num_threads() == 64
    with pytest.raises(UsageError, match="0 threads"):
        dispatch.set_threads(0)


@pytest.mark.parametrize("double", [False, True])
def test_warm_up_names_its_parts(double):
    parts = []
    dispatch.warm_up(parts.append, double=double)
    assert parts == ["training forward", "training backward", "inference"]


def test_records_do_not_load_torch_or_numba():
    code = (
        "import sys, tilewire.kernels.blocks, tilewire.kernels.events, tilewire.kernels.lif\n"
        "import tilewire.kernels.dispatch\n"
        "sys.exit(sum(m in sys.modules for m in ('torch', 'numba')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_inference_does_not_load_torch():
    code = "import sys, tilewire.kernels.numba_infer\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
