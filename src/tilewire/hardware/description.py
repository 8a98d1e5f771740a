"""Hardware files: YAML -> validated description -> `TileFabric` or accelerator. One table row per family."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from tilewire.errors import ConfigError, Fault, HardwareError, UsageError, nearest, unknown
from tilewire.hardware.fabric import TileFabric, check_fabric
from tilewire.hardware.mesh import MeshDescription
from tilewire.hardware.mosaic import MosaicDescription
from tilewire.hardware.streaming import StreamingAccelerator, StreamingDescription
from tilewire.hardware.technology import Technology
from tilewire.hardware.technology_file import load_technology
from tilewire.yamlfile import line_of, read, validate

Machine = TileFabric | StreamingAccelerator


class Description(Protocol):
    """What a family's record must offer: its fields are the YAML keys, and it builds the machine."""

    @property
    def technology(self) -> str | None: ...

    def build(self, technology: Technology | None = None) -> Machine: ...

    def model_dump(self) -> dict[str, Any]: ...


FAMILIES: dict[str, type[Any]] = {
    "mosaic": MosaicDescription,
    "mesh": MeshDescription,
    "streaming": StreamingDescription,
}
_PRESETS = resources.files("tilewire.hardware") / "presets"


def presets() -> list[str]:
    """Names of the hardware files that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir() if entry.name.endswith(".yaml"))


def locate(name: str | Path) -> Path:
    """Path of a hardware file or of a preset by name. Raises `UsageError` with the nearest preset."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        if not path.is_file():
            raise UsageError(f"no hardware file '{name}'", hint=f"a path, or a preset: {', '.join(presets())}")
        return path
    if str(name) not in presets():
        raise UsageError(
            unknown("hardware", str(name), presets()), hint="a path to a YAML file or the name of a preset"
        )
    return Path(str(_PRESETS / f"{name}.yaml"))


def describe(document: Any, where: str) -> Description:
    """Validate a parsed hardware document. Raises `ConfigError` with every fault, its file:line and the nearest name."""
    if not isinstance(document, Mapping):
        raise ConfigError(where, [Fault(where, "file", "holds no mapping of keys to values")])
    family = document.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        line = line_of(document, ["family"])
        problem = "missing" if family is None else f"unknown family {reprlib.repr(family)}"
        fault = Fault(
            f"{where}:{line}" if line else where, "family", problem, ", ".join(FAMILIES), nearest(str(family), FAMILIES)
        )
        raise ConfigError(where, [fault])
    description: Description = validate(document, FAMILIES[family], where)
    return description


def load_description(name: str | Path) -> Description:
    """Description of a hardware file or preset."""
    path = locate(name)
    return describe(read(path), str(path))


def machine_of(document: Any, where: str = "hardware") -> Machine:
    """Machine of a parsed document of any family; the file of its technology may lie beside the file ``where``.

    Raises `ConfigError` (description, technology) or `HardwareError` (graph).
    """
    description = describe(document, where)
    name = description.technology
    machine = description.build(load_technology(name, beside=Path(where).parent) if name else None)
    if isinstance(machine, TileFabric):
        check_fabric(machine)
    return machine


def load_machine(name: str | Path) -> Machine:
    """Machine of a hardware file or preset of any family."""
    path = locate(name)
    return machine_of(read(path), str(path))


def load_hardware(name: str | Path) -> TileFabric:
    """Fabric of a hardware file or preset. Raises `ConfigError` (file) or `HardwareError` (graph, or no tile fabric)."""
    return _with_tiles(load_machine(name), str(name))


def from_mapping(document: Mapping[str, Any], where: str = "hardware") -> TileFabric:
    """Fabric of a description given in place, e.g. inside a recipe."""
    return _with_tiles(machine_of(document, where), where)


def _with_tiles(machine: Machine, where: str) -> TileFabric:
    if not isinstance(machine, TileFabric):
        raise HardwareError(
            f"family '{machine.family}' has no tiles", where=where, hint="a file of family mosaic or mesh"
        )
    return machine


def fabric_hash(fabric: TileFabric) -> str:
    """Digest of everything that placement and routing see; two files that build the same chip share it."""
    digest = hashlib.sha256(
        json.dumps([fabric.family, fabric.grid, fabric.neurons_per_tile, list(fabric.kinds)]).encode()
    )
    for array in (
        fabric.kind,
        fabric.tile_node,
        fabric.link_source,
        fabric.link_target,
        fabric.link_port,
        fabric.port_width,
    ):
        digest.update(array.tobytes())
    return digest.hexdigest()
