"""``tilewire hw``: show, validate and write hardware files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tilewire.cli import streaming
from tilewire.cli.hardware_profile import profile as profile_verb
from tilewire.cli.output import Json, emit, log, say, table
from tilewire.errors import ConfigError, Fault, TilewireError, UsageError

app = typer.Typer(help="Hardware files: memory, hop classes, capacities.", no_args_is_help=True)
app.command(name="profile")(profile_verb)
Name = Annotated[str, typer.Argument(metavar="HARDWARE", help="A hardware file, or the name of a preset.")]


def summary(fabric: Any) -> dict[str, Any]:
    """The figures of a chip."""
    memory = fabric.memory()
    return {
        "family": fabric.family,
        "name": fabric.name,
        "grid": list(fabric.grid),
        "neurons_per_tile": fabric.neurons_per_tile,
        "tiles": fabric.n_tiles,
        "neurons": fabric.n_neurons,
        "routers": {kind: int((fabric.kind == index).sum()) for index, kind in enumerate(fabric.kinds) if index},
        "links": fabric.n_links,
        "hop_classes": {str(d): n for d, n in fabric.hop_classes.items()},
        "memory_devices": memory.total,
        "memory_by_kind": memory.by_kind,
    }


def _figures(machine: Any) -> dict[str, Any]:
    return streaming.summary(machine) if machine.family == "streaming" else summary(machine)


@app.command()
def show(hardware: Name, json: Json = False) -> None:
    """Tiles, hop classes, capacities and device memory of a chip."""
    from tilewire.hardware.description import load_description, load_machine
    from tilewire.hardware.streaming import StreamingAccelerator

    fabric = load_machine(hardware)
    if isinstance(fabric, StreamingAccelerator):
        return streaming.show(fabric, hardware, json)
    content = summary(fabric) | {"channels": load_description(hardware).model_dump().get("channels", {})}
    if json:
        return emit(content)
    height, width = fabric.grid
    say(f"{fabric.name or hardware}: {fabric.family}, {height} x {width} tiles of {fabric.neurons_per_tile} neurons")
    table(
        "Device memory M", ("unit", "devices"), [*content["memory_by_kind"].items(), ("all", content["memory_devices"])]
    )
    rows = [(d, n, n * fabric.neurons_per_tile) for d, n in fabric.hop_classes.items()]
    table("Hop classes", ("routers crossed", "ordered tile pairs", "possible branches"), rows)
    widths = [(key, value) for key, value in content["channels"].items() if value is not None]
    rows = [(key, *(value.values() if isinstance(value, dict) else [value] * 4)) for key, value in widths]
    return table("Channels", ("port", "north", "east", "south", "west"), rows)


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(metavar="HARDWARE...", help="Hardware files or presets.")],
    json: Json = False,
) -> None:
    """Check hardware files; all faults of a file are listed with their lines."""
    from tilewire.hardware.description import load_machine

    faults: list[Fault] = []
    for name in files:
        try:
            load_machine(name)
        except ConfigError as error:
            faults += error.faults
        except TilewireError as error:
            if len(files) == 1:
                raise
            faults.append(Fault(name, "file", error.message, error.hint or ""))
        else:
            if not json:
                say(f"{name}: valid")
    if faults:
        raise ConfigError(", ".join(files), faults)
    if json:
        emit({"valid": files})


def _grid(text: str) -> list[int]:
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdigit() for side in sides):
        raise UsageError(f"--grid '{text}'", hint="rows x columns, for example --grid 5x5")
    return [int(side) for side in sides]


def parse_profile(text: str) -> dict[int, float]:
    """``1:1.0,3:0.1`` as {1: 1.0, 3: 0.1}."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(d): float(p) for d, p in pairs}
    except ValueError as error:
        raise UsageError(f"--profile '{text}'", hint="class:density pairs, for example 1:1.0,3:0.1") from error


def _sized_for(
    document: dict[str, Any], profile: dict[int, float], quantile: float, networks: int, seed: int
) -> dict[str, Any]:
    """Channels that carry random networks of a profile with a given probability."""
    from tilewire.hardware.description import from_mapping
    from tilewire.mapping.profile_sizing import quantile_widths
    from tilewire.streams import stream

    log(f"routing {networks} random networks of the profile ...")
    widths = quantile_widths(from_mapping(document), profile, quantile, networks, stream(seed, "sizing"))
    return {"router": widths.router, "tile_in": dict(widths.tile_in)}


