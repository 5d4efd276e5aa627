"""Rows as messages: numbers to the digit, names as each category has them, topics, full books."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from ext.ticker_row import NUMBERS, TEXTS, TIMES
from recorder.tape.rows import plain, scaled, ticker_frame, topic_of
from recorder.tape.run import Message, TableRun
from tests.support.digests import Digest
from tests.support.listeners import Notes

RECV = {"position": 7, "recv_ns": 5_000_000_000, "ts_ms": 4_990}


@pytest.mark.parametrize(
    ("mantissa", "scale", "text"),
    [
        (1050, 2, "10.50"),
        (5, 3, "0.005"),
        (-5, 1, "-0.5"),
        (-12345, 2, "-123.45"),
        (7, 0, "7"),
        (0, 2, "0.00"),
    ],
)
def test_mantissas(mantissa: int, scale: int, text: str) -> None:
    assert scaled(mantissa, scale) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("10.500000000000000000", "10.5"),
        ("1200", "1200"),
        ("1E+3", "1000"),
        ("-0.000000000000000001", "-0.000000000000000001"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_numbers(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def ticker(category: str, symbol: str, *, is_snapshot: bool = True, **columns: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(NUMBERS.values()) | dict.fromkeys(TEXTS.values(), "")
    empty |= {f"{column}_ms": None for column in TIMES.values()}
    where = {"category": category, "symbol": symbol, "is_snapshot": is_snapshot, "seq": 9, "extra": {}}
    return {**empty, **RECV, **where, **columns}


def test_a_ticker_has_the_names_of_its_category() -> None:
    columns = {"bid1_price": Decimal("10.50"), "mark_iv": Decimal("0.6"), "extra": {"other": "x"}}
    expected = {"linear": {"bid1Price": "10.5"}, "option": {"bidPrice": "10.5"}}
    for category, named in expected.items():
        frame, fields = ticker_frame("tickers.S", ticker(category, "S", **columns), {})
        assert fields == {"markPriceIv": "0.6", "other": "x", **named}
        message = orjson.loads(frame)
        assert (message["type"], message["cs"], message["data"]) == ("snapshot", 9, {"symbol": "S", **fields})


def test_a_ticker_tells_what_changed() -> None:
    before = {"lastPrice": "10", "markPrice": "11", "nextFundingTime": "5"}
    row = ticker("linear", "S", is_snapshot=False, last_price=Decimal("10"), mark_price=Decimal("12"))
    frame, fields = ticker_frame("tickers.S", row | {"delivery_time_ms": 1_800_000_000_000}, before)
    assert fields == {"lastPrice": "10", "markPrice": "12", "deliveryTime": "2027-01-15T08:00:00Z"}
    changed = {"markPrice": "12", "deliveryTime": "2027-01-15T08:00:00Z", "nextFundingTime": ""}
    assert orjson.loads(frame)["data"] == {"symbol": "S", **changed}


def trade(symbol: str, number: int) -> dict[str, Any]:
    numbers = {
        "price": 10_50,
        "price_scale": 2,
        "size": number,
        "size_scale": 0,
        "seq": number,
        "time_ms": 4_000,
    }
    flags = {"side": "Sell", "tick_direction": "", "is_block": False, "is_rpi": False, "source": "live"}
    where = {"category": "option", "symbol": symbol, "trade_id": str(number), "item": number}
    return {**RECV, **where, **numbers, **flags}


def test_option_trades_come_by_their_coin() -> None:
    rows = [trade("BTC-25DEC26-90000-C", 0), trade("BTC-25DEC26-90000-P", 1)]
    topics = {topic_of("trade", row) for row in rows}
    assert topics == {"publicTrade.BTC"}
    heard = Notes()
    run = TableRun(heard)
    run.deliver(Message("trade", "publicTrade.BTC", rows), 5)
    assert [(one.symbol, one.trade_id, str(one.price)) for one in heard.trades] == [
        ("BTC-25DEC26-90000-C", "0", "10.50"),
        ("BTC-25DEC26-90000-P", "1", "10.50"),
    ]
    assert run.counters["undelivered"] == 0


def full(update_id: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> dict[str, Any]:
    numbers = {
        "update_id": update_id,
        "seq": update_id * 10,
        "cts_ms": 4_980,
        "price_scale": 1,
        "size_scale": 0,
    }
    sides = {
        f"{side}_{what}": [level[at] for level in levels]
        for side, levels in (("bid", bids), ("ask", asks))
        for at, what in enumerate(("prices", "sizes"))
    }
    return {**RECV, "category": "spot", "symbol": "AUSDT", "kind": "full", "depth": 0, **numbers, **sides}


def test_a_full_book_begins_as_a_whole() -> None:
    heard = Digest()
    run = TableRun(heard)
    begun = full(50, [(101, 1), (100, 2)], [(103, 1)])
    assert topic_of("book_snapshot", begun) == "orderbook.full.AUSDT"
    run.deliver(Message("book_snapshot", "orderbook.full.AUSDT", [begun]), 5)
    run.deliver(Message("book_delta", "orderbook.full.AUSDT", [full(51, [(101, 0)], [(103, 4)])]), 6)
    assert run.counters == {"records": 0, "frames": 2, "undelivered": 0}
    book = run.dispatcher("spot").book("AUSDT", "full")
    assert book is not None
    assert (book.bids(), book.asks()) == ([(Decimal("10.0"), Decimal(2))], [(Decimal("10.3"), Decimal(4))])
    assert [line.split()[4] for line in heard.of("book")] == ["50", "51"]
