"""What books say about each other and REST about them, and jumps of `u` that turn out to lose nothing."""

import pytest

from ext.audit import AuditLimit
from ext.book import BookState
from ext.continuity import StormLimit
from ext.dispatch import Dispatcher
from tests.support.listeners import ControlNotes, Notes
from tests.support.special import answer, book, book_answer

ONE, FIFTY = "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT"
BIDS, ASKS = [("100.2", "1"), ("100.1", "2")], [("100.3", "4")]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def control() -> ControlNotes:
    return ControlNotes()


@pytest.fixture
def dispatcher(notes: Notes, control: ControlNotes) -> Dispatcher:
    """A LIVE orderbook.50 at u 10, seq 100."""
    dispatcher = Dispatcher("linear", notes, control=control)
    dispatcher.feed(book("50", "snapshot", 10, BIDS, ASKS), 5, leg=2)
    return dispatcher


def state(dispatcher: Dispatcher, depth: int = 50) -> BookState:
    found = dispatcher.book("BTCUSDT", depth)
    assert found is not None
    return found.state


# level 1 and deeper books


def level_one(bid: str, ask: str, seq: int) -> bytes:
    bids = [(bid, "1")] if bid else []
    return book("1", "snapshot", 7, bids, [(ask, "1")] if ask else [], seq=seq)


@pytest.mark.parametrize(("bid", "ask"), [("100.2", "100.3"), ("100.200", "100.30")])
def test_equal_best_prices_at_an_equal_seq_are_good(dispatcher: Dispatcher, bid: str, ask: str) -> None:
    dispatcher.feed(level_one(bid, ask, 100), 6, leg=1)
    assert (state(dispatcher), state(dispatcher, 1)) == (BookState.LIVE, BookState.LIVE)


@pytest.mark.parametrize(
    ("bid", "ask"), [("100.1", "100.3"), ("100.2", "100.31"), ("", "100.3"), ("100.2", "")]
)
def test_other_best_prices_at_an_equal_seq_break_both(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes, bid: str, ask: str
) -> None:
    dispatcher.feed(level_one(bid, ask, 100), 6, leg=1)
    assert (state(dispatcher), state(dispatcher, 1)) == (BookState.STALE, BookState.STALE)
    assert [(gap.topic, gap.cause, gap.leg) for gap in notes.gaps] == [
        (ONE, "integrity", 1),
        (FIFTY, "integrity", 2),
    ]
    assert notes.gaps[0].detail == f"best prices of {ONE} and {FIFTY} differ at seq 100"
    assert control.desyncs == [ONE, FIFTY]
    assert len(notes.books) == 1
    assert dispatcher.counters["best_mismatches"] == 1


