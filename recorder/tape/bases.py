"""How books and tickers stood before a position of a database, laid quietly into a run; gaps open there."""

from decimal import Decimal
from typing import Any, Final

from recorder.database.clickhouse import Database
from recorder.tape.rows import Row, book_frame, full_answer, plain, select, topic_of
from recorder.tape.run import Message, TableRun
from recorder.verify import book_at

__all__ = ["lay_bases", "open_gaps"]

BOOKS: Final = """
SELECT DISTINCT category, symbol, toString(kind) AS kind, depth FROM book_snapshot
WHERE recorder = {recorder:String} AND position < {position:UInt64} AND kind != 'rpi_only'
"""
OF_BOOK: Final = (
    "category = {category:String} AND symbol = {symbol:String}"
    " AND kind = {kind:String} AND depth = {depth:UInt16}"
)
OPEN: Final = """
position < {position:UInt64} AND end IS NULL AND (id, topic) NOT IN (
    SELECT id, topic FROM gap
    WHERE recorder = {recorder:String} AND position < {position:UInt64} AND end IS NOT NULL
)"""
LATEST: Final = """
position < {position:UInt64} AND (category, symbol, position) IN (
    SELECT category, symbol, max(position) FROM TABLE
    WHERE recorder = {recorder:String} AND position < {position:UInt64} AND ONLY GROUP BY category, symbol
) AND ONLY"""
LATEST_OF_BOOK: Final = """
BOOK AND position = (
    SELECT max(position) FROM TABLE
    WHERE recorder = {recorder:String} AND position < {position:UInt64} AND BOOK
)""".replace("BOOK", OF_BOOK)


def open_gaps(database: Database, recorder: str, position: int) -> list[Row]:
    """Return the rows of the gaps that were open before a position."""
    return select(database, "gap", OPEN, {"recorder": recorder, "position": position})


def lay_bases(database: Database, recorder: str, position: int, run: TableRun, stale: set[str]) -> None:
    """Let a run know books and tickers as they were before a position, but for ``stale`` topics."""
    where = {"recorder": recorder, "position": position}
    names = ("category", "symbol", "kind", "depth")
    for values in database.query(BOOKS, where):
        book = dict(zip(names, values, strict=True))
        if topic_of("book_delta", book) not in stale:
            _lay_book(database, where, book, run)
    for table, only in (("bbo", "depth = 1"), ("ticker", "1")):
        latest = LATEST.replace("TABLE", table).replace("ONLY", only)
        for row in select(database, table, latest, where):
            topic = topic_of(table, row)
            if topic not in stale:
                run.deliver(Message(table, topic, [row | {"is_snapshot": True}]), row["recv_ns"])


def _lay_book(database: Database, where: dict[str, Any], book: Row, run: TableRun) -> None:
    place = {**where, **book}
    last: Row = {"position": 0}
    for table in ("book_snapshot", "book_delta"):
        found = select(database, table, LATEST_OF_BOOK.replace("TABLE", table), place)
        last = max((last, *found), key=lambda row: (row["position"], row.get("update_id", 0)))
    known = {name: book[name] for name in ("category", "symbol", "depth")}
    at = {"recorder": where["recorder"], "position": where["position"] - 1, **known}
    sides = book_at(database, **at, kind=book["kind"])
    extra = book_at(database, **at, kind="rpi_only") if book["kind"] == "rpi" else None
    bids, asks = (_levels(side, None if extra is None else dict(extra[n])) for n, side in enumerate(sides))
    topic, dispatcher = topic_of("book_delta", book), run.dispatcher(book["category"])
    stamp = (last["recv_ns"], 0, last["position"])
    if book["kind"] == "full":
        dispatcher.feed(book_frame(topic, "delta", last, [], []), *stamp)
        dispatcher.rest("full_book", topic, full_answer(book["symbol"], last, bids, asks), *stamp)
    else:
        dispatcher.feed(book_frame(topic, "snapshot", last, bids, asks), *stamp)


def _levels(side: list[tuple[Decimal, Decimal]], rpi: dict[Decimal, Decimal] | None) -> list[tuple[str, ...]]:
    if rpi is None:
        return [(plain(price), plain(size)) for price, size in side]
    sizes = dict(side)
    prices = sorted({*sizes, *rpi})
    return [
        (plain(one), plain(sizes.get(one, Decimal(0))), plain(rpi.get(one, Decimal(0)))) for one in prices
    ]
