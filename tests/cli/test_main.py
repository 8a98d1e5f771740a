import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tilewire.cli import main as cli
from tilewire.terminal import Terminal

CHIP = """\
# the chip of the lab
family: mosaic
name: lab
grid: [2, 3]
neurons_per_tile: 4 # small
channels:
  router: 8 # wide enough
  tile_in: 12
"""


@pytest.fixture
def call(monkeypatch, capfd):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object):
        monkeypatch.setattr(sys, "argv", ["tilewire", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        shown = capfd.readouterr()
        return caught.value.code, shown.out, shown.err

    return run


@pytest.fixture
def chip(tmp_path) -> Path:
    path = tmp_path / "chip.yaml"
    path.write_text(CHIP)
    return path


@pytest.fixture
def nets(tmp_path) -> Path:
    path = tmp_path / "nets.npz"
    np.savez(path, branches=np.array([[0, 1], [5, 0], [9, 3]]))
    return path


def one_object(text: str) -> dict:
    decoded, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    assert isinstance(decoded, dict)
    return decoded


def test_every_light_verb_prints_one_object(call, chip, nets, tmp_path):
    for arguments, key in (
        (["hw", "show", chip], "memory_devices"),
        (["hw", "show", "mesh-4x4"], "hop_classes"),
        (["hw", "validate", chip, "mosaic-5x5-speech"], "valid"),
        (["hw", "new", "mosaic", "--grid", "2x3", "--neurons-per-tile", "4", "--out", tmp_path / "new.yaml"], "file"),
        (["check", nets, chip], "verdict"),
        (["map", nets, chip, "--out", tmp_path / "map.npz"], "max_load"),
        (["data", "list"], "data"),
    ):
        code, out, _ = call(*arguments, "--json")
        assert code == 0, arguments
        assert key in one_object(out)
        code, out, err = call(*arguments, *(["--force"] if "new" in arguments else []))
        assert (code, err) == (0, "")
        assert out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["hw", "show"], 2, "Missing argument"),
        (["hw", "show", "nothing"], 2, "unknown hardware 'nothing'"),
        (["hw", "shwo", "x"], 2, "No such command"),
        (["hw", "show", "x", "--frob"], 2, "No such option"),
        (["check", "absent.npz", "mosaic-5x5-speech"], 2, "absent.npz"),
        (["map", "absent.npz", "mosaic-5x5-speech", "--router", "two-turn"], 2, "two-turn"),
        (["run", "mosaic-spech"], 2, "did you mean 'mosaic-speech'"),
        (["run", "mosaic-speech", "--set", "train.epohcs=3"], 2, "did you mean 'epochs'"),
        (["run", "mosaic-speech", "--set", "train"], 2, "is not key=value"),
        (["report", "absent"], 1, "no finished run here"),
        (["hw", "new", "mosaic", "--grid", "5", "--out", "never.yaml"], 2, "--grid '5'"),
        (["hw", "new", "mosaic", "--grid", "0x5", "--out", "never.yaml"], 2, "each at least 1"),
        (["hw", "new", "mosiac", "--out", "never.yaml"], 2, "unknown hardware 'mosiac'"),
        (["hw", "new", "mosaic", "--profile", "1:x", "--out", "never.yaml"], 2, "--profile"),
        (["data", "fetch", "shdd"], 2, "did you mean 'shd'"),
    ],
)
def test_wrong_calls(call, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    found, out, err = call(*arguments)
    assert (found, out) == (code, "")
    assert says in err
    assert "Traceback" not in err
    found, out, err = call(*arguments, "--json")
    assert found == code
    assert set(one_object(out)["error"]) >= {"type", "message", "where", "fix"}
    assert says in str(one_object(out)["error"])
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_an_overloaded_chip_exits_with_one(call, chip, nets):
    np.savez(nets, branches=np.array([[i, 1] for i in range(4)]))
    chip.write_text(CHIP.replace("tile_in: 12", "tile_in: 1"))
    code, out, _ = call("check", nets, chip, "--json")
    assert code == 1
    assert one_object(out)["verdict"] == "infeasible"
    code, out, _ = call("check", nets, chip)
    assert code == 1
    assert "Overloaded ports" in out


def test_an_internal_error_shows_a_traceback_only_when_asked(call, monkeypatch):
    def broken(_name):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tilewire.hardware.description.load_machine", broken)
    code, out, err = call("hw", "show", "mosaic-5x5-speech")
    assert (code, out) == (3, "")
    assert "internal error: ZeroDivisionError: a bug" in err
    assert "Traceback" not in err
    code, out, err = call("hw", "show", "mosaic-5x5-speech", "--json", "--debug")
    assert code == 3
    assert one_object(out)["error"]["type"] == "InternalError"
    assert "Traceback" in err


def test_debug_shows_where_an_error_came_from(call):
    code, _, err = call("--debug", "hw", "show", "nothing")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("arguments", [["--help"], ["hw", "--help"], ["run", "--help"], ["--version"]])
def test_help(call, arguments):
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "tilewire" in out.lower()


def test_no_arguments_show_the_help(call):
    code, out, err = call()
    assert code in (0, 2)
    assert "Commands" in out + err


def test_ctrl_c_in_a_verb_with_nothing_to_save(call, monkeypatch):
    monkeypatch.setattr("tilewire.hardware.description.load_machine", lambda _name: signal.raise_signal(signal.SIGINT))
    # Shells switch Ctrl-C off for jobs in the background, and this test may run in one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = call("hw", "show", "mosaic-5x5-speech", "--json")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert one_object(out)["error"]["type"] == "Stopped"
    assert "Traceback" not in err


def test_light_verbs_import_nothing_heavy(chip, nets):
    verbs = [["--help"], ["data", "list"], ["hw", "show", chip], ["hw", "validate", chip], ["check", nets, chip]]
    code = (
        "import sys\nfrom tilewire.cli.main import main\n"
        f"for verb in {[[str(word) for word in verb] for verb in verbs]!r}:\n"
        "    sys.argv = ['tilewire', *verb]\n"
        "    try:\n        main()\n    except SystemExit as stop:\n        assert stop.code == 0, verb\n"
        "    heavy = {'torch', 'plotly', 'matplotlib', 'h5py', 'networkx'} & set(sys.modules)\n"
        "    assert not heavy, (verb, heavy)\n"
    )
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)


