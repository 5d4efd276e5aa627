"""Limits as integer compares: each rule at its edge, and the words of each refusal."""

from typing import Any

import pytest

from engine.orders.prepared import explain
from ext.book import OrderBook
from ext.guard import RateWindow, Refusal, SymbolGuard
from tests.support.tickets import Wire, guard, order_ticket

S = 1_000_000_000


@pytest.mark.parametrize(
    ("limits", "qty", "price", "refusal"),
    [
        ({}, 1, 10, 0),
        ({}, 0, 10, Refusal.QTY_MIN),
        ({}, -1, 10, Refusal.QTY_MIN),
        ({"qty_min": 5}, 4, 10, Refusal.QTY_MIN),
        ({"qty_min": 5}, 5, 10, 0),
        ({}, 100_000, 10, 0),
        ({}, 100_001, 10, Refusal.QTY_MAX),
        ({"qty_step": 5}, 10, 10, 0),
        ({"qty_step": 5}, 11, 10, Refusal.QTY_STEP),
        ({}, 1, -10, Refusal.PRICE_MIN),
        ({}, 1, 19_999_980, 0),
        ({}, 1, 19_999_990, Refusal.PRICE_MAX),
        ({}, 1, 15, Refusal.PRICE_TICK),
        ({"price_min": 20}, 1, 10, Refusal.PRICE_MIN),
        ({"notional_min": 500}, 7, 70, Refusal.NOTIONAL_MIN),
        ({"notional_min": 490}, 7, 70, 0),
        ({"notional_max": 490}, 7, 70, 0),
        ({"notional_max": 489}, 7, 70, Refusal.NOTIONAL_MAX),
        ({"qty_max": 10**18, "price_max": 10**18}, 10**18, 10**18, 0),
        ({"qty_max": 10**18, "notional_max": 10**17}, 10**18, 10, Refusal.NOTIONAL_MAX),
        ({"notional_max": 19_999_980}, 1, 0, 0),
        ({"notional_max": 19_999_979}, 1, 0, Refusal.NOTIONAL_MAX),
        ({"position_max": 10}, 10, 10, 0),
        ({"position_max": 10}, 11, 10, Refusal.POSITION),
        ({"open_orders_max": 0}, 1, 10, Refusal.OPEN_ORDERS),
        ({"reduce_only": True}, 1, 10, Refusal.REDUCE_ONLY),
        ({"needs_book": True}, 1, 10, Refusal.BOOK_NOT_LIVE),
    ],
)
def test_each_limit_at_its_edge(limits: dict[str, Any], qty: int, price: int, refusal: int) -> None:
    assert guard(**limits).refusal(True, qty, price) == refusal


def test_each_side_has_its_own_exposure() -> None:
    both = guard(position_max=10, open_orders_max=4)
    both.expose(long=8, short=3, open_orders=3)
    assert both.refusal(True, 2, 10) == 0
    assert both.refusal(True, 3, 10) == Refusal.POSITION
    assert both.refusal(False, 7, 10) == 0
    assert both.refusal(False, 8, 10) == Refusal.POSITION
    assert both.refusal(False, 100, 10, is_reducing=True) == 0
    both.expose(long=0, short=0, open_orders=4)
    assert both.refusal(True, 1, 10) == Refusal.OPEN_ORDERS


def test_reduce_only_lets_reducing_orders_pass() -> None:
    assert guard(reduce_only=True).refusal(True, 1, 10, is_reducing=True) == 0


def test_the_book_must_be_live_and_not_late() -> None:
    lagging = guard(needs_book=True, lag_max_ns=S)
    book = OrderBook("linear", "BTCUSDT", 50)
    lagging.follow(book)
    assert lagging.refusal(True, 1, 10) == Refusal.BOOK_NOT_LIVE
    book.snapshot([("1", "1")], [("2", "1")], ts_ms=1_000)
    assert book.recv_ns == 0
    assert lagging.refusal(True, 1, 10, wall_offset_ns=2 * S) == 0
    assert lagging.refusal(True, 1, 10, wall_offset_ns=2 * S + 1) == Refusal.FEED_LAG
    lagging.follow(None)
    assert lagging.refusal(True, 1, 10) == Refusal.BOOK_NOT_LIVE


@pytest.mark.parametrize("name", ["qty_step", "qty_min", "price_tick", "price_min"])
def test_limits_that_cannot_be_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} was 0"):
        guard(**{name: 0})
    with pytest.raises(ValueError, match=f"{name} was {10**18 + 1}"):
        guard(**{name: 10**18 + 1})


def test_limits_are_replaced_and_what_is_at_risk_stays() -> None:
    one = guard(position_max=10)
    one.expose(long=8, short=0, open_orders=1)
    one.limit(**{**one.limits, "position_max": 8})
    assert one.limits["position_max"] == 8
    assert one.refusal(True, 1, 10) == Refusal.POSITION
    with pytest.raises(ValueError, match="short was -1"):
        one.expose(long=0, short=-1, open_orders=0)
    assert one.long == 8


def test_a_second_holds_so_many_requests_and_not_one_more() -> None:
    window = RateWindow(3)
    taken = [at for at in range(0, 3 * S, S // 10) if window.take(at)]
    assert taken == [
        0,
        S // 10,
        2 * S // 10,
        S,
        11 * S // 10,
        12 * S // 10,
        2 * S,
        21 * S // 10,
        22 * S // 10,
    ]
    window.block(5 * S)
    window.block(4 * S)
    assert not window.take(5 * S - 1)
    assert window.take(5 * S)


@pytest.mark.parametrize("per_second", [0, 10_001])
def test_a_rate_has_bounds(per_second: int) -> None:
    with pytest.raises(ValueError, match="per_second was"):
        RateWindow(per_second)


def test_refusals_name_field_value_and_rule() -> None:
    with Wire() as wire:
        sender = order_ticket(wire, guard(qty_min=10, notional_min=500_000))
        assert explain(sender, sender.send(5, 3_000_000), 5) == "QTY_MIN: qty 0.005 is below qty_min 0.010"
        assert explain(sender, sender.send(10, 15), 10, 15) == (
            "PRICE_TICK: price 0.15 is no multiple of price_tick 0.10"
        )
        assert explain(sender, sender.send(10, 10), 10, 10) == (
            "NOTIONAL_MIN: notional 0.00100 is below notional_min 5.00000"
        )
        for refusal in Refusal:
            assert explain(sender, refusal, 1, 1).startswith(refusal.name)


def test_a_guard_needs_a_book_unless_told() -> None:
    assert SymbolGuard(qty_step=1, qty_min=1, qty_max=1, price_tick=1).needs_book
