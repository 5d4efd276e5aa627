"""What becomes of a topic when one of its legs goes, by whatever way, and is told something too late."""

import pytest

from ext.book import BookState
from ext.dispatch import Dispatcher
from tests.support.frames import TS_MS, compact, trade_frame
from tests.support.listeners import Notes
from tests.support.two_legs import (
    BOOK,
    LIQUIDATIONS,
    TICKER,
    TRADES,
    Pair,
    delta,
    liquidation,
    snapshot,
    ticker,
    trade,
)

LIMIT = "priceLimit.BTCUSDT"
QUIET = [TRADES, LIQUIDATIONS, "kline.1.BTCUSDT"]


def price_limit(price: str) -> bytes:
    return compact({"topic": LIMIT, "data": {"symbol": "BTCUSDT", "buyLmt": price}, "ts": TS_MS})


def told(pair: Pair) -> list[tuple[str, bool]]:
    return [(gap.cause, gap.is_closed) for gap in pair.notes.gaps]


def leave(pair: Pair, way: str, leg: int) -> None:
    if way == "removed":
        pair.dispatcher.removed(pair.topics, pair.tick(), leg)
    else:
        getattr(pair.dispatcher, way)(leg, pair.tick())


@pytest.fixture
def pair() -> Pair:
    """A book of two legs in step at `u` = 10."""
    pair = Pair(BOOK)
    pair.both(snapshot(10))
    return pair


@pytest.mark.parametrize("topic", QUIET)
def test_a_quiet_topic_that_was_confirmed_loses_nothing_with_a_leg_that_was_not(topic: str) -> None:
    dispatcher = Dispatcher("linear", notes := Notes())
    dispatcher.desired([topic], 1, 0)
    dispatcher.confirmed([topic], 2, 0)
    dispatcher.desired([topic], 3, 1)
    assert [leg["in_step"] for leg in dispatcher.legs()] == [1, 0]
    dispatcher.disconnected(1, 4)
    assert notes.gaps == []
    dispatcher.disconnected(0, 5)
    assert [gap.cause for gap in notes.gaps] == ["disconnect"]


@pytest.mark.parametrize("topic", QUIET)
def test_a_topic_that_is_wanted_anew_is_in_step_when_that_was_confirmed(topic: str) -> None:
    dispatcher = Dispatcher("linear", Notes())
    dispatcher.desired([topic], 1, 0)
    dispatcher.confirmed([topic], 2, 0)
    dispatcher.removed([topic], 3, 0)
    dispatcher.desired([topic], 4, 0)
    assert [leg["in_step"] for leg in dispatcher.legs()] == [0]
    dispatcher.confirmed([topic], 5, 0)
    assert [leg["in_step"] for leg in dispatcher.legs()] == [1]


@pytest.mark.parametrize("way", ["removed", "ended", "disconnected"])
def test_what_the_next_leg_told_of_a_ticker_already_is_a_change(way: str) -> None:
    pair = Pair(TICKER)
    pair.both(ticker("snapshot", lastPrice="1", markPrice="5"))
    pair.feed(1, ticker("delta", markPrice="6"))
    leave(pair, way, 0)
    pair.feed(1, ticker("delta", lastPrice="2"), ticker("delta", lastPrice="3"))
    both = {"lastPrice": "2", "markPrice": "6"}
    assert [fields for _, fields, _ in pair.notes.tickers[1:]] == [both, {**both, "lastPrice": "3"}]
    assert [changed for _, _, changed in pair.notes.tickers[1:]] == [both, {"lastPrice": "3"}]
    assert pair.notes.gaps == []


def test_a_leader_that_told_nothing_does_not_hide_what_changed_since_the_one_before() -> None:
    pair = Pair(TICKER)
    pair.desire(2)
    for leg in (0, 1, 2):
        pair.feed(leg, ticker("snapshot", lastPrice="1", markPrice="5"))
    for leg in (1, 2):
        pair.feed(leg, ticker("delta", markPrice="6"))
    pair.cut(0)
    pair.cut(1)
    pair.feed(2, ticker("delta", lastPrice="2"))
    assert pair.notes.tickers[-1][2] == {"lastPrice": "2", "markPrice": "6"}


def test_a_leg_that_waits_carries_the_book_on_when_the_other_ends(pair: Pair) -> None:
    pair.cut(1)
    pair.desire(1)
    pair.feed(1, snapshot(12))
    leave(pair, "ended", 0)
    assert told(pair) == [("removed", False), ("removed", True)]
    assert pair.notes.gaps[0].missing == 1
    pair.feed(1, delta(13))
    assert (pair.book.state, pair.book.update_id) == (BookState.LIVE, 13)


def test_legs_that_end_one_after_the_other_are_no_gap(pair: Pair) -> None:
    leave(pair, "ended", 0)
    leave(pair, "ended", 1)
    assert pair.notes.gaps == []
    assert pair.book.state == BookState.STALE


