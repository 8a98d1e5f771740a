import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tilewire import checkpoint
from tilewire.config import load_recipe
from tilewire.errors import BudgetError, DataError, RunError, TilewireError, TrainingError, UsageError
from tilewire.parts import prepare_data
from tilewire.run import Interrupted, Silent, execute

ARTEFACTS = ("metrics.jsonl", "evaluation.json", "config.yaml", "hardware.yaml")


@pytest.fixture
def stopped(stop_after):
    """Runs a recipe until it is told to stop, after so many steps."""

    def run(recipe, folder, steps):
        with pytest.raises(Interrupted, match="everything is saved"):
            execute(recipe, folder, stop_after(steps))

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ARTEFACTS}


@pytest.fixture
def recipe(toy_recipe):
    return load_recipe(str(toy_recipe()))


@pytest.fixture
def unbroken(recipe, tmp_path):
    execute(recipe, tmp_path / "unbroken")
    return tmp_path / "unbroken"


def test_resumed_at_random_steps_is_bit_identical(recipe, unbroken, tmp_path, stopped):
    rng = np.random.default_rng(1)
    for trial in range(3):
        folder, done = tmp_path / f"broken-{trial}", 0
        while (steps := int(rng.integers(1, 7))) + done <= 15:
            stopped(recipe, folder, steps)
            done += steps
        execute(recipe, folder)
        assert contents(folder) == contents(unbroken)


