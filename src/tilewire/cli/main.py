"""The app, its verbs and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer

from tilewire import __version__
from tilewire.cli import (
    benching,
    choosing,
    comparing,
    costing,
    data,
    hardware,
    mapping,
    running,
    searching,
    sweeping,
    topologies,
)
from tilewire.cli.output import INTERNAL, INTERRUPTED, OK, emit, log
from tilewire.errors import ConfigError, TilewireError

app = typer.Typer(
    name="tilewire",
    help="Train sparse neural networks that fit the chip.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 ok, 1 anything but `fits`, 2 usage, 3 internal. Every verb takes --json.",
)
app.add_typer(hardware.app, name="hw")
app.add_typer(data.app, name="data")
for verb in (
    running.run,
    mapping.check,
    mapping.map_verb,
    mapping.size,
    mapping.partition,
    costing.cost,
    sweeping.sweep,
    choosing.chip_for,
    searching.search,
    comparing.compare,
    comparing.verdicts,
    topologies.rank,
    topologies.sparsify,
    running.report,
    benching.bench,
):
    app.command(name=verb.__name__.removesuffix("_verb").replace("_", "-"))(verb)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tilewire {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


class Stopped(TilewireError):
    """A second Ctrl-C, or the first one in a verb that has nothing to save."""

    exit_code = INTERRUPTED


def _failed(error: TilewireError, as_json: bool) -> int:
    if as_json:
        content = {"type": type(error).__name__, "message": error.message, "where": error.where, "fix": error.hint}
        faults = [vars(fault) for fault in error.faults] if isinstance(error, ConfigError) else []
        emit({"error": content | ({"faults": faults} if faults else {})})
    log(f"tilewire: {error}")
    return error.exit_code


def _internal(error: Exception, as_json: bool) -> int:
    text, fix = f"internal error: {type(error).__name__}: {error}", "please report it with the output of --debug"
    if as_json:
        emit({"error": {"type": "InternalError", "message": text, "where": None, "fix": fix}})
    log(f"tilewire: {text}\n  fix: {fix}")
    return INTERNAL


def _wrong_call(error: Any, as_json: bool) -> int:
    if as_json:
        emit({"error": {"type": "UsageError", "message": error.format_message(), "where": None, "fix": "--help"}})
    error.show()
    return int(error.exit_code)


# Typer vendors the command parser in new releases and imports it in old ones; its root error is found through a public subclass.
_CALL_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Entry point: runs a verb and turns errors into a text, an exit code and, if asked, JSON."""
    # Before torch is loaded: an idle OpenMP worker that spins takes a core away from the kernels' own threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:]
    debug, as_json = "--debug" in arguments, "--json" in arguments
    # The flag may stand anywhere; the app itself declares it for the help text.
    sys.argv[1:] = [argument for argument in arguments if argument != "--debug"]
    try:
        code = app(standalone_mode=False) or OK
        if code == INTERRUPTED:
            code = _failed(Stopped("stopped at once", hint="the same command continues from the last save"), as_json)
    except TilewireError as error:
        if debug:
            traceback.print_exc()
        code = _failed(error, as_json)
    except _CALL_ERROR as error:
        code = _wrong_call(error, as_json)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback without --debug
        if debug:
            traceback.print_exc()
        code = _internal(error, as_json)
    sys.exit(code)
