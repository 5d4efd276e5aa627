"""What rows there must be: counted and added up while a spool is run. Nothing of `Columns` is believed."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade
from recorder.instruments import InstrumentRows
from recorder.verify.selection import DAY_NS, Selection, symbol_of

__all__ = ["MASK", "SCALE", "Census", "Key", "Rows", "detail_of"]

SCALE: Final = 18  # decimals of what is added up
MASK: Final = (1 << 64) - 1

Levels = list[tuple[Decimal, Decimal]]
Key = tuple[str, str, str, str, int]  # table, category, symbol or topic, detail, day


class Rows:
    """The rows of one key: their positions, the sum of the numbers of each (its low 64 bits), and of all."""

    __slots__ = ("positions", "sums", "total")

    def __init__(self) -> None:
        self.positions = array("Q")
        self.sums = array("Q")
        self.total = 0

    def add(self, position: int, numbers: int) -> None:
        """Count one."""
        self.positions.append(position)
        self.sums.append(numbers & MASK)
        self.total += position + numbers


class Census(Listener):
    """Counts what there must be a row for, since it was last emptied; knows the books.

    `books` holds each book with the update id of the last message that was good: a book that has it still is
    as it was then, whether the recording goes on or ended on purpose.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._instruments = InstrumentRows()
        self.rows: dict[Key, Rows] = defaultdict(Rows)
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
        detail = detail_of(book.kind, book.depth)
        self.books[book.category, book.symbol, detail] = (book, book.update_id)
        change = book.change
        of = (book.category, book.symbol, detail, book.recv_ns, book.position)
        if change is None or change.is_snapshot:
            numbers = _numbers(book.update_id + book.checksum(), book.bids(), book.asks())
            self._add("book_snapshot", *of, numbers)
        else:
            self._add("book_delta", *of, _numbers(book.update_id, change.bids, change.asks))

    def on_bbo(self, book: OrderBook) -> None:
        if book.depth != 1:
            self._best(book)

    def on_trade(self, trade: Trade) -> None:
        numbers = (trade.time_ms, trade.price, trade.size)
        self._add("trade", trade.category, trade.symbol, "", trade.recv_ns, trade.position, numbers)

    def on_ticker(self, ticker: Ticker) -> None:
        numbers = (ticker.get(field) for field in ("lastPrice", "volume24h", "turnover24h"))
        self._add("ticker", ticker.category, ticker.symbol, "", ticker.recv_ns, ticker.position, numbers)

    def on_kline(self, kline: Kline) -> None:
        numbers = (kline.open, kline.high, kline.low, kline.close, kline.volume, kline.turnover)
        of = (kline.category, kline.symbol, kline.interval, kline.recv_ns, kline.position)
        self._add("kline", *of, numbers)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        of = (liquidation.category, liquidation.symbol, "", liquidation.recv_ns, liquidation.position)
        self._add("liquidation", *of, (liquidation.price, liquidation.size))

    def on_notice(self, notice: Notice) -> None:
        of = (notice.category, notice.symbol, notice.topic, notice.recv_ns, notice.position)
        self._add("notice", *of)

    def on_gap(self, gap: Gap) -> None:
        numbers = (gap.id, gap.start_ns, gap.end_ns)
        self._add("gap", gap.category, gap.topic, gap.cause, gap.start_ns, gap.position, numbers)

    def on_event(self, event: Event) -> None:
        self._add("event", event.category, event.topic, event.kind, event.recv_ns, event.position)

    def on_rest(self, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        """Count the instruments of a REST answer, as `Playback` hands it."""
        for row in self._instruments.rows(payload, recv_ns, position):
            self._add("instrument", row["category"], row["symbol"], "", recv_ns, position)

    def _best(self, book: OrderBook) -> None:
        detail = detail_of(book.kind, book.depth)
        numbers = _numbers(book.update_id, book.bids(1), book.asks(1))
        self._add("bbo", book.category, book.symbol, detail, book.recv_ns, book.position, numbers)

    def _add(
        self,
        table: str,
        category: str,
        topic: str,
        detail: str,
        recv_ns: int,
        position: int,
        numbers: Iterable[Decimal | int | None] = (),
    ) -> None:
        if self._selection.has(symbol_of(topic), recv_ns):
            total = sum(_units(number) for number in numbers if number)
            self.rows[table, category, topic, detail, recv_ns // DAY_NS].add(position, total)


def detail_of(kind: str, depth: int) -> str:
    """Return what tells the books of a symbol apart."""
    return str(depth) if kind == "plain" else kind


def _numbers(number: int, bids: Levels, asks: Levels) -> Iterator[Decimal | int]:
    return chain((number,), chain.from_iterable(bids), chain.from_iterable(asks))


def _units(number: Decimal | int) -> int:
    return number if isinstance(number, int) else int(number.scaleb(SCALE))
