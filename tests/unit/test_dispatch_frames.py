"""What `Dispatcher.feed` does with frames of every kind, and with what is no frame at all."""

from decimal import Decimal
from typing import Any

import pytest

from ext.book import BookState
from ext.dispatch import Dispatcher
from ext.listener import Listener, Ticker
from tests.support.frames import book_frame, compact, trade_frame
from tests.support.listeners import ControlNotes, Notes

COUNTERS = {
    "frames",
    "book_messages",
    "trade_messages",
    "ticker_messages",
    "kline_messages",
    "liquidation_messages",
    "control_messages",
    "fallback",
    "malformed",
    "duplicates",
    "repeats",
    "dropped_unsynced",
    "gaps",
    "absent_deletes",
    "callback_failures",
    "unknown_topics",
}
SNAPSHOT = book_frame("snapshot", 10, [("100.5", "1"), ("99", "2")], [("101", "3")])
RECV_NS = 1_790_000_000_123_456_789


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def control() -> ControlNotes:
    return ControlNotes()


@pytest.fixture
def dispatcher(notes: Notes, control: ControlNotes) -> Dispatcher:
    return Dispatcher("linear", notes, control=control)


def grown(dispatcher: Dispatcher) -> dict[str, int]:
    return {name: count for name, count in dispatcher.counters.items() if count}


def test_counters_have_their_names_and_start_at_zero(dispatcher: Dispatcher) -> None:
    assert dispatcher.counters.keys() >= COUNTERS
    assert grown(dispatcher) == {}
    assert dispatcher.category == "linear"


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda frame: memoryview(bytearray(frame))])
def test_any_buffer_is_a_frame(dispatcher: Dispatcher, notes: Notes, wrap: Any) -> None:
    dispatcher.feed(wrap(SNAPSHOT), RECV_NS)
    assert [call.update_id for call in notes.books] == [10]


def test_a_slice_of_a_larger_buffer_is_a_frame(dispatcher: Dispatcher, notes: Notes) -> None:
    delta = book_frame("delta", 11, [("99", "5")], [])
    buffer = bytearray(b"[[[" + SNAPSHOT + delta + b"9}]")
    view = memoryview(buffer)
    dispatcher.feed(view[3 : 3 + len(SNAPSHOT)], RECV_NS)
    dispatcher.feed(view[3 + len(SNAPSHOT) : -3], RECV_NS)
    view.release()
    buffer[:] = b"\xff" * len(buffer)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.bids() == [(Decimal("100.5"), Decimal(1)), (Decimal(99), Decimal(5))]
    assert dispatcher.counters["malformed"] == 0


def test_no_buffer_is_held_after_the_call(dispatcher: Dispatcher) -> None:
    buffer = bytearray(SNAPSHOT)
    dispatcher.feed(buffer, RECV_NS)
    buffer.extend(b"a buffer that is still exported cannot grow")


@pytest.mark.parametrize("frame", ["{}", None, 5, [1, 2]])
def test_what_is_no_buffer_is_a_type_error(dispatcher: Dispatcher, frame: Any) -> None:
    with pytest.raises(TypeError):
        dispatcher.feed(frame, RECV_NS)
    assert grown(dispatcher) == {}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{]",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"\x00" * 100,
        b"{}{}",
        b'{"topic"}',
        b'{"topic":"orderbook.50.BTCUSDT"',
        b'{"topic":"orderbook.50.BTCUSDT","data":NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"topic":"orderbook.50.BTCUSDT","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"topic":"' + b"x" * 100_000,
        "{'topic': 1}".encode("utf-16"),
    ],
    ids=range(19),
)
def test_no_bytes_raise(dispatcher: Dispatcher, notes: Notes, frame: bytes) -> None:
    dispatcher.feed(frame, RECV_NS)
    counters = grown(dispatcher)
    assert counters["frames"] == counters["malformed"] == 1
    assert notes.event_kinds() == ["malformed"]
    assert notes.events[0].recv_ns == RECV_NS
    assert notes.books == []


