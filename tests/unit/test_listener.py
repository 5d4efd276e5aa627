"""The callbacks' contract: isolation, order, re-entrancy, what may be kept."""

import logging
from contextlib import suppress
from typing import Any

import pytest

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Control, Event, Gap, Listener, Trade
from tests.support.frames import book_frame, compact, trade_frame
from tests.support.listeners import Notes

SNAPSHOT = book_frame("snapshot", 10, [("100", "1")], [("101", "1")])
TRADE = {"T": 1, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100", "i": "1"}
TICKER = compact({"topic": "tickers.X", "type": "snapshot", "ts": 1, "cs": 1, "data": {"symbol": "X"}})
KLINE = compact(
    {
        "topic": "kline.1.X",
        "type": "snapshot",
        "ts": 1,
        "data": [
            {
                "start": 0,
                "end": 59999,
                "interval": "1",
                "open": "1",
                "close": "1",
                "high": "1",
                "low": "1",
                "volume": "1",
                "turnover": "1",
                "confirm": True,
                "timestamp": 5,
            }
        ],
    }
)
LIQUIDATION = compact(
    {
        "topic": "allLiquidation.X",
        "type": "snapshot",
        "ts": 1,
        "data": [{"T": 1, "s": "X", "S": "Buy", "v": "1", "p": "1"}],
    }
)
ALL_KINDS = [SNAPSHOT, trade_frame(TRADE), TICKER, KLINE, LIQUIDATION, book_frame("delta", 13, [], [])]


def delta(update_id: int) -> bytes:
    return book_frame("delta", update_id, [("100", str(update_id))], [])


def failing(*names: str) -> Notes:
    """Notes every call, and fails after that in the callbacks named."""

    def wrap(name: str) -> Any:
        noted = getattr(Notes, name)

        def call(self: Notes, argument: object) -> None:
            noted(self, argument)
            raise LookupError(f"the strategy's own fault in {name}")

        return call

    return type("FailingNotes", (Notes,), {name: wrap(name) for name in names})()


def test_base_listener_takes_everything() -> None:
    dispatcher = Dispatcher("linear", Listener(), control=Control())
    for frame in [*ALL_KINDS, b'{"op":"pong"}', b"nonsense"]:
        dispatcher.feed(frame, 1)
    assert dispatcher.counters["callback_failures"] == 0
    assert isinstance(dispatcher.listener, Listener)


def test_python_overrides_are_called() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    for frame in ALL_KINDS:
        dispatcher.feed(frame, 1)
    expected = ["on_book", "on_bbo", "on_trade", "on_ticker", "on_kline", "on_liquidation", "on_gap"]
    assert [name for name in notes.calls if name != "on_event"] == expected


def test_a_subclass_of_a_subclass_may_call_super() -> None:
    class Doubled(Notes):
        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            super().on_book(book)

    notes = Doubled()
    Dispatcher("linear", notes).feed(SNAPSHOT, 1)
    assert len(notes.books) == 2


def test_a_listener_must_be_one() -> None:
    for stranger in (None, object()):
        with pytest.raises(TypeError):
            Dispatcher("linear", stranger)


CALLBACKS = ("on_book", "on_bbo", "on_trade", "on_ticker", "on_kline", "on_liquidation", "on_gap")


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_that_raises_is_isolated(name: str, caplog: pytest.LogCaptureFixture) -> None:
    notes = failing(name)
    dispatcher = Dispatcher("linear", notes)
    for frame in ALL_KINDS:
        dispatcher.feed(frame, 1)
    assert [call for call in notes.calls if call in CALLBACKS] == list(CALLBACKS)
    assert dispatcher.counters["callback_failures"] == 1
    assert [(record.name, record.levelno) for record in caplog.records] == [("tapehead", logging.ERROR)]
    assert name in caplog.text
    assert "the strategy's own fault" in caplog.text


def test_failures_are_all_counted_and_logged_once_per_kind(caplog: pytest.LogCaptureFixture) -> None:
    notes = failing("on_book", "on_trade")
    dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(SNAPSHOT, 1)
    for update_id in range(11, 31):
        dispatcher.feed(delta(update_id), 1)
        dispatcher.feed(trade_frame(TRADE, TRADE), 1)
    assert dispatcher.counters["callback_failures"] == 21 + 40
    assert len(caplog.records) == 2
    assert len(notes.books) == 21
    assert len(notes.trades) == 40
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.state, book.update_id) == (BookState.LIVE, 30)


def test_an_on_event_that_raises_does_not_call_itself_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    notes = failing("on_event")
    dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(b"nonsense", 1)
    dispatcher.feed(SNAPSHOT, 1)
    assert dispatcher.counters["callback_failures"] >= 1
    assert len(notes.events) <= 3
    assert len(notes.books) == 1
    assert {record.name for record in caplog.records} == {"tapehead"}


def test_an_on_event_and_on_book_that_raise(caplog: pytest.LogCaptureFixture) -> None:
    notes = failing("on_event", "on_book")
    dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(SNAPSHOT, 1)
    dispatcher.feed(delta(11), 1)
    assert len(notes.books) == 2
    assert len(caplog.records) <= 2


