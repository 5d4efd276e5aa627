"""Spool against database: every row that the spool says there must be, and every book, up to the commit mark.

The spool is run again with a listener that only counts; nothing of `Columns` or the loader is believed.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Ticker, Trade
from recorder.clickhouse import Database
from recorder.playback import Playback

__all__ = ["BookCheck", "RowCheck", "VerifyReport", "book_at", "verify"]

RUN_RECORDS: Final = 10_000

Levels = list[tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class RowCheck:
    """Rows of one kind: expected from the spool, found in the table."""

    table: str
    category: str
    symbol: str
    detail: str
    expected: int
    found: int
    repeated: int

    @property
    def is_right(self) -> bool:
        """Whether each expected row is there, once."""
        return self.expected == self.found and self.repeated == 0


@dataclass(frozen=True)
class BookCheck:
    """A book at the commit mark: rebuilt by SQL from the tables, compared with the dispatcher's."""

    category: str
    symbol: str
    depth: int
    state: str
    levels: int
    is_right: bool


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    `frames` of the spool up to the commit mark at `position`; `counters` of the dispatchers by category say
    what became of those that are no rows (duplicates, repeats, dropped_unsynced, malformed ...).
    """

    recorder: str
    position: int
    frames: int
    records: int
    rows: list[RowCheck] = field(default_factory=list)
    books: list[BookCheck] = field(default_factory=list)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    open_gaps: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each; empty when all is right."""
        rows = [
            f"{check.table} {check.category} {check.symbol} {check.detail}".rstrip()
            + f": {check.expected} rows expected, {check.found} found, {check.repeated} of them repeated"
            for check in self.rows
            if not check.is_right
        ]
        books = [
            f"book {check.category} {check.symbol} {check.depth}: rebuilt from the table it is another one"
            for check in self.books
            if not check.is_right
        ]
        return rows + books

    @property
    def is_right(self) -> bool:
        """Whether nothing is missing, repeated or different."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"problems": self.problems, "is_right": self.is_right}

    def text(self) -> str:
        """For people."""
        checked = sum(check.expected for check in self.rows)
        right = sum(check.is_right for check in self.books)
        lines = [
            f"recorder {self.recorder}, up to position {self.position}",
            f"{self.frames} frames in {self.records} records of the spool",
            f"{checked} rows expected, {sum(check.found for check in self.rows)} found",
            f"{right} of {len(self.books)} books rebuilt from the table are equal",
            f"{len(self.open_gaps)} gaps open" + "".join(f"\n  {topic}" for topic in self.open_gaps),
            *self.problems,
        ]
        return "\n".join(lines)


class _Census(Listener):
    """Counts what there must be a row for, by (table, category, symbol, detail), and knows the books.

    `books` holds each book with the update id of the last message that was good: a book that has it still is
    as it was then, whether the recording goes on or ended on purpose.
    """

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, str, str, str]] = Counter()
        self.books: dict[tuple[str, str, int], tuple[OrderBook, int]] = {}

    def on_book(self, book: OrderBook) -> None:
        self.books[book.category, book.symbol, book.depth] = (book, book.update_id)
        if book.depth == 1:
            table = "bbo"
        else:
            table = "book_snapshot" if book.change is not None and book.change.is_snapshot else "book_delta"
        self.rows[table, book.category, book.symbol, str(book.depth)] += 1

    def on_bbo(self, book: OrderBook) -> None:
        if book.depth > 1:
            self.rows["bbo", book.category, book.symbol, str(book.depth)] += 1

    def on_trade(self, trade: Trade) -> None:
        self.rows["trade", trade.category, trade.symbol, ""] += 1

    def on_ticker(self, ticker: Ticker) -> None:
        self.rows["ticker", ticker.category, ticker.symbol, ""] += 1

    def on_kline(self, kline: Kline) -> None:
        self.rows["kline", kline.category, kline.symbol, kline.interval] += 1

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self.rows["liquidation", liquidation.category, liquidation.symbol, ""] += 1

    def on_gap(self, gap: Gap) -> None:
        self.rows["gap", gap.category, gap.topic, ""] += 1

    def on_event(self, event: Event) -> None:
        self.rows["event", event.category, event.topic, event.kind] += 1


# Per table: what tells symbol, detail and identity of a row, and which rows the spool alone explains.
_FOUND: Final = {
    "book_delta": ("symbol", "toString(depth)", "position", "1"),
    "book_snapshot": ("symbol", "toString(depth)", "position", "origin = 'venue'"),
    "bbo": ("symbol", "toString(depth)", "position", "1"),
    "trade": ("symbol", "''", "(position, item)", "1"),
    "ticker": ("symbol", "''", "position", "1"),
    "kline": ("symbol", "interval", "(position, item)", "1"),
    "liquidation": ("symbol", "''", "(position, item)", "1"),
    "gap": ("topic", "''", "(position, id, isNull(end))", "1"),
    "event": ("topic", "kind", "(position, detail)", "kind != 'row_refused'"),
}


def verify(spool: Path, database: Database, recorder: str) -> VerifyReport:
    """Compare a spool with what a database holds of it, up to the commit mark.

    Args:
        spool: folder of the spool.
        database: a connection that may read.
        recorder: the name in the rows.

    Raises:
        DatabaseError: the database does not answer.
    """
    mark = database.query(
        "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}", {"recorder": recorder}
    )
    position = int(mark[0][0])
    census = _Census()
    playback = Playback(spool, census)
    while position and playback.run(RUN_RECORDS, until=position):
        pass
    playback.close()
    return VerifyReport(
        recorder,
        position,
        playback.frames,
        playback.records,
        _check_rows(database, recorder, position, census.rows),
        [
            _check_book(database, recorder, position, book)
            for book, update_id in census.books.values()
            if book.update_id == update_id
        ],
        {category: dispatcher.counters for category, dispatcher in playback.dispatchers.items()},
        [
            f"{category} {gap.topic} ({gap.cause})"
            for category, dispatcher in playback.dispatchers.items()
            for gap in dispatcher.open_gaps()
        ],
    )


def _check_rows(
    database: Database, recorder: str, position: int, expected: Counter[tuple[str, str, str, str]]
) -> list[RowCheck]:
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for table, (symbol, detail, identity, explained) in _FOUND.items():
        rows = database.query(
            f"SELECT category, {symbol}, {detail}, count(), count() - uniqExact({identity}) FROM {table}"  # noqa: S608  # names of ours
            f" WHERE recorder = {{recorder:String}} AND position <= {{position:UInt64}} AND {explained}"
            " GROUP BY 1, 2, 3",
            {"recorder": recorder, "position": position},
        )
        found |= {(table, str(row[0]), str(row[1]), str(row[2])): (int(row[3]), int(row[4])) for row in rows}
    return [
        RowCheck(
            *key, expected=expected[key], found=found.get(key, (0, 0))[0], repeated=found.get(key, (0, 0))[1]
        )
        for key in sorted({*expected, *found})
    ]


def _check_book(database: Database, recorder: str, position: int, book: OrderBook) -> BookCheck:
    bids, asks = book_at(database, recorder, book.category, book.symbol, book.depth, position)
    is_right = (bids, asks) == (book.bids(), book.asks())
    return BookCheck(
        book.category, book.symbol, book.depth, book.state.name, sum(book.level_counts()), is_right
    )


def book_at(
    database: Database, recorder: str, category: str, symbol: str, depth: int, position: int
) -> tuple[Levels, Levels]:
    """Bids and asks of a book after the record at a position, rebuilt by SQL, best first."""
    if depth == 1:
        return _best_at(database, recorder, category, symbol, position)
    rows = database.query(
        "SELECT side, price, size FROM book_at(recorder = {recorder:String}, category = {category:String},"
        " symbol = {symbol:String}, depth = {depth:UInt16}, position = {position:UInt64})"
        " ORDER BY side, if(side = 'bid', -price, price)",
        {"recorder": recorder, "category": category, "symbol": symbol, "depth": depth, "position": position},
    )
    levels: dict[str, Levels] = {"bid": [], "ask": []}
    for side, price, size in rows:
        levels[side].append((price, size))
    return levels["bid"], levels["ask"]


def _best_at(
    database: Database, recorder: str, category: str, symbol: str, position: int
) -> tuple[Levels, Levels]:
    """The book of depth 1, which is in `bbo` alone."""
    rows = database.query(
        "SELECT bid, bid_amount, ask, ask_amount FROM quotes WHERE recorder = {recorder:String}"
        " AND category = {category:String} AND symbol = {symbol:String} AND depth = 1"
        " AND position <= {position:UInt64} ORDER BY position DESC LIMIT 1",
        {"recorder": recorder, "category": category, "symbol": symbol, "position": position},
    )
    bid, bid_amount, ask, ask_amount = rows[0] if rows else (None, None, None, None)
    return ([] if bid is None else [(bid, bid_amount)]), ([] if ask is None else [(ask, ask_amount)])
