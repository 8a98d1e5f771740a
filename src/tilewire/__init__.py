"""Tilewire: train sparse neural networks that fit the chip."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Short names of the parts that a user composes, imported when first asked for.
_SHORT = {
    "load_hardware": "tilewire.hardware.description",
    "load_data": "tilewire.data.catalogue:load",
    "batch": "tilewire.data.augment",
    "Lif": "tilewire.kernels.lif",
    "SpikeEvents": "tilewire.kernels.events",
    "rsnn": "tilewire.kernels.rsnn",
    "by_index": "tilewire.mapping.placement",
    "HopProfile": "tilewire.mapping.budget",
    "Nets": "tilewire.mapping.nets",
    "load_nets": "tilewire.mapping.nets",
    "map_nets": "tilewire.mapping.routing",
    "save_mapping": "tilewire.mapping.routing",
    "AboveThreshold": "tilewire.nn.initialise",
    "TiledRSNN": "tilewire.nn.tiled",
    "TiledSpec": "tilewire.nn.roles",
    "CountReadout": "tilewire.nn.readout",
    "LeakyReadout": "tilewire.nn.readout",
    "BranchThreshold": "tilewire.rewire.drop",
    "Constrained": "tilewire.rewire.constrained",
    "DeepR": "tilewire.rewire.deepr",
    "ByGradient": "tilewire.rewire.grow",
    "branch_gradient": "tilewire.rewire.candidates",
    "SparseTraining": "tilewire.rewire.sparse_training",
    "build_budget": "tilewire.mapping.budgets",
    "load_recipe": "tilewire.config",
    "execute": "tilewire.run",
}


def __getattr__(name: str) -> Any:
    if name not in _SHORT:
        raise AttributeError(f"module 'tilewire' has no attribute '{name}'")
    module, _, attribute = _SHORT[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_SHORT])
