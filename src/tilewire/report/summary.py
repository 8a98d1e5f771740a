"""The words and tables of the page: verdict, headline figures, objectives, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tilewire.report.bar import share_bar
from tilewire.report.loads import order_of_pressure
from tilewire.report.markup import Markup, card, cells, join, table, tag
from tilewire.report.run_folder import RunFolder, at
from tilewire.report.scale import MISSING, number, percent, shown

KINDS_OF_DATA = {
    "real": "published recordings",
    "recorded": "the user's own recordings",
    "synthetic": "synthetic data, not SHD: figures do not compare with published ones on recorded speech",
}


def objective(run: RunFolder, name: str) -> float | None:
    """Value of an objective, None if the run has no such figure."""
    return number(at(run.evaluation, "objectives", name, "value"))


def baseline_of(run: RunFolder) -> float | None:
    """Test accuracy of the linear baseline on spike counts."""
    return objective(run, "linear_on_counts_accuracy")


def class_names(run: RunFolder) -> list[str]:
    """Names of the classes, empty if the run does not tell."""
    names = at(run.evaluation, "data", "classes")
    return [str(name) for name in names] if isinstance(names, list) else []


def tile_roles(run: RunFolder) -> dict[int, str]:
    """Tiles that inputs enter and outputs leave, as far as the run tells: tile -> "inputs" | "outputs" | "inputs, outputs"."""
    fabric, mapped = run.fabric, run.mapped
    roles: dict[int, str] = {}
    if fabric is None or mapped is None:
        return roles
    for role in ("inputs", "outputs"):
        groups = at(run.evaluation, "network", f"{role[:-1]}_tiles")
        for group in groups if isinstance(groups, list) else ():
            if isinstance(group, int) and 0 <= group < fabric.n_tiles:
                tile = int(mapped.tile[group * fabric.neurons_per_tile])
                roles[tile] = f"{roles[tile]}, {role}" if tile in roles else role
    return roles


def worst_port(run: RunFolder) -> tuple[str, int, int] | None:
    """Name, nets and channels of the tightest port, from the trees or, without them, from the listed violations."""
    if run.fabric is not None and run.mapped is not None:
        order = order_of_pressure(run.fabric, run.mapped.load)
        if order.size:
            link = int(order[0])
            return run.fabric.link_name(link), int(run.mapped.load[link]), int(run.fabric.capacity[link])
    listed = at(run.evaluation, "mapping", "violations")
    first = listed[0] if isinstance(listed, list) and listed else None
    load, limit = number(at(first, "load")), number(at(first, "limit"))
    return None if load is None or limit is None else (str(at(first, "where")), int(load), int(limit))


def verdict_words(run: RunFolder) -> tuple[str, str]:
    """Verdict in a phrase and its reason."""
    verdict, worst = at(run.evaluation, "verdict"), worst_port(run)
    over = f"{worst[0]} carries {worst[1]} nets, has {worst[2]} channels" if worst and worst[1] > worst[2] else ""
    if verdict == "fits":
        return "fits", "every port within its channels"
    if verdict == "infeasible":
        return "does not fit", over or "a resource is over its limit"
    if verdict == "unknown":
        return "unknown", f"no fit found: {over}" if over else "neither a fit nor a proof against one was found"
    return "not evaluated", "the run has not reached its evaluation"


def verdict_line(run: RunFolder) -> Markup:
    """Title of the page."""
    phrase, reason = verdict_words(run)
    mark = {"fits": "good", "does not fit": "bad"}.get(phrase, "open")
    grid = at(run.evaluation, "hardware", "grid")
    size = " × ".join(str(side) for side in grid) if isinstance(grid, list) else ""
    per_tile = number(at(run.evaluation, "hardware", "neurons_per_tile"))
    chip = [
        at(run.evaluation, "hardware", "name") or at(run.evaluation, "hardware", "family"),
        f"{size} tiles of {shown(per_tile)} neurons" if size and per_tile else None,
        at(run.evaluation, "data", "name"),
        f"router {at(run.evaluation, 'mapping', 'router')}" if at(run.evaluation, "mapping", "router") else None,
        f"seed {at(run.evaluation, 'seed')}" if at(run.evaluation, "seed") is not None else None,
    ]
    return tag(
        "header",
        tag("p", f"Tilewire run: {run.name}", class_="overline"),
        tag("h1", tag("span", phrase, class_=f"verdict {mark}"), tag("span", f" {reason}", class_="reason")),
        tag("p", " · ".join(str(part) for part in chip if part), class_="subtitle"),
    )  # fmt: skip


def _tile(label: str, value: object, *below: object) -> Markup:
    return tag("div", tag("p", label, class_="label"), tag("p", value, class_="value"), *(tag("p", b, class_="below") for b in below if b),
               class_="figure-tile")  # fmt: skip


def headline(run: RunFolder) -> Markup:
    """The figures to quote: accuracy beside its baseline, parameters, branches, ports, devices."""
    accuracy, baseline = objective(run, "test_accuracy"), baseline_of(run)
    compared = None
    if accuracy is not None and baseline is not None:
        gain = shown(100 * (accuracy - baseline), 3)
        compared = join(
            [
                f"linear on counts {percent(baseline)} ",
                tag("span", f"({gain if gain[0] == '−' else '+' + gain} points)"),
            ]
        )
    samples = number(at(run.evaluation, "data", "samples", "test"))
    needed, sized = objective(run, "memory_devices_needed"), objective(run, "memory_devices_sized")
    chip = number(at(run.evaluation, "memory", "total"))
    tiles = [
        _tile("Test accuracy", percent(accuracy), compared, f"{shown(samples)} samples" if samples else None),
        _tile("Parameters", shown(objective(run, "parameters")), "synapses in use"),
        _tile("Live branches", shown(_branches(run)), _excess(run)),
        _tightest(run),
        tag(
            "div", tag("p", "Device memory of the chip", class_="label"), tag("p", shown(chip), class_="value"), _memory_bar(run),
            tag("p", f"these nets need {shown(needed)}, sized per router {shown(sized)}", class_="below") if needed else "",
            class_="figure-tile broad",
        ),
    ]  # fmt: skip
    return tag("section", *tiles, class_="headline")


def _branches(run: RunFolder) -> float | None:
    counted = objective(run, "branches")
    return counted if counted is not None or run.mapped is None else float(run.mapped.branch_source.size)


def _excess(run: RunFolder) -> str | None:
    """The proxy's side of the story: how far the budget was from its limit at the end of training."""
    excess = number(run.metrics[-1].get("excess")) if run.metrics else None
    kind = at(run.evaluation, "budget", "kind")
    if excess is None:
        return None
    return f"budget {kind or ''} {'held' if excess <= 0 else 'broken'}: worst excess {shown(excess)}".replace("  ", " ")


