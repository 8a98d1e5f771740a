"""Device memory that random networks of four hop profiles need: fixed paths, negotiated routing, proven bound. Resumable.

    python scripts/mapping_sizes.py --sides 4 6 8 --profiles A B C D --seeds 0 1 2 --out sizes.jsonl

Square Mosaic grids of 32 neurons a tile; each network is drawn tile by tile and class by class with its own seed. M in devices, of
homogeneous chips of uniform widths; gap = negotiated M over its proven lower bound; seconds are processor time of the negotiated sizing.
Sizes that are in the file already are not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from mapping_campaign import read

from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.negotiated_sizing import size_negotiated
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.profile_sizing import draw_branches
from tilewire.mapping.sizing import size_one_turn

NEURONS = 32
PROFILES = {"A": {1: 0.9, 3: 0.1}, "B": {1: 0.8, 3: 0.2, 5: 0.05}, "C": {1: 0.5, 3: 0.2, 5: 0.1, 7: 0.05}, "D": {}}


def size_record(side: int, profile: str, seed: int) -> dict[str, Any]:
    """Sizes of one network; profile D is 0.1 at every distance that the grid has."""
    fabric = mosaic((side, side), NEURONS)
    density = PROFILES[profile] or dict.fromkeys(fabric.hop_classes, 0.1)
    branches = draw_branches(fabric, density, np.random.default_rng(seed))
    placement = by_index(fabric.n_neurons, fabric)
    fixed = size_one_turn(fabric, branches, placement)
    began = time.process_time()
    size, trees = size_negotiated(fabric, branches, placement, rng=np.random.default_rng(seed))
    seconds = time.process_time() - began
    chip = mosaic((side, side), NEURONS, router=size.router, tile_in=size.tile_in)
    nets = Nets.of(branches)
    check = check_mapping(chip, nets.branches, nets.group, placement, trees.ptr, trees.link)
    return {
        "tiles": side * side, "profile": profile, "seed": seed, "branches": len(branches), "one_turn": [fixed.router, fixed.tile_in],
        "negotiated": [size.router, size.tile_in], "one_turn_devices": fixed.memory_devices, "devices": size.memory_devices,
        "bound": size.lower_bound, "checked": check.fits and chip.memory().total == size.memory_devices, "seconds": round(seconds, 1),
    }  # fmt: skip


def table(records: list[dict[str, Any]]) -> bool:
    """Print the table; True if every size passed the check and holds its bound."""
    print(
        "tiles profile seed   one-turn r/t  negotiated r/t   M one-turn  M negotiated     proven M  gain   gap  seconds"
    )
    gaps = []
    for one in sorted(records, key=lambda one: (one["tiles"], one["profile"], one["seed"])):
        bound = one["bound"]["memory_devices"]
        gaps.append(one["devices"] / bound)
        first, then = ("{}/{}".format(*one[key]) for key in ("one_turn", "negotiated"))
        print(
            f"{one['tiles']:5d} {one['profile']:7} {one['seed']:4d} {first:>14} {then:>15} {one['one_turn_devices']:12,d} "
            f"{one['devices']:13,d} {bound:12,d} {one['one_turn_devices'] / one['devices']:5.2f} {gaps[-1]:5.3f} {one['seconds']:8.1f}"
        )
    if gaps:
        print(f"{len(gaps)} networks, mean gap {np.mean(gaps):.3f}, worst {max(gaps):.3f}")
    return all(one["checked"] for one in records) and all(gap >= 1 for gap in gaps)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="+", type=int, default=[4, 6, 8])
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    records = read(asked.out) if asked.out.exists() else []
    done = {(one["tiles"], one["profile"], one["seed"]) for one in records}
    with asked.out.open("a") as file:
        for side, profile, seed in product(asked.sides, asked.profiles, asked.seeds):
            if (side * side, profile, seed) not in done:
                records.append(size_record(side, profile, seed))
                file.write(json.dumps(records[-1]) + "\n")
                file.flush()
    return 0 if table(records) else 1


if __name__ == "__main__":
    sys.exit(main())
