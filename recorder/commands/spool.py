"""``tapehead spool``: look into the spool of a recording, check it, repair it, load it."""

import os
import sys
from dataclasses import asdict
from typing import Annotated, Any, Final

import orjson
import typer

from engine.errors import ConfigError
from ext.journal import Record, RecordKind
from recorder.commands.load import Place, Yes, load
from recorder.commands.options import AsJson, Folder
from recorder.errors import ExitCode
from recorder.history.moments import iso, parse_moment
from recorder.output import Output
from recorder.spool import fsck as checking
from recorder.spool import listing

__all__ = ["app"]

COLUMNS: Final = ("segment", "state", "records", "frames", "bytes", "on disk", "first", "last", "loaded")
NUMBERS: Final = ("segment", "records", "frames", "bytes", "on disk")

app = typer.Typer(
    name="spool",
    help="Look into the spool of a recording, check it, repair it, load it.",
    no_args_is_help=True,
)


@app.command("ls")
def ls(folder: Folder, as_json: AsJson = False) -> None:
    """List the segments: what they hold, whether they are compressed and loaded, and which are gone."""
    output = Output(as_json=as_json)
    found = {spool: listing.entries(spool) for spool in listing.spools(folder)}
    for spool, rows in found.items():
        output.say(str(spool))
        output.table(COLUMNS, [_row(row) for row in rows], right=NUMBERS)
    output.result({"spools": [{"folder": str(spool), "segments": rows} for spool, rows in found.items()]})


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    number = row["segment"]
    last = row.get("last_segment", number)
    return (
        number if number == last else f"{number} to {last}",
        row["state"],
        row.get("records"),
        row.get("frames"),
        row.get("bytes"),
        row.get("file_bytes"),
        iso(row["first_recv_ns"]) if row.get("first_recv_ns") else None,
        iso(row["last_recv_ns"]) if row.get("last_recv_ns") else None,
        "yes" if row.get("is_loaded") else "",
    )


@app.command("cat")
def cat(
    folder: Folder,
    start: Annotated[str, typer.Option(help="From this time (ISO 8601 with zone, ns) or position on.")] = "",
    end: Annotated[str, typer.Option(help="Up to before this time or position.")] = "",
    segment: Annotated[int, typer.Option(min=0, help="Only of this segment.")] = 0,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only records of this kind; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many records; 0 for all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print records as JSON lines, with damage and what is gone in their places."""
    output = Output(as_json=as_json)
    kinds = {_kind(name) for name in kind or ()}
    since = parse_moment("--start", start) if start else None
    until = parse_moment("--end", end) if end else None
    printed = 0
    try:
        for spool in listing.spools(folder):
            for item in listing.items(spool, since, until, segment=segment):
                if kinds and not (isinstance(item, Record) and item.kind in kinds):
                    continue
                sys.stdout.buffer.write(orjson.dumps(listing.said(item), option=orjson.OPT_APPEND_NEWLINE))
                printed += 1
                if limit and printed >= limit:
                    break
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # whoever read it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    output.result({"printed": printed})


def _kind(name: str) -> RecordKind:
    try:
        return RecordKind[name.upper()]
    except KeyError:
        names = ", ".join(kind.name for kind in RecordKind)
        raise ConfigError("--kind", name, f"kinds are {names}", "use one of them") from None


@app.command("fsck")
def fsck(folder: Folder, as_json: AsJson = False) -> None:
    """Check all segments, their seals, and that nothing is missing; exit code 1 if something is wrong."""
    output = Output(as_json=as_json)
    reports = [checking.check(spool) for spool in listing.spools(folder)]
    for report in reports:
        state = "sound" if report.is_sound else f"{len(report.problems)} problems"
        output.say(f"{report.folder}: {report.segments} segments, {report.records} records: {state}")
        for gone in report.gone:
            output.say(f"  segments {gone.first_segment} to {gone.last_segment}: {gone.reason}")
        for problem in report.problems:
            where = f"segment {problem.segment}" if problem.segment else "spool"
            output.say(f"  {where}: {problem.fault}: {problem.detail}")
    is_sound = all(report.is_sound for report in reports)
    output.result({"is_sound": is_sound, "spools": [report.to_dict() for report in reports]})
    if not is_sound:
        raise typer.Exit(ExitCode.CHECK_FAILED)


@app.command("repair")
def repair(folder: Folder, as_json: AsJson = False) -> None:
    """Rewrite damaged segments without their damage; the originals are kept beside them as .damaged."""
    output = Output(as_json=as_json)
    done = {spool: checking.repair(spool) for spool in listing.spools(folder)}
    for spool, repaired in done.items():
        output.say(f"{spool}: {len(repaired)} repaired")
        for one in repaired:
            output.say(f"  segment {one.segment}: {one.detail}")
    output.result(
        {"spools": [{"folder": str(spool), "repaired": [*map(asdict, one)]} for spool, one in done.items()]}
    )


@app.command("drain")
def drain(folder: Folder, database: Place = "", yes: Yes = False, as_json: AsJson = False) -> int:
    """Load everything that the spool holds, of a recording that does not run: as `tapehead load` does."""
    return load(folder, database=database, yes=yes, as_json=as_json)
