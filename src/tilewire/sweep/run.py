"""Train the cells of a grid, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tilewire.checkpoint import lock
from tilewire.errors import RunError, UsageError, unknown
from tilewire.sweep.cells import Cell, cells_of, recipe_of
from tilewire.sweep.grid import Grid, members
from tilewire.sweep.outcome import Outcome, finished, outcome_of
from tilewire.sweep.pool import Task, WorkerPool
from tilewire.sweep.tables import write_tables

SHARED = ".shared"  # first phases of compressions, trained once for all cells that have them


def run_sweep(
    grid: Grid,
    base: Path,
    out: Path,
    *,
    workers: int,
    only: Sequence[str] = (),
    report: Callable[[int, int, Outcome], None] | None = None,
) -> list[Outcome]:
    """Run every unfinished cell, ``workers`` at a time, one thread each; writes ``results.csv`` and ``summary.csv`` into ``out``.

    ``only`` names the cells to run (names or prefixes, as in groups; none: all); of the others those that are finished are listed too.
    A cell that fails is listed with its error and does not stop the others. Interrupted cells continue where they were saved.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers, at least 1 is needed")
    cells = cells_of(grid, base, out)
    chosen = _chosen(cells, only)
    recipe = recipe_of(grid, base)

    def one(cell: Cell) -> Outcome:
        if finished(cell):
            return outcome_of(cell)
        error = pool.run(Task(recipe, list(cell.settings), str(cell.folder), str(out / SHARED)))
        return outcome_of(cell, error[-2000:])

    with lock(out), WorkerPool() as pool:
        outcomes = {cell: outcome_of(cell) for cell in cells if cell not in chosen and finished(cell)}
        with ThreadPoolExecutor(workers) as threads:
            pending = {threads.submit(one, cell): cell for cell in chosen}
            try:
                for number, done in enumerate(as_completed(pending), 1):
                    outcomes[pending[done]] = done.result()
                    write_tables(out, [outcomes[cell] for cell in cells if cell in outcomes])
                    if report is not None:
                        report(number, len(chosen), outcomes[pending[done]])
            except KeyboardInterrupt:
                pool.stop()
                threads.shutdown(wait=True, cancel_futures=True)
                raise
        if pool.stopped:
            raise RunError(
                "the sweep was stopped; every cell is saved", where=str(out), hint="the same command continues"
            )
    return [outcomes[cell] for cell in cells if cell in outcomes]


def _chosen(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that ``only`` means; all if it is empty. Raises `UsageError` for an entry that means none."""
    labels = list(dict.fromkeys(cell.name for cell in cells))
    for entry in only:
        if not members([entry], labels):
            raise UsageError(unknown("cell", entry, labels))
    names = set(members(only, labels) if only else labels)
    return [cell for cell in cells if cell.name in names]
