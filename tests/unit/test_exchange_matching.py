"""Orders meet the levels of the market and each other."""

from decimal import Decimal
from typing import Any

import pytest

from simulator.exchange.errors import RefusedError
from simulator.exchange.orders import Order
from tests.support.exchange import INVERSE, LINEAR, SPOT, Floor

D = Decimal


def shape(order: Order) -> tuple[str, Decimal, Decimal]:
    return order.status, order.filled, order.left


def test_a_market_order_takes_the_best_prices_first() -> None:
    floor = Floor()
    account = floor.account()
    order = floor.order(account, qty="150")
    assert shape(order) == ("Filled", D(150), D(0))
    assert [(one.price, one.qty, one.is_maker) for one in account.executions] == [
        (D(1001), D(100), False),
        (D(1002), D(50), False),
    ]
    fee = (100 * D(1001) + 50 * D(1002)) * D("0.00055")
    assert account.balances["USDT"] == D(1_000_000) - fee
    floor.order(account, qty="60")
    assert [one.price for one in account.executions[2:]] == [D(1002), D(1003)]
    floor.move(1000)
    assert floor.order(account, qty="1").average == 1001


@pytest.mark.parametrize(
    ("fields", "status", "filled", "reason"),
    [
        ({"price": "1001", "qty": "150"}, "PartiallyFilled", 100, "EC_NoError"),
        ({"price": "1000"}, "New", 0, "EC_NoError"),
        ({"price": "1001", "qty": "150", "timeInForce": "IOC"}, "Cancelled", 100, "EC_NoImmediateQtyToFill"),
        ({"price": "1000", "timeInForce": "IOC"}, "Cancelled", 0, "EC_NoImmediateQtyToFill"),
        ({"price": "1001", "qty": "150", "timeInForce": "FOK"}, "Cancelled", 0, "EC_NoEnoughQtyToFill"),
        ({"price": "1002", "qty": "150", "timeInForce": "FOK"}, "Filled", 150, "EC_NoError"),
        ({"price": "1001", "timeInForce": "PostOnly"}, "Cancelled", 0, "EC_PostOnlyWillTakeLiquidity"),
        ({"price": "1000", "timeInForce": "PostOnly"}, "New", 0, "EC_NoError"),
        ({"qty": "600"}, "Cancelled", 500, "EC_NoImmediateQtyToFill"),
    ],
)
def test_time_in_force(fields: dict[str, Any], status: str, filled: int, reason: str) -> None:
    floor = Floor()
    order = floor.order(floor.account(), **fields)
    assert (order.status, order.filled, order.reject_reason) == (status, filled, reason)
    assert floor.rows("order")[-1]["orderStatus"] == status


def test_accounts_trade_with_each_other_by_price_then_time() -> None:
    floor = Floor()
    one, two, taker = floor.account("1"), floor.account("2"), floor.account("3")
    first = floor.order(one, "Sell", "1", price="1000.5")
    better = floor.order(two, "Sell", "1", price="1000.4")
    second = floor.order(two, "Sell", "1", price="1000.5")
    floor.order(taker, "Buy", "2.5", price="1000.6")
    assert [shape(order)[:2] for order in (better, first, second)] == [
        ("Filled", D(1)),
        ("Filled", D(1)),
        ("PartiallyFilled", D("0.5")),
    ]
    assert taker.executions[0].exec_id != two.executions[0].exec_id
    assert two.executions[0].is_maker
    assert one.position("linear", "BTCUSDT", 0).size == -1
    assert taker.position("linear", "BTCUSDT", 0).size == D("2.5")


def test_amending_keeps_the_place_only_for_less() -> None:
    floor = Floor()
    one, two, taker = floor.account("1"), floor.account("2"), floor.account("3")
    first, second = (floor.order(who, "Sell", "2", price="1000.5") for who in (one, two))
    floor.engine.amend(first, {"qty": "1"})
    floor.order(taker, qty="1", price="1000.5")
    assert (first.status, second.status) == ("Filled", "New")
    third = floor.order(one, "Sell", "1", price="1000.5")
    floor.engine.amend(second, {"qty": "3"})
    floor.order(taker, qty="1", price="1000.5")
    assert (third.status, second.status) == ("Filled", "New")
    with pytest.raises(RefusedError, match="unchanged"):
        floor.engine.amend(second, {"qty": "3"})
    with pytest.raises(RefusedError, match="110001"):
        floor.engine.amend(first, {"qty": "3"})
    floor.engine.amend(second, {"price": "990"})
    assert second.status == "Filled"


def test_an_amend_that_is_refused_changes_nothing() -> None:
    floor = Floor()
    account = floor.account(USDT="1000")
    order = floor.order(account, qty="5", price="990")
    with pytest.raises(RefusedError, match="110007"):
        floor.engine.amend(order, {"qty": "50"})
    assert shape(order) == ("New", 0, D(5))
    floor.move(989)
    assert order.status == "Filled"


