"""The kinds of budget by name, as recipes ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import BudgetError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import Budget, BudgetState, HopProfile
from tilewire.mapping.count_budget import Count
from tilewire.mapping.fan_budget import AllOf, Fan
from tilewire.mapping.port_budget import NegotiatedPorts, OneTurnPorts
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]
Options = Mapping[str, Any]


def _hop_profile(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    return HopProfile.of(fabric, options.get("profile") or {}, tile_of)


def _ports(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    kind = OneTurnPorts if options.get("router", "one-turn") == "one-turn" else NegotiatedPorts
    return kind(fabric, tile_of, options.get("branches"))


def _fan(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    if options.get("fan_in") is None and options.get("fan_out") is None:
        raise BudgetError("a fan budget limits nothing", hint="give fan_in, fan_out or both")
    return Fan(fabric, tile_of, options.get("fan_out"), options.get("fan_in"))


def _branches(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    return Count(tile_of, fabric.n_tiles, options.get("branches"))


def _all_of(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    parts: Sequence[Options] = options.get("all") or []
    if not parts:
        raise BudgetError("an all-of budget names no budgets", hint="all: [{kind: ...}, {kind: ...}]")
    router = options.get("router", "one-turn")
    return AllOf(
        [build_budget(str(part["kind"]), fabric, tile_of, {"router": router, **part}) for part in parts], tile_of
    )


BUDGETS: dict[str, Callable[[TileFabric, Ints, Options], Budget]] = {
    "hop-profile": _hop_profile,
    "ports": _ports,
    "fan": _fan,
    "branches": _branches,
    "all-of": _all_of,
}


def build_budget(kind: str, fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    """The budget of a kind; ``tile_of`` int32 [neurons]. Options: profile, branches, fan_in, fan_out, all, router. Raises `BudgetError`."""
    if kind not in BUDGETS:
        raise BudgetError(unknown("budget", kind, BUDGETS))
    return BUDGETS[kind](fabric, np.asarray(tile_of, np.int32), options)


def trees_of(state: BudgetState) -> Trees | None:
    """The trees that a state holds, or None if its budget routes by fixed paths or not at all."""
    arrays = state.arrays()
    prefix = next((name.removesuffix("tree_ptr") for name in arrays if name.endswith("tree_ptr")), None)
    if prefix is None:
        return None
    return Trees(arrays[prefix + "tree_ptr"], arrays[prefix + "tree_link"])