# -- hardware files ------------------------------------------------------------------------------------------------------------------


def test_a_copy_keeps_comments_and_applies_settings(call, chip, tmp_path):
    out = tmp_path / "copy.yaml"
    code, shown, _ = call(
        "hw", "new", chip, "--out", out, "--set", "channels.router=5", "--set", "name=other", "--json"
    )
    assert code == 0
    assert out.read_text() == CHIP.replace("router: 8", "router: 5").replace("name: lab", "name: other")
    assert one_object(shown)["name"] == "other"
    assert call("hw", "new", chip, "--out", out)[0] == 2  # never overwritten silently
    assert "router: 5" in out.read_text()
    assert call("hw", "new", chip, "--out", out, "--force")[0] == 0
    assert out.read_text() == CHIP


def test_a_new_file_is_what_was_asked_for(call, tmp_path):
    out = tmp_path / "chip.yaml"
    assert (
        call("hw", "new", "mosaic", "--grid", "3x4", "--neurons-per-tile", "6", "--channels", "5", "--out", out)[0] == 0
    )
    shown = one_object(call("hw", "show", out, "--json")[1])
    assert (shown["tiles"], shown["neurons"], shown["grid"]) == (12, 72, [3, 4])
    assert shown["channels"]["router"] == dict.fromkeys(("north", "east", "south", "west"), 5)
    assert shown["channels"]["tile_out"] == dict.fromkeys(("north", "east", "south", "west"), 6)
    assert f"{shown['memory_devices']:,} memristive devices" in out.read_text()


@pytest.mark.parametrize(
    "setting",
    [
        "channels.router=-1",
        "channels.ruter=3",
        "grid=[2]",
        "grid.0=7",
        "blocked=[{tile: [9, 9], port: north}]",
        "family=mosiac",
    ],
)
def test_a_wrong_setting_writes_nothing(call, chip, tmp_path, setting):
    out = tmp_path / "copy.yaml"
    assert call("hw", "new", chip, "--out", out, "--set", setting)[0] == 2
    assert call("hw", "new", "mosaic", "--grid", "2x2", "--out", out, "--set", setting)[0] == 2
    assert not out.exists()


