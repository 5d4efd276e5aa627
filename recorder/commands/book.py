"""``tapehead book``: a book as it was."""

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import ConfigError
from recorder.commands.options import AsJson, Data
from recorder.history.moments import iso, parse_moment
from recorder.output import Output

if TYPE_CHECKING:
    from recorder.history.books import BookAt

__all__ = ["book"]


def book(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="BTCUSDT, for example.")],
    at: Annotated[
        str,
        typer.Option(
            metavar="T", help="ISO 8601 with its zone, ns since 1970, or the position segment:record."
        ),
    ],
    category: Annotated[str, typer.Option(help="spot, linear, inverse, option or spread.")] = "linear",
    depth: Annotated[
        int | None, typer.Option(min=1, help="Of the topic recorded. [default: the deepest]")
    ] = None,
    levels: Annotated[int, typer.Option(min=0, help="So many a side; 0 for all.")] = 10,
    clock: Annotated[
        str, typer.Option(help="recv (ours) or cts (of the matching engine, in ms): what T is of.")
    ] = "recv",
    kind: Annotated[str, typer.Option(help="plain, rpi or full.")] = "plain",
    recorder: Annotated[str, typer.Option(help="Of this recorder. [default: the best that has it]")] = "",
    data: Data = Path("data"),
    database: Annotated[
        str, typer.Option(metavar="URL", help="A ClickHouse server, in place of the folder.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show a book after the last message at or before a time, exact to the message.

    Where a gap covers that time the book is doubtful, and the gap is named.
    """
    if database and not database.startswith(("http://", "https://")):
        raise ConfigError("--database", database, "a server is an http(s) URL", "use --data for a folder")
    moment = parse_moment("--at", at)

    from recorder.history.books import book_at  # the database engine takes a second to load
    from recorder.queries.server import open_for_reading  # as above

    with closing(open_for_reading(data, database)) as opened:
        found = book_at(
            opened,
            symbol,
            moment,
            category=category,
            depth=depth,
            clock=clock,
            kind=kind,
            recorder=recorder,
        )
    output = Output(as_json=as_json)
    _show(output, found, levels)
    output.result(_values(found, levels))


def _show(output: Output, found: "BookAt", levels: int) -> None:
    topic = f"{found.category} {found.symbol}, {found.kind} book of depth {found.depth or 'full'}"
    output.say(f"{topic}, recorder {found.recorder} ({found.source})")
    output.say(
        f"after update {found.update_id} (seq {found.seq}), record {found.segment}:{found.record},"
        f" received {iso(found.recv_ns)}, cts {iso(found.cts_ms * 1_000_000)}"
    )
    for gap in found.gaps:
        until = "still open" if gap.end_ns is None else f"to {iso(gap.end_ns)}"
        output.say(
            f"DOUBTFUL: {gap.cause} ({gap.fault}) from {iso(gap.start_ns)} {until} {gap.detail}".rstrip()
        )
    columns = ["size", "bid", "ask", "size"]
    bids: Sequence[Sequence[Decimal]] = found.bids
    asks: Sequence[Sequence[Decimal]] = found.asks
    if found.kind == "rpi":
        columns = ["rpi size", *columns, "rpi size"]
        bids, asks = found.rpi_bids, found.rpi_asks
    empty = (None,) * (len(columns) // 2)
    rows = zip_longest(bids[: levels or None], asks[: levels or None], fillvalue=empty)
    output.table(columns, [(*reversed(bid), *ask) for bid, ask in rows], right=columns)


def _values(found: "BookAt", levels: int) -> dict[str, Any]:
    return {
        "recorder": found.recorder,
        "category": found.category,
        "symbol": found.symbol,
        "kind": found.kind,
        "depth": found.depth,
        "source": found.source,
        "position": found.position,
        "segment": found.segment,
        "record": found.record,
        "update_id": found.update_id,
        "seq": found.seq,
        "recv_ns": found.recv_ns,
        "recv": iso(found.recv_ns),
        "ts_ms": found.ts_ms,
        "cts_ms": found.cts_ms,
        "state": "doubtful" if found.doubtful else "live",
        "doubtful": found.doubtful,
        "gaps": [
            {
                "cause": gap.cause,
                "fault": gap.fault,
                "start_ns": gap.start_ns,
                "end_ns": gap.end_ns,
                "detail": gap.detail,
            }
            for gap in found.gaps
        ],
        "bids": found.bids[: levels or None],
        "asks": found.asks[: levels or None],
        "rpi_bids": found.rpi_bids[: levels or None],
        "rpi_asks": found.rpi_asks[: levels or None],
    }
