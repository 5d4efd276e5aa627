"""orderbook.full: deltas that wait for an answer of REST, and what becomes of both."""

from decimal import Decimal

import pytest

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from ext.splice import FullLimit
from tests.support.listeners import ControlNotes, Notes
from tests.support.special import answer, book, book_answer

TOPIC = "orderbook.full.BTCUSDT"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def control() -> ControlNotes:
    return ControlNotes()


@pytest.fixture
def dispatcher(notes: Notes, control: ControlNotes) -> Dispatcher:
    """Deltas 5, 6, 7 wait; none of them has a book yet."""
    dispatcher = Dispatcher("spot", notes, control=control)
    for update_id in (5, 6, 7):
        dispatcher.feed(delta(update_id), update_id)
    return dispatcher


def delta(update_id: int, seq: int | None = None) -> bytes:
    return book("full", "delta", update_id, [(f"{update_id}", "1")], [], seq=seq)


def full_book(dispatcher: Dispatcher) -> OrderBook:
    found = dispatcher.book("BTCUSDT", "full")
    assert found is not None
    return found


def prices(dispatcher: Dispatcher) -> list[int]:
    return [int(price) for price, _ in full_book(dispatcher).bids()]


def test_the_first_delta_asks_once(dispatcher: Dispatcher, notes: Notes, control: ControlNotes) -> None:
    assert control.desyncs == [TOPIC]
    assert notes.books == []
    assert full_book(dispatcher).state == BookState.EMPTY
    assert (full_book(dispatcher).kind, full_book(dispatcher).depth) == ("full", 0)


def test_an_answer_that_meets_a_delta_is_the_book_with_the_later_ones(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2"), ("6", "1")], [("20", "9")]), 50, 0, 77)
    assert prices(dispatcher) == [7, 6, 3]
    found = full_book(dispatcher)
    assert (found.state, found.update_id, found.recv_ns, found.position) == (BookState.LIVE, 7, 50, 77)
    (call,) = notes.books
    # One message to everybody, as if the venue sent whole books.
    assert (call.is_snapshot, call.change_update_id) == (True, 7)
    assert call.change_bids == found.bids()
    assert control.syncs == [TOPIC]
    dispatcher.feed(delta(8), 60)
    assert prices(dispatcher) == [8, 7, 6, 3]
    assert notes.gaps == []


def test_an_answer_ahead_waits_for_its_delta(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    dispatcher.rest("full_book", TOPIC, book_answer(9, [("3", "2")], []), 50)
    dispatcher.feed(delta(8), 51)
    assert notes.books == []
    dispatcher.feed(delta(9), 52)
    assert prices(dispatcher) == [3]
    assert control.desyncs == [TOPIC]
    assert full_book(dispatcher).update_id == 9


@pytest.mark.parametrize(
    ("update_id", "seq"),
    [(4, 40), (6, 61), (8, 70), (9, 65)],
    ids=["older", "other seq", "seq met", "seq behind"],
)
def test_an_answer_that_meets_none_is_asked_for_again(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes, update_id: int, seq: int
) -> None:
    dispatcher.rest("full_book", TOPIC, book_answer(update_id, [("3", "2")], [], seq=seq), 50)
    dispatcher.feed(delta(8), 51)
    dispatcher.feed(delta(9), 52)
    assert notes.books == []
    assert control.desyncs == [TOPIC, TOPIC]
    assert dispatcher.counters["answers_unmatched"] == 1
    dispatcher.rest("full_book", TOPIC, book_answer(8, [("3", "2")], []), 60)
    assert prices(dispatcher) == [9, 3]


@pytest.mark.parametrize(("update_id", "cause"), [(12, "sequence"), (1, "restart"), (7, "sequence")])
def test_a_live_book_that_breaks_begins_anew_with_what_broke_it(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes, update_id: int, cause: str
) -> None:
    dispatcher.rest("full_book", TOPIC, book_answer(7, [("3", "2")], []), 50)
    dispatcher.feed(book("full", "delta", update_id, [("9", "9")], [], seq=500), 51)
    assert full_book(dispatcher).state == BookState.STALE
    assert [gap.cause for gap in notes.gaps] == [cause]
    assert control.desyncs == [TOPIC, TOPIC]
    dispatcher.feed(delta(update_id + 1, 501), 52)
    dispatcher.rest("full_book", TOPIC, book_answer(update_id, [("4", "2")], [], seq=500), 53)
    assert prices(dispatcher) == sorted([4, update_id + 1], reverse=True)
    assert [gap.is_closed for gap in notes.gaps] == [False, True]
    assert control.desyncs == [TOPIC, TOPIC]


@pytest.mark.parametrize("broken", [delta(9), delta(8, 60), delta(1)], ids=["jump", "seq fell", "restart"])
def test_waiting_deltas_that_break_begin_anew(
    dispatcher: Dispatcher, control: ControlNotes, broken: bytes
) -> None:
    dispatcher.feed(broken, 20)
    assert control.desyncs == [TOPIC, TOPIC]
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 50)
    assert full_book(dispatcher).state == BookState.EMPTY


def test_no_more_deltas_wait_than_the_limit(dispatcher: Dispatcher, control: ControlNotes) -> None:
    for update_id in range(8, 5 + FullLimit.FULL_PENDING_MAX):
        dispatcher.feed(delta(update_id), update_id)
    assert control.desyncs == [TOPIC]
    dispatcher.feed(delta(5 + FullLimit.FULL_PENDING_MAX), 5000)
    assert control.desyncs == [TOPIC, TOPIC]
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 5001)
    assert control.desyncs == [TOPIC] * 3