DEEP = b"[" * 1000 + b"]" * 1000
BEYOND_INT64 = b"9223372036854775808"
KLINE = compact(
    {
        "topic": "kline.5.BTCUSDT",
        "type": "snapshot",
        "ts": 1,
        "data": [
            {"start": 11, "end": 12, "timestamp": 13, "confirm": True}
            | dict.fromkeys(("open", "high", "low", "close", "volume", "turnover"), "1.5")
        ],
    }
)
LIQUIDATION = compact(
    {
        "topic": "allLiquidation.BTCUSDT",
        "type": "snapshot",
        "ts": 1,
        "data": [{"T": 11, "s": "BTCUSDT", "S": "Buy", "v": "1.5", "p": "9"}],
    }
)
TICKER = compact({"topic": "tickers.X", "type": "snapshot", "ts": 1, "data": {"symbol": "X", "a": 5}})


@pytest.mark.parametrize(
    ("frame", "good", "bad"),
    [
        (KLINE, b"11", BEYOND_INT64),
        (KLINE, b"13", b"-1"),
        (KLINE, b'"1.5"', DEEP),
        (LIQUIDATION, b"11", BEYOND_INT64),
        (LIQUIDATION, b'"s":"BTCUSDT"', b'"s":null'),
        (LIQUIDATION, b'"Buy"', DEEP),
        (TICKER, b"5", DEEP),
        (SNAPSHOT, b'"99"', DEEP),
        (SNAPSHOT, b'"s":"BTCUSDT"', b'"s":' + DEEP),
        (SNAPSHOT, b'"type":"snapshot"', b'"type":' + DEEP),
    ],
)
def test_values_beyond_reason_are_malformed(
    dispatcher: Dispatcher, notes: Notes, frame: bytes, good: bytes, bad: bytes
) -> None:
    assert good in frame
    dispatcher.feed(frame.replace(good, bad, 1), RECV_NS)
    assert grown(dispatcher)["malformed"] == 1
    assert (notes.books, notes.klines, notes.liquidations, notes.tickers) == ([], [], [], [])
    dispatcher.feed(frame, RECV_NS)
    assert grown(dispatcher)["malformed"] == 1


def test_ticker_members_that_are_no_text_are_kept_as_json(dispatcher: Dispatcher) -> None:
    dispatcher.feed(TICKER.replace(b"5", b'{"b":[null,true,1.5]}'), RECV_NS)
    assert dispatcher.ticker("X") == {"a": '{"b":[null,true,1.5]}'}


def test_a_frame_cut_off_after_its_topic_distrusts_that_book(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(SNAPSHOT, RECV_NS)
    dispatcher.feed(book_frame("delta", 11, [("99", "5")], [])[:-20], RECV_NS + 1)
    assert [gap.cause for gap in dispatcher.open_gaps()] == ["malformed"]
    assert [event.topic for event in notes.events if event.kind == "malformed"] == ["orderbook.50.BTCUSDT"]


def test_nesting_that_json_parsers_take_is_taken(dispatcher: Dispatcher, notes: Notes) -> None:
    deep = b"[" * 200 + b"]" * 200
    dispatcher.feed(SNAPSHOT.replace(b'"cts"', b'"x":' + deep + b',"cts"'), RECV_NS)
    assert len(notes.books) == 1


@pytest.mark.parametrize(
    "topic",
    [
        *(f"orderbook.{depth}.BTCUSDT" for depth in ("0", "050", "1001", "-1", "5e1")),
        *("orderbook.50.", "orderbook.50", "orderbook.rpi.", "orderbook.full.", "publicTrade."),
        *("rfq.open.public.trades", "", "."),
    ],
)
def test_unknown_topic_is_an_event_and_counted(dispatcher: Dispatcher, notes: Notes, topic: str) -> None:
    message = {
        "topic": topic,
        "type": "snapshot",
        "ts": 1,
        "data": {"s": "BTCUSDT", "b": [], "a": [], "u": 1},
    }
    dispatcher.feed(compact(message), RECV_NS)
    assert grown(dispatcher) == {"frames": 1, "unknown_topics": 1}
    assert [(event.kind, event.topic) for event in notes.events] == [("unknown_topic", topic)]
    assert dispatcher.books() == []


def test_control_frames_go_to_the_control(
    dispatcher: Dispatcher, notes: Notes, control: ControlNotes
) -> None:
    messages: list[dict[str, Any]] = [
        {"success": True, "ret_msg": "", "conn_id": "c", "req_id": "s1", "op": "subscribe"},
        {"op": "pong", "args": ["1790000000000"]},
        {},
    ]
    for message in messages:
        dispatcher.feed(compact(message), RECV_NS, 3)
    assert control.messages == [(message, 3, RECV_NS) for message in messages]
    assert grown(dispatcher) == {"frames": 3, "control_messages": 3}
    assert notes.calls == []


def test_control_frames_without_a_control_are_counted(notes: Notes) -> None:
    dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(b'{"op":"pong"}', RECV_NS)
    dispatcher.feed(SNAPSHOT, RECV_NS)
    dispatcher.feed(book_frame("delta", 13, [], []), RECV_NS)
    assert dispatcher.counters["control_messages"] == 1


def test_a_book_knows_where_its_message_came_from(dispatcher: Dispatcher) -> None:
    dispatcher.feed(SNAPSHOT, RECV_NS, 2, 77)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.recv_ns, book.leg, book.position) == (RECV_NS, 2, 77)
    assert (book.category, book.topic) == ("linear", "orderbook.50.BTCUSDT")
    assert dispatcher.last_recv_ns("orderbook.50.BTCUSDT") == RECV_NS


