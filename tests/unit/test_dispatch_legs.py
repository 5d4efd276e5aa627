"""Which legs carry a topic, and whose frames are taken."""

import pytest

from ext.book import BookState
from ext.dispatch import Dispatcher
from tests.support.frames import book_frame
from tests.support.listeners import Notes

BOOK = "orderbook.50.BTCUSDT"
SNAPSHOT = book_frame("snapshot", 10, [("100", "1")], [("101", "1")])


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def dispatcher(notes: Notes) -> Dispatcher:
    return Dispatcher("linear", notes)


def test_a_topic_is_carried_by_the_legs_that_were_told(dispatcher: Dispatcher) -> None:
    assert dispatcher.legs_of(BOOK) == []
    for leg in (3, 1023, 3):
        dispatcher.desired([BOOK], 1, leg)
    assert dispatcher.legs_of(BOOK) == [3, 1023]
    dispatcher.removed([BOOK], 2, 3)
    assert dispatcher.legs_of(BOOK) == [1023]


def test_the_first_frame_of_an_untold_topic_tells_its_leg(dispatcher: Dispatcher) -> None:
    dispatcher.feed(SNAPSHOT, 1, leg=7)
    assert dispatcher.legs_of(BOOK) == [7]


def test_frames_of_a_leg_that_was_not_told_are_not_wanted(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.desired([BOOK], 1, 3)
    dispatcher.feed(SNAPSHOT, 2, leg=4)
    assert notes.books == []
    assert dispatcher.counters["undesired"] == 1
    dispatcher.feed(SNAPSHOT, 3, leg=3)
    assert len(notes.books) == 1


def test_removed_from_one_leg_a_topic_goes_on_by_the_other(dispatcher: Dispatcher, notes: Notes) -> None:
    for leg in (3, 4):
        dispatcher.desired([BOOK], 1, leg)
    dispatcher.feed(SNAPSHOT, 2, leg=4)
    dispatcher.removed([BOOK], 3, 3)
    dispatcher.feed(SNAPSHOT, 4, leg=3)
    assert dispatcher.counters["undesired"] == 1
    dispatcher.feed(book_frame("delta", 11, [("100", "2")], []), 5, leg=4)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.state, book.update_id) == (BookState.LIVE, 11)
    assert notes.gaps == []


def test_a_disconnect_of_another_leg_is_none_of_a_topics_business(
    dispatcher: Dispatcher, notes: Notes
) -> None:
    dispatcher.desired([BOOK], 1, 3)
    dispatcher.feed(SNAPSHOT, 2, leg=3)
    dispatcher.disconnected(4, 5)
    assert notes.gaps == []


def test_a_loss_may_concern_one_leg_or_all(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.desired([BOOK], 1, 3)
    dispatcher.lost(None, 1, 2, "own_drop", "ours", leg=4)
    assert notes.gaps == []
    dispatcher.lost(None, 1, 2, "own_drop", "ours")
    assert [gap.topic for gap in notes.gaps] == [BOOK]


def test_a_note_is_an_event(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.noted("listed", "", "NEWUSDT", 5, 2, 77)
    (event,) = notes.events
    assert (event.kind, event.topic, event.detail) == ("listed", "", "NEWUSDT")
    assert (event.recv_ns, event.leg, event.position) == (5, 2, 77)


@pytest.mark.parametrize("leg", [-1, 1024])
def test_a_leg_beyond_the_limit_is_refused(dispatcher: Dispatcher, leg: int) -> None:
    with pytest.raises(ValueError, match="use 0 to 1023"):
        dispatcher.feed(SNAPSHOT, 1, leg=leg)