TEMPLATE = """\
# {family} chip: {height} x {width} tiles of {s} neurons, {memory:,} memristive devices.{note}
# A width counts channels; one figure, or north/east/south/west. 0 removes a port.
family: {family}
name: {name}
grid: [{height}, {width}] # tiles, rows x columns
neurons_per_tile: {s}
channels:
  router: {router} # router to router
  tile_in: {tile_in} # router into a tile
  tile_out: {tile_out} # tile into a router
{rest}"""


def _text(value: Any) -> str:
    return (
        "{ " + ", ".join(f"{side}: {width}" for side, width in value.items()) + " }"
        if isinstance(value, dict)
        else str(value)
    )


@app.command()
def new(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY|HARDWARE", help="A family (mosaic, ...), or a file or preset to copy.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    grid: Annotated[str, typer.Option("--grid", help="Rows x columns of tiles.")] = "5x5",
    neurons_per_tile: Annotated[int, typer.Option("--neurons-per-tile", help="Neurons S per tile.")] = 32,
    channels: Annotated[
        int | None, typer.Option("--channels", help="Channels of router and tile_in; default S.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Size the channels for a profile such as 1:1.0,3:0.1.")
    ] = None,
    quantile: Annotated[
        float, typer.Option("--quantile", help="With --profile: share of random networks that must fit.")
    ] = 0.99,
    networks: Annotated[int, typer.Option("--networks", help="With --profile: random networks to route.")] = 400,
    seed: Annotated[int, typer.Option("--seed", help="With --profile: seed of the random networks.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value changes, e.g. channels.router=16.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Json = False,
) -> None:
    """Write a hardware file: of a family, sized for a profile, or a copy of another (comments kept)."""
    from tilewire.checkpoint import replace_file
    from tilewire.hardware.description import FAMILIES, load_machine, locate
    from tilewire.hardware.streaming import StreamingAccelerator
    from tilewire.yamlfile import text_of

    if out.exists() and not force:
        raise UsageError("the file exists", where=str(out), hint="another --out, or --force")
    if family not in FAMILIES:
        path = locate(family)
        text, origin = text_of(path), str(path)
    elif family == "streaming":
        text, origin = streaming.template(out.stem), str(out)
    else:
        sized = None if profile is None else (profile, quantile, networks, seed)
        text, origin = _grid_text(family, out, grid, neurons_per_tile, channels, sized), str(out)
    text = _changed(text, origin, settings or [])
    replace_file(out, text.encode())
    fabric = load_machine(out)
    if json:
        return emit({"file": str(out)} | _figures(fabric))
    if isinstance(fabric, StreamingAccelerator):
        return streaming.show(fabric, str(out), json)
    return say(f"{out}: {fabric.n_tiles} tiles, {fabric.n_neurons:,} neurons, {fabric.memory().total:,} devices")


def _grid_text(
    family: str, out: Path, grid: str, s: int, channels: int | None, sized: tuple[str, float, int, int] | None
) -> str:
    """Text of a new tile grid; ``sized``: profile, quantile, networks and seed that choose the channels."""
    from tilewire.hardware.description import describe, from_mapping

    height, width = _grid(grid)
    wide = s if channels is None else channels
    ports: dict[str, Any] = {"router": wide, "tile_in": wide, "tile_out": s}
    document = {"family": family, "name": out.stem, "grid": [height, width], "neurons_per_tile": s}
    note = ""
    if sized is not None:
        profile, quantile, networks, seed = sized
        describe(document | {"channels": ports}, str(out))
        ports |= _sized_for(document | {"channels": ports}, parse_profile(profile), quantile, networks, seed)
        note = f"\n# {quantile:.1%} of random networks of profile {profile} fit one-turn ({networks} networks, seed {seed})."
    fabric = from_mapping(document | {"channels": ports}, str(out))
    rest = "".join(f"  {key}: {_text(ports[key])}\n" for key in ports if key not in ("router", "tile_in", "tile_out"))
    return TEMPLATE.format(
        height=height, width=width, s=s, memory=fabric.memory().total, note=note, rest=rest,
        **{key: document[key] for key in ("family", "name")},
        **{key: _text(ports[key]) for key in ("router", "tile_in", "tile_out")},
    )  # fmt: skip


def _changed(text: str, name: str, settings: list[str]) -> str:
    """The text with settings applied and comments kept. Faults of the resulting chip are raised before anything is written."""
    import io

    from ruamel.yaml import YAML

    from tilewire.hardware.description import machine_of
    from tilewire.yamlfile import parse, with_settings

    document = with_settings(parse(text, name), settings, name)
    machine_of(document, name)
    if not settings:
        return text
    yaml = YAML(typ="rt")
    yaml.width = 140
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
