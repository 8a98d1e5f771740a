"""Process nodes: how area and energy of logic change with the node (Stillmaker and Baas, Integration 58, 2017).

    area' = area A(node') / A(node),   energy' = energy f'(V') / f(V),   f(V) = a V^2 + b V + c

Figures as tabulated in the scaling script of the Accelergy library. Only logic scales by them: memory arrays, analog circuits and wires
do not, and no rule for delay or leakage stands in the table, so such constants are lost, not guessed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeVar

from tilewire.errors import UsageError
from tilewire.hardware.technology import Constant, Technology

T = TypeVar("T")
SOURCE = "scaled: Stillmaker and Baas 2017, as tabulated in Accelergy scaling.py"
AREA = {130: 6.4, 65: 1.5, 45: 1.0, 32: 0.46, 16: 0.19, 7: 0.059}  # nm -> relative to 45 nm
ENERGY = {
    130: (7.171, -6.709, 2.904),
    65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.277),
    32: (0.956, -0.782, 0.471),
    16: (0.296, -0.124, 0.030),
    7: (0.178, -0.091, 0.024),
}  # nm -> a, b, c of f(V)


class Voltages(NamedTuple):
    """Supply in V before and after."""

    before: float
    after: float


def _entry(table: dict[int, T], node: float) -> T:
    size = round(node * 1e9)
    if size not in table or abs(node * 1e9 - size) > 1e-6:
        raise UsageError(
            f"no scaling rule for {node * 1e9:g} nm", hint=f"one of {', '.join(str(n) for n in sorted(table))} nm"
        )
    return table[size]


def area_factor(before: float, after: float) -> float:
    """Area of logic at node ``after`` [m] over that at ``before`` [m]. Raises `UsageError` for a node without a rule."""
    return _entry(AREA, after) / _entry(AREA, before)


def energy_factor(before: float, after: float, voltage: Voltages) -> float:
    """Energy of an operation at node ``after`` over that at ``before``. Raises `UsageError` for a node without a rule."""

    def f(node: float, v: float) -> float:
        a, b, c = _entry(ENERGY, node)
        return a * v * v + b * v + c

    if min(voltage) <= 0:
        raise UsageError(f"supply voltages {voltage.before:g} V and {voltage.after:g} V", hint="both above zero")
    return f(after, voltage.after) / f(before, voltage.before)


def scaled(technology: Technology, node: float, voltage: Voltages) -> Technology:
    """The technology at another node [m]: energies and areas of logic scaled with their bands, bare figures kept, the rest lost."""
    if technology.node is None:
        raise UsageError(f"technology '{technology.name}' states no node to scale from")
    factor = {
        "energy": energy_factor(technology.node, node, voltage),
        "area": area_factor(technology.node, node),
    }

    def at_node(one: Constant) -> Constant | None:
        if one.scales == "fixed":
            return one
        by = factor.get(one.dimension) if one.scales == "logic" else None
        if by is None:
            return None
        source = f"{one.source}; {SOURCE}"
        return replace(one, value=one.value * by, low=one.low * by, high=one.high * by, source=source)

    kept = {name: moved for name, one in technology.constants.items() if (moved := at_node(one))}
    return replace(technology, constants=kept, node=node)