def test_trades_come_one_by_one_in_order(dispatcher: Dispatcher, notes: Notes) -> None:
    common = {"T": 1790000000334, "s": "BTCUSDT", "BT": False, "seq": 9}
    first = common | {"S": "Buy", "v": "0.0010", "p": "86723.30", "L": "PlusTick", "i": "68bc1c35-dcc0"}
    second = common | {"S": "Sell", "v": "2", "p": "-1e-2", "i": "229", "BT": True, "RPI": True}
    dispatcher.feed(trade_frame(first, second, ts_ms=1790000000336), RECV_NS, 1, 5)
    buy, sell = notes.trades
    assert (buy.category, buy.symbol, buy.trade_id, buy.side) == ("linear", "BTCUSDT", "68bc1c35-dcc0", "Buy")
    assert (str(buy.price), str(buy.size)) == ("86723.30", "0.0010")
    assert (buy.price_mantissa, buy.price_scale, buy.size_mantissa, buy.size_scale) == (8672330, 2, 10, 4)
    assert (buy.tick_direction, bool(buy.is_buy), bool(buy.is_block), bool(buy.is_rpi)) == (
        "PlusTick",
        True,
        False,
        False,
    )
    assert (buy.time_ms, buy.ts_ms, buy.seq) == (1790000000334, 1790000000336, 9)
    assert (buy.recv_ns, buy.position, buy.leg, buy.index) == (RECV_NS, 5, 1, 0)
    assert (sell.price, sell.side, sell.index, sell.tick_direction) == (Decimal("-0.01"), "Sell", 1, "")
    assert (bool(sell.is_block), bool(sell.is_rpi)) == (True, True)


def test_one_bad_trade_refuses_the_whole_frame(dispatcher: Dispatcher, notes: Notes) -> None:
    good = {"T": 1, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "1", "i": "1"}
    dispatcher.feed(trade_frame(good, good | {"S": "Hold"}), RECV_NS)
    assert notes.trades == []
    assert dispatcher.counters["malformed"] == 1


def test_ticker_deltas_are_merged(dispatcher: Dispatcher, notes: Notes) -> None:
    topic = "tickers.BTCUSDT"
    snapshot = {"symbol": "BTCUSDT", "lastPrice": "100.30", "markPrice": "100.31", "nextFundingTime": ""}
    delta = {"symbol": "BTCUSDT", "markPrice": "100.32"}
    for kind, data in (("snapshot", snapshot), ("delta", delta)):
        message = {"topic": topic, "type": kind, "data": data, "cs": 50041, "ts": 1790000000000}
        dispatcher.feed(compact(message), RECV_NS)
    symbol, fields, changed = notes.tickers[1]
    assert symbol == "BTCUSDT"
    assert fields["lastPrice"] == "100.30"
    assert fields["markPrice"] == "100.32"
    assert "markPrice" in changed
    assert "lastPrice" not in changed
    kept = dispatcher.ticker("BTCUSDT")
    assert kept is not None
    assert (kept["lastPrice"], kept["markPrice"]) == ("100.30", "100.32")
    assert dispatcher.ticker("ETHUSDT") is None
    assert dispatcher.counters["ticker_messages"] == 2


