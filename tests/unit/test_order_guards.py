"""What is refused, in words: field, value and rule; and that what may be sent is let through."""

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import ConfigError, UsageError
from engine.orders.account import Account
from engine.orders.exposure import Exposure
from engine.orders.guards import INT64_MAX, Block, Candidate, OrderRefusedError, Refused, Rule, broken
from engine.orders.limits import Guard, Limits
from engine.orders.order import Intent
from tests.support.instruments import instrument
from tests.support.order_rows import SENT_MS, execution_row, intent, order_row

LINEAR = {
    "priceFilter": {"tickSize": "0.50", "minPrice": "0.50", "maxPrice": "1999.5"},
    "lotSizeFilter": {
        "qtyStep": "0.001",
        "minOrderQty": "0.001",
        "maxOrderQty": "50",
        "maxMktOrderQty": "20",
        "minNotionalValue": "5",
    },
}
BID, ASK = 995, 1005  # of a scale of one decimal: 99.5 and 100.5


def guard(category: str = "linear", fields: Any = LINEAR, **limits: Any) -> Guard:
    """Return a guard that knows BTCUSDT and its book, and lets through what its limits do."""
    made = Guard(Limits(**limits))
    made.listed(instrument(category, "BTCUSDT", **fields))
    made.book(category, "BTCUSDT", BID, ASK)
    made.exposed(category, "BTCUSDT", Exposure(Decimal(0), Decimal(0), Decimal(0), 0, 0), 0)
    return made


def said(made: Guard, lag_ms: int = 0, **changed: Any) -> str:
    """Return what the guard says to an order; empty: it may be sent."""
    result = made.check(intent(**changed), now_ms=0, lag_ms=lag_ms)
    return str(result) if isinstance(result, Refused) else ""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ""),
        ({"qty": Decimal("0.0005")}, "qty 0.0005 is below minOrderQty 0.001 of linear BTCUSDT"),
        ({"qty": Decimal(0)}, "qty 0 is below minOrderQty 0.001 of linear BTCUSDT"),
        ({"qty": Decimal("1.0005")}, "qty 1.0005 is no multiple of qtyStep 0.001 of linear BTCUSDT"),
        ({"qty": Decimal(51)}, "qty 51.000 is above 50.000, the most of a limit order of linear BTCUSDT"),
        ({"price": Decimal("100.3")}, "price 100.3 is no multiple of tickSize 0.5 of linear BTCUSDT"),
        ({"price": Decimal(0)}, "price 0.0 is below minPrice 0.5 of linear BTCUSDT"),
        ({"price": Decimal(2000)}, "price 2000.0 is above maxPrice 1999.5 of linear BTCUSDT"),
        ({"price": Decimal(106)}, "price 106.0 of a buy is above 105.5, the price band of linear BTCUSDT"),
        (
            {"side": "Sell", "price": Decimal(94)},
            "price 94.0 of a sell is below 94.6, the price band of linear BTCUSDT",
        ),
        ({"side": "Sell", "price": Decimal(106)}, ""),
        (
            {"qty": Decimal("0.04")},
            "notional 4.0000 is below minNotionalValue 5.0000 of linear BTCUSDT",
        ),
        (
            {"qty": Decimal(11)},
            "notional 1100.0000 is above max_order_notional 1000.0000 of linear BTCUSDT",
        ),
        (
            {"order_type": "Market", "price": None, "qty": Decimal(21)},
            "qty 21.000 is above 20.000, the most of a market order of linear BTCUSDT",
        ),
        (
            {"order_type": "Market", "price": None, "qty": Decimal(10)},
            "notional 1055.0000 is above max_order_notional 1000.0000 of linear BTCUSDT",
        ),
        ({"order_type": "Market", "price": None, "qty": Decimal(9)}, ""),
    ],
)
def test_the_rules_of_one_order(changed: dict[str, Any], expected: str) -> None:
    assert said(guard(), **changed) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Block.KILLED, "kill switch is on: nothing is sent until the client is started again"),
        (Block.ENVIRONMENT, "environment of the feed and of the orders are not the same"),
        (Block.NOT_AUTHENTICATED, "order entry is not connected and authenticated"),
        (Block.NOT_RECONCILED, "account is not reconciled with the venue yet"),
        (Block.CLOCK, "clock is not known well enough against the venue's"),
        (Block.BACKPRESSURE, "connection does not take more bytes now"),
    ],
)
def test_what_blocks_everything(block: Block, expected: str) -> None:
    made = guard()
    made.block(Block.BOOK, True, ("linear", "BTCUSDT"))
    made.block(block, True)
    lowest = expected if block < Block.BOOK else "book is not LIVE"
    assert said(made) == f"{lowest} (linear BTCUSDT)"
    made.block(block, False)
    made.block(Block.BOOK, False, ("linear", "BTCUSDT"))
    assert said(made) == ""


