"""``tilewire hw profile``: the largest profile that a chip carries."""

from __future__ import annotations

from typing import Annotated

import typer

from tilewire.cli.output import Json, emit, log, say, table
from tilewire.errors import UsageError


def profile(
    hardware: Annotated[str, typer.Argument(metavar="HARDWARE", help="A hardware file, or the name of a preset.")],
    direction: Annotated[
        str, typer.Option("--direction", help="`nearest` classes first, or class:weight pairs such as 1:1,3:0.1.")
    ] = "nearest",
    confidence: Annotated[
        float, typer.Option("--confidence", help="Probability with which a random network must fit.")
    ] = 0.95,
    method: Annotated[str, typer.Option("--method", help="monte-carlo or closed-form.")] = "monte-carlo",
    router: Annotated[str, typer.Option("--router", help="one-turn or negotiated (monte-carlo only).")] = "one-turn",
    networks: Annotated[int, typer.Option("--networks", help="Random networks of monte-carlo.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random networks.")] = 0,
    json: Json = False,
) -> None:
    """The largest hop profile whose random networks fit the channels of a chip."""
    from tilewire.cli.hardware import parse_profile
    from tilewire.hardware.description import load_hardware
    from tilewire.hardware.fabric import TileFabric
    from tilewire.mapping.admissible_profile import admissible_profile
    from tilewire.streams import stream

    fabric = load_hardware(hardware)
    if not isinstance(fabric, TileFabric):
        raise UsageError("only tile chips have hop classes", where=hardware)
    if method == "monte-carlo":
        log(f"routing {networks} random networks at many scales ...")
    found = admissible_profile(
        fabric, "nearest" if direction == "nearest" else parse_profile(direction), confidence,
        method=method, router=router, networks=networks, rng=stream(seed, "profile"),
    )  # fmt: skip
    if json:
        return emit(
            {
                "profile": {str(d): p for d, p in found.profile.items()},
                "scale": found.scale,
                "probability": found.probability,
                "confidence": found.confidence,
                "method": found.method,
                "networks": found.networks,
                "router": router,
            }
        )
    table("Largest profile", ("hop class", "density"), found.profile.items())
    sure = f", at {found.confidence:.0%} confidence over {found.networks} networks" if found.confidence else ""
    return say(f"a random network fits {router} with probability {found.probability:g} ({found.method}{sure})")
