"""Which tiles take the inputs and which neurons are read: a lever that costs no device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import HardwareError, UsageError
from tilewire.hardware.fabric import TileFabric
from tilewire.kernels.blocks import Blocks

INPUT_MODES = ("crossbar", "dense")


@dataclass(frozen=True)
class TiledSpec:
    """Shape of a tiled network: input channels, output neurons, where they lie.

    ``inputs = "crossbar"`` is the published way: the channels feed, in order and in even shares, ``input_tiles`` (default: the first
    ceil(channels / S)), whose crossbar then holds input weights in place of recurrence. ``"dense"`` gives every channel a weight to every
    neuron; those devices lie outside M and are reported apart. The outputs are the last neurons of ``output_tiles``, in even shares
    (default: the last neurons of the chip).
    """

    channels: int
    outputs: int
    inputs: str = "crossbar"
    input_tiles: tuple[int, ...] | None = None
    output_tiles: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Roles:
    """Tiles whose crossbar holds input weights, int32 [k], and the neurons that are read, int64 [outputs]."""

    input_tiles: NDArray[np.int32]
    output_neurons: NDArray[np.int64]


def roles(spec: TiledSpec, fabric: TileFabric) -> Roles:
    """Resolve a spec on a chip. Raises `HardwareError` if it does not fit the tiles, `UsageError` for a wrong spec."""
    if spec.inputs not in INPUT_MODES:
        raise UsageError(f"inputs '{spec.inputs}'", hint=f"one of {', '.join(INPUT_MODES)}")
    if spec.channels < 1 or spec.outputs < 1:
        raise UsageError(f"{spec.channels} channels and {spec.outputs} outputs", hint="both at least 1")
    s, tiles = fabric.neurons_per_tile, fabric.n_tiles
    needed = 0 if spec.inputs == "dense" else math.ceil(spec.channels / s)
    for name, given, least in (
        ("input", spec.input_tiles, needed),
        ("output", spec.output_tiles, math.ceil(spec.outputs / s)),
    ):
        _check_tiles(name, given, least, tiles)
    taken = needed + math.ceil(spec.outputs / s)
    if taken > tiles:
        raise HardwareError(
            f"{spec.channels} channels and {spec.outputs} outputs take {taken} tiles, the chip has {tiles}",
            hint="a larger grid, fewer channels (`data.fold`), or `inputs: dense`",
        )
    if spec.inputs == "dense" and spec.input_tiles:
        raise UsageError("dense inputs feed every tile", where="input_tiles", hint="leave input_tiles out")
    inputs = range(needed) if spec.input_tiles is None else spec.input_tiles
    outputs = np.arange(fabric.n_neurons - spec.outputs, fabric.n_neurons)
    if spec.output_tiles is not None:
        shares = np.array_split(np.arange(spec.outputs), len(spec.output_tiles))
        last = [
            np.arange((tile + 1) * s - part.size, (tile + 1) * s)
            for tile, part in zip(spec.output_tiles, shares, strict=True)
        ]
        outputs = np.concatenate(last)
    both = sorted(set(inputs) & set((outputs // s).tolist()))
    if both:
        raise HardwareError(
            f"tile {both[0]} takes inputs and is read", hint="input neurons have no recurrence: choose other tiles"
        )
    return Roles(np.array(list(inputs), np.int32), outputs.astype(np.int64))


def _check_tiles(name: str, given: Sequence[int] | None, least: int, tiles: int) -> None:
    if given is None:
        return
    problems = [f"tile {tile} is outside 0..{tiles - 1}" for tile in given if not 0 <= tile < tiles]
    if len(set(given)) < len(given):
        problems.append("a tile is named twice")
    if len(given) < max(least, 1):
        problems.append(f"{len(given)} tiles, at least {max(least, 1)} are needed")
    if problems:
        raise UsageError("; ".join(problems), where=f"{name}_tiles")


def input_blocks(spec: TiledSpec, fabric: TileFabric, input_tiles: NDArray[np.int32]) -> Blocks:
    """One weight row per (channel, tile it feeds)."""
    tiles, s = fabric.n_tiles, fabric.neurons_per_tile
    channel = np.arange(spec.channels, dtype=np.int32)
    if spec.inputs == "dense":
        every = np.tile(np.arange(tiles, dtype=np.int32), spec.channels)
        return Blocks(np.repeat(channel, tiles), every, spec.channels, tiles, s)
    shares = np.array_split(channel, input_tiles.size)
    return Blocks(channel, np.repeat(input_tiles, [part.size for part in shares]), spec.channels, tiles, s)
