"""What a range was, told to people and programs: a summary by topic, or one JSON line a call."""

import hashlib
from collections import Counter
from typing import Any

import orjson

from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade
from recorder.history.moments import iso
from recorder.tape.listeners import trade_topic

__all__ = ["Printer", "Summary"]


class Summary(Listener):
    """Counts by category and topic, gaps, the books at the end, and a digest: equal for equal runs.

    The digest is over each call's topic, position and main numbers, in their order.
    """

    def __init__(self) -> None:
        self.messages: Counter[tuple[str, str]] = Counter()
        self.gaps: Counter[tuple[str, str]] = Counter()
        self.events: Counter[str] = Counter()
        self._books: dict[tuple[str, str], OrderBook] = {}
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Of all calls so far, in hexadecimal."""
        return self._hash.hexdigest()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each topic: its calls, gaps, and of a book the update id and checksum now."""
        found = []
        for category, topic in sorted(self.messages.keys() | self.gaps.keys()):
            key = (category, topic)
            row: dict[str, Any] = {"category": category, "topic": topic}
            row |= {"calls": self.messages[key], "gaps": self.gaps[key], "update_id": None, "checksum": None}
            if key in self._books:
                row |= {"update_id": self._books[key].update_id, "checksum": self._books[key].checksum()}
            found.append(row)
        return found

    def on_book(self, book: OrderBook) -> None:
        self._books[book.category, book.topic] = book
        numbers = (book.update_id, book.seq, book.best_bid, book.best_ask, book.level_counts())
        self._note(book.category, book.topic, book.position, *numbers)

    def on_trade(self, trade: Trade) -> None:
        topic = trade_topic(trade.category, trade.symbol)
        numbers = (trade.trade_id, trade.side, trade.price, trade.size, trade.time_ms)
        self._note(trade.category, topic, trade.position, *numbers)

    def on_ticker(self, ticker: Ticker) -> None:
        self._note(
            ticker.category, f"tickers.{ticker.symbol}", ticker.position, sorted(ticker.fields.items())
        )

    def on_kline(self, kline: Kline) -> None:
        numbers = (kline.start_ms, kline.open, kline.high, kline.low, kline.close, kline.volume)
        self._note(kline.category, f"kline.{kline.interval}.{kline.symbol}", kline.position, *numbers)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        numbers = (liquidation.side, liquidation.price, liquidation.size, liquidation.time_ms)
        topic = f"allLiquidation.{liquidation.symbol}"
        self._note(liquidation.category, topic, liquidation.position, *numbers)

    def on_notice(self, notice: Notice) -> None:
        self._note(notice.category, notice.topic, notice.position, sorted(notice.fields.items()))

    def on_gap(self, gap: Gap) -> None:
        self.gaps[gap.category, gap.topic] += not gap.is_closed
        self._hash.update(f"{gap.topic} {gap.id} {gap.cause} {gap.start_ns} {gap.end_ns}\n".encode())

    def on_event(self, event: Event) -> None:
        self.events[event.kind] += 1
        self._hash.update(f"{event.topic} {event.position} {event.kind}\n".encode())

    def _note(self, category: str, topic: str, position: int, *numbers: object) -> None:
        self.messages[category, topic] += 1
        self._hash.update(f"{category} {topic} {position} {numbers}\n".encode())


class Printer(Listener):
    """Makes each call a JSON line: `call`, the time it was received, and what it is about.

    The lines wait for `take`: what fails in a callback would be taken for a fault of the listener.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def take(self) -> bytes:
        """Return the lines since the last call."""
        text, self._lines = b"".join(self._lines), []
        return text

    def _write(self, call: str, category: str, recv_ns: int, values: dict[str, Any]) -> None:
        line = {"call": call, "recv": iso(recv_ns), "category": category, **values}
        self._lines.append(orjson.dumps(line, default=str) + b"\n")

    def on_book(self, book: OrderBook) -> None:
        change = book.change
        assert change is not None
        said = {"is_snapshot": bool(change.is_snapshot), "bids": change.bids, "asks": change.asks}
        best = {"best_bid": next(iter(book.bids(1)), None), "best_ask": next(iter(book.asks(1)), None)}
        values = {"topic": book.topic, "update_id": book.update_id, "cts_ms": book.cts_ms, **said, **best}
        self._write("book", book.category, book.recv_ns, values)

    def on_trade(self, trade: Trade) -> None:
        names = ("symbol", "trade_id", "side", "price", "size", "time_ms", "source")
        self._write("trade", trade.category, trade.recv_ns, {name: getattr(trade, name) for name in names})

    def on_ticker(self, ticker: Ticker) -> None:
        values = {"symbol": ticker.symbol, "is_snapshot": ticker.is_snapshot, "changed": ticker.changed}
        self._write("ticker", ticker.category, ticker.recv_ns, values)

    def on_kline(self, kline: Kline) -> None:
        names = ("symbol", "interval", "start_ms", "open", "high", "low", "close", "volume", "is_closed")
        self._write("kline", kline.category, kline.recv_ns, {name: getattr(kline, name) for name in names})

    def on_liquidation(self, liquidation: Liquidation) -> None:
        names = ("symbol", "side", "price", "size", "time_ms")
        values = {name: getattr(liquidation, name) for name in names}
        self._write("liquidation", liquidation.category, liquidation.recv_ns, values)

    def on_notice(self, notice: Notice) -> None:
        values = {"topic": notice.topic, "is_snapshot": notice.is_snapshot, "fields": notice.fields}
        self._write("notice", notice.category, notice.recv_ns, values)

    def on_gap(self, gap: Gap) -> None:
        names = ("topic", "id", "cause", "fault", "missing", "detail")
        end = iso(gap.end_ns) if gap.is_closed else None
        values = {"start": iso(gap.start_ns), "end": end, **{name: getattr(gap, name) for name in names}}
        self._write("gap", gap.category, gap.end_ns or gap.start_ns, values)

    def on_event(self, event: Event) -> None:
        values = {"topic": event.topic, "kind": event.kind, "detail": event.detail}
        self._write("event", event.category, event.recv_ns, values)
