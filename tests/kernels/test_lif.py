"""The neuron record refuses what cannot be a neuron."""

from __future__ import annotations

import pytest

from tilewire.errors import UsageError
from tilewire.kernels.lif import Lif


@pytest.mark.parametrize(
    "values",
    [(-0.1, 1, 1), (1.1, 1, 1), (float("nan"), 1, 1), (0.9, 0, 1), (0.9, float("inf"), 1), (0.9, 1, -1)],
)
def test_ranges(values):
    with pytest.raises(UsageError):
        Lif(*values)
