"""Tables and graphs hold what the mapping holds."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.hardware.fabric import PORTS, TileFabric
from tilewire.hardware.mosaic import mosaic
from tilewire.interchange.graphml import write_graphml
from tilewire.interchange.tables import write_tables
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.routing import Mapping, map_nets


@pytest.fixture
def mapped() -> tuple[TileFabric, Mapping]:
    fabric = mosaic((2, 3), 4)
    rng = np.random.default_rng(0)
    branches = Connectivity.of(rng.integers(0, 24, 30), rng.integers(0, 6, 30), 24, 6)
    return fabric, map_nets(fabric, Nets.of(branches), by_index(24, fabric))


def test_tables_walk_every_net(mapped: tuple[TileFabric, Mapping], tmp_path: Path) -> None:
    fabric, mapping = mapped
    write_tables(tmp_path / "t.csv", fabric, mapping)
    write_tables(tmp_path / "t.json", fabric, mapping)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    hops = json.loads((tmp_path / "t.json").read_text())["hops"]
    assert [{key: str(value) for key, value in hop.items()} for hop in hops] == rows
    load = np.zeros(fabric.n_links, int)
    for hop in hops:
        load[fabric.link_at[hop["node"], PORTS.index(hop["out_port"])]] += 1
    assert np.array_equal(load, mapping.load)


def test_other_formats_are_refused(mapped: tuple[TileFabric, Mapping], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table format"):
        write_tables(tmp_path / "t.txt", *mapped)


def test_graphml_is_read_back_by_networkx(mapped: tuple[TileFabric, Mapping], tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    fabric, mapping = mapped
    write_graphml(tmp_path / "g.graphml", fabric, mapping)
    assert ElementTree.parse(tmp_path / "g.graphml").getroot().tag.endswith("graphml")
    graph = networkx.read_graphml(tmp_path / "g.graphml")
    assert graph.number_of_nodes() == fabric.n_nodes
    assert graph.number_of_edges() == fabric.n_links
    assert sum(edge["load"] for _, _, edge in graph.edges(data=True)) == int(mapping.load.sum())