def test_the_farthest_levels_beyond_the_limit_are_dropped_and_counted(dispatcher: Dispatcher) -> None:
    levels = [(f"0.{number:05d}", "1") for number in range(1, FullLimit.FULL_LEVELS_MAX + 10)]
    dispatcher.rest("full_book", TOPIC, book_answer(7, levels, []), 50)
    assert full_book(dispatcher).level_counts() == (FullLimit.FULL_LEVELS_MAX, 0)
    assert dispatcher.counters["full_levels_dropped"] == 9
    dispatcher.feed(delta(8), 51)
    assert full_book(dispatcher).level_counts() == (FullLimit.FULL_LEVELS_MAX, 0)
    assert full_book(dispatcher).bids(1) == [(Decimal(8), Decimal(1))]
    assert dispatcher.counters["full_levels_dropped"] == 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        answer({}, ret_code=10006),
        answer({"s": "ETHUSDT", "b": [], "a": [], "u": 6, "seq": 60}),
        answer({"s": "BTCUSDT", "b": [["1"]], "a": [], "u": 6, "seq": 60}),
        answer({"s": "BTCUSDT", "b": [["1", 2]], "a": [], "u": 6, "seq": 60}),
        answer({"s": "BTCUSDT", "b": None, "a": [], "u": 6, "seq": 60}),
        answer({"s": "BTCUSDT", "b": [], "a": [], "u": 0, "seq": 60}),
        answer({"s": "BTCUSDT", "b": [], "a": [], "u": 6, "seq": 2**63}),
    ],
)
def test_an_answer_that_is_none_is_refused_and_asked_for_again(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes, body: bytes
) -> None:
    dispatcher.rest("full_book", TOPIC, body, 50)
    assert dispatcher.counters["answers_refused"] == 1
    assert notes.event_kinds()[-1] == "answer_refused"
    assert control.desyncs == [TOPIC, TOPIC]
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 51)
    assert full_book(dispatcher).state == BookState.LIVE


def test_a_snapshot_is_nothing_that_this_topic_sends(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(book("full", "snapshot", 8, [("1", "1")], []), 20)
    assert dispatcher.counters["malformed"] == 1
    assert full_book(dispatcher).state == BookState.STALE


def test_an_answer_nobody_waits_for_is_counted(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.rest("full_book", "orderbook.full.ETHUSDT", book_answer(6, [], []), 50)
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 51)
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("4", "2")], []), 52)
    assert dispatcher.counters["answers_unmatched"] == 2
    assert len(notes.books) == 1


def test_a_disconnect_forgets_what_waited(dispatcher: Dispatcher, control: ControlNotes) -> None:
    dispatcher.disconnected(0, 20)
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 50)
    assert full_book(dispatcher).state == BookState.STALE
    dispatcher.feed(delta(8), 60)
    assert control.desyncs == [TOPIC, TOPIC]


