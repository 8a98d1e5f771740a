"""A mapped fabric as GraphML: nodes with kind and position, links with load and capacity; for graph viewers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tilewire.checkpoint import replace_file
from tilewire.hardware.fabric import PORTS, TileFabric
from tilewire.mapping.routing import Mapping

_SPACE = "http://graphml.graphdrawing.org/xmlns"
_NODE = {"kind": "string", "row": "int", "column": "int", "tile": "int"}
_EDGE = {"port": "string", "load": "int", "capacity": "int"}


def graphml(fabric: TileFabric, mapping: Mapping) -> bytes:
    """The GraphML document."""
    root = ElementTree.Element("graphml", xmlns=_SPACE)
    for target, keys in (("node", _NODE), ("edge", _EDGE)):
        for name, kind in keys.items():
            ElementTree.SubElement(root, "key", {"id": name, "for": target, "attr.name": name, "attr.type": kind})
    graph = ElementTree.SubElement(root, "graph", id=fabric.family, edgedefault="directed")

    def data(parent: ElementTree.Element, **values: object) -> None:
        for name, value in values.items():
            ElementTree.SubElement(parent, "data", key=name).text = str(value)

    for node in range(fabric.n_nodes):
        kind = fabric.kinds[fabric.kind[node]]
        place = {"row": int(fabric.row[node]), "column": int(fabric.column[node]), "tile": int(fabric.tile_index[node])}
        data(ElementTree.SubElement(graph, "node", id=f"n{node}"), kind=kind, **place)
    for link in range(fabric.n_links):
        ends = {"id": f"l{link}", "source": f"n{fabric.link_source[link]}", "target": f"n{fabric.link_target[link]}"}
        edge = ElementTree.SubElement(graph, "edge", ends)
        data(
            edge, port=PORTS[fabric.link_port[link]], load=int(mapping.load[link]), capacity=int(fabric.capacity[link])
        )
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def write_graphml(path: Path, fabric: TileFabric, mapping: Mapping) -> None:
    """Write the document, atomically."""
    replace_file(path, graphml(fabric, mapping))
