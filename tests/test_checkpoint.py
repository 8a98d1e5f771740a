import errno
import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilewire import checkpoint
from tilewire.errors import RunError

ARRAYS = {"weight": np.arange(12, dtype=np.float32).reshape(3, 4), "tile": np.array([1, -1], np.int32)}
FILES = ("state.safetensors", "state.json", "sha256.json")


def save(folder, step, value=0.0):
    return checkpoint.save(folder, step, ARRAYS | {"value": np.array(value)}, {"step": step})


def newest(folder):
    found, warnings = checkpoint.load_latest(folder)
    return found.state["step"], warnings


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
SHAPE = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
STATE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.text("ab.0", min_size=1, max_size=6), DTYPES.flatmap(lambda d: hnp.arrays(d, SHAPE)), max_size=4
    ),
    st.dictionaries(st.text(max_size=4), STATE, max_size=3),
)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, arrays, state):
    folder = tmp_path_factory.mktemp("checkpoints")
    arrays = {name: value.T for name, value in arrays.items()}  # not contiguous
    checkpoint.save(folder, 3, arrays, state)
    found, warnings = checkpoint.load_latest(folder)
    assert warnings == []
    assert found.state == state
    assert set(found.arrays) == set(arrays)
    for name, value in arrays.items():
        assert found.arrays[name].dtype == value.dtype
        assert found.arrays[name].shape == value.shape
        assert found.arrays[name].tobytes() == value.tobytes()


def test_an_empty_folder_holds_none(tmp_path):
    assert checkpoint.load_latest(tmp_path) == (None, [])
    assert checkpoint.load_latest(tmp_path / "absent") == (None, [])


def test_two_are_kept(tmp_path):
    for step in (1, 2, 10, 1_000_000_000):
        save(tmp_path, step)
    assert names(tmp_path) == ["step-000000010", "step-1000000000"]
    assert newest(tmp_path) == (1_000_000_000, [])


def test_a_second_save_of_one_step_never_removes_the_first_before_it_is_safe(tmp_path, monkeypatch):
    save(tmp_path, 5, 1.0)
    replace = os.replace

    def look(source, target):
        assert (tmp_path / "step-000000005").is_dir()
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    for value in (2.0, 3.0):
        save(tmp_path, 5, value)
        assert checkpoint.load_latest(tmp_path)[0].arrays["value"] == value
    assert names(tmp_path) == ["step-000000005.1", "step-000000005.2"]


def damage_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "flipped bit": damage_flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "another file": lambda path: path.write_bytes(b"[1, 2]"),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_falls_back_with_a_warning(tmp_path, file, kind):
    save(tmp_path, 1)
    DAMAGE[kind](save(tmp_path, 2) / file)
    step, warnings = newest(tmp_path)
    assert step == 1
    assert len(warnings) == 1
    assert "step-000000002" in warnings[0]
    assert "falling back" in warnings[0]
    # the damaged one does not count as the previous one that is kept
    save(tmp_path, 2)
    assert names(tmp_path) == ["damaged-step-000000002", "step-000000001", "step-000000002"]
    assert newest(tmp_path) == (2, [])


def test_damaged_later_ones_never_push_out_good_ones(tmp_path):
    good = save(tmp_path, 1)
    kept = tmp_path / "kept"
    shutil.copytree(good, kept)
    for step in (8, 9):
        damage_flip(save(tmp_path, step) / "state.json")
    kept.rename(tmp_path / "step-000000001")
    assert newest(tmp_path)[0] == 1
    save(tmp_path, 2)
    assert newest(tmp_path) == (2, [])
    assert "step-000000001" in names(tmp_path)


def test_no_readable_one_is_an_error_and_touches_nothing(tmp_path):
    for step in (1, 2):
        damage_flip(save(tmp_path, step) / "state.safetensors")
    before = names(tmp_path)
    for _ in range(2):
        with pytest.raises(RunError, match="no readable checkpoint") as caught:
            checkpoint.load_latest(tmp_path)
        assert "step-000000001" in str(caught.value)
        assert "step-000000002" in str(caught.value)
    assert names(tmp_path) == before