def test_removed_and_wanted_again_it_begins_anew(dispatcher: Dispatcher, control: ControlNotes) -> None:
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 50)
    dispatcher.removed([TOPIC], 51)
    dispatcher.desired([TOPIC], 52)
    assert full_book(dispatcher).state == BookState.EMPTY
    dispatcher.feed(delta(8), 60)
    assert control.desyncs == [TOPIC, TOPIC]


@pytest.fixture
def two_legs(dispatcher: Dispatcher) -> Dispatcher:
    """The book is LIVE at 7 by leg 0; leg 1 was asked for it too."""
    dispatcher.rest("full_book", TOPIC, book_answer(6, [("3", "2")], []), 50)
    dispatcher.desired([TOPIC], 51, 1)
    return dispatcher


def test_another_leg_of_a_live_book_is_in_step_once_confirmed(
    two_legs: Dispatcher, control: ControlNotes, notes: Notes
) -> None:
    control.syncs.clear()
    two_legs.confirmed([TOPIC], 52, 1)
    assert control.syncs == [TOPIC]
    two_legs.removed([TOPIC], 53, 0)
    two_legs.feed(delta(7), 54, 1)
    two_legs.feed(delta(8), 55, 1)
    assert full_book(two_legs).update_id == 8
    assert (notes.gaps, two_legs.counters["late"]) == ([], 1)


def test_no_leg_of_a_full_book_is_told_to_be_behind(two_legs: Dispatcher) -> None:
    """Whichever continues the book is taken: who is passed is not waited for."""
    two_legs.confirmed([TOPIC], 52, 1)
    two_legs.feed(delta(8), 53, 0)
    assert two_legs.behind() == []


def test_whichever_leg_continues_a_full_book_is_taken(two_legs: Dispatcher, notes: Notes) -> None:
    two_legs.feed(delta(8), 60, 1)
    two_legs.feed(delta(8), 61, 0)
    two_legs.feed(delta(9), 62, 0)
    two_legs.disconnected(0, 63)
    two_legs.feed(delta(9), 64, 1)
    two_legs.feed(delta(10), 65, 1)
    assert full_book(two_legs).update_id == 10
    assert notes.gaps == []


def test_a_full_book_that_breaks_on_one_leg_begins_anew_on_all(
    two_legs: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    two_legs.feed(delta(8), 60, 1)
    control.desyncs.clear()
    two_legs.feed(delta(10), 61, 0)
    assert [gap.cause for gap in notes.gaps] == ["sequence"]
    assert control.desyncs == [TOPIC, TOPIC]
    for leg in (0, 1):
        for update_id in (11, 12):
            two_legs.feed(delta(update_id), 62, leg)
    assert full_book(two_legs).state == BookState.STALE
    control.syncs.clear()
    two_legs.rest("full_book", TOPIC, book_answer(11, [("3", "2")], []), 63)
    assert full_book(two_legs).update_id == 12
    assert control.syncs == [TOPIC, TOPIC]
    assert notes.gaps[-1].is_closed


def test_a_restart_on_all_legs_of_a_full_book_is_no_book_that_stays(
    two_legs: Dispatcher, notes: Notes
) -> None:
    two_legs.feed(delta(8), 60, 1)
    for update_id in (1, 2, 3):
        for leg in (0, 1):
            two_legs.feed(delta(update_id, seq=1000 + update_id), 61, leg)
    assert full_book(two_legs).state == BookState.STALE
    assert [gap.cause for gap in notes.gaps] == ["restart"]


def test_a_full_book_whose_legs_were_all_removed_begins_anew(two_legs: Dispatcher, notes: Notes) -> None:
    two_legs.removed([TOPIC], 60, 0)
    two_legs.removed([TOPIC], 60, 1)
    two_legs.desired([TOPIC], 61, 5)
    two_legs.feed(delta(9), 62, 5)
    two_legs.rest("full_book", TOPIC, book_answer(9, [("3", "2")], []), 63, 5)
    assert full_book(two_legs).update_id == 9
