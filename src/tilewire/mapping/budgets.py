"""The kinds of budget by name, as recipes ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import BudgetError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import Budget, BudgetState, HopProfile
from tilewire.mapping.count_budget import Count
from tilewire.mapping.fan_budget import AllOf, Fan
from tilewire.mapping.memory_budget import DeviceMemory
from tilewire.mapping.placed_budget import Placed
from tilewire.mapping.port_budget import NegotiatedPorts, OneTurnPorts
from tilewire.mapping.split_budget import MovableProfile
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]
Options = Mapping[str, Any]


def _profile(fabric: TileFabric, options: Options) -> Mapping[int, float]:
    """The profile that the options name, or the largest one that the chip carries."""
    derive, profile = options.get("from_hardware"), options.get("profile") or {}
    if not derive:
        return profile
    if profile:
        raise BudgetError("a profile is given and derived from the hardware", hint="profile or from_hardware")
    from tilewire.mapping.admissible_profile import admissible_profile
    from tilewire.streams import stream

    return admissible_profile(
        fabric, derive.get("direction", "nearest"), derive.get("confidence", 0.95),
        method=derive.get("method", "monte-carlo"), router=options.get("router", "one-turn"),
        networks=derive.get("networks", 100), rng=stream(derive.get("seed", 0), "profile"),
    ).profile  # fmt: skip


def _hop_profile(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    return HopProfile.of(fabric, _profile(fabric, options), tile_of)


def _memory(fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    if options.get("devices") is None:
        raise BudgetError("a memory budget needs a limit", hint="devices: the largest M that the network may need")
    negotiated = options.get("router", "one-turn") != "one-turn"
    sized = options.get("tile_out", "chip") == "sized"
    memory = DeviceMemory(fabric, tile_of, int(options["devices"]), sized, negotiated, options.get("branches"))
    profile = _profile(fabric, options)
    if not profile:
        return memory
    quotas = MovableProfile if options.get("movable") else HopProfile
    return AllOf([quotas.of(fabric, profile, tile_of), memory], tile_of)


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
    kinds = [part["kind"] for part in parts]
    if options.get("router", "one-turn") != "one-turn" and sum(kind in ("ports", "memory") for kind in kinds) > 1:
        raise BudgetError(
            "two budgets would grow trees of their own", hint="memory holds the ports of the chip too: name it alone"
        )
    shared = {name: options[name] for name in ("router", "movable") if name in options}
    return AllOf([build_budget(str(part["kind"]), fabric, tile_of, {**shared, **part}) for part in parts], tile_of)


BUDGETS: dict[str, Callable[[TileFabric, Ints, Options], Budget]] = {
    "hop-profile": _hop_profile,
    "ports": _ports,
    "memory": _memory,
    "fan": _fan,
    "branches": _branches,
    "all-of": _all_of,
}


def build_budget(kind: str, fabric: TileFabric, tile_of: Ints, options: Options) -> Budget:
    """The budget of a kind; ``tile_of`` int32 [neurons]. Raises `BudgetError`.

    Options: those of a recipe's budget (profile, from_hardware, branches, devices, tile_out, fan_in, fan_out, all), router, and movable:
    a profile beside a memory limit may then be moved by a learned split.
    """
    if kind not in BUDGETS:
        raise BudgetError(unknown("budget", kind, BUDGETS))
    return BUDGETS[kind](fabric, np.asarray(tile_of, np.int32), options)


def build_placed(kind: str, fabric: TileFabric, group_of: Ints, options: Options) -> Budget:
    """The same for groups of neurons that may change tiles later; group g starts on tile g."""
    build = partial(build_budget, kind, fabric, options=options)
    return Placed(lambda tile_of: build(tile_of=tile_of), group_of, np.arange(fabric.n_tiles, dtype=np.int32))


def trees_of(state: BudgetState) -> Trees | None:
    """The trees that a state holds, or None if its budget routes by fixed paths or not at all."""
    arrays = state.arrays()
    prefix = next((name.removesuffix("tree_ptr") for name in arrays if name.endswith("tree_ptr")), None)
    if prefix is None:
        return None
    return Trees(arrays[prefix + "tree_ptr"], arrays[prefix + "tree_link"])
