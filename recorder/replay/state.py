"""How the market of a range stands now: what a subscription begins with, and what REST answers."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from engine.bybit.topics import CATEGORIES
from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from recorder.playback import Playback
from recorder.tape.rows import book_frame, plain

__all__ = ["Market", "ParameterError"]

NS_PER_MS: Final = 1_000_000
INSTRUMENTS: Final = ("instruments-info", "spread/instrument")
LIMIT_MAX: Final = 1_000
Levels = list[tuple[str, ...]]


class ParameterError(ValueError):
    """What the venue answers with retCode 10001."""


class Market:
    """Books, tickers and instruments of the playbacks, as they are now. `recv_ns` is the time of the tape."""

    def __init__(self) -> None:
        self.recv_ns = 0
        self.playbacks: Sequence[Playback] = ()
        self._instruments: dict[str, dict[str, dict[str, Any]]] = {}

    def take_rest(self, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        """Take a recorded answer of REST, as `Playback` hands it."""
        if payload["path"].endswith(INSTRUMENTS):
            body = orjson.loads(payload["body"]) if isinstance(payload["body"], str) else payload["body"]
            known = self._instruments.setdefault(payload["category"], {})
            known.update((raw["symbol"], raw) for raw in body["result"]["list"])

    def opening(self, category: str, topic: str) -> bytes | None:
        """Return the snapshot with which a subscription in the middle begins; None where there is none."""
        kind, _, rest = topic.partition(".")
        if kind == "orderbook":
            parameter, _, symbol = rest.partition(".")
            if parameter == "full":
                return None  # begins with REST
            book = self._book(category, symbol, parameter)
            if book is None:
                return None
            sides = _sides(book)
            return book_frame(topic, "snapshot", _numbers(book), *sides)
        if kind == "tickers" and (fields := self._ticker(category, rest)) is not None:
            data = {"symbol": rest, **fields}
            ts_ms = self.recv_ns // NS_PER_MS
            return orjson.dumps({"topic": topic, "type": "snapshot", "data": data, "cs": 0, "ts": ts_ms})
        return None

    def time(self, query: Mapping[str, str]) -> dict[str, Any]:
        """/v5/market/time"""
        return {"timeSecond": str(self.recv_ns // 1_000_000_000), "timeNano": str(self.recv_ns)}

    def instruments_info(self, query: Mapping[str, str]) -> dict[str, Any]:
        """/v5/market/instruments-info, in one page"""
        category, status = _category(query), query.get("status", "Trading")
        found = [
            raw
            for symbol, raw in sorted(self._instruments.get(category, {}).items())
            if query.get("symbol", symbol) == symbol
            and query.get("baseCoin", raw.get("baseCoin")) == raw.get("baseCoin")
            and ("symbol" in query or raw.get("status") == status)
        ]
        return {"category": category, "list": found, "nextPageCursor": ""}

    def orderbook(self, query: Mapping[str, str]) -> dict[str, Any]:
        """/v5/market/orderbook: the deepest plain book that is whole now"""
        category, symbol = _category(query), query.get("symbol", "")
        text = query.get("limit", "25")
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LIMIT_MAX):
            raise ParameterError(f"limit invalid {text}")
        books = [
            book
            for dispatcher in self._dispatchers(category)
            for book in dispatcher.books()
            if book.symbol == symbol and book.kind == "plain" and book.state == BookState.LIVE
        ]
        if not books:
            raise ParameterError(f"symbol invalid {symbol}")
        book = max(books, key=lambda one: one.depth)
        bids, asks = _sides(book, int(text))
        numbers = {"ts": book.ts_ms, "u": book.update_id, "seq": book.seq, "cts": book.cts_ms}
        return {"s": symbol, "b": bids, "a": asks, **numbers}

    def tickers(self, query: Mapping[str, str]) -> dict[str, Any]:
        """/v5/market/tickers of one symbol"""
        category, symbol = _category(query), query.get("symbol", "")
        fields = self._ticker(category, symbol)
        if fields is None:
            raise ParameterError(f"symbol invalid {symbol}")
        return {"category": category, "list": [{"symbol": symbol, **fields}]}

    def _dispatchers(self, category: str) -> list[Dispatcher]:
        return [one.dispatchers[category] for one in self.playbacks if category in one.dispatchers]

    def _book(self, category: str, symbol: str, parameter: str) -> OrderBook | None:
        depth = int(parameter) if parameter.isdigit() else parameter
        for dispatcher in self._dispatchers(category):
            book = dispatcher.book(symbol, depth)
            if book is not None and book.state == BookState.LIVE:
                return book
        return None

    def _ticker(self, category: str, symbol: str) -> dict[str, str] | None:
        for dispatcher in self._dispatchers(category):
            fields = dispatcher.ticker(symbol)
            if fields is not None:
                return fields
        return None


def _category(query: Mapping[str, str]) -> str:
    category = query.get("category", "")
    if category not in CATEGORIES:
        raise ParameterError(f"category invalid {category}" if category else "category is required")
    return category


def _numbers(book: OrderBook) -> dict[str, int]:
    return {"ts_ms": book.ts_ms, "cts_ms": book.cts_ms, "update_id": book.update_id, "seq": book.seq}


def _sides(book: OrderBook, count: int = 0) -> tuple[Levels, Levels]:
    if book.rpi is not None:
        return _texts(book.rpi_bids(count)), _texts(book.rpi_asks(count))
    return _texts(book.bids(count)), _texts(book.asks(count))


def _texts(levels: Sequence[tuple[Decimal, ...]]) -> Levels:
    return [tuple(map(plain, level)) for level in levels]
