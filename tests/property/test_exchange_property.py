"""Whatever accounts do, the books of the exchange add up."""

import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange.accounts import Account
from simulator.exchange.errors import RefusedError
from simulator.exchange.operations import Request
from simulator.exchange.position_operations import trading_stop
from tests.support.exchange import INVERSE, LINEAR, SPOT, Floor

STEPS = 120
START = {"USDT": "100000", "BTC": "100"}
QTYS = ("1", "3", "40", "150")


def order_fields(dice: random.Random, category: str, price: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"category": category, "side": dice.choice(("Buy", "Sell"))}
    fields["qty"] = dice.choice(QTYS[:2] if category == "spot" else QTYS)
    if category == "spot" and fields["side"] == "Buy":
        fields["marketUnit"] = "baseCoin"
    if dice.random() < 0.7:
        fields["price"] = str(price + dice.randint(-8, 8))
        fields["timeInForce"] = dice.choice(("GTC", "GTC", "IOC", "FOK", "PostOnly"))
    fields["smpType"] = dice.choice(("None", "CancelMaker", "CancelTaker", "CancelBoth"))
    if category != "spot":
        fields["reduceOnly"] = dice.random() < 0.2
        if dice.random() < 0.2 and not fields["reduceOnly"]:
            fields |= {"takeProfit": "1300", "stopLoss": "700", "tpslMode": dice.choice(("Full", "Partial"))}
    if dice.random() < 0.15:
        rises = dice.random() < 0.5
        fields |= {"triggerPrice": str(price + (6 if rises else -6)), "triggerDirection": 1 if rises else 2}
    return fields


def act(dice: random.Random, floor: Floor, account: Account, prices: dict[str, int]) -> None:
    """Do something, or be refused."""
    category = dice.choice(list(prices))
    live, kind = list(account.live.values()), dice.random()
    with suppress(RefusedError):
        if kind < 0.5:
            floor.order(account, **order_fields(dice, category, prices[category]))
        elif kind < 0.6 and live:
            floor.engine.cancel(dice.choice(live))
        elif kind < 0.75 and live:
            change = dice.choice(({"qty": "2"}, {"qty": "60"}, {"price": str(prices[category] + 3)}))
            floor.engine.amend(dice.choice(live), change)
        elif kind < 0.8:
            stop = {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full", "positionIdx": 0}
            trading_stop(Request(floor.engine, account, {**stop, "trailingStop": "5"}))
        elif kind < 0.82:
            floor.engine.fund()
        else:
            prices[category] += dice.randint(-7, 7)
            floor.move(prices[category], category)
    floor.engine.outbox.send()


def check(account: Account) -> None:
    """Orders, positions and balances are what the fills say."""
    trades = [one for one in account.executions if one.kind == "Trade"]
    balances = {coin: Decimal(amount) for coin, amount in START.items()}
    sizes: dict[tuple[str, str, int], Decimal] = {}
    filled: dict[str, Decimal] = {}
    for one in account.executions:
        order = one.order
        balances[one.fee_coin] -= one.fee
        if one.kind != "Trade":
            continue
        filled[order.order_id] = filled.get(order.order_id, Decimal(0)) + one.qty
        signed = one.qty if order.buys else -one.qty
        if order.category == "spot":
            balances["BTC"] += signed
            balances["USDT"] -= signed * one.price
        else:
            key = (order.category, order.symbol, order.position_idx)
            sizes[key] = sizes.get(key, Decimal(0)) + signed
            balances["BTC" if order.category == "inverse" else "USDT"] += one.pnl
    assert account.balances == balances
    assert {key: one.size for key, one in account.positions.items() if one.size} == {
        key: size for key, size in sizes.items() if size
    }
    for order in account.orders.values():
        assert order.filled == filled.get(order.order_id, Decimal(0)) <= order.qty
        assert order.left == (order.qty - order.filled if order.is_live else 0)
        assert (order.order_id in account.live) == order.is_live
        assert order.status != "Filled" or order.filled == order.qty
    assert len({one.exec_id for one in trades}) == len(trades)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_the_books_add_up(seed: int) -> None:
    dice = random.Random(seed)
    floor = Floor(LINEAR, SPOT, INVERSE)
    accounts = [floor.account(str(number), **START) for number in range(3)]
    prices = {"linear": 1000, "spot": 1000, "inverse": 1000}
    for _ in range(STEPS):
        act(dice, floor, dice.choice(accounts), prices)
        floor.now_ms += dice.randint(0, 5)
        for account in accounts:
            check(account)
    for book, triggers in floor.engine.books.values():
        resting = book.resting(asks=True) + book.resting(asks=False)
        assert all(one.is_open for one in resting)
        assert all(one.status == "Untriggered" for one in triggers.waiting.values())
        here = len(resting) + len(triggers.waiting)
        key = (book.market.category, book.market.symbol)
        live = [one for who in accounts for one in who.live.values() if (one.category, one.symbol) == key]
        assert here == len(live)
    last: dict[str, str] = {}
    for row in floor.rows("order"):
        done = last.get(row["orderId"])
        assert done in (None, "New", "PartiallyFilled", "Untriggered", "Triggered"), (done, row)
        last[row["orderId"]] = row["orderStatus"]
