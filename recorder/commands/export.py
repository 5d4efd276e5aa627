"""``tapehead export``."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recorder.commands.options import AsJson
from recorder.errors import MachineError, from_os_error
from recorder.export.request import FORMATS, Request, parse_bound
from recorder.output import Output

if TYPE_CHECKING:
    from recorder.database.clickhouse import Database

__all__ = ["export"]


def export(
    format_name: Annotated[str, typer.Argument(metavar="FORMAT", help=", ".join(FORMATS) + ".")],
    out: Annotated[Path, typer.Option(help="The folder to write: new, empty, or of the same export.")],
    data: Annotated[Path, typer.Option(help="The folder of the recording.")] = Path("data"),
    database: Annotated[
        str, typer.Option(metavar="URL", help="A ClickHouse server, in place of the folder's database.")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="ISO 8601 or ns since 1970. [default: all]")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Not included.")] = "",
    symbols: Annotated[
        list[str] | None, typer.Option(help="With commas, or repeated. [default: all]")
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="May be repeated. [default: all]")] = None,
    depth: Annotated[
        int | None, typer.Option(help="Which book. [default: the deepest; all for parquet and csv]")
    ] = None,
    recorder: Annotated[
        str, typer.Option(help="Only what this one recorded. [default: the one with the shortest gaps]")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write files for other tools: parquet, csv, hftbacktest, nautilus, tardis.

    Gaps go with the data, and a manifest. Run it again after an interruption: it goes on.
    """
    from recorder.export.run import check_format  # the database engine takes a second to load
    from recorder.export.run import export as write

    check_format(format_name)
    request = Request(
        format_name,
        parse_bound("--from", start),
        parse_bound("--to", end),
        tuple(dict.fromkeys(symbol for text in symbols or () for symbol in text.split(",") if symbol)),
        tuple(category or ()),
        depth,
        recorder,
    )
    output = Output(as_json=as_json)
    with _reading(data, database) as place, _room(out):
        report = write(place, request, out)
    output.say(
        f"{out}: {report.rows:,} rows, {report.size_bytes:,} bytes; {report.written} files written,"
        f" {report.kept} kept"
    )
    for cause, gap in report.summary["gaps"].items():
        output.say(f"{gap['gaps']} gaps ({cause}), {gap['seconds']:.3f} s, {gap['open']} of them open")
    output.result(
        {
            "manifest": str(report.manifest),
            "files": {"written": report.written, "kept": report.kept},
            "bytes": report.size_bytes,
            **report.summary,
        }
    )


@contextmanager
def _reading(data: Path, server: str) -> "Iterator[Database]":
    from recorder.queries.server import open_for_reading  # as above

    with open_for_reading(data, server) as database:
        if not database.is_embedded:
            yield database
            return
        with database.reader({"max_threads": 1}) as reader:
            yield reader


@contextmanager
def _room(out: Path) -> Iterator[None]:
    """Say what a disk that refuses means for an export."""
    try:
        yield
    except OSError as error:
        known = from_os_error(error, out)
        if known is None:
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room and run it again: it goes on" if full else "choose another folder with --out"
        raise MachineError(known.problem, remedy) from error
