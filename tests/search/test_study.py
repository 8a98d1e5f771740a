import pytest

from tilewire.errors import ConfigError
from tilewire.search.study import Constraint, load_study, reseeded


def faults(study, tmp_path, *changes):
    text = study.path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    return [str(fault) for fault in caught.value.faults]


def test_every_fault_of_a_file_at_once(study, tmp_path):
    found = faults(
        study, tmp_path, ("objectives: [validation_accuracy,", "objectives: [validation_acuracy,"),
        ('"memory_devices <= 1000000"', '"memory_devices <= 10", "memory_devices >= 20", "memory"'),
    )  # fmt: skip
    text = "\n".join(found)
    assert "did you mean 'validation_accuracy'" in text
    assert "leave no value" in text
    assert "'memory' is no bound" in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hardware.grid: [[4, 4], [5, 5], [6, 6]]", "hardware.grid: []", "has no choices"),
        ("budget.profile.1: {", "budget.profil.1: {", "did you mean 'profile'"),
        ("{ low: 1, high: 16, log: true }", "{ low: 17, high: 16 }", "no value is left"),
        ("settings: { hardware: mosaic-5x5-neighbours }", "settings: { hardwear: x }", "hand.settings: hardwear"),
        ("population: 4", "population: 0", "at least 1"),
        ("reference: { validation_accuracy: 0.0,", "reference: {", "missing: the worst value"),
    ],
)
def test_a_fault_is_named_with_its_key(study, tmp_path, old, new, told):
    assert any(told in fault for fault in faults(study, tmp_path, (old, new)))


def test_an_empty_space_is_named(study, tmp_path):
    text = study.path.read_text()
    start, end = text.index("space:"), text.index("objectives:")
    path = tmp_path / "empty.yaml"
    path.write_text(text[:start] + "space: {}\n" + text[end:])
    with pytest.raises(ConfigError, match="nothing to search"):
        load_study(path)


def test_constraints_measure_how_far_beyond():
    assert Constraint("x", "<=", 10).violation({"x": 15}) == 0.5
    assert Constraint("x", ">=", 10).violation({"x": 15}) == -0.5
    assert Constraint("x", "<=", 0).violation({"x": 2}) == 2
    assert Constraint("x", "<=", 1).violation({}) == float("inf")


def test_losses_turn_every_sense_into_less_is_better(study):
    assert study.losses({"validation_accuracy": 0.9, "memory_devices": 5}) == (-0.9, 5.0)
    assert study.losses({"validation_accuracy": 0.9, "memory_devices": None}) is None


def test_another_seed_is_another_study(study):
    assert reseeded(study, 9).file.seed == 9
    assert reseeded(study, 9).digest != study.digest
