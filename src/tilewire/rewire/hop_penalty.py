"""The regulariser of the original Mosaic training: long branches pay for their weights, nothing forbids them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.errors import UsageError
from tilewire.hardware.fabric import TileFabric
from tilewire.kernels.blocks import DEAD
from tilewire.nn.tiled import TiledRSNN

HOPS = ("manhattan", "class")
CEILING = 15.0  # the exponent is cut there, as in the public code


def hops(fabric: TileFabric, kind: str = "manhattan") -> NDArray[np.int64]:
    """Hops h between tiles, int64 [tiles, tiles]: rows plus columns between them, or their hop class (routers on a shortest path)."""
    if kind == "class":
        return fabric.hop_distance.astype(np.int64)
    row, column = np.divmod(np.arange(fabric.n_tiles), fabric.grid[1])
    return np.asarray(np.abs(row[:, None] - row) + np.abs(column[:, None] - column))


@dataclass(frozen=True)
class HopPenalty:
    """What a loss pays for the weights of a tiled network, by the hops that they span.

        L = lambda / P * sum over branches b of min(e^{beta h_b} - 1, e^15) ||w_b||_2^2

    P = rows of the packed recurrent weights (own-tile crossbars, whose h = 0 costs nothing, and branch slots). ``strength`` = lambda,
    ``hop`` = "manhattan" or "class". Source: public code of Mosaic (Dalgaty et al. 2024, Nat. Commun. 15:142; h there the hop class,
    beta 8, lambda .1), where the ceiling binds from the third hop on, so that all farther branches cost alike; hence lambda and beta
    must be swept for a fair baseline. Departure: the sum over the S synapses of a row is divided by the rows, not by all N^2 pairs.
    Raises `UsageError` for a negative ``strength`` or ``beta`` and an unknown ``hop``.
    """

    strength: float
    beta: float = 1.0
    hop: str = "manhattan"

    def __post_init__(self) -> None:
        if min(self.strength, self.beta) < 0 or self.hop not in HOPS:
            raise UsageError(
                f"hop penalty of strength {self.strength}, beta {self.beta}, hop '{self.hop}'",
                hint=f"strength and beta >= 0, hop one of {', '.join(HOPS)}",
            )

    def cost(self, fabric: TileFabric) -> NDArray[np.float32]:
        """min(e^{beta h} - 1, e^15) between tiles, float32 [tiles, tiles]."""
        exponent = self.beta * hops(fabric, self.hop)
        cost: NDArray[np.float32] = np.minimum(np.expm1(np.minimum(exponent, CEILING + 1)), np.exp(CEILING)).astype(
            np.float32
        )
        return cost

    def __call__(self, network: TiledRSNN) -> Tensor:
        """L of a network as it is wired now, a scalar."""
        wiring = network.recurrent
        cost = self.cost(network.fabric)[wiring.source // network.fabric.neurons_per_tile, wiring.tile]
        row = torch.from_numpy(np.where(wiring.tile == DEAD, np.float32(0), cost))
        return self.strength / max(len(wiring), 1) * (row @ network.w_rec.square().sum(dim=1))
