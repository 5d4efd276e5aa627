"""Gaps and events that come as calls: connections, subscriptions, losses that a timer decided."""

from collections.abc import Callable

import pytest

from ext.book import BookState
from ext.dispatch import Dispatcher
from ext.listener import Gap
from tests.support.frames import book_frame, compact, trade_frame
from tests.support.listeners import ControlNotes, Notes

BOOK, TRADES, TICKER = "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT"
TOPICS = [BOOK, TRADES, TICKER]
SNAPSHOT = book_frame("snapshot", 10, [("100", "1")], [("101", "1")])
TRADE = trade_frame({"T": 1, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100", "i": "1"})
TICKER_SNAPSHOT = compact(
    {"topic": TICKER, "type": "snapshot", "ts": 5, "cs": 7, "data": {"symbol": "BTCUSDT", "lastPrice": "100"}}
)
CAUSES = [
    ("stalled", "venue"),
    ("rejected", "caller"),
    ("not_running", "ours"),
    ("own_drop", "ours"),
]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def control() -> ControlNotes:
    return ControlNotes()


@pytest.fixture
def dispatcher(notes: Notes, control: ControlNotes) -> Dispatcher:
    """Connected at 100, three topics desired and confirmed, their last frames at 200, 300, 400."""
    dispatcher = Dispatcher("linear", notes, control=control)
    dispatcher.connected(0, 100)
    dispatcher.desired(TOPICS, 110)
    dispatcher.confirmed(TOPICS, 120)
    dispatcher.feed(SNAPSHOT, 200)
    dispatcher.feed(TRADE, 300)
    dispatcher.feed(TICKER_SNAPSHOT, 400)
    return dispatcher


def gap_calls(notes: Notes) -> set[tuple[str, str, str, int, int]]:
    return {(gap.topic, gap.cause, gap.fault, gap.start_ns, gap.end_ns) for gap in notes.gaps}


def test_a_healthy_start_has_events_and_no_gaps(dispatcher: Dispatcher, notes: Notes) -> None:
    assert notes.gaps == []
    assert dispatcher.open_gaps() == []
    assert "connected" in notes.event_kinds()
    assert {event.topic for event in notes.events if event.kind == "confirmed"} == set(TOPICS)
    assert [dispatcher.last_recv_ns(topic) for topic in TOPICS] == [200, 300, 400]
    assert dispatcher.last_recv_ns("orderbook.1.NOPE") == 0


def test_disconnect_opens_a_gap_for_every_topic(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    dispatcher.disconnected(0, 500, detail="reset by peer")
    # It starts at the last frame of that leg: nothing after it was proven to be there.
    assert gap_calls(notes) == {(topic, "disconnect", "network", 400, 0) for topic in TOPICS}
    assert {gap.detail for gap in notes.gaps} == {"reset by peer"}
    assert {gap.topic for gap in dispatcher.open_gaps()} == set(TOPICS)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state == BookState.STALE
    assert "disconnected" in notes.event_kinds()
    assert dispatcher.counters["gaps"] == 3


def test_books_and_tickers_wait_for_their_snapshot(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    dispatcher.disconnected(0, 500)
    dispatcher.connected(0, 600)
    notes.gaps.clear()
    dispatcher.confirmed(TOPICS, 700)
    assert gap_calls(notes) == {(TRADES, "disconnect", "network", 400, 700)}
    dispatcher.feed(book_frame("delta", 11, [("99", "1")], []), 750)
    assert {gap.topic for gap in dispatcher.open_gaps()} == {BOOK, TICKER}
    dispatcher.feed(book_frame("snapshot", 5000, [("100", "1")], []), 800)
    dispatcher.feed(TICKER_SNAPSHOT, 900)
    assert gap_calls(notes) == {
        (TRADES, "disconnect", "network", 400, 700),
        (BOOK, "disconnect", "network", 400, 800),
        (TICKER, "disconnect", "network", 400, 900),
    }
    assert dispatcher.open_gaps() == []
    assert control.syncs.count(BOOK) == 2
    assert dispatcher.counters["gaps"] == 3


def test_data_closes_the_gap_of_trades(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.disconnected(0, 500)
    dispatcher.connected(0, 600)
    dispatcher.feed(TRADE, 650)
    assert (TRADES, "disconnect", "network", 400, 650) in gap_calls(notes)
    assert {gap.topic for gap in dispatcher.open_gaps()} == {BOOK, TICKER}


def test_a_second_cause_changes_nothing(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.disconnected(0, 500)
    before = len(notes.gaps)
    dispatcher.disconnected(0, 600)
    dispatcher.lost(TOPICS, 550, 650, "stalled", "venue")
    dispatcher.feed(book_frame("delta", 3, [("x", "1")], []), 660)
    assert len(notes.gaps) == before
    assert dispatcher.counters["gaps"] == 3


def test_disconnect_touches_only_its_leg(notes: Notes) -> None:
    dispatcher = Dispatcher("linear", notes)
    dispatcher.connected(0, 100)
    dispatcher.connected(1, 100)
    dispatcher.desired([BOOK], 110, 0)
    dispatcher.desired(["orderbook.50.ETHUSDT"], 110, 1)
    dispatcher.feed(SNAPSHOT, 200, 0)
    dispatcher.feed(book_frame("snapshot", 10, [], [], symbol="ETHUSDT"), 300, 1)
    dispatcher.disconnected(1, 400)
    assert gap_calls(notes) == {("orderbook.50.ETHUSDT", "disconnect", "network", 300, 0)}
    assert notes.gaps[0].leg == 1
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state == BookState.LIVE
    assert book.leg == 0


@pytest.mark.parametrize(("cause", "fault"), CAUSES)
def test_lost_opens_what_the_caller_decided(
    dispatcher: Dispatcher, notes: Notes, cause: str, fault: str
) -> None:
    dispatcher.lost([BOOK, TRADES], 250, 500, cause, fault, detail="why")
    assert gap_calls(notes) == {(topic, cause, fault, 250, 0) for topic in (BOOK, TRADES)}
    assert {gap.detail for gap in notes.gaps} == {"why"}
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state == BookState.STALE
    dispatcher.feed(SNAPSHOT, 600)
    dispatcher.confirmed([TRADES], 700)
    assert dispatcher.open_gaps() == []


def test_a_gap_is_named_by_the_position_that_opened_it(notes: Notes) -> None:
    dispatcher = Dispatcher("linear", notes)
    dispatcher.desired(TOPICS, 10, 0, 1)
    dispatcher.feed(SNAPSHOT, 20, 0, 2)
    dispatcher.feed(book_frame("delta", 12, [], []), 30, 0, 3)
    dispatcher.feed(SNAPSHOT, 40, 0, 4)
    dispatcher.disconnected(0, 50, 5)
    assert [(gap.id, gap.position, gap.topic) for gap in notes.gaps[:2]] == [(3, 3, BOOK), (3, 4, BOOK)]
    assert {gap.id for gap in notes.gaps[2:]} == {5}


def test_a_removed_topic_has_no_gap_of_its_own(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.removed([BOOK], 450)
    assert [event.topic for event in notes.events if event.kind == "removed"] == [BOOK]
    dispatcher.disconnected(0, 500)
    assert {gap.topic for gap in notes.gaps} == {TRADES, TICKER}


def test_removal_ends_an_open_gap(dispatcher: Dispatcher, notes: Notes) -> None:
    """Nobody wants the topic any more: from then on nothing of it is missing."""
    dispatcher.disconnected(0, 500)
    dispatcher.removed([BOOK], 600)
    assert (BOOK, "disconnect", "network", 400, 600) in gap_calls(notes)
    assert {gap.topic for gap in dispatcher.open_gaps()} == {TRADES, TICKER}


def test_open_gaps_are_gaps(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.disconnected(0, 500)
    gaps = {gap.topic: gap for gap in dispatcher.open_gaps()}
    assert {gap.end_ns for gap in gaps.values()} == {0}
    assert not any(gap.is_closed for gap in gaps.values())
    assert {gap.category for gap in gaps.values()} == {"linear"}


def test_a_connection_ended_on_purpose_leaves_no_live_book_and_no_gap(
    dispatcher: Dispatcher, notes: Notes
) -> None:
    dispatcher.ended(0, 500)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state == BookState.STALE
    assert notes.gaps == []
    assert notes.event_kinds()[-1] == "closed"
    dispatcher.lost([BOOK], 450, 600, "not_running", "ours")
    dispatcher.feed(SNAPSHOT, 700)
    assert [(gap.cause, gap.start_ns, gap.end_ns) for gap in notes.gaps] == [
        ("not_running", 450, 0),
        ("not_running", 450, 700),
    ]
    assert book.state == BookState.LIVE


def test_a_gap_after_level_one_repeats_starts_at_the_last_of_them(notes: Notes) -> None:
    dispatcher = Dispatcher("linear", notes)
    top = book_frame("snapshot", 10, [("100", "1")], [("101", "1")], depth=1)
    for recv_ns in (100, 200, 300):
        dispatcher.feed(top, recv_ns)
    dispatcher.feed(book_frame("snapshot", 9, [("100", "2")], [("101", "1")], depth=1), 400)
    assert dispatcher.counters["repeats"] == 2
    assert [(gap.cause, gap.start_ns, gap.end_ns) for gap in notes.gaps] == [
        ("sequence", 300, 0),
        ("sequence", 300, 400),
    ]


def test_a_removed_topic_loses_nothing(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.removed(TOPICS, 500)
    dispatcher.lost(TOPICS, 110, 600, "rejected", "caller")
    assert dispatcher.open_gaps() == []
    assert notes.gaps == []


def test_the_first_book_after_a_removal_is_a_new_bbo(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.removed([BOOK], 500)
    dispatcher.desired([BOOK], 600)
    dispatcher.feed(SNAPSHOT, 700)
    assert notes.calls.count("on_bbo") == notes.calls.count("on_book") == 2


class FeedsBack(Notes):
    """Feeds the dispatcher from inside its callbacks, and notes what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatcher: Dispatcher | None = None
        self.raised: list[type[Exception]] = []

    def on_gap(self, gap: Gap) -> None:
        assert self.dispatcher is not None
        tells: list[Callable[[Dispatcher], object]] = [
            lambda dispatcher: dispatcher.feed(TRADE, 999),
            lambda dispatcher: dispatcher.desired(["orderbook.50.NEW"], 999),
            lambda dispatcher: dispatcher.lost(None, 1, 999, "stalled", "venue"),
        ]
        for tell in tells:
            try:
                tell(self.dispatcher)
            except RuntimeError as error:
                self.raised.append(type(error))


def test_a_dispatcher_is_fed_by_none_of_its_callbacks() -> None:
    listener = FeedsBack()
    dispatcher = listener.dispatcher = Dispatcher("linear", listener)
    dispatcher.desired(TOPICS, 100)
    dispatcher.disconnected(0, 200)
    assert listener.raised == [RuntimeError] * 3 * len(TOPICS)
    assert [gap.topic for gap in dispatcher.open_gaps()] == TOPICS
    dispatcher.feed(SNAPSHOT, 300)
    assert [gap.topic for gap in dispatcher.open_gaps()] == TOPICS[1:]
