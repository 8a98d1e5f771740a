"""The report page: what a run found, in reading order."""

from __future__ import annotations

from pathlib import Path

from tilewire.checkpoint import replace_file
from tilewire.report.chip import SINGLE_LINKS, chip_map
from tilewire.report.confusion import confusion_counts, confusion_matrix, mistakes
from tilewire.report.cost import cost_card
from tilewire.report.curves import training_curves
from tilewire.report.loads import load_histogram, steps, worst_ports
from tilewire.report.markup import Markup, card, figure, tag
from tilewire.report.run_folder import RunFolder, at, read_run
from tilewire.report.shell import asset, document
from tilewire.report.summary import (
    baseline_of,
    class_names,
    headline,
    objectives_table,
    provenance,
    tile_roles,
    verdict_line,
)
from tilewire.report.wiring import branch_matrix, displacement_map, hop_table, tile_matrix

WIDE_CANVAS = 25  # rows or columns; a larger map takes the whole width


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder from what lies there, and return its path.

    The page is self-contained: style, script and drawings are inside, a content security policy forbids it every request. Missing or
    damaged files shorten the page and are named on it. Raises `RunError` if the folder is no run or cannot be written.
    """
    path = Path(folder) / "report.html"
    replace_file(path, render(read_run(Path(folder))).encode())
    return path


def render(run: RunFolder) -> str:
    """The page of a run as HTML text."""
    return document(f"{run.name}: Tilewire report", *_sections(run), script=asset("trace.js"))


def _sections(run: RunFolder) -> list[Markup]:
    """The cards of the page; a card whose files are missing is left out."""
    notes = tag("ul", *(tag("li", note) for note in run.notes), class_="missing") if run.notes else Markup()
    return [
        verdict_line(run),
        headline(run),
        *_chip(run),
        *_wiring(run),
        *_training(run),
        *_confusion(run),
        *cost_card(run),
        objectives_table(run),
        provenance(run),
        card("Not on this page", notes, note="Files of the run folder that are missing or could not be read.")
        if run.notes
        else Markup(),
    ]


def _chip(run: RunFolder) -> list[Markup]:
    if run.fabric is None or run.mapped is None:
        return []
    load = run.mapped.load
    side = tag(
        "div",
        worst_ports(run.fabric, load),
        figure("Load against capacity", load_histogram(run.fabric, load)),
        class_="side",
    )
    plan = tag("div", chip_map(run.fabric, run.mapped, tile_roles(run)), class_="plan")
    note = "Each arrow is a link, coloured by the nets it carries against its channels. Point at a unit or a link for figures."
    if run.fabric.n_links <= SINGLE_LINKS:
        note += " Click a tile to see where its nets run, a link to see whose nets it carries."
    arrangement = "stacked" if max(run.fabric.canvas) > WIDE_CANVAS else "split"
    return [card("Chip map", tag("div", plan, side, class_=arrangement), note=note)]


def _wiring(run: RunFolder) -> list[Markup]:
    if run.fabric is None or run.mapped is None:
        return []
    counts = tile_matrix(run.fabric, run.mapped)
    profile = at(run.evaluation, "budget", "profile") or at(run.config, "budget", "profile") or {}
    used = profile if isinstance(profile, dict) else {}
    matrix = figure(
        "Branches, tile to tile",
        branch_matrix(run.fabric, counts),
        note="Share of the branches that a pair of tiles can have; outlined: nearest hop class; lines part the rows of the grid.",
    )
    where = figure(
        "Where branches go",
        displacement_map(run.fabric, counts),
        note="Share of the available branches by displacement from the source tile; figures: hop class.",
    )
    key = tag("div", steps("share of branches  0", "100 %"), class_="legend")
    return [card("Wiring", tag("div", matrix, where, class_="charts"), key, hop_table(run.fabric, counts, used))]


def _training(run: RunFolder) -> list[Markup]:
    if not run.metrics:
        return []
    profile = at(run.evaluation, "budget", "profile") or at(run.config, "budget", "profile")
    return [
        card("Training", training_curves(run.metrics, profile if isinstance(profile, dict) else {}, baseline_of(run)))
    ]


def _confusion(run: RunFolder) -> list[Markup]:
    counts = confusion_counts(at(run.evaluation, "confusion"))
    if counts is None:
        return []
    names = class_names(run)
    picture = tag("div", confusion_matrix(counts, names), class_="plan")
    note = "Test samples by true class (down) and predicted class (across), shaded by the share of the true class."
    return [
        card(
            "Confusion",
            tag("div", picture, tag("div", mistakes(counts, names), class_="side"), class_="split"),
            note=note,
        )
    ]
