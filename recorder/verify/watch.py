"""What a spool says of a recording while it is run: rows, wanted time, gaps, confirmed books, lateness."""

from collections import Counter, defaultdict
from typing import Any, Final

import orjson

from ext.book import BookState, OrderBook
from ext.journal import Record, RecordKind
from ext.listener import Gap, Ticker, Trade
from recorder.coverage import SETTLE_NS_MAX
from recorder.intervals import Interval
from recorder.playback import Playback
from recorder.verify.census import Census
from recorder.verify.quality import Chains, GapSpan, Topic
from recorder.verify.selection import DAY_NS, Selection

__all__ = ["LAG_MS_MAX", "Watch"]

LAG_MS_MAX: Final = 600_000  # later or earlier counts as that
NS_PER_MS: Final = 1_000_000
LIVE: Final = BookState.LIVE

DaySymbol = tuple[int, str, str]


class Watch(Census):
    """A census that also notes how good the recording was. `watch` takes up a playback.

    Attributes:
        wanted: by topic, when it was; a wish begins with its first data, where that came soon.
        gaps: by topic and identity.
        chains: the time in which books were confirmed.
        lags: by day and symbol, counted milliseconds after the gateway (0) and the matching engine (1).
        answer_lag_ns: the least that an answer of REST came after the time in it; None: there was none.
        steps_ns: of the wall clock.
        begun_ns: when what was run first begins.
        counted: rows of each table by day and symbol, of those that `count_rows` has put away.
    """

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection)
        self.wanted: dict[Topic, list[Interval]] = defaultdict(list)
        self.gaps: dict[tuple[Topic, int], GapSpan] = {}
        self.chains = Chains()
        self.lags: dict[DaySymbol, tuple[Counter[int], Counter[int]]] = defaultdict(
            lambda: (Counter(), Counter())
        )
        self.answer_lag_ns: int | None = None
        self.steps_ns: list[int] = []
        self.begun_ns = 0
        self.counted: dict[DaySymbol, Counter[str]] = defaultdict(Counter)
        self._playback: Playback | None = None
        self._since_ns: dict[Topic, int] = {}
        self._settling: set[Topic] = set()

    def watch(self, playback: Playback) -> None:
        """Take up a playback before its first run."""
        self.rows.clear()  # of what a state knew already
        self._playback = playback
        playback.on_decided = self._decided
        if playback.position:
            self.begun_ns = self.begun_ns or playback.recv_ns
            self._note_wanted(playback.recv_ns)

    def leave(self) -> None:
        """The playback has come to its end: so has, for us, what is wanted."""
        assert self._playback is not None
        for topic, since_ns in self._since_ns.items():
            self.wanted[topic].append((since_ns, self._playback.recv_ns))
        self._since_ns.clear()
        self._playback = None

    def count_rows(self) -> None:
        """Put the rows away: nobody will compare them."""
        for (table, category, topic, _, day), rows in self.rows.items():
            if table not in ("gap", "event"):
                self.counted[day, category, topic][table] += len(rows.positions)
        self.rows.clear()

    def on_book(self, book: OrderBook) -> None:
        super().on_book(book)
        topic = (book.category, book.topic)
        self._seen(topic, book.recv_ns)
        if book.state == LIVE and book.depth != 1:
            self.chains.message(topic, book.recv_ns)
        if book.kind == "plain" or book.kind == "full":
            self._late(book.category, book.symbol, book.recv_ns, book.ts_ms, book.cts_ms)

    def on_trade(self, trade: Trade) -> None:
        super().on_trade(trade)
        if trade.source == "live":
            self._late(trade.category, trade.symbol, trade.recv_ns, trade.ts_ms, trade.time_ms)

    def on_ticker(self, ticker: Ticker) -> None:
        super().on_ticker(ticker)
        self._seen((ticker.category, f"tickers.{ticker.symbol}"), ticker.recv_ns)

    def on_gap(self, gap: Gap) -> None:
        super().on_gap(gap)
        topic = (gap.category, gap.topic)
        self.chains.broken(topic)
        before = self.gaps.get((topic, gap.id))
        self.gaps[topic, gap.id] = GapSpan(
            *topic,
            before.cause if before else gap.cause,
            before.fault if before else gap.fault,
            before.start_ns if before else gap.start_ns,
            gap.end_ns or None,
            gap.missing if gap.missing >= 0 else before.missing if before else None,
            gap.detail,
        )

    def _late(self, category: str, symbol: str, recv_ns: int, ts_ms: int, cts_ms: int) -> None:
        if not self._selection.has(symbol, recv_ns):
            return
        recv_ms = recv_ns // NS_PER_MS
        of_ts, of_cts = self.lags[recv_ns // DAY_NS, category, symbol]
        of_ts[max(-LAG_MS_MAX, min(recv_ms - ts_ms, LAG_MS_MAX))] += 1
        if cts_ms:
            of_cts[max(-LAG_MS_MAX, min(recv_ms - cts_ms, LAG_MS_MAX))] += 1

    def _decided(self, record: Record) -> None:
        kind = RecordKind(record.kind)
        if kind == RecordKind.CLOCK:
            self.steps_ns.append(orjson.loads(record.payload)["step_ns"])
        elif kind == RecordKind.REST:
            self._answered(orjson.loads(record.payload), record.recv_ns)
        elif kind == RecordKind.CONFIRMED:
            said = orjson.loads(record.payload)
            for topic in said["topics"]:
                if not topic.startswith(("orderbook.", "tickers.")):
                    self._seen((said["category"], topic), record.recv_ns)
        if kind in (RecordKind.SEGMENT, RecordKind.REQUESTED, RecordKind.STOPPED):
            self._note_wanted(record.recv_ns)

    def _answered(self, payload: dict[str, Any], recv_ns: int) -> None:
        body = payload["body"]
        said = orjson.loads(body) if isinstance(body, str) else body
        if isinstance(time_ms := said.get("time"), int):
            lag_ns = recv_ns - time_ms * NS_PER_MS
            self.answer_lag_ns = lag_ns if self.answer_lag_ns is None else min(lag_ns, self.answer_lag_ns)

    def _note_wanted(self, recv_ns: int) -> None:
        assert self._playback is not None
        topics = self._playback.wanted
        present = {
            (category, topic)
            for category, names in topics.items()
            for topic in names
            if self._selection.has(topic.rpartition(".")[2], self._selection.start_ns)
        }
        for topic in present - self._since_ns.keys():
            self._since_ns[topic] = recv_ns
            self._settling.add(topic)
        for topic in self._since_ns.keys() - present:
            self.wanted[topic].append((self._since_ns.pop(topic), recv_ns))

    def _seen(self, topic: Topic, recv_ns: int) -> None:
        """The first data after a wish: it begins here, where that is soon."""
        if topic not in self._settling:
            return
        self._settling.discard(topic)
        since_ns = self._since_ns.get(topic)
        if since_ns is not None and recv_ns - since_ns <= SETTLE_NS_MAX:
            self._since_ns[topic] = max(since_ns, recv_ns)
