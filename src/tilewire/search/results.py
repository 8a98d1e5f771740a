"""What a study found: fronts and hypervolumes of its arms, ``front.csv``, ``trials.csv``, ``summary.json``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tilewire.checkpoint import replace_file
from tilewire.design import Design, key_of
from tilewire.search.front import hypervolume, knee, non_dominated
from tilewire.search.plan import ARMS, Entry, Result, admissible
from tilewire.search.study import Study
from tilewire.search.training import settings_of_draw
from tilewire.streams import stream
from tilewire.tables import csv_text


@dataclass(frozen=True)
class Point:
    """A design that was trained in full: objectives are means over its seeds, ``command`` repeats its first training."""

    arm: str
    design: Design
    objectives: Mapping[str, float]
    seeds: int
    command: str


def points(study: Study, arm: str, entries: Sequence[Entry]) -> list[Point]:
    """The designs of an arm all of whose full trainings count."""
    groups: dict[str, list[tuple[Any, Result | None]]] = {}
    for draw, result in entries:
        if draw.stage == "full":
            groups.setdefault(key_of(draw.design), []).append((draw, result))
    found = []
    for group in groups.values():
        if all(admissible(study, result) for _, result in group):
            draw = group[0][0]
            results = [result for _, result in group if result is not None]
            names = [name for name in results[0].objectives if all(r.objectives.get(name) is not None for r in results)]
            means = {name: float(np.mean([r.objectives[name] for r in results])) for name in names}
            found.append(Point(arm, draw.design, means, len(results), command(study, draw)))
    return found


def command(study: Study, draw: Any) -> str:
    """The command line that repeats one training."""
    words = ["tilewire", "run", study.recipe]
    for setting in study.settings(draw.design, settings_of_draw(study, draw)):
        words += ["--set", setting]
    return shlex.join(words)


def volume(study: Study, chosen: Sequence[Point]) -> float:
    """Hypervolume of points as a share of the box between the reference point and the best value of each objective that can be named.

    The box is the reference itself where less is better (nothing is below 0) and 1 - reference where more is better and at most 1;
    otherwise the volume is not divided by that objective.
    """
    if not chosen:
        return 0.0
    losses = np.array([study.losses(point.objectives) for point in chosen], float)
    reference = np.array([-v if up else v for v, up in zip(study.reference, study.maximised, strict=True)])
    sides = [
        (1 - v if name.endswith("_accuracy") else 1.0) if up else v
        for name, v, up in zip(study.file.objectives, study.reference, study.maximised, strict=True)
    ]
    return hypervolume(losses, reference, stream(study.file.seed, "hypervolume")) / float(np.prod(sides))


def front(study: Study, chosen: Sequence[Point]) -> list[Point]:
    """The points that no other one beats."""
    if not chosen:
        return []
    losses = np.array([study.losses(point.objectives) for point in chosen], float)
    return [chosen[int(i)] for i in np.flatnonzero(non_dominated(losses))]


def summary(study: Study, entries: Mapping[str, Sequence[Entry]]) -> dict[str, Any]:
    """Counts, reasons, fronts, knee, hypervolumes, and whether the front beats the design made by hand."""
    by_arm = {arm: points(study, arm, entries[arm]) for arm in ARMS}
    best = front(study, by_arm["search"])
    losses = np.array([study.losses(point.objectives) for point in best], float)
    hand = [study.losses(point.objectives) for point in by_arm["hand"]]
    beaten = [bool((losses <= h).all(axis=1).any()) for h in hand if h is not None and len(best)]
    return {
        "study": study.digest,
        "seed": study.file.seed,
        "objectives": {
            name: "maximise" if up else "minimise"
            for name, up in zip(study.file.objectives, study.maximised, strict=True)
        },
        "reference": study.file.reference,
        "arms": {
            arm: {
                "trainings": len(entries[arm]),
                "states": _states(entries[arm]),
                "hypervolume": volume(study, by_arm[arm]),
                "front": [_shown(point) for point in front(study, by_arm[arm])],
            }
            for arm in ARMS
        },
        "knee": _shown(best[knee(losses)]) if best else None,
        "hand": {"name": study.file.hand.name, "dominated": beaten[0] if beaten else None},
        "infeasible": [
            {"arm": arm, "k": draw.k, "reason": result.reason}
            for arm in ARMS
            for draw, result in entries[arm]
            if result is not None and result.state in ("infeasible", "failed")
        ],
    }


def _states(entries: Sequence[Entry]) -> dict[str, int]:
    states = [result.state if result is not None else "open" for _, result in entries]
    return {state: states.count(state) for state in sorted(set(states))}


def _shown(point: Point) -> dict[str, Any]:
    return {
        "design": point.design,
        "objectives": dict(point.objectives),
        "seeds": point.seeds,
        "command": point.command,
    }


def write_results(study: Study, entries: Mapping[str, Sequence[Entry]], folder: Path) -> dict[str, Any]:
    """Write the tables and the summary into the folder of the study; returns the summary."""
    found = summary(study, entries)
    chosen = [point for arm in ARMS for point in front(study, points(study, arm, entries[arm]))]
    knobs, objectives = list(study.space.knobs), study.file.objectives
    rows: list[list[Any]] = [
        [
            point.arm,
            point.seeds,
            *(json.dumps(point.design[knob]) if knob in point.design else "" for knob in knobs),
            *(point.objectives.get(name, "") for name in objectives),
            point.command,
        ]
        for point in chosen
    ]
    replace_file(folder / "front.csv", csv_text(["arm", "seeds", *knobs, *objectives, "command"], rows))
    rows = [
        [
            arm,
            draw.k,
            draw.stage,
            draw.generation,
            draw.seed,
            result.state if result else "open",
            *(json.dumps(draw.design[knob]) if knob in draw.design else "" for knob in knobs),
            *((result.objectives.get(name) if result else None) for name in objectives),
            result.reason if result else "",
        ]
        for arm in ARMS
        for draw, result in entries[arm]
    ]
    head = ["arm", "k", "stage", "generation", "seed", "state", *knobs, *objectives, "reason"]
    replace_file(folder / "trials.csv", csv_text(head, rows))
    replace_file(folder / "summary.json", (json.dumps(found, indent=2) + "\n").encode())
    return found
