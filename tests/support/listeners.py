"""A listener and a control that write down what they were told."""

from decimal import Decimal
from typing import Any, NamedTuple

from ext.book import BookState, OrderBook
from ext.listener import Control, Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade


class BookCall(NamedTuple):
    """What `on_book` saw: the book and the change that led to it."""

    topic: str
    state: BookState
    update_id: int
    is_snapshot: bool
    change_bids: list[tuple[Decimal, Decimal]]
    change_asks: list[tuple[Decimal, Decimal]]
    change_update_id: int


class GapCall(NamedTuple):
    topic: str
    cause: str
    fault: str
    start_ns: int
    end_ns: int

    @property
    def is_closed(self) -> bool:
        return self.end_ns != 0


class Notes(Listener):
    """Keeps every call in `calls` (names, in order) and its content by kind."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.books: list[BookCall] = []
        self.bbos: list[tuple[object, object]] = []
        self.trades: list[Trade] = []
        self.tickers: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.klines: list[dict[str, Any]] = []
        self.liquidations: list[dict[str, Any]] = []
        self.notices: list[Notice] = []
        self.gaps: list[Gap] = []
        self.events: list[Event] = []

    def on_book(self, book: OrderBook) -> None:
        self.calls.append("on_book")
        change = book.change
        assert change is not None
        self.books.append(
            BookCall(
                book.topic,
                book.state,
                book.update_id,
                bool(change.is_snapshot),
                change.bids,
                change.asks,
                change.update_id,
            )
        )

    def on_bbo(self, book: OrderBook) -> None:
        self.calls.append("on_bbo")
        self.bbos.append((book.best_bid, book.best_ask))

    def on_trade(self, trade: Trade) -> None:
        self.calls.append("on_trade")
        self.trades.append(trade.copy())

    def on_ticker(self, ticker: Ticker) -> None:
        self.calls.append("on_ticker")
        self.tickers.append((ticker.symbol, dict(ticker.fields), dict(ticker.changed)))

    def on_kline(self, kline: Kline) -> None:
        self.calls.append("on_kline")
        names = (
            "symbol",
            "interval",
            "start_ms",
            "end_ms",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "turnover",
        )
        names += ("is_closed", "time_ms", "ts_ms", "recv_ns", "index", "source")
        self.klines.append({name: getattr(kline, name) for name in names})

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self.calls.append("on_liquidation")
        names = ("symbol", "side", "price", "size", "time_ms", "ts_ms", "recv_ns", "index")
        self.liquidations.append({name: getattr(liquidation, name) for name in names})

    def on_notice(self, notice: Notice) -> None:
        self.calls.append("on_notice")
        self.notices.append(notice)

    def on_gap(self, gap: Gap) -> None:
        self.calls.append("on_gap")
        self.gaps.append(gap)

    def on_event(self, event: Event) -> None:
        self.calls.append("on_event")
        self.events.append(event)

    @property
    def gap_calls(self) -> list[GapCall]:
        return [GapCall(gap.topic, gap.cause, gap.fault, gap.start_ns, gap.end_ns) for gap in self.gaps]

    def event_kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class ControlNotes(Control):
    def __init__(self) -> None:
        self.messages: list[tuple[Any, int, int]] = []
        self.desyncs: list[str] = []
        self.syncs: list[str] = []

    def on_message(self, message: Any, leg: int, recv_ns: int) -> None:
        self.messages.append((message, leg, recv_ns))

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.desyncs.append(topic)

    def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.syncs.append(topic)
