"""Positions, margin, and the orders that wait for a price."""

from decimal import Decimal
from typing import Any

import pytest

from simulator.exchange.accounts import Account
from simulator.exchange.errors import RefusedError
from simulator.exchange.operations import Request
from simulator.exchange.orders import Order
from simulator.exchange.position_operations import set_leverage, switch_mode, trading_stop
from tests.support.exchange import SPOT, Floor

D = Decimal


def ask(floor: Floor, account: Account, act: Any, **body: Any) -> None:
    act(Request(floor.engine, account, {"category": "linear", "symbol": "BTCUSDT", **body}))
    floor.engine.outbox.send()


def stops(account: Account) -> list[Order]:
    return [one for one in account.live.values() if one.status == "Untriggered"]


def test_a_position_earns_what_its_fills_say() -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, qty="2")
    floor.move(1100)
    floor.order(account, qty="2")
    position = account.position("linear", "BTCUSDT", 0)
    assert (position.size, position.entry) == (4, D(1051))
    assert position.unrealised(D(1100)) == 4 * D(49)
    floor.move(1200)
    floor.order(account, "Sell", "3")
    assert account.closed[0]["avgEntryPrice"] == "1051"
    assert account.realised["USDT"] == 3 * (D(1199) - 1051)
    floor.order(account, "Sell", "2")
    assert (position.size, position.entry, position.side) == (-1, D(1199), "Sell")
    assert account.executions[-1].closed == 1
    assert sum(one.pnl for one in account.executions) == 4 * (D(1199) - 1051)
    total = sum(one.pnl - one.fee for one in account.executions)
    assert account.balances["USDT"] == 1_000_000 + total


def test_margin_bounds_what_may_be_opened() -> None:
    floor = Floor()
    account = floor.account(USDT="1100")
    floor.order(account, qty="5", price="990")
    wallet = floor.engine.wallets.row(account)
    assert D(wallet["totalInitialMargin"]) == 5 * D(990) * (D("0.1") + D("0.00055"))
    assert D(wallet["totalAvailableBalance"]) == 1100 - D(wallet["totalInitialMargin"])
    with pytest.raises(RefusedError, match="110007"):
        floor.order(account, qty="7", price="990")
    ask(floor, account, set_leverage, buyLeverage="50", sellLeverage="50")
    floor.order(account, qty="7", price="990")
    with pytest.raises(RefusedError, match="110043"):
        ask(floor, account, set_leverage, buyLeverage="50", sellLeverage="50")


def test_closing_needs_no_margin() -> None:
    floor = Floor()
    account = floor.account(USDT="1050")
    floor.order(account, qty="10")
    floor.move(1010)
    floor.order(account, "Sell", "10")
    assert not account.position("linear", "BTCUSDT", 0).size


def test_a_reduce_only_order_never_opens() -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, qty="2")
    resting = floor.order(account, "Sell", "5", price="1050", reduceOnly=True)
    assert resting.qty == 2
    half = floor.order(account, "Sell", "1", reduceOnly=True)
    assert half.status == "Filled"
    floor.move(1060)
    assert (resting.status, resting.cancel_type, resting.filled) == ("Cancelled", "CancelByReduceOnly", 1)
    assert not account.position("linear", "BTCUSDT", 0).size


def test_hedge_mode_has_two_positions() -> None:
    floor = Floor()
    account = floor.account()
    ask(floor, account, switch_mode, mode=3)
    with pytest.raises(RefusedError, match="position idx not match"):
        floor.order(account)
    floor.order(account, "Buy", "2", positionIdx=1)
    floor.order(account, "Sell", "1", positionIdx=2)
    floor.order(account, "Sell", "1", positionIdx=1)
    sizes = [account.position("linear", "BTCUSDT", idx).size for idx in (1, 2)]
    assert sizes == [1, -1]
    with pytest.raises(RefusedError, match="110017"):
        floor.order(floor.account("2"), "Sell", "1", reduceOnly=True)
    for mode, code in ((3, "110025"), (0, "110024")):
        with pytest.raises(RefusedError, match=code):
            ask(floor, account, switch_mode, mode=mode)


@pytest.mark.parametrize("source", ["LastPrice", "MarkPrice", "IndexPrice"])
def test_a_conditional_order_waits_for_its_price(source: str) -> None:
    floor = Floor()
    account = floor.account()
    order = floor.order(account, triggerPrice="1050", triggerDirection=1, triggerBy=source)
    assert (order.status, order.stop) == ("Untriggered", "Stop")
    floor.move(1049)
    assert order.status == "Untriggered"
    floor.move(1050)
    assert order.status == "Filled"
    assert [row["orderStatus"] for row in floor.rows("order")] == ["Untriggered", "Triggered", "Filled"]
    assert not account.executions[0].is_maker


def test_a_conditional_order_without_margin_is_rejected_when_its_price_comes() -> None:
    floor = Floor()
    account = floor.account(USDT="100")
    order = floor.order(account, qty="50", triggerPrice="1050", triggerDirection=1)
    floor.move(1050)
    assert (order.status, order.reject_reason, account.executions) == ("Rejected", "EC_Others", [])


