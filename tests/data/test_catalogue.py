import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tilewire.data import describe_all, fetch, load
from tilewire.data.catalogue import data_root
from tilewire.data.record import EventPack, spike_data
from tilewire.errors import DataError


def plug_in(root, *, download, seed, size=2):
    """A data set of somebody else's module."""
    packs = {
        split: EventPack.from_dense(np.ones((size, 3, 4), np.uint8), np.arange(size) % 2)
        for split in ("train", "validation", "test")
    }
    return spike_data("mine", "recorded", ("a", "b"), packs)


def not_data(root, *, download, seed):
    return 3


def test_the_list_holds_every_set_and_where_it_comes_from(tmp_path):
    lines = {line.name: line for line in describe_all(tmp_path)}
    assert set(lines) == {"mini-speech", "mini-speech-pairs", "mini-speech-large", "shd", "ssc"}
    assert lines["mini-speech"].present
    assert not lines["shd"].present
    assert len(lines["ssc"].files) == 3
    assert all(line.kind == "real" for name, line in lines.items() if name in ("shd", "ssc"))


def test_a_plug_in_is_loaded_by_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "their_data", sys.modules[__name__])
    assert len(load("their_data:plug_in", size=4).splits["test"]) == 4
    with pytest.raises(DataError, match="int instead of SpikeData"):
        load("their_data:not_data")
    with pytest.raises(DataError, match="cannot import"):
        load("their_data:missing")
    with pytest.raises(DataError, match="options: size"):
        load("their_data:plug_in", sise=4)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("mini-speach", {}, "did you mean 'mini-speech'"),
        ("mini-speech", {"download": "sometimes"}, "download policy"),
        ("mini-speech", {"steps": 3}, "options: none"),
        ("no.such.module:f", {}, "cannot import"),
        (":", {}, "cannot import"),
    ],
)
def test_wrong_requests_are_named(name, options, text):
    with pytest.raises(DataError, match=text):
        load(name, **options)


def test_a_folder_needs_its_options(tmp_path):
    with pytest.raises(DataError, match="options: channels, steps, step_s"):
        load(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(DataError, match="a file of spikes has none"):
        load(tmp_path / "a.npz", steps=3)


def test_bundled_sets_need_no_fetch():
    assert fetch("mini-speech") == ()
    with pytest.raises(DataError, match="unknown data set"):
        fetch("mnist")


def test_the_root_is_the_argument_then_the_environment_then_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEWIRE_DATA", str(tmp_path / "env"))
    assert data_root(tmp_path) == tmp_path
    assert data_root() == tmp_path / "env"
    monkeypatch.delenv("TILEWIRE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert data_root() == tmp_path / "cache" / "tilewire"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_root() == Path.home() / "Library" / "Caches" / "tilewire"


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from tilewire.data import describe_all; describe_all(); "
        "print(sorted({'torch', 'numba', 'h5py', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
