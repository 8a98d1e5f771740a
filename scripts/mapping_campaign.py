"""Campaigns that hold the mapping to its promises on random instances; resumable, an instance depends on its number only.

    python scripts/mapping_campaign.py verdicts --to 10000 --out verdicts.jsonl     router against checker, seeded faults
    python scripts/mapping_campaign.py programme --to 1000 --out programme.jsonl    router against an integer programme
    python scripts/mapping_campaign.py summary verdicts.jsonl                       tables of what is in a file

Each instance is one JSON line; numbers already in the file are skipped, so an interrupted campaign goes on where it stopped, and ranges
(``--from``, ``--to``) may run apart. The exit status is 1 if any instance broke a promise.

``verdicts``: 2 to 64 tiles of either family and any shape, 1 to 64 neurons a tile, widths near the edge of what routes, some ports blocked
or of other widths than their neighbours. `fits` must pass the check, `infeasible` must carry a certificate that the verifier accepts, and
into every mapping that fits a fault is put that the check must name.
``programme``: chips of 2 to 6 tiles, every verdict against all trees at once as an integer programme (HiGHS).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from tilewire.connectivity import Connectivity
from tilewire.errors import TilewireError
from tilewire.hardware.blocked import Blocked, block
from tilewire.hardware.fabric import LOCAL, OPPOSITE, PORTS, TileFabric
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.cuts import Rectangles
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import Mapping, map_nets
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]
Record = dict[str, Any]
FAMILIES = {"mosaic": mosaic, "mesh": mesh}
ROUTER, INTO, OUT = range(3)  # link classes of a fabric
WIDE = 1 << 15
SOLVER_SECONDS = 60.0
MOST_NEURONS = 1024


@dataclass(frozen=True, eq=False)
class Instance:
    """A chip, nets and a placement of their groups."""

    fabric: TileFabric
    nets: Nets
    placement: Ints


def draw_grid(rng: np.random.Generator, most: int) -> tuple[int, int]:
    """Rows and columns of 2 to ``most`` tiles: areas log-uniform, from lines to squares."""
    while True:
        area = 2 ** rng.uniform(1, np.log2(most + 1))
        rows = max(1, round(area ** (rng.uniform(0.3, 0.7) if rng.random() < 0.8 else rng.uniform(0, 1))))
        columns = max(1, round(area / rows))
        if 2 <= rows * columns <= most:
            return rows, columns


def draw_nets(fabric: TileFabric, rng: np.random.Generator) -> tuple[Nets, Ints]:
    """Branches whose density falls with distance by a random power, and a placement, by index or shuffled."""
    distance, size = fabric.hop_distance, fabric.neurons_per_tile
    density = np.where(distance > 0, rng.uniform(0.1, 1) / np.maximum(distance, 1) ** rng.uniform(0.2, 2), 0)
    group = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    source, target = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density[group])
    tile_of = rng.permutation(fabric.n_tiles) if rng.random() < 0.3 else np.arange(fabric.n_tiles)
    nets = Nets.of(Connectivity.of(source, target, fabric.n_neurons, fabric.n_tiles))
    return nets, tile_of.astype(np.int32)[group]


def draw_blocked(fabric: TileFabric, rng: np.random.Generator) -> list[Blocked]:
    """One to three ports of tiles or routers; a tile with one port only keeps it."""
    ports, several = [], np.flatnonzero(fabric.link_port != LOCAL)
    for link in rng.choice(several, min(int(rng.integers(1, 4)), several.size), replace=False).tolist():
        node, port = int(fabric.link_source[link]), PORTS[int(fabric.link_port[link])]
        tile = int(fabric.tile_index[node])
        place = divmod(tile, fabric.grid[1]) if tile >= 0 else (int(fabric.row[node]), int(fabric.column[node]))
        ports.append(Blocked(**{"tile" if tile >= 0 else "router": place}, port=port))
    return ports


def edge_widths(fabric: TileFabric, branches: Connectivity, placement: Ints) -> tuple[int, int]:
    """Least tile_in that the fan-in of every tile allows, and then the least router width that rectangle cuts allow."""
    is_open = fabric.capacity > 0
    kinds = fabric.link_class
    doors = np.bincount(fabric.tile_index[fabric.link_target[(kinds == INTO) & is_open]], minlength=fabric.n_tiles)
    fan_in = branches.without_own(placement).fan_in
    tile_in = int((-(-fan_in // np.maximum(doors, 1)))[doors > 0].max(initial=0))
    rectangles, low, high = Rectangles.of(fabric, branches, placement), 0, 8 * fabric.neurons_per_tile
    while rectangles and low < high:
        middle = (low + high) // 2
        capacity = np.where(is_open, np.choose(kinds, [middle, WIDE, fabric.neurons_per_tile]), 0).astype(np.int32)
        low, high = (low, middle) if rectangles.worst(capacity) is None else (middle + 1, high)
    return tile_in, low


def draw_instance(number: int, most_tiles: int = 64) -> Instance:
    """Instance ``number`` of the verdict campaign."""
    rng = np.random.default_rng(number)
    family, grid = list(FAMILIES)[number % 2], draw_grid(rng, most_tiles)
    size = int(2 ** rng.uniform(0, 6.02))
    if rng.random() < 0.97:  # most chips stay small enough for thousands of instances
        size = max(1, min(size, MOST_NEURONS // (grid[0] * grid[1])))
    plain = FAMILIES[family](grid, size)
    blocked = draw_blocked(plain, rng) if rng.random() < 0.3 else []
    nets, placement = draw_nets(plain, rng)
    least_in, least_router = edge_widths(block(plain, blocked), nets.on_tiles(placement), placement)
    tile_in = max(0, least_in + int(rng.integers(-1, 4)))
    router = max(0, round(least_router * rng.uniform(0.9, 1.6)) + int(rng.integers(-1, 3)))
    tile_out = max(1, size - int(rng.integers(0, size))) if rng.random() < 0.15 else size
    sides: int | dict[str, int] = router
    if rng.random() < 0.3:
        sides = {side: max(0, router + int(rng.integers(-2, 3))) for side in PORTS[:4]}
    chip = FAMILIES[family](grid, size, router=sides, tile_in=tile_in, tile_out=tile_out)
    return Instance(block(chip, blocked), nets, placement)


def small_instance(number: int) -> Instance:
    """Instance ``number`` of the programme campaign."""
    rng = np.random.default_rng(number)
    family = FAMILIES[list(FAMILIES)[number % 2]]
    grid, size = [(1, 2), (1, 3), (2, 2), (2, 3), (1, 4), (3, 1)][int(rng.integers(6))], int(rng.integers(1, 4))
    fabric = family(grid, size, router=int(rng.integers(0, 4)), tile_in=int(rng.integers(0, 4)))
    if rng.random() < 0.2:
        fabric = block(fabric, draw_blocked(fabric, rng))
    source, group = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < rng.uniform(0.1, 0.9))
    nets = Nets.of(Connectivity.of(source, group, fabric.n_neurons, fabric.n_tiles))
    return Instance(fabric, nets, rng.permutation(fabric.n_tiles).astype(np.int32)[nets.group])


def dropped_hop(one: Instance, tree: list[int], rng: np.random.Generator) -> list[int] | None:
    """One hop is missing."""
    gone = int(rng.integers(len(tree)))
    return tree[:gone] + tree[gone + 1 :]


def extra_load(one: Instance, tree: list[int], rng: np.random.Generator) -> list[int] | None:
    """A hop from a node of the tree to a node that the tree does not need."""
    fabric = one.fabric
    nodes = {int(fabric.link_target[link]) for link in tree}
    start = [int(fabric.link_source[tree[0]]), *(node for node in nodes if fabric.tile_index[node] < 0)]
    spare = np.flatnonzero(np.isin(fabric.link_source, start) & ~np.isin(np.arange(fabric.n_links), tree))
    return [*tree, int(rng.choice(spare))] if spare.size else None


def wrong_sink(one: Instance, tree: list[int], rng: np.random.Generator) -> list[int] | None:
    """The hop into a sink tile enters another tile, or none, instead."""
    fabric = one.fabric
    last = int(rng.choice([link for link in tree if fabric.tile_index[fabric.link_target[link]] >= 0]))
    others = [
        link
        for link in np.flatnonzero(fabric.link_source == fabric.link_source[last]).tolist()
        if fabric.link_target[link] != fabric.link_target[last] and link not in tree
    ]
    if not others:
        return None
    into = [link for link in others if fabric.tile_index[fabric.link_target[link]] >= 0]
    new = int(rng.choice(into or others))
    return [new if link == last else link for link in tree]


def through_tile(one: Instance, tree: list[int], rng: np.random.Generator) -> list[int] | None:
    """A router of the tree is fed by a sink tile of the same net in place of its own hop, right but for the passage; else any way on."""
    fabric = one.fabric
    source, target = fabric.link_source, fabric.link_target
    fed_by = {int(target[link]): link for link in tree}
    choices, onward = [], []
    for link in tree:
        tile = int(target[link])
        if fabric.tile_index[tile] < 0:
            continue
        above, node = set(), int(source[link])
        while node in fed_by:
            above.add(node)
            node = int(source[fed_by[node]])
        for out in np.flatnonzero(source == tile).tolist():
            router = int(target[out])
            onward.append(out)
            if router in fed_by and router not in above and source[fed_by[router]] != source[tree[0]]:
                choices.append(out)
    if not choices:
        return [*tree, int(rng.choice(onward))]
    out = int(rng.choice(choices))
    links = {*tree, out} - {fed_by[int(target[out])]}
    order, reached = [], {int(source[tree[0]])}
    while links:
        ready = sorted(link for link in links if int(source[link]) in reached)
        if not ready:
            return None
        order += ready
        reached |= {int(target[link]) for link in ready}
        links -= set(ready)
    return order


FAULTS = {
    "dropped hop": (dropped_hop, {"unreached", "detached", "dangling"}),
    "extra load": (extra_load, {"dangling", "extra-sink", "entered-twice"}),
    "wrong sink": (wrong_sink, {"unreached"}),
    "through a tile": (through_tile, {"through-tile"}),
    "too narrow": (None, {"overload"}),
}


def seeded_fault(one: Instance, trees: Trees, load: Ints, number: int) -> tuple[str, bool] | None:
    """Damage one net of a mapping that fits, or narrow one port; the fault's name and whether the check names it."""
    rng = np.random.default_rng([number, 1])
    fabric, nets, ptr, links = one.fabric, one.nets, trees.ptr, trees.link
    if not links.size:
        return None
    names = list(FAULTS)
    for name in names[number // 2 % len(names) :] + names:
        edit, kinds = FAULTS[name]
        if edit is None:
            link = int(rng.choice(np.flatnonzero(load)))
            width = fabric.port_width.copy()
            width[fabric.link_target[link], 0, OPPOSITE[fabric.link_port[link]]] = load[link] - 1
            chip = replace(fabric, port_width=width)
        else:
            net = int(rng.choice(np.flatnonzero(np.diff(trees.ptr))))
            new = edit(one, trees.of(net).tolist(), rng)
            if new is None:
                continue
            chip, links = fabric, np.array([*links[: ptr[net]], *new, *links[ptr[net + 1] :]], np.int32)
            ptr = ptr + (np.arange(ptr.size) > net) * (len(new) - int(ptr[net + 1] - ptr[net]))
        check = check_mapping(chip, nets.branches, nets.group, one.placement, ptr, links)
        return name, bool({fault.kind for fault in check.faults} & kinds)
    return None


def judge(one: Instance, number: int) -> tuple[Mapping | None, str | None]:
    """The mapping of an instance and what is wrong with its verdict, None if nothing is.

    `map_nets` raises if its check refuses the trees or the verifier a certificate.
    """
    rng = np.random.default_rng(number)
    try:
        mapping = map_nets(one.fabric, one.nets, one.placement, router="negotiated", rng=rng)
    except TilewireError as error:
        return None, str(error)
    trees = mapping.trees
    check = check_mapping(one.fabric, one.nets.branches, one.nets.group, one.placement, trees.ptr, trees.link)
    if not check.sound or not np.array_equal(check.load, mapping.load):
        return mapping, "trees or loads are wrong"
    if check.fits != (mapping.verdict == "fits"):
        return mapping, f"verdict {mapping.verdict}, the check says otherwise"
    if mapping.verdict == "infeasible" and mapping.certificate is None:
        return mapping, "infeasible without a certificate"
    return mapping, None


def described(one: Instance, number: int) -> Record:
    fabric, kinds = one.fabric, one.fabric.link_class
    return {
        "number": number, "family": fabric.family, "grid": list(fabric.grid), "tiles": fabric.n_tiles,
        "neurons_per_tile": fabric.neurons_per_tile, "branches": len(one.nets.branches),
        "router": int(fabric.capacity[kinds == ROUTER].max(initial=0)),
        "tile_in": int(fabric.capacity[kinds == INTO].max(initial=0)), "closed_links": int((fabric.capacity == 0).sum()),
    }  # fmt: skip


def verdict_record(number: int, most_tiles: int = 64) -> Record:
    """Route one instance, judge the verdict, seed a fault."""
    one = draw_instance(number, most_tiles)
    began = time.process_time()
    mapping, wrong = judge(one, number)
    record = described(one, number) | {"wrong": wrong, "seconds": round(time.process_time() - began, 3)}
    if mapping is None:
        return record | {"verdict": "none"}
    weights = mapping.certificate or mapping.bound
    fault = seeded_fault(one, mapping.trees, mapping.load, number) if mapping.verdict == "fits" else None
    return record | {
        "verdict": mapping.verdict, "overuse": sum(over.load - over.limit for over in mapping.violations),
        "ratio": round(weights.ratio, 4) if weights and np.isfinite(weights.ratio) else None,
        "proof": mapping.certificate.where.split()[0] if mapping.certificate else None,
        "fault": fault[0] if fault else None, "caught": fault[1] if fault else None,
    }  # fmt: skip


def routable(fabric: TileFabric, branches: Connectivity, placement: Ints) -> bool | None:
    """Whether trees exist that respect every capacity, None if the solver ran out of time.

    x[net, link] binary, a unit flow per sink below x, sum of x within the channels.
    """
    wired, links = branches.without_own(placement), fabric.n_links
    nets = np.unique(wired.source)
    if not nets.size:
        return True
    column_of = {int(net): i * links for i, net in enumerate(nets)}
    width = (nets.size + len(wired)) * links
    rows, columns, values, low, high = [], [], [], [], []

    def add(entries: Iterable[tuple[int, int]], least: float, most: float) -> None:
        for column, value in entries:
            rows.append(len(low))
            columns.append(column)
            values.append(value)
        low.append(least)
        high.append(most)

    upper = np.ones(width)
    for b, (net, tile) in enumerate(zip(wired.source.tolist(), wired.target.tolist(), strict=True)):
        flow, start, end = (nets.size + b) * links, fabric.tile_node[placement[net]], fabric.tile_node[tile]
        for node in range(fabric.n_nodes):
            into, out = np.flatnonzero(fabric.link_target == node), np.flatnonzero(fabric.link_source == node)
            supply = 1 if node == start else -1 if node == end else 0
            add([*((flow + i, -1) for i in into), *((flow + o, 1) for o in out)], supply, supply)
            if fabric.tile_index[node] >= 0 and node != start:
                upper[flow + out] = 0
        for link in range(links):
            add([(flow + link, 1), (column_of[net] + link, -1)], -np.inf, 0)
    for link in range(links):
        add([(column + link, 1) for column in column_of.values()], -np.inf, fabric.capacity[link])
    matrix = coo_array((values, (rows, columns)), shape=(len(low), width)).tocsr()
    integral = np.zeros(width)
    integral[: nets.size * links] = 1
    found = milp(
        np.zeros(width), constraints=LinearConstraint(matrix, low, high), bounds=Bounds(0, upper), integrality=integral,
        options={"time_limit": SOLVER_SECONDS},
    )  # fmt: skip
    return {0: True, 2: False}.get(found.status)


def programme_record(number: int) -> Record:
    """One small instance: our verdict against the integer programme."""
    one = small_instance(number)
    mapping, wrong = judge(one, number)
    verdict = mapping.verdict if mapping else "none"
    truth = routable(one.fabric, one.nets.on_tiles(one.placement), one.placement)
    if truth is not None and verdict == ("infeasible" if truth else "fits"):
        wrong = f"false verdict {verdict}"
    return described(one, number) | {"verdict": verdict, "routable": truth, "wrong": wrong}


RECORDS = {"verdicts": verdict_record, "programme": programme_record}


def run(kind: str, first: int, last: int, out: Path) -> None:
    """Append the records that are still missing."""
    done = {record["number"] for record in read(out)} if out.exists() else set()
    with out.open("a") as file:
        for number in range(first, last):
            if number not in done:
                file.write(json.dumps(RECORDS[kind](number)) + "\n")
                file.flush()


def read(path: Path) -> list[Record]:
    """Records of a file; a last line that an interruption cut off is dropped."""
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        path.write_text("".join(whole))
    return [json.loads(line) for line in whole]


def share(records: list[Record], verdict: str) -> str:
    count = sum(record["verdict"] == verdict for record in records)
    return f"{count:6d} ({100 * count / max(len(records), 1):4.1f} %)"


def summary(records: list[Record]) -> bool:
    """Print the tables; True if no instance broke a promise."""
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        rows["all"].append(record)
        rows[f"{record['family']}"].append(record)
        tiles = record["tiles"]
        low = 1 << (tiles.bit_length() - 1)
        size = f"{low}-{min(2 * low - 1, 64)} tiles" if tiles < 64 else "64 tiles"
        rows[size].append(record)
        rows[f"{record['family']}, {size}"].append(record)
        if record["closed_links"]:
            rows["some closed links"].append(record)
    print(f"{'':24}{'n':>6} {'fits':>15} {'infeasible':>15} {'unknown':>15} {'mean s':>8} {'worst s':>8}")
    for name in sorted(rows, key=lambda name: (name.count(","), name != "all", "tiles" in name, len(name), name)):
        part = rows[name]
        seconds = [record.get("seconds", 0.0) for record in part]
        columns = " ".join(share(part, verdict) for verdict in ("fits", "infeasible", "unknown"))
        print(f"{name:24}{len(part):6d} {columns} {np.mean(seconds):8.3f} {max(seconds):8.2f}")
    faults = Counter((record["fault"], record["caught"]) for record in records if record.get("fault"))
    for name in FAULTS if faults else ():
        print(f"fault {name}: {faults[name, True]} caught, {faults[name, False]} missed")
    proofs = Counter(record["proof"] for record in records if record.get("proof"))
    print(f"proofs of infeasibility: {dict(proofs)}")
    timed_out = sum("routable" in record and record["routable"] is None for record in records)
    if timed_out:
        print(f"integer programme out of time: {timed_out}")
    wrong = [(r["number"], r["wrong"]) for r in records if r["wrong"]]
    wrong += [(r["number"], f"missed fault: {r['fault']}") for r in records if r.get("caught") is False]
    print(f"{len(records)} instances, {len(wrong)} promises broken", *wrong[:20], sep="\n")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*RECORDS, "summary"))
    parser.add_argument("files", nargs="*", type=Path, help="files to summarise")
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--to", dest="last", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    files = asked.files
    if asked.what != "summary":
        if asked.out is None:
            parser.error("--out FILE is needed")
        run(asked.what, asked.first, asked.last, asked.out)
        files = [asked.out]
    return 0 if summary([record for file in files for record in read(file)]) else 1


if __name__ == "__main__":
    sys.exit(main())