@pytest.mark.parametrize(
    "sections",
    [
        {"network": {"inputs": "dense", "readout": {"kind": "leaky", "per_class": 2}}, "seed": 2**40},
        {"hardware": {"family": "mesh", "grid": [2, 2], "neurons_per_tile": 5, "channels": {"router": 9}},
         "budget": {"profile": {2: 0.6}}, "train": {"epochs": 3, "batch": 7, "save_every": 2}},
        {"budget": {"profile": {}}, "rewire": {"every": 0}, "train": {"epochs": 2, "batch": 20}},
        {"data": {"name": "toy_task:toy", "fold": 2, "rebin": 3, "limit": 9}, "rewire": {"every": 2, "threshold": 0.3}},
    ],
)  # fmt: skip
def test_any_recipe_resumes_bit_identically(toy_recipe, tmp_path, sections, stopped):
    recipe = load_recipe(str(toy_recipe(**sections)))
    execute(recipe, tmp_path / "a")
    steps = len(contents(tmp_path / "a")["metrics.jsonl"].splitlines())  # at least one step an epoch
    stopped(recipe, tmp_path / "b", steps)
    execute(recipe, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_first_samples_of_every_split_or_of_the_named_ones(toy_recipe):
    def sizes(limit):
        data, _ = prepare_data(load_recipe(str(toy_recipe(data={"name": "toy_task:toy", "limit": limit}))))
        return {name: len(pack) for name, pack in data.splits.items()}

    whole = sizes(None)
    assert sizes(2) == dict.fromkeys(whole, 2)
    assert sizes({"train": 3, "test": 1}) == whole | {"train": 3, "test": 1}


def test_the_seed_is_the_only_source_of_chance(toy_recipe, unbroken, tmp_path):
    execute(load_recipe(str(toy_recipe())), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(unbroken)
    other = load_recipe(str(toy_recipe()), ["seed=4"])
    execute(other, tmp_path / "other")
    assert contents(tmp_path / "other")["evaluation.json"] != contents(unbroken)["evaluation.json"]


def test_its_own_config_repeats_a_run(unbroken, tmp_path):
    execute(load_recipe(str(unbroken / "config.yaml")), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(unbroken)


def test_a_finished_run_stays_as_it_is(recipe, unbroken):
    before = contents(unbroken)
    execute(recipe, unbroken)
    assert contents(unbroken) == before


@pytest.mark.parametrize("content", [b"", b"{\n", b"\xff\xfe", b'{"epoch": 0}\n{"epo', b"[]\n" * 50, None])
def test_damaged_metrics_are_made_whole(recipe, unbroken, tmp_path, content, stopped):
    folder = tmp_path / "broken"
    stopped(recipe, folder, 12)
    path = folder / "metrics.jsonl"
    path.unlink() if content is None else path.write_bytes(content)
    execute(recipe, folder)
    assert contents(folder) == contents(unbroken)


def test_a_damaged_newest_checkpoint_costs_nothing_but_time(recipe, unbroken, tmp_path, stopped, stop_after):
    folder = tmp_path / "broken"
    stopped(recipe, folder, 12)
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    (newest / "state.safetensors").write_bytes(b"gone")
    observer = stop_after()
    execute(recipe, folder, observer)
    assert any("falling back" in note and newest.name in note for note in observer.notes)
    assert contents(folder) == contents(unbroken)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"threads": "many", "kernel_tier": 1}', b"\xff"])
def test_a_damaged_manifest_is_named(recipe, tmp_path, content, stopped):
    stopped(recipe, tmp_path / "run", 2)
    (tmp_path / "run" / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest\.json: damaged manifest"):
        execute(recipe, tmp_path / "run")


@pytest.mark.parametrize("content", [b"seed: 3\n", b"", b"\xff\xfe: ["])
def test_a_changed_or_damaged_config_is_refused_with_a_diff(recipe, unbroken, tmp_path, content, stopped):
    folder = tmp_path / "run"
    stopped(recipe, folder, 7)
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(RunError, match="another configuration") as caught:
        execute(recipe, folder)
    assert "+++ asked for" in str(caught.value)
    assert "+budget:" in str(caught.value)
    (folder / "config.yaml").unlink()  # the fix that the message names
    execute(recipe, folder)
    assert contents(folder) == contents(unbroken)


def test_checkpoints_know_their_recipe_without_the_config(toy_recipe, tmp_path, stopped):
    folder = tmp_path / "run"
    stopped(load_recipe(str(toy_recipe())), folder, 7)
    (folder / "config.yaml").unlink()
    with pytest.raises(RunError, match="made by another recipe"):
        execute(load_recipe(str(toy_recipe()), ["train.lr=0.01"]), folder)


def test_changed_settings_are_refused_by_name(toy_recipe, tmp_path, stopped):
    folder = tmp_path / "run"
    stopped(load_recipe(str(toy_recipe())), folder, 2)
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(RunError) as caught:
        execute(load_recipe(str(toy_recipe()), ["train.batch=5"]), folder)
    assert "-  batch: 4" in str(caught.value)
    assert "+  batch: 5" in str(caught.value)
    assert (folder / "config.yaml").read_bytes() == before


def test_a_changed_chip_or_data_set_behind_the_same_name_is_refused(toy_recipe, toy_task, tmp_path, stopped):
    chip = tmp_path / "chip.yaml"
    text = "family: mosaic\ngrid: [2, 3]\nneurons_per_tile: 4\nchannels: { router: 8, tile_in: 12 }\n"
    chip.write_text(text)
    path = toy_recipe(hardware="chip.yaml")
    folder = tmp_path / "run"
    stopped(load_recipe(str(path)), folder, 7)
    before = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    chip.write_text(text.replace("router: 8", "router: 1"))
    with pytest.raises(RunError, match=r"hardware .* has other content now"):
        execute(load_recipe(str(path)), folder)
    assert {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()} == before
    chip.write_text(text + "# a comment is no change\n")
    sys.modules.pop("toy_task", None)
    module = toy_task / "toy_task.py"
    module.write_text(module.read_text().replace("0.8, 0.1", "0.7, 0.1"))
    shutil.rmtree(toy_task / "__pycache__", ignore_errors=True)
    with pytest.raises(RunError, match="data 'toy' has other content now"):
        execute(load_recipe(str(path)), folder)
    sys.modules.pop("toy_task", None)


@pytest.mark.parametrize(
    ("sections", "kind", "says"),
    [
        ({"budget": {"profile": {1: 1.5, 4: 0.1}}}, BudgetError, "class 1 has density 1.5"),
        ({"budget": {"kind": "hop-profil"}}, UsageError, "did you mean 'hop-profile'"),
        ({"placement": "by-indx"}, UsageError, "did you mean 'by-index'"),
        ({"kernel": "nmba"}, UsageError, "did you mean 'numba'"),
        ({"rewire": {"rule": "branch"}}, UsageError, "branch-threshold"),
        ({"data": {"name": "toy_task:absent"}}, DataError, "cannot import"),
        ({"data": {"name": "no_such_module:toy"}}, DataError, "cannot import"),
        ({"data": {"name": "mini-spech"}}, DataError, "did you mean 'mini-speech'"),
        ({"data": {"name": "toy_task:toy", "options": {"sample": 3}}}, DataError, "options: samples"),
        ({"data": {"name": "toy_task:toy", "options": {"samples": 0}}}, DataError, "no samples in train"),
        ({"hardware": "mosaic-5x5-spech"}, UsageError, "did you mean 'mosaic-5x5-speech'"),
        ({"network": {"readout": {"per_class": 50}}}, UsageError, "the chip has 6"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_claims_no_folder(toy_recipe, tmp_path, sections, kind, says):
    folder = tmp_path / "run"
    with pytest.raises(kind) as caught:
        execute(load_recipe(str(toy_recipe(**sections))), folder)
    assert says in str(caught.value)
    assert [entry.name for entry in folder.iterdir()] == [".lock"]
    execute(load_recipe(str(toy_recipe())), folder)  # the corrected recipe may use it


def test_a_folder_in_use_is_refused(recipe, tmp_path):
    with checkpoint.lock(tmp_path / "run"), pytest.raises(RunError, match="another process"):
        execute(recipe, tmp_path / "run")


def test_divergence_keeps_the_last_checkpoint(toy_recipe, tmp_path, stopped):
    recipe = load_recipe(str(toy_recipe()))
    folder = tmp_path / "run"
    stopped(recipe, folder, 7)
    saved, _ = checkpoint.load_latest(folder / "checkpoints")

    class Poison(Silent):
        """Feeds a NaN into the network that it watches."""

        def step(self, report) -> None:
            raise TrainingError("loss is nan")

    with pytest.raises(TrainingError):
        execute(recipe, folder, Poison())
    again, warnings = checkpoint.load_latest(folder / "checkpoints")
    assert warnings == []
    assert again.path == saved.path
    assert all(np.array_equal(value, again.arrays[name]) for name, value in saved.arrays.items())


def test_a_full_disk_stops_the_run_by_name_and_costs_nothing(recipe, unbroken, tmp_path, monkeypatch):
    """Every call of a write that can fail, one run each: the run ends with the path, and continues to the same end."""
    original, failures = os.fsync, 0
    for failing in (0, 4, 9, 15, 20, 27, 33):
        folder, count = tmp_path / f"full-{failing}", iter(range(999))

        def full(handle, count=count, failing=failing):
            if next(count) == failing:
                raise OSError(28, "No space left on device")
            original(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            try:
                execute(recipe, folder)
            except TilewireError as error:
                failures += 1
                shown = str(error)
                assert "No space left on device" in shown
                assert str(folder) in shown
        left = [path for path in folder.rglob("*") if ".writing-" in path.name]
        assert left == []
        execute(recipe, folder)
        assert contents(folder) == contents(unbroken)
    assert failures >= 6


CHILD = """
import os, random, signal, sys
from pathlib import Path
from tilewire import checkpoint
from tilewire.config import load_recipe
from tilewire.run import execute

recipe, folder, aim, number, after = sys.argv[1:]
save, inside = checkpoint.save, [False]

def watched(*arguments):
    inside[0] = True
    try:
        return save(*arguments)
    finally:
        inside[0] = False

checkpoint.save = watched
left = [int(number)]

def mortal(name):
    original = getattr(os, name)

    def call(*arguments, **options):
        due = False
        if inside[0] == (aim == "save"):
            left[0] -= 1
            due = left[0] == 0
        if due and after == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call

for name in ("fsync", "replace", "unlink", "rmdir", "mkdir"):
    setattr(os, name, mortal(name))
if aim == "step":
    from tilewire import train
    step = train.Trainer._step

    def mortal_step(self, indices):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, indices)

    train.Trainer._step = mortal_step
execute(load_recipe(recipe), Path(folder))
"""


@pytest.mark.slow
def test_twenty_kills_cost_nothing(toy_recipe, tmp_path):
    """kill -9 at random calls, half of them inside a save; every run continues and ends with the bits of the unbroken one."""
    path = toy_recipe(train={"epochs": 6, "batch": 4, "lr": 0.05})
    recipe = load_recipe(str(path))
    execute(recipe, tmp_path / "unbroken")
    rng, kills, chains = np.random.default_rng(0), {"save": 0, "step": 0, "other": 0}, 0
    while sum(kills.values()) < 20:
        folder = tmp_path / f"chain-{chains}"
        chains += 1
        for _ in range(40):
            aim = str(rng.choice(["save", "save", "step", "other"]))
            number = int(rng.integers(1, {"save": 25, "step": 15, "other": 12}[aim]))
            command = [sys.executable, "-c", CHILD, str(path), str(folder), aim, str(number), str(rng.integers(2))]
            code = subprocess.run(command, capture_output=True, timeout=600, check=False)
            assert code.returncode in (0, -signal.SIGKILL), code.stderr.decode()
            if code.returncode == 0:
                break
            kills[aim] += 1
        execute(recipe, folder)
        assert contents(folder) == contents(tmp_path / "unbroken")
        assert not [entry for entry in folder.rglob("*") if ".writing-" in entry.name]
        metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [record["epoch"] for record in metrics] == list(range(6))
    print(f"{sum(kills.values())} kills {kills} in {chains} runs")
    assert kills["save"] * 3 >= sum(kills.values())
