from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import ConfigError, TilewireError, UsageError
from tilewire.hardware.description import describe, fabric_hash, from_mapping, load_hardware, locate, presets
from tilewire.yamlfile import parse

GOOD = """\
family: mosaic
name: chip
grid: [2, 3]
neurons_per_tile: 4
channels:
  router: 3
  tile_in: { north: 4, east: 5, south: 4, west: 5 }
blocked:
  - { tile: [0, 1], port: north }
"""


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        describe(parse(text, "chip.yaml"), "chip.yaml")
    return {fault.key: str(fault) for fault in caught.value.faults}


def test_the_good_file_builds():
    fabric = from_mapping(parse(GOOD, "chip.yaml"))
    assert fabric.grid == (2, 3)
    assert fabric.name == "chip"


def test_all_faults_at_once_each_with_its_line():
    text = GOOD.replace("grid: [2, 3]", "gird: [2, 3]").replace("router: 3", "router: -3").replace("4\n", "many\n", 1)
    found = faults_of(text)
    assert found["gird"].startswith("chip.yaml:3: gird: unknown key")
    assert "did you mean 'grid'?" in found["gird"]
    assert "missing" in found["grid"]
    assert found["neurons_per_tile"].startswith("chip.yaml:4: ")
    assert "'many'" in found["neurons_per_tile"]
    assert found["channels.router"].startswith("chip.yaml:6: ")
    assert "0 to 1048576" in found["channels.router"]


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("[2, 3]", "[2]", "chip.yaml:3", "grid"),
        ("[2, 3]", "[2, 3, 4]", "chip.yaml:3", "grid"),
        ("[2, 3]", "[0, 3]", "chip.yaml:3", "each at least 1"),
        ("[2, 3]", "[-2, 3]", "chip.yaml:3", "each at least 1"),
        ("[2, 3]", "[2.5, 3]", "chip.yaml:3", "integer"),
        ("[2, 3]", "5x5", "chip.yaml:3", "grid"),
        ("[2, 3]", "['2', '3']", "chip.yaml:3", "integer"),
        ("[2, 3]", "[100000, 100000]", "chip.yaml:3", "at most 16384 tiles"),
        ("neurons_per_tile: 4", "neurons_per_tile: true", "chip.yaml:4", "is True"),
        ("neurons_per_tile: 4", "neurons_per_tile: '4'", "chip.yaml:4", "is '4'"),
        ("neurons_per_tile: 4", "neurons_per_tile: .inf", "chip.yaml:4", "inf"),
        ("neurons_per_tile: 4", "neurons_per_tile: 5000", "chip.yaml:4", "at most 4096"),
        ("router: 3", "router: 3.5", "chip.yaml:6", "whole number"),
        ("router: 3", "router: true", "chip.yaml:6", "whole number"),
        ("router: 3", "router: [1, 2, 3, 4]", "chip.yaml:6", "whole number"),
        ("router: 3", "ruter: 3", "chip.yaml:6", "did you mean 'router'?"),
        ("west: 5", "wset: 5", "chip.yaml:7", "did you mean 'west'?"),
        ("west: 5", "west: -5", "chip.yaml:7", "at least 0"),
        ("family: mosaic", "family: mosiac", "chip.yaml:1", "did you mean 'mosaic'?"),
        ("family: mosaic", "family: [mosaic]", "chip.yaml:1", "unknown family"),
        ("family: mosaic", "family: null", "chip.yaml", "missing"),
        ("port: north", "port: up", "chip.yaml:9", "'north', 'east', 'south', 'west' or 'local'"),
        ("tile: [0, 1], ", "", "chip.yaml:9", "either a tile or a router"),
        ("name: chip", "name: !!python/object:os.system echo", "chip.yaml", "no text, number, list or mapping"),
    ],
)
def test_one_mistake(old, new, where, says):
    assert old in GOOD
    shown = "\n".join(faults_of(GOOD.replace(old, new)).values())
    assert where in shown
    assert says in shown


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words\n", "3\n", "null\n"])
def test_a_file_without_keys(text):
    assert "holds no mapping of keys to values" in faults_of(text)["file"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("family: [mosaic\n", "chip.yaml:2"),
        ("a: 1\na: 2\n", "chip.yaml:2"),
        ("a: b: c\n", "chip.yaml:1"),
        ("\tx: 1\n", "chip.yaml:1"),
    ],
)
def test_syntax_errors_name_the_line(text, where):
    with pytest.raises(ConfigError) as caught:
        parse(text, "chip.yaml")
    assert where in str(caught.value)


def test_a_blocked_port_that_does_not_exist():
    with pytest.raises(UsageError, match=r"no tile at \[9, 9\]"):
        from_mapping(parse(GOOD.replace("[0, 1]", "[9, 9]"), "chip.yaml"))


def test_names_and_paths(tmp_path: Path):
    with pytest.raises(UsageError, match="did you mean 'mosaic-5x5-proposed'"):
        locate("mosaic-5x5-propsed")
    with pytest.raises(UsageError, match="no hardware file"):
        locate(tmp_path / "absent.yaml")
    with pytest.raises(UsageError, match="no hardware file"):
        locate(tmp_path)
    for name in presets():
        load_hardware(name)


def test_hash_tells_chips_apart():
    chip = parse(GOOD, "chip.yaml")
    assert fabric_hash(from_mapping(chip)) == fabric_hash(from_mapping(dict(chip) | {"name": "another"}))
    assert fabric_hash(from_mapping(chip)) != fabric_hash(from_mapping(dict(chip) | {"blocked": []}))
    assert fabric_hash(from_mapping(chip)) != fabric_hash(from_mapping(dict(chip) | {"grid": [3, 2]}))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_mutated_file_is_a_chip_or_a_named_error(data):
    text = GOOD
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(at + 8, len(text))))
        text = (
            text[:at]
            + data.draw(st.text("[]{}:,-&*!|>'\"#%@ \n\t0123456789.eaxmn\u00e9\u2028", max_size=6))
            + text[end:]
        )
    shown = "chip.yaml"
    try:
        from_mapping(parse(text, "chip.yaml"), "chip.yaml")
    except TilewireError as error:
        shown = str(error)
    assert "chip.yaml" in shown or "blocked" in shown
