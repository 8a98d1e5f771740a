"""A learned split of device memory over hop classes: devices go where one more of them promises the loss the most."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError, UsageError
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budget import BudgetState
from tilewire.mapping.memory_budget import NegotiatedMemoryState, OneTurnMemoryState
from tilewire.mapping.split_budget import MovableProfileState, branch_prices, links_per_branch, parts_of
from tilewire.rewire.grow import Score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearnedSplit:
    """Moves the profile p_d of a memory budget towards equal gain per device.

        g_d   = mean of || dL/dw_it ||_2 over branches (i, t) of class d, live or not         (gain: what a step of given size wins)
        pi_d  = devices that one more branch of class d costs                                 (price: `branch_prices`)
        f_d   = (g_d / pi_d) / (sum_d n_d g_d / sum_d n_d pi_d)                               (gain per device, 1 = average)
        p_d  <- min(1, max(lambda h_d clip(sqrt(f_d), 1 / (1 + step), 1 + step), one branch per tile))

    n_d = live branches, h_d = p_d times the share of its quota that is filled: what the memory limit refuses is not planned again.
    lambda is the largest scale whose planned cost, sum_d pi_d p_d places_d, is what the live branches cost plus the devices still free:
    devices stay spent while they change hands. Mirror ascent with a step limit; at its rest point every class earns the same
    per device or stands at a bound. The gain is a running mean (``memory`` of it kept) over ``pool`` branches a class, drawn
    uniformly: a branch gets a trial slot of zero weight whether or not it lives, so its gradient is that of the branch. Norms, not
    their squares: Adam takes steps of given size, and squares follow single outliers.
    The limit itself is never touched: quotas only decide who may ask for devices. Before each move grown trees are routed again inside
    narrower ports where that saves devices, since what a class gave up is otherwise still held by single full ports. Own method; the
    exchange of densities by gradient follows RigL (Evci et al. 2020), prices are ours. Raises `UsageError` for a ``step`` <= 0 or a
    ``memory`` outside 0..1.
    """

    step: float = 0.1
    pool: int = 256
    memory: float = 0.5

    def __post_init__(self) -> None:
        if self.step <= 0 or not 0 <= self.memory < 1 or self.pool < 1:
            raise UsageError(
                f"split: step {self.step}, memory {self.memory}, pool {self.pool}",
                hint="step > 0, 0 <= memory < 1, pool >= 1",
            )

    def move(self, state: BudgetState, score: Score, rng: np.random.Generator, group_at: NDArray[np.integer]) -> None:
        """Measure gains and move the quotas that ``state`` holds. ``score`` knows groups: ``group_at`` [tiles] is the one on each tile."""
        quotas, memory = split_parts(state)
        if isinstance(memory, NegotiatedMemoryState):
            memory.repack(rng)
        gain = self._measured(quotas, score, rng, group_at)
        quotas.gain = gain if not quotas.gain.any() else self.memory * quotas.gain + (1 - self.memory) * gain
        quotas.move(moved(quotas, prices_in(state), memory.budget.devices - memory.devices, self.step))

    def _measured(
        self, quotas: MovableProfileState, score: Score, rng: np.random.Generator, group_at: NDArray[np.integer]
    ) -> Floats:
        fabric, tile_of = quotas.budget.fabric, quotas.budget.tile_of
        distance = fabric.hop_distance[tile_of]
        keys = []
        for d in quotas.classes:
            every = np.flatnonzero(distance.ravel() == d)
            keys.append(every[np.sort(rng.choice(every.size, min(self.pool, every.size), replace=False))])
        source, tile = np.divmod(np.concatenate(keys), fabric.n_tiles)
        asked = Connectivity.of(source, group_at[tile], fabric.n_neurons, fabric.n_tiles)
        norm = score(asked)
        place = np.searchsorted(
            asked.source.astype(np.int64) * fabric.n_tiles + asked.target, source * fabric.n_tiles + group_at[tile]
        )
        ends = np.cumsum([0, *(part.size for part in keys)])
        return np.array([norm[place[a:b]].mean() for a, b in pairwise(ends.tolist())])


def split_parts(state: BudgetState) -> tuple[MovableProfileState, NegotiatedMemoryState | OneTurnMemoryState]:
    """The movable quotas and the memory budget inside a state. Raises `BudgetError` if it lacks either."""
    found = list(parts_of(state))
    quotas = [part for part in found if isinstance(part, MovableProfileState)]
    memory = [part for part in found if isinstance(part, NegotiatedMemoryState | OneTurnMemoryState)]
    if not quotas or not memory:
        raise BudgetError(
            "a learned split moves the profile of a memory budget",
            hint="budget: {kind: memory, devices: ..., profile: ...}",
        )
    return quotas[0], memory[0]


def prices_in(state: BudgetState) -> Floats:
    """Devices that one more branch of each class of the profile costs as things stand, float64 [classes]."""
    quotas, memory = split_parts(state)
    return branch_prices(memory.chip, memory.load, links_per_branch(memory.chip, quotas.classes))


def report(state: BudgetState) -> dict[str, dict[str, float]]:
    """Where the split stands: per hop class its density p_d, gain g_d and price pi_d."""
    quotas, _ = split_parts(state)
    rows = {"density": quotas.profile, "gain": quotas.gain, "price": prices_in(state)}
    return {
        name: {str(d): float(value) for d, value in zip(quotas.classes.tolist(), row.tolist(), strict=True)}
        for name, row in rows.items()
    }


def moved(quotas: MovableProfileState, prices: Floats, slack: int, step: float) -> Floats:
    """The profile after one update, float64 [classes]; see `LearnedSplit`."""
    live, gain, places = quotas.live, quotas.gain, quotas.places
    fabric = quotas.budget.fabric
    most = np.array([int((fabric.hop_distance == d).sum(axis=1).max()) for d in quotas.classes])
    least = np.minimum(1 / (fabric.neurons_per_tile * most), 1.0)
    tiny = np.finfo(np.float64).tiny
    average = max(float(live @ gain), tiny) / max(float(live @ prices), tiny)
    worth = np.sqrt(np.maximum(gain, tiny) / np.maximum(prices, tiny) / average)
    asked = quotas.capacity.sum(axis=0)[quotas.column]
    held = quotas.profile * np.where(asked > 0, live / np.maximum(asked, 1), 1.0)
    wish = np.maximum(held, least) * np.clip(worth, 1 / (1 + step), 1 + step)
    spend = float(prices @ live) + slack
    low, high = -40.0, 40.0  # log of the scale: every density is at a bound before either
    for _ in range(60):
        middle = (low + high) / 2
        cost = float(prices @ (places * np.clip(np.exp(middle) * wish, least, 1.0)))
        low, high = (middle, high) if cost <= spend else (low, middle)
    profile: Floats = np.clip(np.exp(low) * wish, least, 1.0)
    return profile


def surplus(
    quotas: MovableProfileState, table: Blocks, tile_at: NDArray[np.integer], norm: Floats
) -> NDArray[np.int64]:
    """Slots to give up so that every quota holds: of each source tile and class the weakest branches, int64 [n].

    ``norm`` [slots] ranks them (those that die anyway are 0); ``tile_at`` [groups] is the tile of each group.
    """
    slots = np.flatnonzero(table.tile != DEAD)
    own = quotas.budget.tile_of[table.source[slots]]
    cell = own.astype(np.int64) * quotas.capacity.shape[1] + quotas.class_of[own, tile_at[table.tile[slots]]]
    order = np.lexsort((slots, -norm[slots], cell))
    first = np.searchsorted(cell[order], cell[order], side="left")
    rank = np.arange(order.size) - first
    return np.sort(slots[order][rank >= quotas.capacity.ravel()[cell[order]]])
