"""``tilewire search``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import OK, Json, emit, log, say, table
from tilewire.errors import UsageError

if TYPE_CHECKING:
    from tilewire.search.plan import Draw, Entry, Result


def search(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study file: recipe, space, objectives, budget.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default studies/STUDY.")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Trainings at a time, one thread each.")] = 1,
    storage: Annotated[
        str | None, typer.Option("--storage", help="postgresql://user:password@host/database shared by many machines.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Instead of the seed in the file.")] = None,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
    json: Json = False,
) -> None:
    """Search network and hardware together, beside random search and a design made by hand. Ctrl-C saves; the same command continues."""
    from tilewire.search import run
    from tilewire.search.study import load_study, reseeded

    if not study.is_file():
        raise UsageError(f"no file '{study}'", hint="a YAML file with recipe, space, objectives, reference and hand")
    loaded = load_study(study)
    loaded = loaded if seed is None else reseeded(loaded, seed)
    folder = out or Path("studies") / study.stem
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if worker:
        return run.one_worker(loaded, folder, storage, stopped.is_set)
    seen: set[tuple[str, int]] = set()
    if workers == 1:
        run.one_worker(loaded, folder, storage, stopped.is_set, lambda draw, result: _tell(draw, result, seen))
    else:
        run.many_workers(
            loaded, folder, storage, workers, run.worker_command(study, folder, storage, seed), stopped.is_set,
            lambda entries: _tell_all(entries, seen),
        )  # fmt: skip
    summary = run.finish(loaded, folder, storage)
    if json:
        emit(summary)
    else:
        _show(summary, folder)
    raise typer.Exit(OK)


def _tell(draw: Draw, result: Result | None, seen: set[tuple[str, int]]) -> None:
    if result is None:
        return
    seen.add((draw.arm, draw.k))
    figures = ", ".join(
        f"{name} {value:.4g}" for name, value in list(result.objectives.items())[:3] if value is not None
    )
    log(
        f"{draw.arm} {draw.k} ({draw.stage}): {result.state} {result.reason.splitlines()[0] if result.reason else figures}"
    )


def _tell_all(entries: Mapping[str, Sequence[Entry]], seen: set[tuple[str, int]]) -> None:
    for arm in entries.values():
        for draw, result in arm:
            if result is not None and (draw.arm, draw.k) not in seen:
                _tell(draw, result, seen)


def _show(summary: dict[str, Any], folder: Path) -> None:
    arms = summary["arms"].items()
    table(
        "",
        ("arm", "trainings", "hypervolume", "points on its front"),
        [(arm, entry["trainings"], entry["hypervolume"], len(entry["front"])) for arm, entry in arms],
    )
    names = list(summary["objectives"])
    rows = [tuple(point["objectives"][name] for name in names) for point in summary["arms"]["search"]["front"]]
    table("front of the search", names, rows)
    hand = summary["hand"]
    words = {True: "beaten", False: "not beaten", None: "not comparable"}[hand["dominated"]]
    say(f"{hand['name']}: {words} in every objective")
    say(f"report: {folder / 'report.html'}, points: {folder / 'front.csv'}")
