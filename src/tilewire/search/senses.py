"""Names that a study may use as objectives or in constraints, and whether more or less of them is better."""

from __future__ import annotations

from tilewire.cost import streaming, table

_OF_RUNS = {
    "train_accuracy": "maximise",
    "validation_accuracy": "maximise",
    "test_accuracy": "maximise",
    "parameters": "minimise",
    "branches": "minimise",
    "memory_devices": "minimise",
    "memory_devices_needed": "minimise",
}
_PRICED = {**streaming.PRICES, **table.PRICES}
SENSES: dict[str, str] = _OF_RUNS | {name: price.sense for name, price in _PRICED.items() if price.sense != "report"}
