"""``tilewire bench``: the workloads of the performance goals, ours and the peers' ways side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.output import Json, emit, log, table

if TYPE_CHECKING:
    from tilewire.bench.harness import Result

MAIN = ("w1", "w2", "w3", "w4", "w5", "overhead")


def bench(
    workload: Annotated[str, typer.Argument(metavar="w1|w2|w3|w4|w5|overhead|all", help="Which workload.")] = "all",
    threads: Annotated[
        list[int] | None, typer.Option("--threads", help="Threads; give it twice for two tables. Default 1 and 2.")
    ] = None,
    growth: Annotated[bool, typer.Option("--growth", help="Also vary sizes, one at a time (w1, w2).")] = False,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Peak memory, a process per contestant.")] = True,
    json: Json = False,
) -> None:
    """Ratios to the best peer, memory, and whether all agree. Compare ratios, not seconds: machines and neighbours differ."""
    from tilewire.bench.harness import measure
    from tilewire.bench.workloads import WORKLOADS, contests

    names = list(MAIN) if workload == "all" else [workload]
    names += [f"{name}-growth" for name in names if growth and f"{name}-growth" in WORKLOADS]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        for number, contest in enumerate(contests(name)):
            for count in threads or (1, 2):
                log(f"{contest.title}, {count} thread{'s' if count > 1 else ''}")
                result = measure(contest, count, (name, number) if memory else None)
                found.setdefault(name, []).append(result.record())
                if not json:
                    _show(result)
    if json:
        from tilewire.bench.machine import machine

        emit({"machine": machine(), "workloads": found})


def _show(result: Result) -> None:
    head = ("contestant", "ms", "median ms", "x best peer", "memory MB", "difference")
    rows = [
        (
            figure.name, figure.seconds * 1e3, figure.median_seconds * 1e3, figure.ratio,
            None if figure.memory_bytes is None else figure.memory_bytes / 1e6, figure.error,
        )
        for figure in result.figures
    ]  # fmt: skip
    table(f"{result.title}, {result.threads} thread(s), {result.clock} time", head, rows)
