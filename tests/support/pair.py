"""The compiled dispatcher and the slow one, fed the same frames and held against each other after each."""

from dataclasses import dataclass
from decimal import Decimal

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from tests.support.compare import compare_books
from tests.support.listeners import ControlNotes, Notes
from tests.support.oracle_book import Change
from tests.support.oracle_decoder import BookMessage, Other, Refused, TradeMessage
from tests.support.oracle_dispatch import LIVE, Outcome, SlowDispatcher
from tests.support.oracle_fixed import value

RECV_NS = 1_790_000_000_000_000_000
EXACT_COUNTERS = ("frames", "book_messages", "trade_messages", "duplicates", "repeats", "dropped_unsynced")
# One frame that is nothing we know adds one to one of these.
OTHER_COUNTERS = (
    "malformed",
    "unknown_topics",
    "ticker_messages",
    "kline_messages",
    "liquidation_messages",
    "control_messages",
)


@dataclass
class Pair:
    """`feed` raises AssertionError where the two disagree; the message holds the frame."""

    dispatcher: Dispatcher
    notes: Notes
    control: ControlNotes
    slow: SlowDispatcher
    recv_ns: int = RECV_NS

    @classmethod
    def make(cls, category: str = "linear", rules: dict[int, str] | None = None) -> "Pair":
        notes, control = Notes(), ControlNotes()
        dispatcher = Dispatcher(category, notes, control=control, rules=rules)
        return cls(dispatcher, notes, control, SlowDispatcher(category, rules))

    def feed(self, frame: bytes) -> Outcome:
        self.recv_ns += 1_000_000
        before = self.dispatcher.counters
        calls_before = len(self.notes.books), len(self.notes.trades), len(self.notes.gaps)
        self.dispatcher.feed(frame, self.recv_ns)
        is_refused = self.dispatcher.counters["malformed"] > before["malformed"]
        outcome = self.slow.feed(frame, may_refuse=is_refused)
        try:
            self._compare_counters(before, outcome)
            self._compare_callbacks(calls_before, outcome)
            self._follow_damage(calls_before[2], outcome)
            for topic in self.slow.topics:
                self._compare_topic(topic)
            self._compare_unknown_books()
        except AssertionError as error:
            error.add_note(f"frame: {frame!r}")
            error.add_note(f"slow decoder: {outcome.decoded}")
            raise
        return outcome

    def book(self, topic: str) -> OrderBook | None:
        _, depth, symbol = topic.split(".", 2)
        return self.dispatcher.book(symbol, int(depth))

    def _compare_counters(self, before: dict[str, int], outcome: Outcome) -> None:
        after = self.dispatcher.counters
        grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        decoded = outcome.decoded
        if isinstance(decoded, Refused) and decoded.topic is not None:
            assert grown.get("malformed") == 1, f"refused by the slow decoder alone: {grown}"
        elif isinstance(decoded, Refused | Other):
            assert sum(grown.get(name, 0) for name in OTHER_COUNTERS) == 1, grown
        else:
            assert not any(name in grown for name in OTHER_COUNTERS), f"refused only by the core: {grown}"
        if isinstance(decoded, Other) and decoded.topic is None:
            assert grown.get("control_messages") == 1, grown
        exact = {name: self.slow.counters[name] for name in EXACT_COUNTERS}
        assert {name: after[name] for name in EXACT_COUNTERS} == exact

    def _compare_callbacks(self, calls_before: tuple[int, int, int], outcome: Outcome) -> None:
        books, trades, _ = calls_before
        new_books = self.notes.books[books:]
        if outcome.applied is None:
            assert new_books == [], f"on_book for a message that was not applied: {new_books}"
        else:
            assert len(new_books) == 1, f"on_book calls for an applied message: {new_books}"
            self._compare_change(outcome.applied)
        decoded = outcome.decoded
        expected = decoded.trades if isinstance(decoded, TradeMessage) else ()
        got = self.notes.trades[trades:]
        assert [trade.index for trade in got] == list(range(len(expected)))
        for trade, slow in zip(got, expected, strict=True):
            assert isinstance(decoded, TradeMessage)
            assert (trade.symbol, trade.trade_id, trade.side) == (slow.symbol, slow.trade_id, slow.side)
            assert (trade.price_mantissa, trade.price_scale) == slow.price
            assert (trade.size_mantissa, trade.size_scale) == slow.size
            assert (trade.price, trade.size) == (value(slow.price), value(slow.size))
            assert (trade.time_ms, trade.ts_ms, trade.seq) == (slow.time_ms, decoded.ts_ms, slow.seq)
            assert trade.tick_direction == slow.tick_direction
            flags = bool(trade.is_block), bool(trade.is_rpi), bool(trade.is_buy)
            assert flags == (slow.is_block, slow.is_rpi, slow.side == "Buy")

    def _compare_change(self, message: BookMessage) -> None:
        call = self.notes.books[-1]
        assert call.state == BookState.LIVE, "on_book was handed a book that is not live"
        assert (call.topic, call.is_snapshot) == (message.topic, message.is_snapshot)
        assert call.update_id == call.change_update_id == message.update_id
        assert call.change_bids == values(message.bids)
        assert call.change_asks == values(message.asks)
        book = self.book(message.topic)
        assert book is not None
        header = book.update_id, book.seq, book.ts_ms, book.cts_ms, book.recv_ns
        assert header == (message.update_id, message.seq, message.ts_ms, message.cts_ms, self.recv_ns)

    def _follow_damage(self, gaps_before: int, outcome: Outcome) -> None:
        """Of a frame that is no JSON the core may read the topic all the same, and distrust that book."""
        if not (isinstance(outcome.decoded, Refused) and outcome.decoded.topic is None):
            return
        new_gaps = self.notes.gaps[gaps_before:]
        assert {gap.cause for gap in new_gaps} <= {"malformed"}, new_gaps
        topics = {gap.topic for gap in new_gaps}
        assert len(topics) <= 1, new_gaps
        for topic in topics & self.slow.topics.keys():
            self.slow.lose(topic, "malformed")

    def _compare_topic(self, topic: str) -> None:
        entry = self.slow.topics[topic]
        book = self.book(topic)
        assert book is not None, f"no book of {topic}"
        is_live = entry.state == LIVE
        assert (book.state == BookState.LIVE) == is_live, f"{topic} is {book.state!r}, slow: {entry.state}"
        causes = [gap.cause for gap in self.dispatcher.open_gaps() if gap.topic == topic]
        assert causes == [cause for cause in [entry.open_cause] if cause is not None]
        calls = [(gap.cause, gap.is_closed) for gap in self.notes.gaps if gap.topic == topic]
        assert calls == [
            (cause, end)
            for cause, is_closed in entry.gaps
            for end in ((False, True) if is_closed else (False,))
        ]
        if is_live:
            compare_books(book, entry.book.bids, entry.book.asks)

    def _compare_unknown_books(self) -> None:
        strangers = [
            book.topic
            for book in self.dispatcher.books()
            if book.topic not in self.slow.topics and book.state == BookState.LIVE
        ]
        assert strangers == [], "live books of topics that never had a valid message"


def values(change: Change) -> list[tuple[Decimal, Decimal]]:
    return [(value(price), value(size)) for price, size in change]
