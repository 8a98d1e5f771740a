import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.rewire.grain import Grain


@settings(deadline=None, max_examples=40)
@given(
    out=st.integers(1, 3), inputs=st.integers(1, 3), b=st.integers(1, 3), taps=st.lists(st.integers(1, 3), max_size=2)
)
def test_blocks_hold_their_channels(out, inputs, b, taps):
    shape = (out * b, inputs * b, *taps)
    weight = torch.arange(float(np.prod(shape))).reshape(shape)
    grain = Grain(shape, b)
    units = grain.pack(weight)
    assert units.shape == (grain.units, grain.size)
    assert (grain.units, grain.rows) == (out * inputs, out)
    for unit in range(grain.units):
        row, column = divmod(unit, inputs)
        block = weight[row * b : (row + 1) * b, column * b : (column + 1) * b]
        assert sorted(units[unit].tolist()) == sorted(block.flatten().tolist())
    assert torch.equal(grain.unpack(units), weight)


def test_single_synapses_share_memory():
    weight = torch.zeros(4, 3, 2, 2)
    grain = Grain((4, 3, 2, 2))
    grain.pack(weight)[5] = 1.0
    assert weight.flatten()[5] == 1
    assert (grain.units, grain.size, grain.rows) == (48, 1, 4)
    assert torch.equal(grain.unpack(grain.pack(weight)), weight)


@pytest.mark.parametrize("block", [0, 2, 5])
def test_blocks_must_divide_the_channels(block):
    with pytest.raises(UsageError, match="no multiples"):
        Grain((4, 9), block)
