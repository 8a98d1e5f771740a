"""Technology files: every number with unit, source and band; user files; all faults at once."""

from pathlib import Path

import pytest

from tilewire.errors import ConfigError, UsageError
from tilewire.hardware.description import load_hardware
from tilewire.hardware.scaling import Voltages, area_factor, energy_factor, scaled
from tilewire.hardware.technology import constant
from tilewire.hardware.technology_file import dump_technology, load_technology, technologies


@pytest.mark.parametrize("name", technologies())
def test_packaged_numbers_have_source_and_band(name: str) -> None:
    known = load_technology(name)
    assert known.name == name
    assert known.note
    assert known.constants
    for one in known.constants.values():
        assert one.source.strip()
        assert 0 <= one.low <= one.value <= one.high


def test_the_neighbour_of_mosaic_is_flagged_and_never_complete() -> None:
    known = load_technology("wan-130nm")
    assert "not Mosaic" in known.note
    assert known.get("synapse_energy") is None


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_user_file_extends_and_overrides(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name: mine\nextends: loihi-14nm\nports: channels\n"
        "constants:\n  synapse_energy: {value: 5 pJ, source: our bench}\n",
    )
    known = load_technology(path)
    assert (known.name, known.ports, known.storage) == ("mine", "channels", "bits")
    assert known.constants["synapse_energy"].value == pytest.approx(5e-12)
    assert known.constants["hop_east_west_energy"].value == pytest.approx(3e-12)
    assert load_technology("mine.yaml", beside=tmp_path).name == "mine"


def test_every_fault_of_a_file_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name: mine\nconstants:\n"
        "  hop_energy: {value: 3 ns, source: a table}\n"
        "  spike_energy: {value: 3 pJ, source: ' '}\n"
        "  cell_area: {value: 3 um2, high: 2 um2, source: a table}\n"
        "  step_time: {value: -3 ns, source: a table}\n",
    )
    with pytest.raises(ConfigError) as error:
        load_technology(path)
    assert [fault.key for fault in error.value.faults] == [
        f"constants.{name}" for name in ("hop_energy", "spike_energy", "cell_area", "step_time")
    ]
    assert "no source" in str(error.value)
    assert "mine.yaml:3" in str(error.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name: mine\nconstants: {a_energy: {value: 3 pJ}}\n", "source"),
        ("name: mine\nconstant: {}\n", "constants"),
        ("name: mine\nextends: loihi\n", "loihi-14nm"),
        ("name: mine\nnode: 65 nm\nextends: horowitz-45nm\n", "another node"),
        ("name: mine\nextends: mine.yaml\n", "extends more than"),
        ("name: mine\nnode: 28 nm\nextends: horowitz-45nm\nscaling: {from_voltage: 1 V, to_voltage: 1 V}\n", "28 nm"),
        ("name: mine\nstorage: paper\n", "bits"),
    ],
)
def test_wrong_files_name_the_fix(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        load_technology(write(tmp_path, text))


def test_unknown_name_and_missing_file() -> None:
    with pytest.raises(UsageError, match="did you mean 'loihi-14nm'"):
        load_technology("loihi14")
    with pytest.raises(UsageError, match="no technology file"):
        load_technology("nowhere.yaml")


def test_scaling_follows_the_published_rules(tmp_path: Path) -> None:
    assert area_factor(45e-9, 130e-9) == pytest.approx(6.4)
    assert area_factor(32e-9, 16e-9) == pytest.approx(0.19 / 0.46)
    by = energy_factor(45e-9, 65e-9, Voltages(0.9, 1.1))
    assert by == pytest.approx((3.755 * 1.21 - 4.398 * 1.1 + 1.975) / (1.103 * 0.81 - 0.362 * 0.9 + 0.277))
    assert energy_factor(45e-9, 45e-9, Voltages(1.0, 1.0)) == pytest.approx(1)
    path = write(
        tmp_path,
        "name: mine\nnode: 65 nm\nextends: horowitz-45nm\nscaling: {from_voltage: 0.9 V, to_voltage: 1.1 V}\n",
    )
    moved, before = load_technology(path), load_technology("horowitz-45nm")
    assert moved.constants["add_int32_energy"].value == pytest.approx(by * 0.1e-12)
    assert moved.constants["add_int32_area"].high == pytest.approx(1.5 * before.constants["add_int32_area"].high)
    assert "Stillmaker" in moved.constants["add_int32_area"].source
    assert moved.get("cache_8kb_word64_read_energy") is None, "memory arrays have no rule and are lost"


def test_what_has_no_rule_is_lost() -> None:
    known = load_technology("cacti-45nm")
    assert scaled(known, 16e-9, Voltages(0.9, 0.8)).constants == {}
    with pytest.raises(UsageError, match="above zero"):
        scaled(known, 16e-9, Voltages(0.0, 0.8))


def test_zero_can_be_the_lower_end() -> None:
    one = constant("leakage_power", "3 nW", "power", "a table", low="0 W")
    assert (one.low, one.high) == (0.0, one.value)


@pytest.mark.parametrize("name", technologies())
def test_a_technology_written_out_is_the_same(tmp_path: Path, name: str) -> None:
    known = load_technology(name)
    assert load_technology(write(tmp_path, dump_technology(known))) == known


def test_a_chip_names_its_technology(tmp_path: Path) -> None:
    write(tmp_path, "name: mine\nextends: loihi-14nm\n")
    chip = tmp_path / "chip.yaml"
    text = "family: mesh\ngrid: [2, 2]\nneurons_per_tile: 4\nchannels: {router: 8}\ntechnology: "
    for name, found in (("loihi-14nm", "loihi-14nm"), ("mine.yaml", "mine"), ("elsewhere/mine.yaml", "mine")):
        chip.write_text(text + name)
        technology = load_hardware(chip).technology
        assert technology is not None
        assert technology.name == found
    chip.write_text(text + "loihi15")
    with pytest.raises(UsageError, match="loihi-14nm"):
        load_hardware(chip)
