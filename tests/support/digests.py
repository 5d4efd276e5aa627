"""A listener that writes down every number of every call, to compare two runs byte by byte."""

import hashlib
from decimal import Decimal
from typing import Any

from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade

ITEM = ("category", "symbol", "ts_ms", "recv_ns", "position", "index")
TRADE = (
    *("trade_id", "side", "price", "size", "price_scale", "size_scale", "is_block", "is_rpi"),
    *("tick_direction", "time_ms", "seq", "source"),
)
KLINE = ("interval", "start_ms", "end_ms", "open", "high", "low", "close", "volume", "turnover")


class Digest(Listener):
    """Each call as a line of text; `hexdigest` is that of all of them.

    Numbers are written as values, so that 1.50 equals 1.5. ``skip``: calls that are left out.
    """

    def __init__(self, *, skip: tuple[str, ...] = (), keep: bool = True) -> None:
        self.lines: list[str] = []
        self.checksums: dict[tuple[str, int, int], int] = {}  # by topic, position, update id
        self._skip = skip
        self._keep = keep
        self._hash = hashlib.sha256()

    @property
    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def of(self, *calls: str) -> list[str]:
        """The lines of these calls."""
        return [line for line in self.lines if line.partition(" ")[0] in calls]

    def _write(self, call: str, *values: object) -> None:
        if call in self._skip:
            return
        line = " ".join((call, *map(_text, values)))
        self._hash.update(line.encode() + b"\n")
        if self._keep:
            self.lines.append(line)

    def _write_item(self, call: str, item: Any, names: tuple[str, ...]) -> None:
        self._write(call, *(getattr(item, name) for name in (*ITEM, *names)))

    def on_book(self, book: OrderBook) -> None:
        change = book.change
        assert change is not None
        numbers = (book.update_id, book.seq, book.ts_ms, book.cts_ms, book.recv_ns, book.position)
        self.checksums[book.topic, book.position, book.update_id] = book.checksum()
        rpi = book.rpi and (book.rpi.bids(), book.rpi.asks())
        whole = (book.checksum(), book.level_counts(), rpi)
        said = (bool(change.is_snapshot), change.bids, change.asks)
        self._write("book", book.category, book.topic, book.state.name, *numbers, *whole, *said)

    def on_bbo(self, book: OrderBook) -> None:
        self._write("bbo", book.topic, book.position, book.bids(1), book.asks(1))

    def on_trade(self, trade: Trade) -> None:
        self._write_item("trade", trade, TRADE)

    def on_ticker(self, ticker: Ticker) -> None:
        fields = {name: _number(text) for name, text in sorted(ticker.fields.items())}
        changed = {name: _number(text) for name, text in sorted(ticker.changed.items())}
        self._write(
            "ticker", *(getattr(ticker, name) for name in ITEM), ticker.is_snapshot, ticker.seq, fields
        )
        self._write("ticker_changed", changed)

    def on_kline(self, kline: Kline) -> None:
        self._write_item("kline", kline, (*KLINE, "is_closed", "time_ms", "source"))

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self._write_item("liquidation", liquidation, ("side", "price", "size", "time_ms"))

    def on_notice(self, notice: Notice) -> None:
        self._write_item("notice", notice, ("topic", "kind", "is_snapshot", "fields"))

    def on_gap(self, gap: Gap) -> None:
        names = ("id", "category", "topic", "cause", "fault", "start_ns", "end_ns", "missing", "position")
        self._write("gap", *(getattr(gap, name) for name in names), repr(gap.detail))

    def on_event(self, event: Event) -> None:
        names = ("category", "topic", "kind", "recv_ns", "position")
        self._write("event", *(getattr(event, name) for name in names), repr(event.detail))


def _number(text: str) -> object:
    try:
        return Decimal(text).normalize()
    except ArithmeticError:
        return text


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{' '.join(f'{key}={_text(one)}' for key, one in value.items())}}}"
    return str(value)
