"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def machine() -> dict[str, object]:
    """Processor, cores, load and the versions that matter, as plain values."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "numba")},
    }