def test_what_is_decided_on_a_leg_that_left_a_topic_is_none_of_its_business() -> None:
    pair = Pair(TRADES, BOOK)
    pair.both(snapshot(10), trade_frame(trade("a")))
    pair.dispatcher.removed([TRADES, BOOK], pair.tick(), 0)
    pair.dispatcher.lost([TRADES, BOOK], 1, pair.tick(), "rejected", "caller", 0)
    assert pair.notes.gaps == []
    pair.cut(1)
    assert len(pair.notes.gaps) == 2
    pair.dispatcher.confirmed([TRADES], pair.tick(), 0)
    assert len(pair.notes.gaps) == 2


def test_the_gap_of_a_topic_that_had_nothing_begins_where_it_was_wanted() -> None:
    dispatcher = Dispatcher("linear", notes := Notes())
    dispatcher.desired([TRADES], 10, 0)
    dispatcher.feed(trade_frame(trade("a")), 20, 0)
    dispatcher.removed([TRADES], 30, 0)
    dispatcher.disconnected(0, 40)
    dispatcher.connected(0, 1000)
    dispatcher.desired([BOOK, TRADES], 1001, 0)
    dispatcher.disconnected(0, 1002)
    assert [(gap.topic, gap.start_ns) for gap in notes.gaps] == [(TRADES, 1001), (BOOK, 1001)]


def test_a_hole_is_forgotten_with_its_topic() -> None:
    dispatcher = Dispatcher("linear", Notes())
    dispatcher.desired([TRADES], 1, 0)
    dispatcher.feed(trade_frame(trade("a")), 2, 0)
    dispatcher.disconnected(0, 3)
    dispatcher.removed([TRADES], 4, 0)
    dispatcher.desired([TRADES], 5, 0)
    assert dispatcher.holes() == []
    assert dispatcher.last_recv_ns(TRADES) == 0


def test_price_limits_are_told_whole_each_time_so_none_is_missed() -> None:
    pair = Pair(LIMIT)
    for number in range(4):
        pair.feed(number % 2, price_limit(str(number)))
    pair.cut(0)
    assert pair.notes.gaps == []


def test_one_liquidation_that_only_the_next_leg_told_is_missed() -> None:
    pair = Pair(LIQUIDATIONS)
    pair.both(liquidation("1"))
    pair.feed(1, liquidation("2"))
    leave(pair, "ended", 0)
    assert told(pair) == [("removed", False), ("removed", True)]


def liquidations(pair: Pair) -> list[str]:
    return [str(item["size"]) for item in pair.notes.liquidations]


@pytest.mark.parametrize("way", ["removed", "ended", "disconnected"])
def test_a_leg_that_lags_does_not_tell_again_what_the_one_that_left_has_told(way: str) -> None:
    pair = Pair(TRADES, LIQUIDATIONS)
    pair.both(trade_frame(trade("a")), liquidation("1"))
    late = [trade_frame(trade("b") | {"T": TS_MS + 1}), liquidation("2"), liquidation("3")]
    pair.feed(0, *late)
    leave(pair, way, 0)
    pair.feed(1, *late, trade_frame(trade("c") | {"T": TS_MS + 2}), liquidation("4"))
    assert [item.trade_id for item in pair.notes.trades] == ["a", "b", "c"]
    assert liquidations(pair) == ["1", "2", "3", "4"]
    assert pair.notes.gaps == []


def test_two_liquidations_alike_are_two() -> None:
    pair = Pair(LIQUIDATIONS)
    pair.both(liquidation("1"), liquidation("1"))
    pair.feed(0, liquidation("1"))
    pair.cut(0)
    pair.feed(1, liquidation("1"), liquidation("1"))
    assert liquidations(pair) == ["1"] * 4


@pytest.mark.parametrize("topic", [TRADES, LIQUIDATIONS])
def test_what_no_leg_brought_between_the_silence_of_one_and_the_begin_of_the_other_is_a_gap(
    topic: str,
) -> None:
    dispatcher = Dispatcher("linear", notes := Notes())
    dispatcher.desired([topic], 10, 0)
    dispatcher.confirmed([topic], 11, 0)
    dispatcher.feed(trade_frame(trade("a")) if topic == TRADES else liquidation("1"), 20, 0)
    dispatcher.desired([topic], 30, 1)
    dispatcher.confirmed([topic], 31, 1)
    dispatcher.disconnected(0, 40)
    assert [(gap.cause, gap.start_ns, gap.is_closed) for gap in notes.gaps] == [
        ("disconnect", 20, False),
        ("disconnect", 20, True),
    ]
    assert dispatcher.holes() == ([(TRADES, TS_MS, -1)] if topic == TRADES else [])


def test_a_topic_removed_before_its_next_leader_told_anything_may_be_wanted_anew() -> None:
    pair = Pair(TICKER)
    pair.both(ticker("snapshot", lastPrice="1"))
    for leg in (0, 1):
        leave(pair, "removed", leg)
    pair.desire(2)
    pair.feed(2, ticker("snapshot", lastPrice="2"), ticker("delta", lastPrice="3"))
    assert pair.notes.tickers[-1][1] == {"lastPrice": "3"}
