"""``tapehead verify``."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from engine.clock import NS_PER_S, mono_ns
from engine.errors import ConfigError, UsageError
from recorder import shards
from recorder.commands.options import AsJson, Folder
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.history.moments import parse_moment
from recorder.output import Output

if TYPE_CHECKING:
    from recorder.database.clickhouse import Database
    from recorder.verify import Selection, VerifyReport

__all__ = [
    "Day",
    "End",
    "From",
    "Only",
    "Server",
    "Symbols",
    "open_place",
    "reports_of",
    "selection_of",
    "verify",
]

TELL_S: Final = 0.5
TELL_PLAIN_S: Final = 10.0
POSITION_BITS: Final = 32
DAY_NS: Final = 86_400 * NS_PER_S

Day = Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="That day (UTC) only.")]
From = Annotated[
    str, typer.Option("--from", metavar="T", help="From this time on: ISO 8601 with its zone, or ns.")
]
End = Annotated[str, typer.Option("--to", metavar="T", help="Up to this time, not included.")]
Symbols = Annotated[str, typer.Option("--symbols", metavar="A,B", help="These only, parted by commas.")]
Only = Annotated[
    str, typer.Option(help="spool or database, alone. [default: both, as far as they are there]")
]
Server = Annotated[
    str,
    typer.Option("--database", metavar="URL", help="A ClickHouse server. [default: the embedded database]"),
]


def verify(
    folder: Folder,
    day: Day = "",
    start: From = "",
    end: End = "",
    symbols: Symbols = "",
    only: Only = "",
    database: Server = "",
    against: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="Of `tapehead simulate --log`: what was sent to this recording."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the tables of a recording against its spool: every row there, once, and every book equal.

    Also while it is recorded, up to what is loaded. Says of each day and symbol how much was verified, what
    is missing and why, and how late it came. Exit code 1 where anything is wrong, one line each.
    """
    output = Output(as_json=as_json)
    reports = reports_of(folder, selection_of(day, start, end, symbols), only, database, against, output)
    output.say("\n\n".join(report.text() for report in reports))
    output.table(
        *_days(reports), right=("frames", "rows", "verified %", "clean %", "gap s", "p50 ms", "p99 ms")
    )
    output.result(_result(reports))
    if not all(report.is_right for report in reports):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def selection_of(day: str, start: str, end: str, symbols: str) -> "Selection":
    """Return what options of a command select. Raises ConfigError."""
    from recorder.verify.selection import END_NS, Selection

    names = frozenset(name.strip() for name in symbols.split(",") if name.strip())
    if not day:
        return Selection(_time("--from", start) if start else 0, _time("--to", end) if end else END_NS, names)
    if start or end:
        raise ConfigError(
            "--day", day, "a day is from midnight to midnight", "use it without --from and --to"
        )
    try:
        since = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError("--day", day, "a day is YYYY-MM-DD (UTC)", "use 2026-01-31") from None
    start_ns = int(since.timestamp()) * NS_PER_S
    return Selection(start_ns, start_ns + DAY_NS, names)


def reports_of(
    folder: Path, selection: "Selection", only: str, server: str, against: Path | None, output: Output
) -> "list[VerifyReport]":
    """Verify each recorder of a folder, and those that the database has besides; tell of it meanwhile.

    Raises:
        ConfigError, UsageError, DatabaseError: as `recorder.verify.verify`.
    """
    if only not in ("", "spool", "database"):
        raise ConfigError("--only", only, "there are two places", "use spool or database, or leave it out")
    if against is not None and not against.is_file():
        raise UsageError(f"--against was {against}, there is no such file", "give the file of --log")
    from recorder.verify import verify as compare  # the database engine takes a second to load
    from recorder.verify.facts import recorders

    place = DataFolder(folder)
    spools = [] if only == "database" else shards.existing(place)
    if not (spools or server or place.server or place.database.is_dir()):
        place.existing()
    with ExitStack() as stack:
        opened = None if only == "spool" else open_place(place, server)
        if opened is not None:
            stack.callback(opened.close)
        tell = stack.enter_context(_telling(output))
        found = []
        for shard in spools:
            name = place.recorder(shard)
            found.append(
                compare(place.spool_of(shard), opened, name, selection=selection, against=against, tell=tell)
            )
        known = {report.recorder for report in found}
        others = [] if opened is None else [name for name in recorders(opened) if name not in known]
        found += [compare(None, opened, name, selection=selection, tell=tell) for name in others]
    if not found:
        raise UsageError(f"{server or place.database} holds no recording", "record into it first")
    return found


def open_place(place: DataFolder, server: str) -> "Database | None":
    """Connect to the database of a folder, or to a server; None where there is none."""
    from recorder.queries.server import open_for_reading  # as above

    if not (server or place.server or place.database.is_dir()):
        return None
    return open_for_reading(place.path, server)


@contextmanager
def _telling(output: Output) -> "Iterator[Any]":
    """A line that says how far it is: one that changes on a terminal, else one now and then."""
    is_plain = not output.console.is_terminal
    told_ns = mono_ns()
    with Live(console=output.console, auto_refresh=False, transient=True) as live:

        def tell(what: str, position: int, until: int) -> None:
            nonlocal told_ns
            now_ns = mono_ns()
            if now_ns - told_ns < (TELL_PLAIN_S if is_plain else TELL_S) * NS_PER_S:
                return
            told_ns = now_ns
            last = "" if until >= 1 << 63 else f" of {until >> POSITION_BITS}"
            line = f"{what}: segment {position >> POSITION_BITS}{last}"
            if is_plain:
                output.say(line)
            else:
                live.update(Text(line), refresh=True)

        yield tell


def _time(option: str, text: str) -> int:
    moment = parse_moment(option, text)
    if moment.position:
        raise ConfigError(option, text, "what is selected is a time", "use ISO 8601 with a zone")
    return moment.ns


def _days(reports: "list[VerifyReport]") -> tuple[tuple[str, ...], list[list[object]]]:
    columns = (
        *("recorder", "day", "category", "symbol", "frames", "rows", "verified %", "clean %", "gap s"),
        *("p50 ms", "p99 ms", "verdict"),
    )
    rows: list[list[object]] = [
        [
            *(report.recorder, one.day, one.category, one.symbol, one.frames, sum(one.rows.values())),
            *(one.verified_pct, one.clean_pct, round(one.gap_s, 3)),
            one.recv_ts.p50 if one.recv_ts else None,
            one.recv_ts.p99 if one.recv_ts else None,
            one.verdict,
        ]
        for report in reports
        for one in report.days
        if one.symbol
    ]
    return columns, rows


def _result(reports: "list[VerifyReport]") -> dict[str, Any]:
    """The first recorder's report, and those of the others beside it."""
    return {
        **reports[0].to_dict(),
        "problems": [problem for report in reports for problem in report.problems],
        "is_right": all(report.is_right for report in reports),
        "shards": [report.to_dict() for report in reports[1:]],
    }
