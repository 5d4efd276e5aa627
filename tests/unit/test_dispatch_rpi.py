"""orderbook.rpi: one book of ordinary sizes, one of those that only retail price improvement has."""

from decimal import Decimal

import pytest

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from tests.support.listeners import ControlNotes, Notes
from tests.support.special import book

SNAPSHOT = book("rpi", "snapshot", 11, [("100.2", "1.5", "0"), ("100.1", "0", "0.4")], [("100.3", "2", "3")])


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def control() -> ControlNotes:
    return ControlNotes()


@pytest.fixture
def dispatcher(notes: Notes, control: ControlNotes) -> Dispatcher:
    dispatcher = Dispatcher("spot", notes, control=control)
    dispatcher.feed(SNAPSHOT, 5)
    return dispatcher


def rpi_book(dispatcher: Dispatcher) -> OrderBook:
    found = dispatcher.book("BTCUSDT", "rpi")
    assert found is not None
    return found


def texts(levels: list[tuple[Decimal, Decimal, Decimal]]) -> list[tuple[str, ...]]:
    return [tuple(str(number.normalize()) for number in level) for level in levels]


def test_both_sizes_of_a_price_are_told_best_first(dispatcher: Dispatcher) -> None:
    found = rpi_book(dispatcher)
    assert (found.kind, found.depth, found.state) == ("rpi", 50, BookState.LIVE)
    assert texts(found.rpi_bids()) == [("100.2", "1.5", "0"), ("100.1", "0", "0.4")]
    assert texts(found.rpi_asks(1)) == [("100.3", "2", "3")]
    assert found.bids() == [(Decimal("100.2"), Decimal("1.5"))]
    assert found.rpi is not None
    assert (found.rpi.kind, found.rpi.bids()) == ("rpi_only", [(Decimal("100.1"), Decimal("0.4"))])


def test_a_price_leaves_each_book_when_its_own_column_is_zero(dispatcher: Dispatcher, notes: Notes) -> None:
    bids = [("100.2", "1.1", "0.7"), ("100.1", "0", "0.000"), ("99.9", "0", "1")]
    dispatcher.feed(book("rpi", "delta", 12, bids, [("100.3", "0", "3")]), 6)
    found = rpi_book(dispatcher)
    assert texts(found.rpi_bids()) == [("100.2", "1.1", "0.7"), ("99.9", "0", "1")]
    assert texts(found.rpi_asks()) == [("100.3", "0", "3")]
    assert len(notes.books) == 2
    assert found.rpi is not None
    assert (found.rpi.update_id, found.rpi.recv_ns) == (12, 6)


def test_a_duplicate_must_say_the_same_of_both_sizes(dispatcher: Dispatcher, notes: Notes) -> None:
    delta = book("rpi", "delta", 12, [("100.2", "1.5", "0.1")], [])
    dispatcher.feed(delta, 6)
    dispatcher.feed(delta, 7)
    assert dispatcher.counters["duplicates"] == 1
    dispatcher.feed(book("rpi", "delta", 12, [("100.2", "1.5", "0.2")], []), 8)
    assert [gap.cause for gap in notes.gaps] == ["sequence"]


@pytest.mark.parametrize(
    "bids",
    [
        [("100.2", "1")],
        [("100.2", "1", "1", "1")],
        [("100.2", "1", "-1")],
        [("100.2", "1", 1)],
        [("100.2", "1", "x")],
    ],
)
def test_a_level_that_is_no_such_level_breaks_the_book(
    dispatcher: Dispatcher, control: ControlNotes, bids: list[tuple[str, ...]]
) -> None:
    dispatcher.feed(book("rpi", "delta", 12, bids, []), 6)
    found = rpi_book(dispatcher)
    assert found.state == BookState.STALE
    assert found.rpi is not None
    assert found.rpi.state == BookState.STALE
    assert control.desyncs == ["orderbook.rpi.BTCUSDT"]


def test_more_rpi_levels_than_the_depth_are_impossible(dispatcher: Dispatcher, notes: Notes) -> None:
    levels = [(f"{price}", "0", "1") for price in range(1, 51)]
    dispatcher.feed(book("rpi", "delta", 12, levels, []), 6)
    (gap,) = notes.gaps
    assert (gap.cause, gap.detail) == ("integrity", "more levels than its depth")


def test_a_number_beyond_the_digits_breaks_the_book(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(book("rpi", "delta", 12, [("100.2", "1", "99999999999999999")], []), 6)
    dispatcher.feed(book("rpi", "delta", 13, [("100.2", "1", "0.999")], []), 7)
    assert [gap.cause for gap in notes.gaps] == ["integrity"]


def test_sizes_of_rpi_that_cross_are_the_venues_to_hide(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(book("rpi", "delta", 12, [("100.4", "0", "1")], []), 6)
    assert notes.gaps == []


def test_a_copy_and_a_comparison_have_both_sizes(dispatcher: Dispatcher) -> None:
    found = rpi_book(dispatcher)
    twin = found.copy()
    assert twin == found
    dispatcher.feed(book("rpi", "delta", 12, [("100.1", "0", "0.5")], []), 6)
    assert twin != found
    assert texts(twin.rpi_bids())[1] == ("100.1", "0", "0.4")


def test_a_plain_book_has_no_rpi(dispatcher: Dispatcher) -> None:
    plain = OrderBook("spot", "BTCUSDT", 50)
    assert (plain.kind, plain.rpi, plain.rpi_bids()) == ("plain", None, [])
    with pytest.raises(ValueError, match="kind was 'odd'; use one of plain, rpi, rpi_only, full"):
        OrderBook("spot", "BTCUSDT", 50, kind="odd")
