"""The shared first phase of compressions: same bits with and without it, named by all that decides it."""

import pytest

from tilewire.config import hardware_of, load_recipe
from tilewire.run import Silent, execute
from tilewire.shared_phase import phase_name

STATIC = {"every": 0}


class Counting(Silent):
    """Counts steps and keeps notes."""

    def __init__(self):
        self.steps, self.notes = 0, []

    def step(self, report):
        self.steps += 1

    def note(self, text):
        self.notes.append(text)


def recipe_of(toy_recipe, **sections):
    base = {"compress": {"after": 2, "penalty": 0.1}, "rewire": STATIC, "budget": {"kind": "fan", "fan_in": 6}}
    return load_recipe(str(toy_recipe(**(base | sections))))


def test_a_found_phase_gives_the_same_bits_and_is_not_trained_again(toy_recipe, tmp_path):
    share = tmp_path / "share"
    first, second = recipe_of(toy_recipe), recipe_of(toy_recipe, budget={"kind": "ports"}, router="negotiated")
    alone, leaving, finding = Counting(), Counting(), Counting()
    whole = execute(second, tmp_path / "alone", alone)
    execute(first, tmp_path / "leaving", leaving, share=share)
    assert execute(second, tmp_path / "finding", finding, share=share) == whole
    for name in ("metrics.jsonl", "manifest.json"):
        assert (tmp_path / "finding" / name).read_text() == (tmp_path / "alone" / name).read_text()
    epochs = second.train.epochs
    assert leaving.steps == alone.steps
    assert finding.steps == alone.steps * (epochs - 2) // epochs
    assert len(list(share.iterdir())) == 1


def test_a_damaged_phase_is_noted_and_trained_anew(toy_recipe, tmp_path):
    share, recipe, seen = tmp_path / "share", recipe_of(toy_recipe), Counting()
    whole = execute(recipe, tmp_path / "a", share=share)
    blob = next(share.glob("*/step-*/state.safetensors"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    assert execute(recipe, tmp_path / "b", seen, share=share) == whole
    assert any("shared phase" in note and "sha256" in note for note in seen.notes)
    again = Counting()
    assert execute(recipe, tmp_path / "c", again, share=share) == whole
    assert again.steps < seen.steps


def test_a_folder_that_cannot_be_written_costs_the_run_nothing(toy_recipe, tmp_path):
    (tmp_path / "file").write_text("")
    seen = Counting()
    execute(recipe_of(toy_recipe), tmp_path / "run", seen, share=tmp_path / "file")
    assert any("not left" in note for note in seen.notes)


CHIP = {"family": "mosaic", "grid": [2, 3], "neurons_per_tile": 4, "channels": {"router": 16, "tile_in": 16}}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"budget": {"kind": "branches", "branches": 9}}, True),
        ({"router": "negotiated"}, True),
        ({"evaluate": {"sizing": []}}, True),
        ({"hardware": CHIP | {"channels": {"router": 2, "tile_in": 3}}}, True),
        ({"hardware": CHIP | {"grid": [3, 2]}}, False),
        ({"hardware": CHIP | {"neurons_per_tile": 5}}, False),
        ({"seed": 2}, False),
        ({"compress": {"after": 2, "penalty": 0.2}}, False),
        ({"compress": {"after": 1, "penalty": 0.1}}, False),
        ({"rewire": STATIC | {"threshold": 0.02}}, False),
    ],
)
def test_the_name_knows_what_decides_the_phase(toy_recipe, changed, same):
    def name(here, **sections):
        recipe = recipe_of(toy_recipe, **({"hardware": CHIP} | sections))
        return phase_name(recipe, here, hardware_of(recipe))

    here = {"threads": 1, "kernel_tier": "numba", "hardware": {"hash": "a"}}
    assert (name(here, **changed) == name(here)) is same
    assert name(here | {"threads": 2}) != name(here)


def test_another_chip_of_the_grid_finds_the_phase_and_gives_the_same_bits(toy_recipe, tmp_path):
    share, seen = tmp_path / "share", Counting()
    wide = recipe_of(toy_recipe, hardware=CHIP)
    narrow = recipe_of(
        toy_recipe, hardware=CHIP | {"channels": {"router": 1, "tile_in": 2, "tile_out": 2}}, budget={"kind": "ports"},
        router="negotiated",
    )  # fmt: skip
    execute(wide, tmp_path / "wide", share=share)
    found = execute(narrow, tmp_path / "found", seen, share=share)
    assert seen.steps > 0
    assert found == execute(narrow, tmp_path / "alone")
    assert len(list(share.iterdir())) == 1
