"""Spool against database: every row that the spool says there must be, and every book, up to the commit mark.

The spool is run again with a listener that counts rows and adds up what is in them: positions, and the
numbers that matter (prices, sizes, candles) in units of 10^-18. Nothing of `Columns` or the loader is
believed.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade
from recorder.clickhouse import Database
from recorder.instruments import InstrumentRows
from recorder.playback import Playback

__all__ = ["BookCheck", "RowCheck", "VerifyReport", "book_at", "verify"]

RUN_RECORDS: Final = 10_000
SCALE: Final = 18  # decimals of what is added up

Key = tuple[str, str, str, str]
Levels = list[tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class RowCheck:
    """Rows of one kind: expected from the spool, found in the table; `is_equal`: their sums are."""

    table: str
    category: str
    symbol: str
    detail: str
    expected: int
    found: int
    repeated: int
    is_equal: bool

    @property
    def is_right(self) -> bool:
        """Whether each expected row is there, once, with the numbers that it must have."""
        return self.expected == self.found and self.repeated == 0 and self.is_equal


@dataclass(frozen=True)
class BookCheck:
    """A book at the commit mark: rebuilt by SQL from the tables, compared with the dispatcher's."""

    category: str
    symbol: str
    kind: str
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
            + ("" if check.is_equal else ", their positions and numbers do not add up to the same")
            for check in self.rows
            if not check.is_right
        ]
        books = [
            f"book {check.category} {check.symbol} {_detail(check.kind, check.depth)}: rebuilt from the table"
            " it is another one"
            for check in self.books
            if not check.is_right
        ]
        nothing = [] if self.position else [f"nothing of recorder {self.recorder} is loaded"]
        return nothing + rows + books

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
    """Counts and adds up what there must be a row for, by (table, category, symbol, detail); knows the books.

    `books` holds each book with the update id of the last message that was good: a book that has it still is
    as it was then, whether the recording goes on or ended on purpose.
    """

    def __init__(self) -> None:
        self._instruments = InstrumentRows()
        self.rows: Counter[Key] = Counter()
        self.sums: Counter[Key] = Counter()
        self.books: dict[tuple[str, str, str], tuple[OrderBook, int]] = {}

    def on_book(self, book: OrderBook) -> None:
        if book.depth == 1:
            self.books[book.category, book.symbol, "1"] = (book, book.update_id)
            self._best(book)
            return
        self._whole(book)
        if book.rpi is not None:
            self._whole(book.rpi)

    def _whole(self, book: OrderBook) -> None:
        key = (book.category, book.symbol, _detail(book.kind, book.depth))
        self.books[key] = (book, book.update_id)
        change = book.change
        if change is None or change.is_snapshot:
            numbers = chain(*book.bids(), *book.asks())
            self._add(("book_snapshot", *key), book.position + book.checksum(), numbers)
        else:
            self._add(("book_delta", *key), book.position, chain(*change.bids, *change.asks))

    def on_bbo(self, book: OrderBook) -> None:
        if book.depth != 1:
            self._best(book)

    def on_trade(self, trade: Trade) -> None:
        key = ("trade", trade.category, trade.symbol, "")
        self._add(key, trade.position, (trade.price, trade.size))

    def on_ticker(self, ticker: Ticker) -> None:
        numbers = (ticker.get(field) for field in ("lastPrice", "volume24h", "turnover24h"))
        self._add(("ticker", ticker.category, ticker.symbol, ""), ticker.position, numbers)

    def on_kline(self, kline: Kline) -> None:
        numbers = (kline.open, kline.high, kline.low, kline.close, kline.volume, kline.turnover)
        self._add(("kline", kline.category, kline.symbol, kline.interval), kline.position, numbers)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        key = ("liquidation", liquidation.category, liquidation.symbol, "")
        self._add(key, liquidation.position, (liquidation.price, liquidation.size))

    def on_notice(self, notice: Notice) -> None:
        self._add(("notice", notice.category, notice.symbol, notice.topic), notice.position)

    def on_gap(self, gap: Gap) -> None:
        self._add(
            ("gap", gap.category, gap.topic, gap.cause), gap.position, (gap.id, gap.start_ns, gap.end_ns)
        )

    def on_event(self, event: Event) -> None:
        self._add(("event", event.category, event.topic, event.kind), event.position)

    def on_rest(self, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        """Count the instruments of a REST answer, as `Playback` hands it."""
        for row in self._instruments.rows(payload, recv_ns, position):
            self._add(("instrument", row["category"], row["symbol"], ""), position)

    def _best(self, book: OrderBook) -> None:
        numbers = chain(*book.bids(1), *book.asks(1))
        self._add(("bbo", book.category, book.symbol, _detail(book.kind, book.depth)), book.position, numbers)

    def _add(self, key: Key, position: int, numbers: Iterable[Decimal | int | None] = ()) -> None:
        self.rows[key] += 1
        self.sums[key] += position + sum(_units(number) for number in numbers if number)


def _detail(kind: str, depth: int) -> str:
    """What tells the books of a symbol apart."""
    return str(depth) if kind == "plain" else kind


def _units(number: Decimal | int) -> int:
    return number if isinstance(number, int) else int(number.scaleb(SCALE))


def _scaled(columns: str, scale: str) -> str:
    """SQL of the sum of integer columns with a scale, in units of 10^-18."""
    return " + ".join(
        f"toInt256({column}) * toInt256(intExp10({SCALE} - {scale}))" for column in columns.split()
    )


def _decimal(columns: str) -> str:
    """SQL of the sum of Decimal columns, in units of 10^-18; NULL is 0."""
    return " + ".join(
        f"toInt256(toDecimal256(ifNull({column}, 0), {SCALE}) * toDecimal256('1e{SCALE}', 0))"
        for column in columns.split()
    )


def _levels(side: str) -> str:
    """SQL of the sum of the prices and sizes of one side of a row's levels."""
    prices, sizes = (f"arraySum(x->toInt256(x),{side}_{what})" for what in ("prices", "sizes"))
    return f"{_scaled(prices, 'price_scale')} + {_scaled(sizes, 'size_scale')}"


_BEST: Final = (
    f"{_scaled('bid_price ask_price', 'price_scale')} + {_scaled('bid_size ask_size', 'size_scale')}"
)
_BOOK: Final = "if(kind = 'plain', toString(depth), toString(kind))"
_GAP: Final = "id + toInt256(toUnixTimestamp64Nano(start)) + ifNull(toUnixTimestamp64Nano(end), 0)"

# Per table: what tells symbol, detail and identity of a row, which rows the spool alone explains, and the
# numbers of a row as `_Census` adds them up.
_FOUND: Final = {
    "book_delta": ("symbol", _BOOK, "position", "1", f"{_levels('bid')} + {_levels('ask')}"),
    "book_snapshot": (
        "symbol",
        _BOOK,
        "position",
        "origin = 'venue'",
        f"{_levels('bid')} + {_levels('ask')} + checksum",
    ),
    "bbo": ("symbol", _BOOK, "position", "1", _BEST),
    "trade": (
        "symbol",
        "''",
        "(position, item)",
        "1",
        f"{_scaled('price', 'price_scale')} + {_scaled('size', 'size_scale')}",
    ),
    "ticker": ("symbol", "''", "position", "1", _decimal("last_price volume_24h turnover_24h")),
    "kline": ("symbol", "interval", "(position, item)", "1", _decimal("open high low close volume turnover")),
    "liquidation": ("symbol", "''", "(position, item)", "1", _decimal("price size")),
    "notice": ("symbol", "topic", "(position, item)", "1", "0"),
    "gap": ("topic", "cause", "(position, id, isNull(end))", "1", _GAP),
    "event": ("topic", "kind", "(position, detail)", "kind != 'row_refused'", "0"),
    "instrument": ("symbol", "''", "(position, symbol)", "1", "0"),
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
    playback = Playback(spool, census, census.on_rest)
    while position and playback.run(RUN_RECORDS, until=position):
        pass
    playback.close()
    return VerifyReport(
        recorder,
        position,
        playback.frames,
        playback.records,
        [*_check_rows(database, recorder, position, census), _check_marks(database, recorder, playback)],
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


def _check_rows(database: Database, recorder: str, position: int, census: _Census) -> list[RowCheck]:
    found: dict[Key, tuple[int, int, int]] = {}
    for table, (symbol, detail, identity, explained, numbers) in _FOUND.items():
        rows = database.query(
            f"SELECT category, {symbol}, {detail}, count(), count() - uniqExact({identity}),"  # noqa: S608  # names of ours
            f" sum(toInt256(position) + {numbers}) FROM {table}"
            f" WHERE recorder = {{recorder:String}} AND position <= {{position:UInt64}} AND {explained}"
            " GROUP BY 1, 2, 3",
            {"recorder": recorder, "position": position},
        )
        for category, topic, what, count, repeated, total in rows:
            found[table, str(category), str(topic), str(what)] = (int(count), int(repeated), int(total))
    checks = []
    for key in sorted({*census.rows, *found}):
        count, repeated, total = found.get(key, (0, 0, 0))
        checks.append(RowCheck(*key, census.rows[key], count, repeated, total == census.sums[key]))
    return checks


def _check_marks(database: Database, recorder: str, playback: Playback) -> RowCheck:
    """The records that the commit marks say were loaded, each range following on the one before."""
    ((records, overlaps),) = database.query(
        "SELECT sum(records), countIf(first_position <= before) FROM (SELECT records, first_position,"
        " lagInFrame(last_position) OVER"
        " (ORDER BY first_position ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before"
        " FROM load_batch WHERE recorder = {recorder:String})",
        {"recorder": recorder},
    )
    return RowCheck(
        "load_batch", "", "", "records", playback.records, int(records), int(overlaps), is_equal=True
    )


def _check_book(database: Database, recorder: str, position: int, book: OrderBook) -> BookCheck:
    bids, asks = book_at(database, recorder, book.category, book.symbol, book.depth, position, book.kind)
    is_right = (bids, asks) == (book.bids(), book.asks())
    return BookCheck(
        book.category,
        book.symbol,
        book.kind,
        book.depth,
        book.state.name,
        sum(book.level_counts()),
        is_right,
    )


def book_at(
    database: Database,
    recorder: str,
    category: str,
    symbol: str,
    depth: int,
    position: int,
    kind: str = "plain",
) -> tuple[Levels, Levels]:
    """Bids and asks of a book after the record at a position, rebuilt by SQL, best first."""
    if depth == 1:
        return _best_at(database, recorder, category, symbol, position)
    rows = database.query(
        "SELECT side, price, size FROM book_at(recorder = {recorder:String},"
        " category = {category:String}, symbol = {symbol:String}, kind = {kind:String},"
        " depth = {depth:UInt16}, position = {position:UInt64})"
        " ORDER BY side, if(side = 'bid', -price, price)",
        {
            "recorder": recorder,
            "category": category,
            "symbol": symbol,
            "kind": kind,
            "depth": depth,
            "position": position,
        },
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
