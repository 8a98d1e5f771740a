"""``tilewire run`` and ``tilewire report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from tilewire.cli.output import NOT_FITS, OK, Json, emit, log, say, table
from tilewire.errors import RunError, UsageError


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a packaged recipe.")],
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/RECIPE.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value changes, e.g. train.epochs=10.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    share: Annotated[
        Path | None,
        typer.Option("--share", help="Folder where runs with compress leave and find their common all-to-all phase."),
    ] = None,
    json: Json = False,
) -> None:
    """Place, train, route, check, price and report in one folder. Ctrl-C saves; the same command continues."""
    from tilewire.cascade_recipe import is_cascade

    folder = out or Path("runs") / Path(recipe).stem
    evaluation = (
        _cascade(recipe, settings or [], folder)
        if is_cascade(recipe)
        else _tiled(recipe, settings or [], folder, quiet, share)
    )
    if json:
        emit(evaluation)
    else:
        _show(evaluation, folder)
    raise typer.Exit(OK if evaluation["verdict"] == "fits" else NOT_FITS)


def _cascade(recipe: str, settings: list[str], folder: Path) -> dict[str, Any]:
    from tilewire.cascade_recipe import load_cascade
    from tilewire.cascade_run import execute_cascade

    log("training, quantising, pricing: some seconds")
    return execute_cascade(load_cascade(recipe, settings), folder)


def _tiled(recipe: str, settings: list[str], folder: Path, quiet: bool, share: Path | None) -> dict[str, Any]:
    from tilewire.config import load_recipe
    from tilewire.run import Interrupted, execute
    from tilewire.terminal import observe

    loaded = load_recipe(recipe, settings)
    try:
        with observe(loaded.train.epochs, quiet=quiet) as observer:
            return execute(loaded, folder, observer, share=share)
    except Interrupted as error:
        changes = [word for text in settings for word in ("--set", text)]
        again = shlex.join(["tilewire", "run", recipe, *changes, "--out", str(folder)])
        raise Interrupted(error.message, where=error.where, hint=f"continue with: {again}") from error


def _show(evaluation: dict[str, Any], folder: Path) -> None:
    objectives = evaluation["objectives"].items()
    table("", ("objective", "value", "unit"), [(name, entry["value"], entry["unit"]) for name, entry in objectives])
    say(f"verdict: {evaluation['verdict']}")
    for violation in evaluation["mapping"]["violations"][:5]:
        say(f"  {violation['where']}: {violation['load']} nets, {violation['limit']} channels")
    if (folder / "report.html").is_file():
        say(f"report: {folder / 'report.html'}")


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the folder of a sweep.")],
    svg: Annotated[
        bool, typer.Option("--svg", help="Of a sweep: also its drawings, accuracy against device memory, as SVG files.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the one-file HTML report of a run folder or a sweep folder again."""
    from tilewire.cli.sweeping import report_sweep
    from tilewire.report.page import write_report
    from tilewire.report.sweep_page import write_sweep_drawings

    if (folder / "results.csv").is_file():
        path = report_sweep(folder)
        drawings = [str(drawing) for drawing in write_sweep_drawings(folder)] if svg else []
        if json:
            return emit({"report": str(path), "drawings": drawings})
        return log("\n".join([f"report: {path}", *(f"drawing: {drawing}" for drawing in drawings)]))
    if svg:
        raise UsageError("--svg draws sweeps; the drawings of a run are in its report.html", where=str(folder))
    if not (folder / "evaluation.json").is_file():
        raise RunError("no finished run here", where=str(folder), hint="the folder that `tilewire run` wrote")
    path = write_report(folder)
    if json:
        return emit({"report": str(path)})
    return log(f"report: {path}")