def _tightest(run: RunFolder) -> Markup | str:
    worst = worst_port(run)
    if worst is None:
        return ""
    name, nets, channels = worst
    value = join([shown(nets), tag("span", f" of {shown(channels)} channels", class_="unit")])
    return _tile("Tightest port", value, name)


def _memory_bar(run: RunFolder) -> Markup:
    """Devices per kind of unit as one bar with its key."""
    found = at(run.evaluation, "memory", "by_kind")
    kinds = [(str(k), v) for k, v in found.items() if (number(v) or 0) > 0] if isinstance(found, Mapping) else []
    return share_bar([(kind, float(count)) for kind, count in kinds], "devices", "Devices per kind")


def objectives_table(run: RunFolder) -> Markup:
    """Every objective as the run wrote it."""
    found = at(run.evaluation, "objectives")
    if not isinstance(found, Mapping) or not found:
        return Markup()
    rows = []
    for name, entry in found.items():
        value, unit = at(entry, "value"), at(entry, "unit")
        is_share = unit == "share"
        figure = percent(value, 2) if is_share else shown(value, 5)
        rows.append((tag("code", name), figure, "" if is_share else unit, at(entry, "sense"), at(entry, "source")))
    note = "A figure that is not there (–) misses a constant that its source names; nothing is guessed."
    return card(
        "Objectives",
        table(("objective", "value", "unit", "sense", "formula and source"), rows, (1,), "objectives"),
        note=note,
    )


def provenance(run: RunFolder) -> Markup:
    """What it takes to trust and repeat the run."""
    kind, name = (
        at(run.evaluation, "data", "kind") or at(run.manifest, "data", "kind"),
        at(run.evaluation, "data", "name"),
    )
    splits = at(run.evaluation, "data", "samples")
    packages = at(run.manifest, "packages")
    rows: Sequence[tuple[str, object]] = (
        ("data", f"{name}: {KINDS_OF_DATA.get(str(kind), kind)}" if name else None),
        ("data digest", _code(at(run.evaluation, "data", "digest") or at(run.manifest, "data", "digest"))),
        ("samples", ", ".join(f"{k} {shown(v)}" for k, v in splits.items()) if isinstance(splits, Mapping) else None),
        ("hardware hash", _code(at(run.evaluation, "hardware", "hash") or at(run.manifest, "hardware", "hash"))),
        ("seed", at(run.evaluation, "seed") if at(run.evaluation, "seed") is not None else at(run.manifest, "seed")),
        ("epochs", at(run.evaluation, "training", "epochs") or (len(run.metrics) or None)),
        ("weights sha256", _code(at(run.evaluation, "training", "weights_sha256"))),
        ("training time", _seconds(at(run.evaluation, "training", "seconds"))),
        ("kernel tier, threads", _pair(at(run.manifest, "kernel_tier"), at(run.manifest, "threads"))),
        ("versions", _versions(run, packages)),
        ("repeat", tag("code", "tilewire run config.yaml --out again") if run.config_text else None),
    )
    listed = join(tag("tr", cells((label, value))) for label, value in rows if value not in (None, ""))
    recipe = (
        tag("details", tag("summary", "config.yaml of this run"), tag("pre", run.config_text))
        if run.config_text
        else ""
    )
    return card("Provenance", tag("div", tag("table", tag("tbody", listed), class_="facts"), class_="wide"), recipe)


def _code(text: object) -> Markup | None:
    return tag("code", text) if text else None


def _seconds(value: object) -> str | None:
    return None if number(value) is None else f"{shown(value, 3)} s"


def _pair(tier: object, threads: object) -> str | None:
    return (
        None
        if tier is None and threads is None
        else f"{MISSING if tier is None else tier}, {MISSING if threads is None else threads}"
    )


def _versions(run: RunFolder, packages: object) -> str:
    known = [
        ("tilewire", at(run.evaluation, "tilewire") or at(run.manifest, "tilewire")),
        ("python", at(run.manifest, "python")),
    ]
    known += list(packages.items()) if isinstance(packages, Mapping) else []
    return ", ".join(f"{name} {version}" for name, version in known if version)
