"""Operators on packed tiles: the tiled recurrent LIF network, its torch oracle and its Numba tier."""

from __future__ import annotations

from tilewire.kernels.machine_code import ensure_cache_folder

ensure_cache_folder()
