"""Where inputs enter and outputs are read."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import HardwareError, UsageError
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.readout import CountReadout
from tilewire.nn.roles import TiledSpec, input_blocks, roles
from tilewire.nn.tiled import TiledRSNN


def test_defaults_are_the_published_ones() -> None:
    found = roles(TiledSpec(140, 20), mosaic((5, 5), 32))
    assert found.input_tiles.tolist() == [0, 1, 2, 3, 4]
    assert found.output_neurons.tolist() == list(range(780, 800))


@settings(deadline=None, max_examples=60)
@given(channels=st.integers(1, 60), outputs=st.integers(1, 30), s=st.integers(1, 9), seed=st.integers(0, 999))
def test_shares_are_even_and_fit_the_crossbars(channels: int, outputs: int, s: int, seed: int) -> None:
    fabric = mosaic((4, 5), s)
    rng = np.random.default_rng(seed)
    needed = (-(-channels // s), -(-outputs // s))
    if sum(needed) > fabric.n_tiles:
        with pytest.raises(HardwareError, match="take"):
            roles(TiledSpec(channels, outputs), fabric)
        return
    tiles = rng.permutation(fabric.n_tiles)
    spec = TiledSpec(
        channels,
        outputs,
        input_tiles=tuple(tiles[: needed[0]].tolist()),
        output_tiles=tuple(tiles[-needed[1] :].tolist()),
    )
    found = roles(spec, fabric)
    blocks = input_blocks(spec, fabric, found.input_tiles)
    per_tile = np.bincount(blocks.tile, minlength=fabric.n_tiles)
    assert per_tile.sum() == channels
    assert per_tile.max() <= s
    used = per_tile[found.input_tiles]
    assert used.max() - used.min() <= 1
    read = np.bincount(found.output_neurons // s, minlength=fabric.n_tiles)
    assert np.unique(found.output_neurons).size == outputs
    assert read.max() <= s
    assert set(np.flatnonzero(read)) <= set(spec.output_tiles or ())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TiledSpec(4, 2, "sideways"), "inputs"),
        (TiledSpec(0, 2), "at least 1"),
        (TiledSpec(4, 2, input_tiles=(9,)), "outside"),
        (TiledSpec(4, 2, input_tiles=(1, 1)), "twice"),
        (TiledSpec(9, 2, input_tiles=(0,)), "needed"),
        (TiledSpec(4, 9, output_tiles=(3,)), "needed"),
        (TiledSpec(4, 2, "dense", input_tiles=(0,)), "every tile"),
    ],
)
def test_wrong_specs_are_named(spec: TiledSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        roles(spec, mosaic((2, 2), 4))


def test_an_input_tile_cannot_be_read() -> None:
    with pytest.raises(HardwareError, match="takes inputs and is read"):
        roles(TiledSpec(4, 2, input_tiles=(3,)), mosaic((2, 2), 4))


def test_scores_come_from_the_chosen_neurons() -> None:
    fabric = mosaic((2, 2), 4)
    spec = TiledSpec(4, 4, input_tiles=(3,), output_tiles=(0, 1))
    net = TiledRSNN(fabric, spec, Lif(0.5), 0, AboveThreshold(0.5), np.random.default_rng(0))
    counts, trains = net(SpikeEvents.from_dense(np.ones((3, 6, 4))))
    chosen = torch.from_numpy(net.readout)
    assert net.readout.tolist() == [2, 3, 6, 7]
    assert torch.equal(trains.sum(1), counts[:, chosen])
    assert torch.equal(CountReadout(2, 2, 1.0)(counts, trains), counts[:, chosen].reshape(3, 2, 2).mean(2))
    crossbar = net.weights()[[2, 3]]
    assert (crossbar[:, 2:] == 0).all()
    assert (crossbar[:, :2] != 0).all()
