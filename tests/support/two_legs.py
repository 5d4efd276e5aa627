"""A dispatcher and two legs that carry the same topics, and frames for them."""

from typing import Any

from ext.book import OrderBook
from ext.dispatch import Dispatcher
from tests.support.frames import TS_MS, book_frame, compact
from tests.support.listeners import ControlNotes, Notes

BOOK = "orderbook.50.BTCUSDT"
TRADES = "publicTrade.BTCUSDT"
TICKER = "tickers.BTCUSDT"
LIQUIDATIONS = "allLiquidation.BTCUSDT"
BASE = [("100", "1"), ("99", "2")], [("101", "3"), ("102", "4")]


class Pair:
    """A dispatcher and two legs that are told the same topics; a call a microsecond."""

    def __init__(self, *topics: str) -> None:
        self.notes = Notes()
        self.control = LegControl()
        self.dispatcher = Dispatcher("linear", self.notes, control=self.control)
        self.topics = topics
        self.now_ns = 1_000_000
        for leg in (0, 1):
            self.desire(leg)

    def tick(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def desire(self, leg: int) -> None:
        self.dispatcher.desired(self.topics, self.tick(), leg)

    def feed(self, leg: int, *frames: bytes) -> None:
        for frame in frames:
            self.dispatcher.feed(frame, self.tick(), leg)

    def both(self, *frames: bytes) -> None:
        for frame in frames:
            self.feed(0, frame)
            self.feed(1, frame)

    def cut(self, leg: int) -> None:
        self.dispatcher.disconnected(leg, self.tick())

    def counted(self, *names: str) -> list[int]:
        return [self.dispatcher.counters[name] for name in names]

    def leg(self, number: int) -> dict[str, Any]:
        return next(leg for leg in self.dispatcher.legs() if leg["leg"] == number)

    @property
    def book(self) -> OrderBook:
        book = self.dispatcher.book("BTCUSDT", 50)
        assert book is not None
        return book

    def update_ids(self) -> list[int]:
        return [call.update_id for call in self.notes.books]


class LegControl(ControlNotes):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []
        self.came: list[tuple[str, int]] = []

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.asked.append((topic, leg))

    def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.came.append((topic, leg))


def snapshot(update_id: int, size: str = "1") -> bytes:
    return book_frame("snapshot", update_id, [("100", size), ("99", "2")], BASE[1])


def delta(update_id: int, size: str | None = None, **options: int) -> bytes:
    return book_frame("delta", update_id, [("100", str(update_id) if size is None else size)], [], **options)


def trade(name: str) -> dict[str, Any]:
    return {"T": TS_MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100", "i": name, "BT": False}


def liquidation(size: str) -> bytes:
    item = {"T": TS_MS, "s": "BTCUSDT", "S": "Buy", "v": size, "p": "100"}
    return compact({"topic": LIQUIDATIONS, "type": "snapshot", "ts": TS_MS, "data": [item]})


def ticker(kind: str, **fields: str) -> bytes:
    return compact(
        {"topic": TICKER, "type": kind, "data": {"symbol": "BTCUSDT", **fields}, "cs": 1, "ts": TS_MS}
    )
