"""Routing tables of a mapping: which out ports each router opens for each net, as JSON or CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tilewire.checkpoint import replace_file
from tilewire.errors import UsageError
from tilewire.hardware.fabric import PORTS, TileFabric
from tilewire.mapping.routing import Mapping
from tilewire.tables import csv_text

HEAD = ("neuron", "node", "kind", "row", "column", "out_port", "next_node", "next_kind")


def routing_rows(fabric: TileFabric, mapping: Mapping) -> list[tuple[int, int, str, int, int, str, int, str]]:
    """One row a hop: neuron, node it leaves, its kind and canvas position, out port, node it enters, its kind; in tree order."""
    rows = []
    for neuron, link in zip(mapping.trees.owner.tolist(), mapping.trees.link.tolist(), strict=True):
        node, after = int(fabric.link_source[link]), int(fabric.link_target[link])
        place = (fabric.kinds[fabric.kind[node]], int(fabric.row[node]), int(fabric.column[node]))
        rows.append((neuron, node, *place, PORTS[fabric.link_port[link]], after, fabric.kinds[fabric.kind[after]]))
    return rows


def write_tables(path: Path, fabric: TileFabric, mapping: Mapping) -> None:
    """Write routing tables, atomically; the format follows the name: ``.csv`` or ``.json``. Raises `UsageError` for others."""
    rows = routing_rows(fabric, mapping)
    if path.suffix == ".csv":
        replace_file(path, csv_text(HEAD, rows))
    elif path.suffix == ".json":
        content: dict[str, Any] = {
            "schema": 1,
            "placement": mapping.placement.tolist(),
            "verdict": mapping.verdict,
            "hops": [dict(zip(HEAD, row, strict=True)) for row in rows],
        }
        replace_file(path, (json.dumps(content) + "\n").encode())
    else:
        raise UsageError(f"'{path.suffix}' is no table format", where=str(path), hint=".csv or .json")