def test_the_deeper_book_is_compared_when_it_comes_to_the_seq(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(level_one("100.2", "100.4", 110), 6, leg=1)
    assert notes.gaps == []
    dispatcher.feed(book("50", "delta", 11, [], [("100.35", "1")], seq=110), 7, leg=2)
    assert {gap.topic for gap in notes.gaps} == {ONE, FIFTY}


@pytest.mark.parametrize("seq", [0, 99, 101])
def test_another_seq_proves_nothing(dispatcher: Dispatcher, notes: Notes, seq: int) -> None:
    dispatcher.feed(level_one("1", "2", seq), 6, leg=1)
    assert notes.gaps == []


def test_a_stale_book_is_not_compared(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.disconnected(2, 6)
    dispatcher.feed(level_one("1", "2", 100), 7, leg=1)
    assert [gap.cause for gap in notes.gaps] == ["disconnect"]


def test_deeper_books_are_not_compared_with_each_other(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(book("200", "snapshot", 3, [("1", "1")], [], seq=100), 6, leg=2)
    assert notes.gaps == []


# audits


def test_an_equal_audit_is_an_event(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.audit([FIFTY], 6, 2)
    dispatcher.feed(book("50", "delta", 11, [("100.1", "0")], []), 7, leg=2)
    dispatcher.feed(book("50", "delta", 12, [("100.0", "3")], []), 8, leg=2)
    dispatcher.rest("audit", FIFTY, book_answer(11, [("100.20", "1.0")], ASKS), 9, 2)
    assert dispatcher.counters["audits_equal"] == 1
    assert notes.events[-1].detail == "equal at u=11"
    assert notes.gaps == []


def test_an_answer_ahead_of_the_book_waits_for_it(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.audit([FIFTY], 6, 2)
    dispatcher.rest("audit", FIFTY, book_answer(11, [("100.2", "1")], ASKS), 7, 2)
    assert notes.events == []
    dispatcher.feed(book("50", "delta", 11, [("100.1", "0")], []), 8, leg=2)
    assert dispatcher.counters["audits_equal"] == 1


@pytest.mark.parametrize("update_id", [10, 11])
def test_a_different_audit_breaks_the_book(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes, update_id: int
) -> None:
    dispatcher.audit([FIFTY], 6, 2)
    dispatcher.rest("audit", FIFTY, book_answer(update_id, BIDS, [("100.3", "4.5")]), 7)
    dispatcher.feed(book("50", "delta", 11, [], []), 8, leg=2)
    (gap,) = notes.gaps
    assert (gap.cause, gap.fault, gap.leg) == ("audit", "venue", 2)
    assert gap.detail == f"REST has another book at u={update_id}"
    assert state(dispatcher) == BookState.STALE
    assert control.desyncs == [FIFTY]
    assert dispatcher.counters["audits_different"] == 1


@pytest.mark.parametrize("update_id", [9, 10])
def test_an_audit_of_no_common_message_is_counted(
    dispatcher: Dispatcher, notes: Notes, update_id: int
) -> None:
    dispatcher.audit([FIFTY], 6, 2)
    for number in range(11, 11 + AuditLimit.AUDIT_MESSAGES_MAX):
        dispatcher.feed(book("50", "delta", number, [], []), 7, leg=2)
    dispatcher.rest("audit", FIFTY, book_answer(update_id, BIDS, ASKS), 8, 2)
    assert dispatcher.counters["audits_unmatched"] == 1
    assert notes.gaps == []


def test_an_audit_nobody_asked_for_or_refused_changes_nothing(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.rest("audit", FIFTY, book_answer(10, [], []), 7, 2)
    assert dispatcher.counters["answers_unmatched"] == 1
    dispatcher.audit([FIFTY, "orderbook.200.BTCUSDT", "publicTrade.BTCUSDT"], 8, 2)
    dispatcher.rest("audit", FIFTY, answer({}), 9, 2)
    dispatcher.rest("audit", "publicTrade.BTCUSDT", book_answer(10, [], []), 9, 2)
    assert dispatcher.counters["answers_refused"] == 1
    assert notes.gaps == []
    dispatcher.disconnected(2, 10)
    dispatcher.rest("audit", FIFTY, book_answer(10, [], []), 11, 2)
    assert dispatcher.counters["answers_unmatched"] == 3


def test_uses_without_meaning_here_do_nothing(dispatcher: Dispatcher) -> None:
    dispatcher.rest("instruments", "", b"{}", 7)
    assert dispatcher.counters["answers"] == 0


# storms


def jumps(count: int) -> list[int]:
    """Where `jump` begins, one after the other, from the book of the fixture on."""
    return [10 + 6 * number for number in range(count)]


def jump(dispatcher: Dispatcher, start: int, *, loses: bool = False) -> None:
    """From u `start` a jump of 5, one more delta, and the snapshot of that moment."""
    dispatcher.feed(book("50", "delta", start + 5, [("100.0", "7")], []), 7, leg=2)
    dispatcher.feed(book("50", "delta", start + 6, [("100.1", str(start))], []), 8, leg=2)
    bids = [("100.2", "9" if loses else "1"), ("100.1", str(start)), ("100.0", "7")]
    dispatcher.feed(book("50", "snapshot", start + 6, bids, ASKS), 9, leg=2)


def test_jumps_that_lose_nothing_time_and_again_relax_the_rule(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    dispatcher.feed(book("50", "snapshot", 10, BIDS, ASKS, symbol="ETHUSDT"), 5, leg=2)
    for start in jumps(StormLimit.CONFIRMATIONS_MIN):
        assert dispatcher.counters["rules_relaxed"] == 0
        jump(dispatcher, start)
    assert [event.kind for event in notes.events] == ["rule_relaxed"]
    assert notes.events[0].detail.startswith("orderbook.50: ")
    assert control.desyncs == [FIFTY] * StormLimit.CONFIRMATIONS_MIN
    for symbol, update_id in (("BTCUSDT", 1000), ("ETHUSDT", 20)):
        dispatcher.feed(book("50", "delta", update_id, [], [], symbol=symbol), 10, leg=2)
    dispatcher.feed(book("50", "snapshot", 10, BIDS, ASKS, symbol="NEWUSDT"), 5, leg=2)
    dispatcher.feed(book("50", "delta", 20, [], [], symbol="NEWUSDT"), 5, leg=2)
    assert control.desyncs == [FIFTY] * StormLimit.CONFIRMATIONS_MIN
    assert [gap.is_closed for gap in notes.gaps] == [False, True] * (StormLimit.CONFIRMATIONS_MIN + 3)


def test_one_contradiction_keeps_the_rule(dispatcher: Dispatcher, notes: Notes) -> None:
    jump(dispatcher, 10, loses=True)
    for start in jumps(2 * StormLimit.CONFIRMATIONS_MIN)[1:]:
        jump(dispatcher, start)
    assert dispatcher.counters["rules_relaxed"] == 0


def test_a_snapshot_of_another_moment_proves_nothing(dispatcher: Dispatcher) -> None:
    for start in range(10, 10 + 20 * (StormLimit.CONFIRMATIONS_MIN + 1), 20):
        dispatcher.feed(book("50", "delta", start + 5, [("100.0", "7")], []), 7, leg=2)
        bids = [*BIDS, ("100.0", "7")]
        dispatcher.feed(book("50", "snapshot", start + 20, bids, ASKS), 9, leg=2)
    assert dispatcher.counters["rules_relaxed"] == 0


def test_what_is_impossible_contradicts(dispatcher: Dispatcher) -> None:
    dispatcher.feed(book("50", "delta", 15, [("100.3", "7")], []), 7, leg=2)
    dispatcher.feed(book("50", "snapshot", 16, BIDS, ASKS), 9, leg=2)
    for start in jumps(2 * StormLimit.CONFIRMATIONS_MIN)[1:]:
        jump(dispatcher, start)
    assert dispatcher.counters["rules_relaxed"] == 0


def test_a_disconnect_ends_what_was_followed(dispatcher: Dispatcher) -> None:
    for start in range(10, 10 + 10 * (StormLimit.CONFIRMATIONS_MIN + 1), 10):
        dispatcher.feed(book("50", "delta", start + 5, [], []), 7, leg=2)
        dispatcher.disconnected(2, 8)
        dispatcher.feed(book("50", "snapshot", start + 5, BIDS, ASKS), 9, leg=2)
    assert dispatcher.counters["rules_relaxed"] == 0


def test_the_unseen_book_is_never_handed_out(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(book("50", "delta", 15, [("100.1", "7")], []), 7, leg=2)
    dispatcher.feed(book("50", "delta", 16, [("100.1", "8")], []), 8, leg=2)
    found = dispatcher.book("BTCUSDT", 50)
    assert found is not None
    assert (found.state, found.update_id, len(notes.books)) == (BookState.STALE, 10, 1)
    assert dispatcher.counters["dropped_unsynced"] == 1