@pytest.mark.parametrize("text", ["family: [mosaic\n", "", "- 1\n", "\0", "family: mosaic\n"])
def test_a_broken_file_is_named_by_every_verb(call, nets, tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("hardware: broken.yaml\n")
    for arguments in (
        ["hw", "show", path], ["hw", "validate", path], ["hw", "new", path, "--out", tmp_path / "o.yaml", "--set", "name=x"],
        ["check", nets, path], ["run", recipe, "--out", tmp_path / "run"],
    ):  # fmt: skip
        code, _, err = call(*arguments)
        assert code == 2, arguments
        assert "broken.yaml" in err
        assert "Traceback" not in err
    assert path.read_text() == text


def test_all_files_are_validated(call, chip, tmp_path):
    bad, worse = tmp_path / "bad.yaml", tmp_path / "worse.yaml"
    bad.write_text(CHIP.replace("router: 8", "router: -8"))
    worse.write_text(CHIP.replace("grid", "gird"))
    code, out, err = call("hw", "validate", bad, chip, worse, tmp_path / "absent.yaml")
    assert code == 2
    assert out == f"{chip}: valid\n"
    assert "bad.yaml:7: channels.router" in err
    assert "worse.yaml:4: gird: unknown key" in err
    assert "absent.yaml" in err


# -- runs ----------------------------------------------------------------------------------------------------------------------------


def weights(folder: Path) -> str:
    return json.loads((folder / "evaluation.json").read_text())["training"]["weights_sha256"]


def test_a_run_prints_its_evaluation_and_continues_after_ctrl_c(call, toy_recipe, tmp_path, monkeypatch):
    recipe = toy_recipe()
    budget = "budget.profile={1: 0.5, 3: 0.5}"
    code, out, err = call("run", recipe, "--out", tmp_path / "a", "--set", budget, "--json")
    assert code in (0, 1)
    evaluation = one_object(out)
    assert code == (0 if evaluation["verdict"] == "fits" else 1)
    assert evaluation == json.loads((tmp_path / "a" / "evaluation.json").read_text())
    assert set(evaluation["objectives"]["test_accuracy"]) == {"value", "unit", "sense", "source"}
    assert "training" in err

    steps, step = iter(range(99)), Terminal.step

    def interrupted(self, report) -> None:
        step(self, report)
        if next(steps) == 6:
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "with space"
    with monkeypatch.context() as patched:
        patched.setattr(Terminal, "step", interrupted)
        code, out, err = call("run", recipe, "--out", folder, "--set", budget, "--json")
    assert code == 130
    assert "stopping after this step" in err
    error = one_object(out)["error"]
    assert "stopped after epoch 2, step 2 of 5; everything is saved" in error["message"]
    again = shlex.split(error["fix"].removeprefix("continue with: "))
    assert again == ["tilewire", "run", str(recipe), "--set", budget, "--out", str(folder)]
    code, _, err = call(*again[1:])
    assert code in (0, 1)
    assert "continuing after 1 epochs and 2 steps" in err
    assert weights(folder) == weights(tmp_path / "a")


def test_an_impossible_profile_is_refused_before_training(call, toy_recipe, tmp_path):
    code, out, err = call("run", toy_recipe(budget={"profile": {1: 0.5, 7: 0.1}}), "--out", tmp_path / "run", "--json")
    assert code == 2
    assert one_object(out)["error"]["type"] == "BudgetError"
    assert "no hop class 7" in err
    assert "1, 3, 5" in err


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "pickle", "absent"])
def test_damaged_spike_files_are_named(call, toy_recipe, tmp_path, kind):
    path = tmp_path / "spikes.npz"
    np.savez(path, **({"label": np.array([{"a": 1}], object)} if kind == "pickle" else {"label": np.arange(3)}))
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:-40], "empty": b"", "text": b"hello"}.get(kind, content))
    if kind == "absent":
        path.unlink()
    code, out, err = call("run", toy_recipe(data={"name": str(path)}), "--out", tmp_path / "run", "--json")
    assert code == 2
    assert one_object(out)["error"]["type"] == "DataError"
    assert "spikes.npz" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["truncated", "empty", "pickle", "no branches", "floats", "outside"])
def test_damaged_nets_are_named(call, chip, tmp_path, kind):
    path = tmp_path / "nets.npz"
    content = {
        "pickle": {"branches": np.array([{"a": 1}], object)}, "no branches": {"edges": np.zeros((1, 2), int)},
        "floats": {"branches": np.array([[0.5, 1.0]])}, "outside": {"branches": np.array([[0, 6]])},
    }.get(kind, {"branches": np.array([[0, 1]])})  # fmt: skip
    np.savez(path, **content)
    data = path.read_bytes()
    path.write_bytes({"truncated": data[:-40], "empty": b""}.get(kind, data))
    for verb in ("check", "map"):
        code, _, err = call(verb, path, chip)
        assert code == 2, err
        assert "Traceback" not in err
        assert "internal" not in err


def test_a_truncated_audio_file_is_named(call, toy_recipe, tmp_path):
    for name in ("shd_train.h5", "shd_test.h5"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    data = {"name": "shd", "root": str(tmp_path)}
    code, _, err = call("run", toy_recipe(data=data), "--out", tmp_path / "run")
    assert code == 2
    assert "shd" in err
    assert "Traceback" not in err
    assert (tmp_path / "shd_train.h5").stat().st_size == 108


@pytest.mark.slow
def test_ctrl_c_from_outside(toy_recipe, tmp_path):
    """A real process, a real signal, a real continuation; SIGTERM does the same."""
    recipe, runs = (
        toy_recipe(train={"epochs": 400, "batch": 4, "lr": 0.01}),
        [tmp_path / "a", tmp_path / "b", tmp_path / "c"],
    )

    def start(folder):
        command = [sys.executable, "-m", "tilewire", "run", str(recipe), "--out", str(folder), "--json"]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )

    unbroken = start(runs[0])
    assert unbroken.communicate(timeout=240) and unbroken.returncode in (0, 1)  # noqa: PT018
    for folder, sent in ((runs[1], signal.SIGINT), (runs[2], signal.SIGTERM)):
        running, deadline = start(folder), time.monotonic() + 60
        while not (folder / "checkpoints").is_dir() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(sent)
        out, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "continue with: tilewire run" in one_object(out)["error"]["fix"]
        resumed = start(folder)
        resumed.communicate(timeout=240)
        assert weights(folder) == weights(runs[0])
        assert (folder / "metrics.jsonl").read_bytes() == (runs[0] / "metrics.jsonl").read_bytes()
