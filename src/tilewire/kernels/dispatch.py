"""Which implementation of an operator runs, on how many threads; chosen once per run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from tilewire.errors import UsageError, unknown
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif

TIERS: dict[str, str] = {
    "numba": "tilewire.kernels.event_driven:rsnn_event_driven",
    "reference": "tilewire.kernels.reference:rsnn_reference",
}
"""Tier name -> ``module:function`` with the signature of ``rsnn`` less ``tier``; a new tier is one line."""

HOME: dict[str, str] = {"cpu": "numba"}
"""Device type -> its fastest tier; every other device runs the reference."""


def choose(device: str) -> str:
    """Tier for a device type (``cpu``, ``cuda``, ...)."""
    return HOME.get(device, "reference")


def implementation(tier: str) -> Callable[..., Any]:
    """The function behind a tier name. Raises ``UsageError`` for a name the table does not hold."""
    if tier not in TIERS:
        raise UsageError(unknown("kernel tier", tier, TIERS), where="kernels")
    module, name = TIERS[tier].split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def set_threads(number: int) -> None:
    """Let torch, the kernels of this package and other Numba code use ``number`` threads in this process.

    Both libraries are told explicitly: in one process, environment variables alone leave one of them at another
    number. The kernels follow ``torch.get_num_threads()``. Numba cannot exceed the
    number it was started with (``NUMBA_NUM_THREADS``, normally the cores). Raises ``UsageError`` below 1.
    """
    if number < 1:
        raise UsageError(f"{number} threads asked for, at least 1 is needed", where="kernels")
    import numba
    import torch

    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    # after Numba: starting its OpenMP pool resets the number that torch shares with it
    torch.set_num_threads(number)


def warm_up(report: Callable[[str], None], tier: str = "numba", double: bool = False) -> None:
    """Compile (or load from the cache) the kernels that a run needs, by running a network of two neurons.

    ``report`` is called with the name of each part just before it: training forward, training backward,
    inference. ``double`` asks for the float64 training kernels instead of the float32 ones.
    """
    import torch

    from tilewire.kernels.numba_infer import infer

    events = SpikeEvents.from_dense(np.ones((1, 2, 1)))
    first = np.zeros(1, np.int32)
    inputs, recurrent = Blocks(first, first, 1, 1, 2), Blocks(first, first, 2, 1, 2)
    lif, readout = Lif(0.5), np.zeros(1, np.int64)
    kind = torch.float64 if double else torch.float32
    w_in, w_rec = (torch.full((1, 2), 2.0, dtype=kind, requires_grad=True) for _ in range(2))
    report("training forward")
    counts, trains = implementation(tier)(events, w_in, inputs, w_rec, recurrent, lif, readout)
    report("training backward")
    (counts.sum() + trains.sum()).backward()
    report("inference")
    infer(events, w_in.detach().numpy(), inputs, w_rec.detach().numpy(), recurrent, lif)