def test_after_an_error_of_the_control_the_dispatcher_works_on() -> None:
    class Raising(Control):
        def on_message(self, message: Any, leg: int, recv_ns: int) -> None:
            raise LookupError("message")

        def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
            raise LookupError("desync")

        def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
            raise LookupError("sync")

    notes = Notes()
    dispatcher = Dispatcher("linear", notes, control=Raising())
    for frame in (b'{"op":"pong"}', SNAPSHOT, delta(11), delta(13), SNAPSHOT, delta(11)):
        with suppress(LookupError):
            dispatcher.feed(frame, 1)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.state, book.update_id) == (BookState.LIVE, 11)
    assert [gap.cause for gap in notes.gaps] == ["sequence", "sequence"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_no_callback_failure(stop: type[BaseException]) -> None:
    class Stopping(Notes):
        def on_trade(self, trade: Trade) -> None:
            raise stop

    dispatcher = Dispatcher("linear", Stopping())
    with pytest.raises(stop):
        dispatcher.feed(trade_frame(TRADE), 1)
    dispatcher.feed(SNAPSHOT, 2)
    assert dispatcher.book("BTCUSDT", 50) is not None


class Nesting(Notes):
    """Feeds its own dispatcher from inside every callback, and keeps what that raised."""

    dispatcher: Dispatcher

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[str] = []

    def feed_again(self) -> None:
        try:
            self.dispatcher.feed(delta(99), 1)
        except RuntimeError as error:
            self.refusals.append(str(error))

    def on_book(self, book: OrderBook) -> None:
        super().on_book(book)
        self.feed_again()

    def on_trade(self, trade: Trade) -> None:
        super().on_trade(trade)
        self.feed_again()

    def on_gap(self, gap: Gap) -> None:
        super().on_gap(gap)
        self.feed_again()

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        self.feed_again()


def test_feeding_the_same_dispatcher_inside_a_callback_is_refused() -> None:
    notes = Nesting()
    dispatcher = notes.dispatcher = Dispatcher("linear", notes)
    for frame in (SNAPSHOT, delta(11), trade_frame(TRADE, TRADE), delta(13), b"nonsense"):
        dispatcher.feed(frame, 1)
    expected_calls = ["on_book", "on_book", "on_trade", "on_trade", "on_gap", "on_event"]
    assert [name for name in notes.calls if name != "on_bbo"] == expected_calls
    assert len(notes.refusals) == len(expected_calls)
    assert all(notes.refusals)
    assert dispatcher.counters["frames"] == 5
    assert dispatcher.counters["callback_failures"] == 0
    assert [call.update_id for call in notes.books] == [10, 11]


def test_a_nested_feed_that_nobody_catches_is_a_callback_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Careless(Notes):
        dispatcher: Dispatcher

        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            self.dispatcher.feed(delta(11), 1)

    notes = Careless()
    dispatcher = notes.dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(SNAPSHOT, 1)
    assert dispatcher.counters["callback_failures"] == 1
    assert "RuntimeError" in caplog.text
    assert [call.update_id for call in notes.books] == [10]


def test_feeding_another_dispatcher_inside_a_callback_is_fine() -> None:
    class Forwarding(Notes):
        def __init__(self, other: Dispatcher) -> None:
            super().__init__()
            self.other = other

        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            self.other.feed(SNAPSHOT, 1)

    inner = Notes()
    outer = Forwarding(Dispatcher("spot", inner))
    Dispatcher("linear", outer).feed(SNAPSHOT, 1)
    assert len(inner.books) == len(outer.books) == 1


def test_the_dispatcher_may_be_asked_inside_a_callback() -> None:
    class Asking(Notes):
        dispatcher: Dispatcher

        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            assert self.dispatcher.book("BTCUSDT", 50) is book
            assert self.dispatcher.open_gaps() == []
            assert self.dispatcher.counters["frames"] >= 1

    notes = Asking()
    dispatcher = notes.dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(SNAPSHOT, 1)
    dispatcher.feed(delta(11), 1)
    assert dispatcher.counters["callback_failures"] == 0


def test_a_dispatcher_works_on_after_an_error_in_its_arguments() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    with pytest.raises(TypeError):
        dispatcher.feed(None, 1)
    dispatcher.feed(SNAPSHOT, 1)
    assert len(notes.books) == 1


def test_a_gap_opens_and_closes_before_what_follows_it() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    for frame in (SNAPSHOT, delta(13), SNAPSHOT, book_frame("snapshot", 50, [], [])):
        dispatcher.feed(frame, 1)
    calls = [name for name in notes.calls if name != "on_bbo"]
    assert calls == ["on_book", "on_gap", "on_gap", "on_book", "on_gap", "on_gap", "on_book"]
    assert [gap.is_closed for gap in notes.gaps] == [False, True, False, True]


def test_what_is_copied_stays() -> None:
    class Keeping(Listener):
        def __init__(self) -> None:
            self.books: list[OrderBook] = []
            self.trades: list[Trade] = []

        def on_book(self, book: OrderBook) -> None:
            self.books.append(book.copy())

        def on_trade(self, trade: Trade) -> None:
            self.trades.append(trade.copy())

    keeping = Keeping()
    dispatcher = Dispatcher("linear", keeping)
    dispatcher.feed(SNAPSHOT, 1)
    dispatcher.feed(delta(11), 2)
    dispatcher.feed(trade_frame(TRADE, TRADE | {"i": "2", "p": "7.25"}), 3)
    assert [(book.update_id, book.recv_ns) for book in keeping.books] == [(10, 1), (11, 2)]
    assert [book.best_bid for book in keeping.books] == [(100, 1), (100, 11)]
    assert [(trade.trade_id, str(trade.price)) for trade in keeping.trades] == [("1", "100"), ("2", "7.25")]
