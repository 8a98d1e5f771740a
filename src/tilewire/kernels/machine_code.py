"""Where compiled kernels are kept between runs."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path


def ensure_cache_folder(folders: Sequence[Path] | None = None) -> None:
    """Give Numba a folder of its own when it would find none to write to; call before Numba is imported.

    Numba keeps machine code beside the source or, if that is read-only, in the user's cache folder
    (``folders``), and refuses to load the kernels if neither can be written. Then ``NUMBA_CACHE_DIR`` is set to a
    private folder that goes away with the process. A ``NUMBA_CACHE_DIR`` of the user is kept.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    if folders is None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folders = (Path(__file__).parent, home)
    if not any(_writable(folder) for folder in folders):
        private = tempfile.mkdtemp(prefix="tilewire-kernels-")
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = private


def _writable(folder: Path) -> bool:
    """Whether a file could be made in the folder, or in the nearest parent that exists."""
    existing = next((f for f in (folder, *folder.parents) if f.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
