"""``tapehead report``."""

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import ConfigError
from recorder.commands.options import AsJson, Data
from recorder.commands.verify import (
    Day,
    End,
    From,
    Only,
    Server,
    Symbols,
    open_place,
    reports_of,
    selection_of,
)
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["report"]


def report(
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page; the numbers go beside it.")] = Path(
        "report.html"
    ),
    day: Day = "",
    start: From = "",
    end: End = "",
    symbols: Symbols = "",
    only: Only = "",
    database: Server = "",
    as_json: AsJson = False,
) -> None:
    """Write a page on a recording: what of each day and symbol was verified, is doubtful or missing, and why.

    One HTML file that needs no network, and report.json beside it with the same numbers. Exit code 1 where
    anything is wrong; the page is written all the same.
    """
    if out.suffix != ".html":
        raise ConfigError("--out", str(out), "the page is HTML", "let the name end in .html")
    if not out.parent.is_dir():
        raise ConfigError("--out", str(out), f"there is no folder {out.parent}", "make it first")
    from recorder.reporting.report import numbers, write  # the database engine takes a second to load

    output = Output(as_json=as_json)
    place = DataFolder(data)
    given = {"--day": day, "--from": start, "--to": end, "--symbols": symbols, "--only": only}
    options = [f"{name} {value}" for name, value in {**given, "--database": database}.items() if value]
    found = reports_of(data, selection_of(day, start, end, symbols), only, database, None, output)
    opened = None if only == "spool" else open_place(place, database)
    with nullcontext() if opened is None else closing(opened):
        values = numbers(place, found, opened, options)
    beside = write(values, out)
    output.say(
        f"{out}: {out.stat().st_size:,} bytes, {len(values['problems'])} problems; the numbers: {beside}"
    )
    output.result({"page": str(out), "numbers": str(beside), "is_right": values["is_right"]})
    if not values["is_right"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)