def test_a_book_that_is_not_live_or_late() -> None:
    made = guard()
    assert said(made, lag_ms=1_000) == ""
    assert said(made, lag_ms=1_001) == "feed lag 1001 ms is above 1000 ms of linear BTCUSDT"
    made.book("linear", "BTCUSDT", BID, ASK, is_live=False)
    assert said(made) == "book is not LIVE (linear BTCUSDT)"
    made.book("linear", "BTCUSDT", BID, 0)
    assert said(made) == "book is not LIVE (linear BTCUSDT)"
    without = guard(needs_book=False, max_position_notional=None)
    without.book("linear", "BTCUSDT", 0, 0, is_live=False)
    assert said(without, lag_ms=9_999, price=Decimal(500)) == ""
    market = said(without, order_type="Market", price=None)
    assert market == "price of a market order cannot be bounded without a book of linear BTCUSDT"


def test_symbols_that_are_not_allowed_not_trading_or_not_known() -> None:
    assert said(guard(symbols=frozenset({("spot", "BTCUSDT")}))) == (
        "symbol is not among the allowed symbols (linear BTCUSDT)"
    )
    assert said(guard(fields={**LINEAR, "status": "Closed"})) == (
        "status of the instrument is not Trading (linear BTCUSDT)"
    )
    with pytest.raises(UsageError, match="linear has no symbol ETHUSDT"):
        guard().check(intent(symbol="ETHUSDT"), 0)


def test_the_position_with_all_that_is_open() -> None:
    made = guard(max_position={("linear", "BTCUSDT"): Decimal(5)})
    made.exposed("linear", "BTCUSDT", Exposure(Decimal(1), Decimal(3), Decimal(0), 2, 1), 2)
    assert said(made, qty=Decimal(2)) == ""
    assert said(made, qty=Decimal("2.001")) == (
        "qty 2.001 of a buy is above 2.000, what max_position leaves (linear BTCUSDT)"
    )
    assert said(made, qty=Decimal(5), side="Sell") == ""
    made.exposed("linear", "BTCUSDT", Exposure(Decimal(9), Decimal(9), Decimal(0), 2, 1), 2)
    assert said(made, qty=Decimal("0.1")) == (
        "qty 0.100 of a buy is above 0.000, what max_position leaves (linear BTCUSDT)"
    )
    assert said(made, qty=Decimal(9), side="Sell", is_reduce_only=True) == ""


def test_a_position_by_notional_follows_the_book() -> None:
    made = guard(max_position_notional=Decimal(422), max_order_notional=None)
    assert said(made, qty=Decimal(4)) == ""
    assert said(made, qty=Decimal("4.001")).startswith("qty 4.001 of a buy is above 4.000")
    made.book("linear", "BTCUSDT", 2 * BID, 2 * ASK)
    assert said(made, qty=Decimal("2.1"), price=Decimal(200)).startswith("qty 2.100 of a buy is above 2.000")


def test_counts_modes_and_dry_run() -> None:
    made = guard(max_open_orders=2, max_orders_per_s=2)
    made.exposed("linear", "BTCUSDT", Exposure(Decimal(0), Decimal(0), Decimal(0), 2, 0), 2)
    assert said(made) == "open orders are as many as max_open_orders allows (linear BTCUSDT)"
    made = guard(max_orders_per_s=2)
    made.sent(0)
    assert said(made) == ""
    made.sent(0)
    assert said(made) == "order rate 2 a second reached the limit of 2 (linear BTCUSDT)"
    assert isinstance(made.check(intent(), now_ms=1_000), Intent)
    made = guard(is_reduce_only=True)
    assert said(made) == "reduceOnly false is refused in reduce-only mode (linear BTCUSDT)"
    assert said(made, is_reduce_only=True) == ""
    assert said(guard(is_dry_run=True)) == "dry run is on: all rules hold, nothing is sent (linear BTCUSDT)"
    assert said(guard(is_dry_run=True), qty=Decimal(11)).startswith("notional 1100")


def test_rounding_is_chosen_and_never_towards_more() -> None:
    made = guard(rounding="round")
    buy = made.check(intent(qty=Decimal("1.0009"), price=Decimal("100.4")), 0)
    sell = made.check(intent(qty=Decimal("1.0009"), price=Decimal("100.1"), side="Sell"), 0)
    assert isinstance(buy, Intent)
    assert isinstance(sell, Intent)
    assert (buy.qty, buy.price, sell.qty, sell.price) == (
        *(Decimal("1.000"), Decimal("100.0")),
        *(Decimal("1.000"), Decimal("100.5")),
    )


