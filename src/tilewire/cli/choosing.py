"""``tilewire chip-for``: the cheapest chip for a wanted accuracy."""

from __future__ import annotations

import json as text
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewire.cli.mapping import Router, RouterOption, Seed
from tilewire.cli.output import Json, emit, log, say, table
from tilewire.errors import UsageError

if TYPE_CHECKING:
    from tilewire.codesign.accuracy_law import AccuracyLaw
    from tilewire.codesign.choose import Choice
    from tilewire.codesign.family import Kin


def chip_for(
    folder: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep over profiles (its results.csv).")],
    accuracies: Annotated[list[float], typer.Argument(metavar="ACCURACY...", help="Wanted test accuracies, e.g. 0.8.")],
    chips: Annotated[
        list[str] | None,
        typer.Option("--chip", help="Grid to consider, e.g. 'mosaic 5x5x32'; default those of the sweep."),
    ] = None,
    cells: Annotated[
        list[str] | None,
        typer.Option("--cells", help="Cells to fit, by name or prefix; default all with known densities."),
    ] = None,
    router: RouterOption = Router.one_turn,
    tile_out: Annotated[
        str, typer.Option("--tile-out", help="chip: S wide as published; sized: as the nets need.")
    ] = "chip",
    networks: Annotated[int, typer.Option("--networks", help="Random networks that the chip must carry.")] = 153,
    classes: Annotated[
        int | None, typer.Option("--classes", help="Classes of the task; default as the runs of the sweep say.")
    ] = None,
    channels: Annotated[int | None, typer.Option("--channels", help="Input channels; default as the runs say.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The cheapest chip for a wanted accuracy: grid, neurons per tile, channels and the profile to train inside, with intervals."""
    from tilewire.codesign.accuracy_law import fit_law
    from tilewire.codesign.choose import chips_for
    from tilewire.codesign.family import families
    from tilewire.statement.trainings import read_trainings
    from tilewire.streams import stream
    from tilewire.sweep.grid import members

    if tile_out not in ("chip", "sized"):
        raise UsageError(f"--tile-out {tile_out} is neither chip nor sized")
    rows = read_trainings(folder)
    kept = set(members(cells, list(dict.fromkeys(one.cell for one in rows)))) if cells else {one.cell for one in rows}
    used = [one for one in rows if one.cell in kept and not one.error]
    known_classes, known_channels = _task(folder)
    outputs, inputs = classes or known_classes, channels or known_channels
    if outputs is None:
        raise UsageError("no run folder tells how many classes the task has", hint="--classes")
    law = fit_law(used, 1 / outputs, rng=stream(seed, "law"))
    grids = chips or sorted({one.chip for one in used if one.chip})
    log(f"law of {len(law.trained)} profiles; routing random networks on {len(grids)} grids ...")
    found = {
        wanted: chips_for(
            law, wanted, grids, router=router.value, tile_out_sized=tile_out == "sized", networks=networks,
            channels=inputs or 1, outputs=outputs, seed=seed,
        )
        for wanted in accuracies
    }  # fmt: skip
    kin = families(used)
    if json:
        choices = {f"{w:g}": [_summary(c) for c in own] for w, own in found.items()}
        pairs = [asdict(one) | {"agree": one.agree} for one in kin]
        return emit({"law": _law(law), "choices": choices, "one_profile_two_chips": pairs})
    return _show(law, found, kin)


def _task(folder: Path) -> tuple[int | None, int | None]:
    """Classes and channels of the task, from any run folder of the sweep."""
    for path in sorted(folder.glob("*/seed-*/evaluation.json")):
        data = text.loads(path.read_text())["data"]
        return len(data["classes"]), int(data["channels"])
    return None, None


def _law(law: AccuracyLaw) -> dict[str, Any]:
    names = ("asymptote", "exponent", *(f"effect_of_class_{d}" for d in law.classes))
    return {
        "formula": "accuracy = a - (a - chance) exp(-sum_d c_d p_d^e)",
        **dict(zip(names, law.best.tolist(), strict=True)),
        "chance": law.chance,
        "lack_of_fit_sd": law.lack,
        "seed_sd": law.seed_sd,
        "profiles": len(law.trained),
        "largest_trained_densities": {str(d): law.most(d) for d in law.classes},
    }


def _summary(choice: Choice) -> dict[str, Any]:
    from tilewire.statement.trainings import fabric_of

    hardware = choice.size.hardware(fabric_of(choice.chip))
    profile = {str(d): round(p, 4) for d, p in choice.profile.items()}
    settings = {"hardware": hardware, "budget.profile": profile}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={text.dumps(value)}")]
    return asdict(choice) | {"hardware": hardware, "confirm": shlex.join(["tilewire", "run", "RECIPE", *words])}


def _show(law: AccuracyLaw, found: dict[float, list[Choice]], kin: list[Kin]) -> None:
    table("Law", ("parameter", "value"), [(k, v) for k, v in _law(law).items() if isinstance(v, float | int)])
    if kin:
        pairs = [
            (" / ".join(k.cells), " / ".join(k.chips), k.seeds, k.difference, k.low95, k.high95, k.agree) for k in kin
        ]
        head_of_kin = ("cells", "chips", "seeds", "difference", "low 95", "high 95", "agree")
        table("One profile on two chips: accuracy of the second less the first", head_of_kin, pairs)
    head = (
        "grid",
        "profile",
        "accuracy",
        "low 95",
        "high 95",
        "devices of the chip",
        "a network needs",
        "router",
        "tile in",
        "tile out",
    )
    for wanted, choices in found.items():
        rows = [
            (
                c.chip, ", ".join(f"{d}: {p:.3g}" for d, p in c.profile.items()), c.accuracy, c.low95, c.high95,
                c.size.memory_devices, f"{c.size.needed:,.0f}", c.size.router, " ".join(map(str, c.size.tile_in.values())),
                c.size.tile_out,
            )
            for c in choices
        ]  # fmt: skip
        table(f"Chips for {wanted:.1%}, cheapest first", head, rows)
        say(f"confirm: {_summary(choices[0])['confirm']}")
