"""``tilewire data``: list, fetch and encode data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewire.cli.output import Json, emit, log, say, table
from tilewire.errors import UsageError

app = typer.Typer(help="Real data sets, checksums, WAV folders -> spikes.", no_args_is_help=True)
Root = Annotated[
    Path | None, typer.Option("--root", help="Folder of data files; default TILEWIRE_DATA or the cache folder.")
]


@app.command("list")
def list_(root: Root = None, json: Json = False) -> None:
    """Data sets by name: kind, whether they are here, where they come from."""
    from tilewire.data.catalogue import describe_all

    found = describe_all(root)
    if json:
        keys = ("url", "size", "md5")
        rows = [
            vars(entry) | {"files": [dict(zip(keys, file, strict=True)) for file in entry.files]} for entry in found
        ]
        return emit({"data": rows})
    shown = [(entry.name, entry.kind, entry.present, entry.summary) for entry in found]
    return table("", ("name", "kind", "here", "what"), shown)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name of `tilewire data list`.")],
    root: Root = None,
    force: Annotated[bool, typer.Option("--force", help="Download even if the file is here.")] = False,
    json: Json = False,
) -> None:
    """Download a published data set, verified by its checksum. The only verb that uses the network."""
    from tilewire.data.catalogue import fetch as fetch_files

    log(f"fetching {name} ...")
    paths = [str(path) for path in fetch_files(name, root, force)]
    if json:
        return emit({"name": name, "files": paths})
    return say("\n".join(paths) if paths else f"{name} comes with the package")


@app.command()
def encode(
    folder: Annotated[Path, typer.Argument(metavar="WAVS", help="Folder of WAV files; labels are the sub-folders.")],
    out: Annotated[Path, typer.Option("--out", help="File to write (.npz).")],
    channels: Annotated[int, typer.Option("--channels", help="Cochlea channels.")] = 140,
    steps: Annotated[int, typer.Option("--steps", help="Time steps.")] = 100,
    step: Annotated[str, typer.Option("--step", help="Length of a step.")] = "10 ms",
    speaker: Annotated[
        str | None, typer.Option("--speaker", help="Regular expression; group 1 of a file name is its speaker.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of hair-cell noise and of the split.")] = 0,
    json: Json = False,
) -> None:
    """Turn recordings into spikes with the cochlea model."""
    import numpy as np

    from tilewire import units
    from tilewire.data.storage import write_npz
    from tilewire.data.waves import encode_folder

    if out.suffix != ".npz":
        raise UsageError(f"--out '{out}'", hint="a name that ends in .npz")
    log(f"encoding {folder} ...")
    step_s = units.parse(step, "time")
    data = encode_folder(folder, channels, steps, step_s, np.random.default_rng(seed), speaker_pattern=speaker)
    write_npz(data, out)
    sizes = {name: len(pack) for name, pack in data.splits.items()}
    if json:
        return emit({"file": str(out), "digest": data.digest, "classes": list(data.classes), "samples": sizes})
    return say(f"{out}: {len(data.classes)} classes, {sizes}, sha256 {data.digest}")