def test_a_spot_market_buy_for_quote_coin_counts_what_it_can_become() -> None:
    spot = {
        "lotSizeFilter": {
            "basePrecision": "0.001",
            "minOrderQty": "1",
            "minOrderAmt": "5",
            "maxLimitOrderQty": "50",
            "maxMarketOrderQty": "20",
            "postOnlyMaxLimitOrderSize": "40",
        }
    }
    made = guard("spot", spot, max_position={("spot", "BTCUSDT"): Decimal(5)})
    wanted = intent(category="spot", order_type="Market", price=None, qty=Decimal("400"))
    result = made.check(wanted, 0)
    assert isinstance(result, Intent)
    assert (result.qty, result.base_qty) == (400, Decimal("4.229"))
    too_much = made.check(intent(category="spot", order_type="Market", price=None, qty=Decimal(500)), 0)
    assert str(too_much) == "qty 5.286 of a buy is above 5.000, what max_position leaves (spot BTCUSDT)"
    post = said(made, category="spot", time_in_force="PostOnly", qty=Decimal(41), price=Decimal(1))
    assert post == "qty 41.000 is above 40.000, the most of a PostOnly order of spot BTCUSDT"
    assert said(made, category="spot", qty=Decimal("0.1")) == ""


def test_an_inverse_quantity_is_its_notional() -> None:
    fields = {
        **LINEAR,
        "lotSizeFilter": {"qtyStep": "1", "minOrderQty": "1", "maxOrderQty": "99999"},
    }
    made = guard("inverse", fields)
    assert said(made, category="inverse", qty=Decimal(1_000)) == ""
    assert said(made, category="inverse", qty=Decimal(1_001)) == (
        "notional 1001.0 is above max_order_notional 1000.0 of inverse BTCUSDT"
    )
    made.exposed("inverse", "BTCUSDT", Exposure(Decimal(0), Decimal(4_500), Decimal(0), 0, 0), 0)
    assert said(made, category="inverse", qty=Decimal(501)).startswith("qty 501 of a buy is above 500")


def test_an_amendment_is_held_to_the_same_rules() -> None:
    made = guard(max_position={("linear", "BTCUSDT"): Decimal(3)}, max_open_orders=1)
    account = Account()
    order = account.sending(intent(qty=Decimal(2)), SENT_MS, 0)
    account.take_order(order_row(qty="2"))
    made.exposed("linear", "BTCUSDT", account.exposure("linear", "BTCUSDT"), 1)
    assert isinstance(made.check_amend(order, Decimal(3), None, 0), Intent)
    refused = made.check_amend(order, Decimal("3.5"), None, 0)
    assert str(refused) == "qty 3.500 of a buy is above 3.000, what max_position leaves (linear BTCUSDT)"
    account.take_execution(execution_row(qty="1"))
    made.exposed("linear", "BTCUSDT", account.exposure("linear", "BTCUSDT"), 1)
    assert isinstance(made.check_amend(order, Decimal(3), None, 0), Intent)
    assert isinstance(made.check_amend(order, Decimal("3.001"), None, 0), Refused)
    made.exposed("linear", "BTCUSDT", Exposure(Decimal(9), Decimal(9), Decimal(0), 1, 0), 1)
    assert isinstance(made.check_amend(order, Decimal(1), None, 0), Intent)
    assert str(made.check_amend(order, None, Decimal(106), 0)).startswith("price 106.0 of a buy is above")
    assert str(made.check_amend(order, None, Decimal("100.1"), 0)).startswith("price 100.1 is no multiple")


def test_an_instrument_that_changed_keeps_what_is_current() -> None:
    made = guard()
    known = made.limits_of("linear", "BTCUSDT")
    made.block(Block.KILLED, True)
    band = known.band_high
    lot = {**LINEAR["lotSizeFilter"], "maxOrderQty": "60"}
    assert made.listed(instrument("linear", "BTCUSDT", **{**LINEAR, "lotSizeFilter": lot})) is known
    assert (known.max_qty, known.band_high, known.blocks) == (60_000, band, Block.KILLED)
    finer = {**LINEAR["priceFilter"], "tickSize": "0.05"}
    made.listed(instrument("linear", "BTCUSDT", **{**LINEAR, "priceFilter": finer}))
    assert (known.price_scale, known.band_high, known.blocks) == (2, INT64_MAX, Block.KILLED | Block.BOOK)


def test_a_refusal_has_its_parts_and_an_error_carries_it() -> None:
    refused = guard().check(intent(qty=Decimal("0.0005")), 0)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.field, refused.value) == (Rule.MIN_QTY, "qty", "0.0005")
    error = OrderRefusedError(refused)
    assert str(error) == str(refused)
    assert error.refused is refused


def test_every_field_of_a_symbols_rules_fits_an_int64() -> None:
    made = guard(max_order_notional=Decimal("9e30"), max_position={("linear", "BTCUSDT"): Decimal("9e30")})
    limits = made.limits_of("linear", "BTCUSDT")
    assert (limits.max_notional, limits.buy_room, limits.sell_room) == (INT64_MAX,) * 3
    assert broken(limits, Candidate(is_buy=True, qty=1_000, price=1_000)) is Rule.SENT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_order_notional", Decimal(0)),
        ("max_position_notional", 5.5),
        ("price_band", Decimal("NaN")),
        ("max_open_orders", 0),
        ("rounding", "up"),
    ],
)
def test_limits_that_cannot_be_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} was"):
        Limits(**{name: value})