@pytest.mark.parametrize(
    ("smp", "maker", "taker"),
    [
        ("None", "Filled", "Filled"),
        ("CancelMaker", "Cancelled", "New"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
    ],
)
def test_self_match_prevention_goes_by_the_incoming_order(smp: str, maker: str, taker: str) -> None:
    floor = Floor()
    account = floor.account()
    resting = floor.order(account, "Sell", price="1000.5")
    incoming = floor.order(account, "Buy", price="1000.5", smpType=smp)
    assert (resting.status, incoming.status) == (maker, taker)
    assert smp == "None" or "CancelBySmp" in (resting.cancel_type, incoming.cancel_type)


def test_trades_of_others_fill_what_rests_at_their_price_or_better() -> None:
    floor = Floor()
    order = floor.order(floor.account(), "Buy", "3", price="999.5")
    market = floor.markets["linear", "BTCUSDT"]
    floor.engine.moved(market, [(D("999.6"), D(5), False), (D("999.5"), D(5), True)])
    assert order.status == "New"
    floor.engine.moved(market, [(D("999.5"), D(2), False)])
    assert shape(order) == ("PartiallyFilled", D(2), D(1))
    assert order.account.executions[0].price == D("999.5")
    floor.move(990)
    assert order.status == "Filled"
    assert order.account.executions[1].price == D("999.5")


@pytest.mark.parametrize(
    ("text", "body", "code"),
    [
        (LINEAR, {"qty": "0.0005", "price": "1000"}, 10001),
        (LINEAR, {"qty": "1", "price": "1000.05"}, 10001),
        (LINEAR, {"qty": "0.001", "price": "1000"}, 110094),
        (LINEAR, {"qty": "60000", "price": "1000"}, 10001),
        (LINEAR, {"qty": "x", "price": "1000"}, 10001),
        (LINEAR, {"qty": "2000", "price": "1000", "side": "Hold"}, 10001),
        (LINEAR, {"qty": "20000", "price": "1000"}, 110007),
        (LINEAR, {"qty": "1", "price": "1000", "reduceOnly": True}, 110017),
        (LINEAR, {"qty": "1", "price": "1000", "positionIdx": 1}, 10001),
        (LINEAR, {"qty": "1", "price": "1000", "orderLinkId": "no spaces"}, 10001),
        (LINEAR, {"qty": "1", "price": "1000", "triggerPrice": "1010", "triggerDirection": 2}, 110093),
        (LINEAR, {"qty": "1", "price": "1000", "triggerPrice": "990", "triggerDirection": 1}, 110092),
        (SPOT, {"qty": "1.0000001", "price": "1000"}, 170137),
        (SPOT, {"qty": "1", "price": "1000.05"}, 170134),
        (SPOT, {"qty": "0.001", "price": "1000"}, 170140),
        (SPOT, {"qty": "1", "price": "1100"}, 170193),
        (SPOT, {"qty": "1", "price": "900", "side": "Sell"}, 170194),
        (SPOT, {"qty": "60", "price": "1000"}, 170136),
        (SPOT, {"qty": "5", "price": "1000", "side": "Sell"}, 170131),
    ],
)
def test_what_is_refused_has_the_code_of_the_venue(text: str, body: dict[str, Any], code: int) -> None:
    floor = Floor(text)
    account = floor.account()
    with pytest.raises(RefusedError) as refused:
        floor.order(account, category=text.partition(":")[0], **body)
    assert refused.value.code == code
    assert not account.orders
    assert not floor.sent


def test_a_link_id_is_used_once_for_ever() -> None:
    floor = Floor()
    account = floor.account()
    floor.engine.cancel(floor.order(account, price="990", orderLinkId="one"))
    with pytest.raises(RefusedError, match="110072"):
        floor.order(account, price="990", orderLinkId="one")
    floor.order(floor.account("2"), price="990", orderLinkId="one")


def test_contracts_outside_the_band_are_priced_anew_unless_told() -> None:
    floor = Floor()
    account = floor.account()
    assert floor.order(account, "Sell", price="900").price == D(950)
    account.rejects_outside_band = True
    with pytest.raises(RefusedError, match="110003"):
        floor.order(account, price="1060")


def test_spot_spends_and_gets_coins() -> None:
    floor = Floor(SPOT)
    account = floor.account(USDT="10000")
    bought = floor.order(account, qty="1001", category="spot")
    assert shape(bought) == ("Filled", D(1), D(0))
    assert account.balances == {"USDT": D(8999), "BTC": D("0.999")}
    floor.order(account, "Sell", "0.5", category="spot", price="1040")
    assert floor.engine.wallets.locked(account, "BTC") == D("0.5")
    with pytest.raises(RefusedError, match="170131"):
        floor.order(account, "Sell", "0.6", category="spot")
    assert floor.engine.wallets.row(account)["coin"][1]["locked"] == "0.5"


def test_a_spot_order_that_finds_too_few_coins_ends_partially_filled() -> None:
    floor = Floor(SPOT)
    floor.quotes["spot", "BTCUSDT"].asks = [(D(1001), D(1))]
    order = floor.order(floor.account(), "Buy", "6", category="spot", marketUnit="baseCoin")
    assert shape(order) == ("PartiallyFilledCanceled", D(1), D(0))


def test_an_inverse_contract_is_settled_in_its_coin() -> None:
    floor = Floor(INVERSE)
    account = floor.account(BTC="10")
    floor.order(account, "Buy", "50", category="inverse")
    position = account.position("inverse", "BTCUSD", 0)
    assert (position.size, position.entry) == (D(50), D(1001))
    floor.move(2000, "inverse")
    assert position.unrealised(D(2000)) == (D(50) / D(1001) - D(50) / 2000).quantize(D("1e-8"), "ROUND_DOWN")
    before = account.balances["BTC"]
    floor.order(account, "Sell", "50", category="inverse")
    assert account.balances["BTC"] > before
    assert position.side == ""
