"""Names that a study may use as objectives or in constraints, and whether more or less of them is better."""

from __future__ import annotations

SENSES = {
    "train_accuracy": "maximise",
    "validation_accuracy": "maximise",
    "test_accuracy": "maximise",
    "parameters": "minimise",
    "branches": "minimise",
    "memory_devices": "minimise",
    "memory_devices_needed": "minimise",
    "memory_devices_sized": "minimise",
    "memory_bits": "minimise",
    "throughput_per_s": "maximise",
    "latency_s": "minimise",
    "energy_j": "minimise",
    "power_w": "minimise",
    "area_mm2": "minimise",
}