def test_a_ticker_delta_before_its_snapshot_is_dropped(dispatcher: Dispatcher, notes: Notes) -> None:
    message = {"topic": "tickers.BTCUSDT", "type": "delta", "data": {"symbol": "BTCUSDT"}, "cs": 1, "ts": 1}
    dispatcher.feed(compact(message), RECV_NS)
    assert notes.tickers == []
    assert dispatcher.counters["dropped_unsynced"] == 1


def test_a_finer_number_is_an_event_before_the_book(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.scales("BTCUSDT", 1, 0)
    dispatcher.feed(SNAPSHOT, RECV_NS)
    assert notes.event_kinds() == []
    notes.calls.clear()
    dispatcher.feed(book_frame("delta", 11, [("99.125", "1")], []), RECV_NS)
    assert notes.event_kinds() == ["scale_widened"]
    assert notes.events[0].topic == "orderbook.50.BTCUSDT"
    assert notes.calls[:2] == ["on_event", "on_book"]
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.price_scale, book.size_scale) == (3, 0)
    assert book.best_bid == (100500, 1)
    dispatcher.feed(book_frame("delta", 12, [("99.5", "1")], []), RECV_NS)
    assert len(notes.events) == 1


def test_scales_of_the_instrument_hold_from_the_first_snapshot(dispatcher: Dispatcher) -> None:
    dispatcher.scales("BTCUSDT", 2, 3)
    dispatcher.feed(SNAPSHOT, RECV_NS)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.price_scale, book.size_scale) == (2, 3)
    assert book.best_bid == (10050, 1000)


def test_bbo_is_called_when_a_best_level_changes(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(SNAPSHOT, RECV_NS)
    assert notes.bbos == [((1005, 1), (1010, 3))]
    dispatcher.feed(book_frame("delta", 11, [("99", "7"), ("98", "1")], [("200", "1")]), RECV_NS)
    assert len(notes.bbos) == 1
    dispatcher.feed(book_frame("delta", 12, [("100.5", "2")], []), RECV_NS)
    dispatcher.feed(book_frame("delta", 13, [], [("100.6", "1")]), RECV_NS)
    assert notes.bbos[1:] == [((1005, 2), (1010, 3)), ((1005, 2), (1006, 1))]
    assert notes.calls == ["on_book", "on_bbo", "on_book", "on_book", "on_bbo", "on_book", "on_bbo"]


def test_bbo_of_level_one_is_called_when_it_changes(dispatcher: Dispatcher, notes: Notes) -> None:
    for update_id, size in ((10, "1"), (11, "1.0"), (12, "2")):
        dispatcher.feed(book_frame("snapshot", update_id, [("100", size)], [], depth=1), RECV_NS)
    assert [call.update_id for call in notes.books] == [10, 11, 12]
    assert len(notes.bbos) == 2


def test_a_zero_spelled_with_many_decimals_widens_nothing() -> None:
    dispatcher = Dispatcher("linear", notes := Notes())
    dispatcher.feed(book_frame("snapshot", 10, [("100.5", "5.5")], [("101", "3")]), 1)
    dispatcher.feed(book_frame("delta", 11, [("100.5", "0." + "0" * 18)], [("101", "2." + "0" * 2)]), 2)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert (book.state, book.size_scale, book.bids(), notes.gaps) == (BookState.LIVE, 2, [], [])


def test_a_listener_may_keep_and_change_the_fields_of_a_ticker() -> None:
    class Greedy(Listener):
        def on_ticker(self, ticker: Ticker) -> None:
            ticker.fields.clear()

    dispatcher = Dispatcher("linear", Greedy())
    head = {"topic": "tickers.BTCUSDT", "ts": 5, "cs": 7}
    dispatcher.feed(compact({**head, "type": "snapshot", "data": {"symbol": "BTCUSDT", "lastPrice": "1"}}), 1)
    dispatcher.feed(compact({**head, "type": "delta", "data": {"symbol": "BTCUSDT", "markPrice": "2"}}), 2)
    assert dispatcher.ticker("BTCUSDT") == {"lastPrice": "1", "markPrice": "2"}


def test_the_topic_of_a_refused_frame_is_told_as_far_as_is_useful(
    dispatcher: Dispatcher, notes: Notes
) -> None:
    dispatcher.feed(b'{"topic":"' + b"A" * 100_000 + b'", x', RECV_NS)
    assert [(event.kind, len(event.topic)) for event in notes.events] == [("malformed", 300)]
