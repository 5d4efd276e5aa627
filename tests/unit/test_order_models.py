"""Rows of an account in one form, whichever stream or query told them."""

from decimal import Decimal
from typing import Any

import pytest

from engine.bybit.models import read_execution, read_greeks, read_order, read_position, read_wallet
from engine.errors import AnswerError

ORDER = {"symbol": "BTCUSDT", "orderId": "o1", "orderStatus": "New"}
FILL = {"symbol": "BTCUSDT", "execId": "e1", "execQty": "1"}


def test_stream_and_rest_are_one_order() -> None:
    fields = {**ORDER, "qty": "0.010", "avgPrice": "", "cumExecQty": "", "updatedTime": "1790000000457"}
    stream = read_order({**fields, "category": "linear"})
    rest = read_order(fields, "linear")
    assert (stream.category, stream.qty, stream.avg_price, stream.filled_qty) == (
        *("linear", Decimal("0.010"), None),
        0,
    )
    assert (rest.category, rest.updated_ms) == ("linear", 1790000000457)


def test_a_new_word_and_a_row_with_little_in_it_are_read() -> None:
    row = read_order({**ORDER, "category": "linear", "orderStatus": "Sleeping", "createType": "CreateByX"})
    assert (row.status, row.create_type, row.qty, row.raw["orderStatus"]) == (
        *("Sleeping", "CreateByX", None),
        "Sleeping",
    )


def test_a_fast_execution_is_a_trade_without_a_fee() -> None:
    row = read_execution({**FILL, "execPrice": "2", "seq": 7}, "linear")
    assert (row.kind, row.fee, row.value, row.seq, row.key) == (
        *("Trade", None, 2, 7),
        ("linear", "BTCUSDT", "e1"),
    )
    rebate = read_execution({**FILL, "execFee": "-0.005", "extraFees": ""}, "linear")
    assert rebate.fee == Decimal("-0.005")


@pytest.mark.parametrize("entry", ["entryPrice", "avgPrice"])
def test_a_position_is_signed_and_has_its_entry_price_from_either(entry: str) -> None:
    row = read_position({"symbol": "BTCUSDT", "side": "Sell", "size": "3", entry: "9", "seq": "-1"}, "linear")
    assert (row.size, row.entry_price, row.seq, row.leverage) == (-3, 9, -1, None)
    assert read_position({"symbol": "BTCUSDT", "side": "", "size": "0"}, "linear").size == 0


def test_a_wallet_and_greeks() -> None:
    wallet = read_wallet({"totalEquity": "5.5", "coin": [{"coin": "BTC", "walletBalance": "1"}]}, 9)
    assert (wallet.total_equity, wallet.coins[0].wallet_balance, wallet.time_ms) == (Decimal("5.5"), 1, 9)
    assert read_greeks({"baseCoin": "BTC", "totalDelta": "0.5"}).delta == Decimal("0.5")


@pytest.mark.parametrize(
    ("read", "raw", "expected"),
    [
        (
            read_order,
            {**ORDER, "category": "linear", "qty": "1e3"},
            "order .*qty was '1e3', expected a decimal",
        ),
        (read_order, {**ORDER, "category": "linear", "qty": 1.5}, "qty was 1.5, expected a decimal"),
        (read_order, {**ORDER, "category": "linear", "orderStatus": ""}, "orderStatus is missing"),
        (read_order, ORDER, "category is missing"),
        (read_order, {**ORDER, "category": "linear", "orderId": "x" * 999}, "at most 128 printable"),
        (read_order, {**ORDER, "category": "linear", "updatedTime": "soon"}, "updatedTime was 'soon'"),
        (read_order, ["no", "object"], "expected an object"),
        (read_execution, {**FILL, "category": "linear", "execQty": ""}, "execQty was '', expected a number"),
        (read_execution, {**FILL, "category": "linear", "execQty": "-1"}, "execQty was '-1'"),
        (read_position, {"category": "linear", "symbol": "X", "size": "-1"}, "size was '-1'"),
        (read_greeks, {}, "baseCoin is missing"),
    ],
)
def test_what_cannot_be_read_names_row_field_and_value(read: Any, raw: Any, expected: str) -> None:
    with pytest.raises(AnswerError, match=expected):
        read(raw)


def test_a_wallet_without_its_coins_is_refused() -> None:
    with pytest.raises(AnswerError, match="coin was None, expected a list of at most 5000"):
        read_wallet({}, 0)
