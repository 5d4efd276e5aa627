"""Messages made of rows, told to dispatchers as frames, answers and losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.bybit.rules import CONTINUITY
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade
from recorder.tape import rows as rows_as
from recorder.tape.rows import Row

__all__ = ["Message", "TableRun"]

ALL_LEGS: Final = -1
BOOKS: Final = ("book_snapshot", "book_delta", "bbo")
BEGIN_WITH_SNAPSHOT: Final = ("orderbook.", "tickers.")


@dataclass(frozen=True, slots=True)
class Message:
    """The rows of one table that were one message about one topic."""

    table: str
    topic: str
    rows: Sequence[Row]

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Where it comes: within a record gaps before events before data, and books by their update id."""
        rank = {"gap": 0, "event": 1}.get(self.table, 2)
        return self.rows[0]["position"], rank, self.rows[0].get("update_id", 0), self.table


class TableRun:
    """One run over the messages of a range, into a listener."""

    def __init__(self, listener: Listener) -> None:
        self.counters = {"records": 0, "frames": 0, "undelivered": 0}
        self._listener = listener
        self._delivered = _Delivered(listener)
        self._dispatchers: dict[str, Dispatcher] = {}
        self._tickers: dict[tuple[str, str], dict[str, str]] = {}

    def dispatcher(self, category: str) -> Dispatcher:
        """Return the dispatcher of a category. Holes in update ids were judged when they were recorded."""
        found = self._dispatchers.get(category)
        if found is None:
            rules = dict.fromkeys(CONTINUITY.get(category, {}), "warn")
            found = self._dispatchers[category] = Dispatcher(category, self._delivered, rules=rules)
        return found

    def obey(self, messages: Sequence[Message], recv_ns: int) -> None:
        """Tell the messages of one record."""
        self.counters["records"] += 1
        data = [one for one in messages if one.table not in ("gap", "event")]
        for one in messages:
            if one.table == "gap":
                self._gaps(one.rows, {other.topic for other in data}, recv_ns)
            elif one.table == "event":
                for row in one.rows:
                    self._listener.on_event(_event(row))
        for one in data:
            self.deliver(one, recv_ns)

    def open_gap(self, row: Row, recv_ns: int) -> None:
        """Tell a gap that opened, which is not over at once."""
        self._listener.on_gap(_gap(row))
        said = (
            row["start_ns"],
            recv_ns,
            row["cause"],
            row["fault"],
            ALL_LEGS,
            row["position"],
            row["detail"],
        )
        self.dispatcher(row["category"]).lost([row["topic"]], *said)

    def _gaps(self, rows: Sequence[Row], told: set[str], recv_ns: int) -> None:
        over = {row["id"] for row in rows if row["end_ns"]}
        for row in rows:
            if not row["end_ns"] and row["id"] not in over:
                self.open_gap(row, recv_ns)
                continue
            self._listener.on_gap(_gap(row))
            topic = row["topic"]
            if row["end_ns"] and topic not in told and not topic.startswith(BEGIN_WITH_SNAPSHOT):
                self.dispatcher(row["category"]).confirmed([topic], recv_ns, 0, row["position"])

    def deliver(self, message: Message, recv_ns: int) -> None:
        """Tell one message of data."""
        table, topic, rows = message.table, message.topic, message.rows
        row = rows[0]
        dispatcher = self.dispatcher(row["category"])
        before = self._delivered.count
        where = (recv_ns, 0, row["position"])
        if table == "ticker":
            key = (row["category"], topic)
            frame, self._tickers[key] = rows_as.ticker_frame(topic, row, self._tickers.get(key, {}))
            dispatcher.feed(frame, *where)
        elif row.get("source") == "backfill" and table in ("trade", "kline"):
            body = rows_as.trades_answer(rows) if table == "trade" else rows_as.candles_answer(rows)
            dispatcher.rest("trades" if table == "trade" else "kline", topic, body, *where)
        elif table == "book_snapshot" and row["kind"] == "full":
            bids, asks = rows_as.levels(rows, "bid"), rows_as.levels(rows, "ask")
            # A full book begins where an answer meets a delta.
            dispatcher.feed(rows_as.book_frame(topic, "delta", row, [], []), *where)
            dispatcher.rest("full_book", topic, rows_as.full_answer(row["symbol"], row, bids, asks), *where)
        else:
            dispatcher.feed(rows_as.FRAMES[table](topic, rows), *where)
        self.counters["frames"] += 1
        expected = 1 if table in BOOKS else len(rows)
        self.counters["undelivered"] += expected - (self._delivered.count - before)


class _Delivered(Listener):
    """Hands on data, counted; what a dispatcher says of gaps and events is in the tables already."""

    def __init__(self, listener: Listener) -> None:
        self.count = 0
        self._listener = listener

    def on_book(self, book: OrderBook) -> None:
        self.count += 1
        self._listener.on_book(book)

    def on_bbo(self, book: OrderBook) -> None:
        self._listener.on_bbo(book)

    def on_trade(self, trade: Trade) -> None:
        self.count += 1
        self._listener.on_trade(trade)

    def on_ticker(self, ticker: Ticker) -> None:
        self.count += 1
        self._listener.on_ticker(ticker)

    def on_kline(self, kline: Kline) -> None:
        self.count += 1
        self._listener.on_kline(kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self.count += 1
        self._listener.on_liquidation(liquidation)

    def on_notice(self, notice: Notice) -> None:
        self.count += 1
        self._listener.on_notice(notice)


def _gap(row: Row) -> Gap:
    names = ("id", "category", "topic", "cause", "fault", "leg", "start_ns", "end_ns", "detail", "position")
    missing = -1 if row["missing"] is None else row["missing"]
    return Gap(missing=missing, **{name: row[name] for name in names})


def _event(row: Row) -> Event:
    names = ("category", "topic", "kind", "detail", "recv_ns", "position", "leg")
    return Event(**{name: row[name] for name in names})