@pytest.mark.parametrize(("price", "taken"), [(1100, "TakeProfit"), (900, "StopLoss")])
def test_attached_levels_close_the_whole_position(price: int, taken: str) -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, qty="1", takeProfit="1100", stopLoss="900")
    floor.order(account, qty="2")
    position = account.position("linear", "BTCUSDT", 0)
    assert (position.take_profit, position.stop_loss, len(stops(account))) == (1100, 900, 2)
    floor.move(price)
    assert (position.size, position.take_profit, position.stop_loss, stops(account)) == (0, 0, 0, [])
    done = {one.stop: (one.status, one.filled) for one in account.orders.values() if one.stop != "UNKNOWN"}
    other = "StopLoss" if taken == "TakeProfit" else "TakeProfit"
    assert done == {taken: ("Filled", 3), other: ("Deactivated", 0)}


def test_partial_levels_cancel_each_other() -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, qty="3")
    floor.order(
        account,
        qty="1",
        takeProfit="1100",
        stopLoss="900",
        tpslMode="Partial",
        tpOrderType="Limit",
        tpLimitPrice="1100",
    )
    assert {(one.stop, one.qty, one.kind) for one in stops(account)} == {
        ("PartialTakeProfit", 1, "Limit"),
        ("PartialStopLoss", 1, "Market"),
    }
    floor.move(900)
    assert (account.position("linear", "BTCUSDT", 0).size, stops(account)) == (3, [])


def test_levels_on_the_wrong_side_are_refused() -> None:
    floor = Floor()
    account = floor.account()
    for fields in (
        {"takeProfit": "990"},
        {"stopLoss": "1010"},
        {"tpOrderType": "Limit", "takeProfit": "1100"},
    ):
        with pytest.raises(RefusedError):
            floor.order(account, **fields)
    with pytest.raises(RefusedError, match="zero position"):
        ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, takeProfit="1100")


def test_trading_stop_sets_moves_and_clears() -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, "Sell", "2")
    position = account.position("linear", "BTCUSDT", 0)
    ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, takeProfit="900", stopLoss="1100")
    ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, stopLoss="1200", takeProfit="0")
    assert (position.take_profit, position.stop_loss, len(stops(account))) == (0, 1200, 1)
    floor.engine.amend(stops(account)[0], {"triggerPrice": "1250"})
    assert position.stop_loss == 1250
    both = {"stopLoss": "1200", "takeProfit": "1010"}
    with pytest.raises(RefusedError, match="lower"):
        ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, **both)
    assert (position.take_profit, position.stop_loss) == (0, 1250)
    floor.engine.amend(stops(account)[0], {"triggerPrice": "1200"})
    with pytest.raises(RefusedError, match="34040"):
        ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, stopLoss="1200")
    part = {"tpslMode": "Partial", "positionIdx": 0, "takeProfit": "950", "tpSize": "0.5", "slSize": "0.5"}
    ask(floor, account, trading_stop, **part)
    ask(floor, account, trading_stop, **part)
    assert len(stops(account)) == 3
    floor.move(950)
    assert position.size == -1


def test_a_trailing_stop_follows_the_best_price() -> None:
    floor = Floor()
    account = floor.account()
    floor.order(account, qty="1")
    ask(floor, account, trading_stop, tpslMode="Full", positionIdx=0, trailingStop="50", activePrice="1020")
    (order,) = stops(account)
    position = account.position("linear", "BTCUSDT", 0)
    floor.move(1010)
    assert (order.trigger_price, position.trailing_stop) == (0, 50)
    for price in (1020, 1100, 1060):
        floor.move(price)
    assert (order.status, order.trigger_price) == ("Untriggered", 1050)
    floor.move(1050)
    assert (order.status, position.size, position.trailing_stop) == ("Filled", 0, 0)


def test_spot_levels_follow_the_fill_as_a_pair() -> None:
    floor = Floor(SPOT)
    account = floor.account(USDT="10000")
    floor.order(account, qty="1001", category="spot", takeProfit="1100", stopLoss="900")
    assert [(one.order_filter, one.qty) for one in stops(account)] == [("tpslOrder", D("0.999"))] * 2
    assert floor.engine.wallets.locked(account, "BTC") == D("0.999")
    floor.move(1100, "spot")
    assert not account.live
    assert account.balances["BTC"] == 0


def test_funding_is_an_execution_that_is_no_trade() -> None:
    floor = Floor()
    long, short = floor.account("1"), floor.account("2")
    floor.order(long, qty="2")
    floor.order(short, "Sell", "2")
    before = long.balances["USDT"], short.balances["USDT"]
    floor.engine.fund()
    paid = D(2) * 1000 * D("0.0001")
    assert (long.balances["USDT"], short.balances["USDT"]) == (before[0] - paid, before[1] + paid)
    row = floor.rows("execution")[-2]
    assert (row["execType"], row["orderType"], row["execFee"]) == ("Funding", "UNKNOWN", "0.2")
    assert len(floor.rows("execution.fast")) == 2
    assert long.executions[-1].order.order_id not in long.orders
