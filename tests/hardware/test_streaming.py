"""Descriptions of streaming accelerators: files, sizes, faults, command line."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tilewire.cli.hardware import app
from tilewire.errors import ConfigError, HardwareError, UsageError
from tilewire.hardware.description import load_hardware, load_machine, machine_of
from tilewire.hardware.streaming import TEMPLATE, StreamingAccelerator, grid_of, switch_ports
from tilewire.yamlfile import parse, with_settings


def described(*settings: str) -> StreamingAccelerator:
    document = with_settings(parse(TEMPLATE.format(name="a"), "a.yaml"), settings)
    machine = machine_of(document, "a.yaml")
    assert isinstance(machine, StreamingAccelerator)
    return machine


def test_units_are_text_and_figures_si() -> None:
    machine = described("clock=1.25 GHz", "memory.weight=2 kB", "memory.activation=96 b")
    assert (machine.clock_hz, machine.weight_memory_bits, machine.activation_memory_bits) == (1.25e9, 16000, 96)
    with pytest.raises(FrozenInstanceError):
        machine.pes = 3  # type: ignore[misc]


def test_memory_counts_every_copy() -> None:
    machine = described(
        "stages=3", "pes=5", "banks=7", "accumulators=2", "memory.weight=100 b", "memory.index=10 b",
        "memory.activation=20 b", "memory.route=1000 b", "bits.accumulator=30",
    )  # fmt: skip
    assert machine.memory_bits == 3 * (5 * (100 + 10 + 2 * 2 * 30) + 7 * 2 * 20 + 1000)
    single = described("buffers=1")
    assert single.memory_bits < described("buffers=2").memory_bits


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("pes=0", "pes"), ("clock=8", "clock"), ("clock=3 pJ", "clock"), ("memory.weight=1.5 b", "memory.weight"),
        ("bits.weight=0", "bits.weight"), ("buffers=3", "buffers"), ("size=4", "size"), ("stages=2.5", "stages"),
    ],
)  # fmt: skip
def test_faults_name_the_key(setting: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        described(setting)
    assert any(fault.key == key for fault in caught.value.faults), caught.value.faults


@pytest.mark.parametrize(
    "setting", ["switch=torus", "switch=fixed", "wiring=[{topology: dense, inputs: 4, outputs: 4}]"]
)
def test_switch_and_wiring_belong_together(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"switch|wiring"):
        described(setting)
    wired = described("switch=fixed", "wiring=[{topology: butterfly, inputs: 16, outputs: 16, options: {radix: 4}}]")
    assert wired.wiring[0].options == {"radix": 4}


def test_an_accelerator_is_no_tile_grid(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEMPLATE.format(name="a"))
    assert load_machine(path).family == "streaming"
    with pytest.raises(HardwareError, match="no tiles"):
        load_hardware(path)


def test_record_refuses_impossible_sizes() -> None:
    with pytest.raises(UsageError):
        described().with_sizes(pes=0)
    with pytest.raises(UsageError):
        described().with_sizes(switch="bus")


@pytest.mark.parametrize(("ports", "shape"), [(1, (1, 1)), (12, (3, 4)), (7, (1, 7)), (64, (8, 8))])
def test_floor_plan(ports: int, shape: tuple[int, int]) -> None:
    assert grid_of(ports) == shape
    assert switch_ports("benes", ports, 1) == 1 << (ports - 1).bit_length()
    assert switch_ports("crossbar", 1, ports) == ports


def test_command_line_writes_shows_and_validates(tmp_path: Path) -> None:
    run, path, copy = CliRunner().invoke, str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    assert run(app, ["new", "streaming", "--out", path, "--set", "pes=6"]).exit_code == 0
    assert json.loads(run(app, ["show", path, "--json"]).stdout)["pes"] == 6
    assert run(app, ["validate", path]).exit_code == 0
    assert run(app, ["new", path, "--out", copy, "--set", "banks=9"]).exit_code == 0
    text = Path(copy).read_text()
    assert "# activation banks per array" in text
    assert "banks: 9" in text
    assert run(app, ["new", "streaming", "--out", str(tmp_path / "c.yaml"), "--set", "pes=-1"]).exit_code != 0
    assert not (tmp_path / "c.yaml").exists()