def calls_of_a_save(folder, monkeypatch):
    """Every system call of a save that can fail, in order."""
    calls = []
    with monkeypatch.context() as patched:
        for name in ("fsync", "replace"):
            original = getattr(os, name)
            patched.setattr(os, name, lambda *a, name=name, original=original: (calls.append(name), original(*a))[1])
        save(folder, 1)
    return calls


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_keeps_the_last_one_at_every_call(tmp_path, monkeypatch, code):
    calls = calls_of_a_save(tmp_path / "probe", monkeypatch)
    assert calls.count("replace") == 1
    assert calls.count("fsync") >= 5
    for failing, name in enumerate(calls[1:]):  # the first is for the new folder
        folder = tmp_path / f"{failing}"
        save(folder, 1)
        count = iter(range(99))

        def fail(*arguments, count=count, failing=failing, original=None):
            if next(count) == failing:
                raise OSError(code, os.strerror(code))
            return original(*arguments)

        with monkeypatch.context() as patched:
            for each in ("fsync", "replace"):
                original = getattr(os, each)
                patched.setattr(os, each, lambda *a, f=fail, o=original: f(*a, original=o))
            with pytest.raises(RunError) as caught:
                save(folder, 2)
        assert os.strerror(code) in str(caught.value), name
        assert str(folder / "step-000000002") in str(caught.value)
        assert not [entry for entry in names(folder) if "writing" in entry]
        assert newest(folder)[0] >= 1
        save(folder, 3)
        assert newest(folder) == (3, [])


def test_a_write_that_the_system_refuses(tmp_path):
    """A real refusal in the middle of a file: the size limit of the process."""
    save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunError, match="earlier checkpoints are intact"):
            checkpoint.save(tmp_path, 2, {"big": np.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["step-000000001"]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="checkpoint not saved"):
        save(tmp_path / "file" / "checkpoints", 1)
    with pytest.raises(RunError, match="cannot use the run folder"), checkpoint.lock(tmp_path / "file"):
        pass


def test_what_a_killed_save_left_is_cleaned_and_nothing_else(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".writing-000000002-77").mkdir()
    (tmp_path / ".config.yaml.writing-77").write_text("half")
    (tmp_path / "notes-writing-77").write_text("mine")
    checkpoint.clean(tmp_path)
    assert names(tmp_path) == ["notes-writing-77", "step-000000001"]
    checkpoint.clean(tmp_path / "absent")


def test_replace_file_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    checkpoint.replace_file(path, b"old")
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(
                os, name, lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
            )
            with pytest.raises(RunError, match=r"metrics\.jsonl: could not write: No space"):
                checkpoint.replace_file(path, b"new")
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["metrics.jsonl"]


HOLD = """
import sys, time
from pathlib import Path
from tilewire.checkpoint import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process is using this run folder"), checkpoint.lock(tmp_path):
            pass
    finally:
        other.kill()
        other.communicate()
    with checkpoint.lock(tmp_path):  # the system let go of it
        pass


def test_hostile_checkpoints_are_refused(tmp_path, monkeypatch):
    import hashlib

    def forge(step, blob, state):
        path = tmp_path / f"step-{step:09d}"
        path.mkdir()
        (path / "state.safetensors").write_bytes(blob)
        (path / "state.json").write_bytes(state)
        digests = {n: hashlib.sha256(c).hexdigest() for n, c in (("state.safetensors", blob), ("state.json", state))}
        (path / "sha256.json").write_text(json.dumps(digests))

    good = (save(tmp_path, 1) / "state.safetensors").read_bytes()
    forge(2, b"\x80\x04\x95", b"{}")  # a pickle
    forge(3, (1 << 62).to_bytes(8, "little") + b"{}", b"{}")  # a header of 4 EiB
    forge(4, good, b"[]")
    forge(5, good, b"\xff")
    step, warnings = newest(tmp_path)
    assert step == 1
    assert len(warnings) == 4
    monkeypatch.setattr(checkpoint, "MAX_TENSORS", 1)
    with pytest.raises(RunError, match="3 tensors, at most 1 are read"):
        newest(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path):
    """A file system of 256 KiB that fills up: errors name the path, the last whole checkpoint stays, nothing half is left."""
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        refused = 0
        save(mount / "run", 1)
        for step in range(2, 52):
            size = 8000 if step % 2 else 40_000  # 64 kB fits, 320 kB does not
            try:
                checkpoint.save(mount / "run", step, {"w": np.zeros(size)}, {"step": step})
                last = step
            except RunError as error:
                refused += 1
                shown = str(error)
                assert "No space left" in shown
                assert f"step-{step:09d}" in shown
            assert not [entry for entry in names(mount / "run") if "writing" in entry]
            assert newest(mount / "run") == (last if step > 2 else 1, [])
        assert refused == 25
    finally:
        subprocess.run(["umount", str(mount)], check=False)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_read_only_folder(tmp_path):
    mount = tmp_path / "fixed"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(mount)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(RunError, match="Read-only file system"), checkpoint.lock(mount):
            pass
        with pytest.raises(RunError, match="Read-only file system"):
            save(mount / "checkpoints", 1)
    finally:
        subprocess.run(["umount", str(mount)], check=False)
