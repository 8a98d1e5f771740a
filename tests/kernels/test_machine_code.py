"""The cache of compiled kernels finds a home."""

from __future__ import annotations

import os
from pathlib import Path

from tilewire.kernels.machine_code import ensure_cache_folder


def test_a_writable_folder_is_enough(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    ensure_cache_folder([Path(__file__) / "nowhere", tmp_path / "not" / "yet"])
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_without_one_a_private_folder_is_made(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    ensure_cache_folder([Path(__file__) / "nowhere", Path(__file__)])
    made = Path(os.environ["NUMBA_CACHE_DIR"])
    assert made.is_dir()
    assert made.stat().st_mode & 0o077 == 0
    made.rmdir()


def test_the_users_choice_is_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/some/where")
    ensure_cache_folder([])
    assert os.environ["NUMBA_CACHE_DIR"] == "/some/where"
