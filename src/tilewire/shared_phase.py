"""The all-to-all phase of a compression, trained once for all runs that differ only in what they prune it into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tilewire import checkpoint
from tilewire.config import BudgetConfig, EvaluateConfig, Recipe, dump
from tilewire.errors import RunError
from tilewire.hardware.fabric import TileFabric

# What an all-to-all network does not see; everything else in a recipe names the phase.
UNSEEN = {
    "hardware": "", "budget": BudgetConfig(), "router": "one-turn", "placement": "by-index", "evaluate": EvaluateConfig(),
}  # fmt: skip


def phase_name(recipe: Recipe, manifest: Mapping[str, Any], fabric: TileFabric) -> str:
    """sha256 over all that decides the phase: the recipe but for `UNSEEN`; of the chip the grid, the neurons per tile and the hop
    distances, not the channels; and the run's manifest (packages, threads, kernel tier, digest of the data)."""
    found = hashlib.sha256(dump(recipe.model_copy(update=UNSEEN)).encode())
    found.update(f"{fabric.grid} {fabric.neurons_per_tile} {fabric.hop_distance.tolist()}".encode())
    found.update(json.dumps({k: v for k, v in manifest.items() if k != "hardware"}, sort_keys=True).encode())
    return found.hexdigest()


class SharedPhase:
    """The phase of one recipe in a folder that several runs, also of several processes, share.

    It is kept as a checkpoint of the last step before the pruning, so a run that finds one goes on exactly as if it had trained
    the phase itself (tested: same bits). Two processes that train the same phase at the same time both do; one of them leaves it.
    """

    def __init__(self, folder: Path, recipe: Recipe, manifest: Mapping[str, Any], fabric: TileFabric) -> None:
        self.folder = folder / phase_name(recipe, manifest, fabric)[:24]
        self.after = recipe.compress.after if recipe.compress else 0

    def ends_with(self, epoch: int) -> bool:
        """Whether this epoch, counted from 0, is the last of the phase."""
        return epoch == self.after - 1

    def find(self, note: Callable[[str], None]) -> checkpoint.Checkpoint | None:
        """The phase if another run has left it; a damaged one is noted and passed over."""
        try:
            saved, warnings = checkpoint.load_latest(self.folder)
        except RunError as error:
            saved, warnings = None, [str(error)]
        for warning in warnings:
            note(f"shared phase: {warning}")
        return saved

    def leave(
        self, step: int, arrays: checkpoint.Arrays, state: Mapping[str, Any], note: Callable[[str], None]
    ) -> None:
        """Leave the phase for others, unless it is there. A failure is noted; it costs others time and this run nothing."""
        try:
            with checkpoint.lock(self.folder):
                checkpoint.clean(self.folder)
                if self.find(lambda _: None) is None:
                    checkpoint.save(self.folder, step, arrays, state)
        except RunError as error:
            note(f"shared phase not left: {error}")
