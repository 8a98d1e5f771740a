"""Technology files: YAML -> `Technology`. Every number names its unit, its source and, where one is known, its band."""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from tilewire import units
from tilewire.errors import ConfigError, Fault, UsageError, unknown
from tilewire.hardware.scaling import Voltages, scaled
from tilewire.hardware.technology import Constant, Ports, Scales, Storage, Technology, Tiles, constant
from tilewire.yamlfile import Record, line_of, read, validate

_TECHNOLOGIES = resources.files("tilewire.hardware") / "technologies"
_DIMENSIONS = ("energy", "power", "time", "frequency", "length", "area", "voltage", "conductance", "memory")
MAX_EXTENDS = 8


class Figure(Record):
    """One number: value and band as text with a unit, or bare where it has none; who says so; what scaling does to it."""

    value: str | int | float
    source: str
    low: str | int | float | None = None
    high: str | int | float | None = None
    scales: Scales = "no"


class ScalingKeys(Record):
    """Supply voltages of the node that is extended and of this one: the energy rule needs both."""

    from_voltage: str
    to_voltage: str


class TechnologyFile(Record):
    """A technology as its YAML file states it. ``extends`` takes over the constants of another one, scaled if ``scaling`` is given.

    The last word of a constant's name is its dimension (``hop_east_west_energy``); other names are bare numbers.
    """

    name: str = Field(min_length=1)
    node: str | None = None
    note: str = ""
    extends: str | None = None
    scaling: ScalingKeys | None = None
    storage: Storage | None = None
    ports: Ports | None = None
    tiles: Tiles | None = None
    constants: dict[str, Figure] = Field(default={})


def technologies() -> list[str]:
    """Names of the technologies that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _TECHNOLOGIES.iterdir() if entry.name.endswith(".yaml"))


def locate_technology(name: str | Path, beside: Path | None = None) -> Path:
    """Path of a technology by name or path; a path is also looked for ``beside`` the file that names it.

    Raises `UsageError` with the nearest name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        places = [path] if beside is None else [path, beside / path, beside / path.name]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise UsageError(f"no technology file '{name}'", hint=f"a path, or one of {', '.join(technologies())}")
        return found
    if str(name) not in technologies():
        raise UsageError(
            unknown("technology", str(name), technologies()), hint="a path to a YAML file or the name of a technology"
        )
    return Path(str(_TECHNOLOGIES / f"{name}.yaml"))


def load_technology(name: str | Path, *, beside: Path | None = None) -> Technology:
    """Technology of a file or by name. Raises `ConfigError` with every fault of the file and its line."""
    return _load(locate_technology(name, beside), MAX_EXTENDS)


def dump_technology(technology: Technology) -> str:
    """The technology as the text of a file that needs no other file: JSON, which is YAML."""
    unit = {"energy": "J", "power": "W", "time": "s", "frequency": "Hz", "length": "m", "area": "m2", "voltage": "V",
            "conductance": "S", "memory": "b", "number": ""}  # fmt: skip

    def figure(one: Constant) -> dict[str, str]:
        value, low, high = (f"{v!r} {unit[one.dimension]}".rstrip() for v in (one.value, one.low, one.high))
        return {"value": value, "low": low, "high": high, "source": one.source, "scales": one.scales}

    kinds = {"storage": technology.storage, "ports": technology.ports, "tiles": technology.tiles}
    node = {} if technology.node is None else {"node": f"{technology.node!r} m"}
    constants = {name: figure(one) for name, one in technology.constants.items()}
    whole = {"name": technology.name, "note": technology.note, **node, **kinds, "constants": constants}
    return json.dumps(whole, indent=1) + "\n"


def _load(path: Path, depth: int) -> Technology:
    document = read(path)
    described = validate(document, TechnologyFile, str(path))
    own = _constants(described, document, str(path))
    node = None if described.node is None else units.parse(described.node, "length")
    base = Technology(described.name, {})
    if described.extends is not None:
        if depth == 0:
            raise UsageError(f"extends more than {MAX_EXTENDS} files in a row", where=str(path), hint="a circle?")
        base = _base(described, node, _load(locate_technology(described.extends, path.parent), depth - 1), path)
    return Technology(
        described.name, base.constants | own, described.storage or base.storage, described.ports or base.ports,
        described.tiles or base.tiles, base.node if node is None else node, described.note,
    )  # fmt: skip


def _base(described: TechnologyFile, node: float | None, base: Technology, path: Path) -> Technology:
    """The extended technology, at the node of this file."""
    same = node is None or base.node is None or math.isclose(node, base.node)
    if described.scaling is None:
        if not same:
            raise UsageError(
                f"'{described.extends}' is of another node",
                where=str(path),
                hint="scaling: {from_voltage: ..., to_voltage: ...}, or leave node out",
            )
        return base
    if node is None:
        raise UsageError("scaling without a node to scale to", where=str(path), hint="node: 65 nm")
    voltage = Voltages(*(units.parse(text, "voltage") for text in described.scaling.model_dump().values()))
    return scaled(base, node, voltage)


def _constants(described: TechnologyFile, document: Any, name: str) -> dict[str, Constant]:
    """Every constant of the file, or all their faults at once."""
    found: dict[str, Constant] = {}
    faults = []
    for key, figure in described.constants.items():
        try:
            value, low, high = (None if v is None else str(v) for v in (figure.value, figure.low, figure.high))
            found[key] = constant(key, value or "", _dimension(key), figure.source, low, high, figure.scales)
        except UsageError as error:
            line = line_of(document, ["constants", key])
            faults.append(Fault(f"{name}:{line}" if line else name, f"constants.{key}", error.message))
    if faults:
        raise ConfigError(name, faults, hint="value, low, high and source of every number")
    return found


def _dimension(name: str) -> str:
    last = name.rpartition("_")[2]
    return last if last in _DIMENSIONS else "number"
