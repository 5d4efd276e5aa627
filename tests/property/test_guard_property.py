"""Integer compares in C say the same as the rules said plainly, at any size of number."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ext.guard import GuardLimit, Refusal, SymbolGuard

MOST = int(GuardLimit.AMOUNT_MAX)
AMOUNTS = st.one_of(st.integers(0, 50), st.integers(0, MOST))
LEAST_ONE = st.one_of(st.integers(1, 50), st.integers(1, MOST))
LIMITS = st.fixed_dictionaries(
    {
        **dict.fromkeys(["qty_step", "price_tick"], st.one_of(st.integers(1, 5), LEAST_ONE)),
        **dict.fromkeys(["qty_min", "price_min"], st.one_of(st.just(1), LEAST_ONE)),
        **dict.fromkeys(
            ["qty_max", "price_max", "notional_max", "position_max"], st.one_of(st.just(MOST), AMOUNTS)
        ),
        "notional_min": AMOUNTS,
        "open_orders_max": AMOUNTS,
    }
)


def judged(limits: dict[str, int], held: int, open_orders: int, qty: int, price: int) -> int:
    no_more = limits["notional_max"] != MOST
    rules = [
        (qty < limits["qty_min"], Refusal.QTY_MIN),
        (qty > limits["qty_max"], Refusal.QTY_MAX),
        (qty % limits["qty_step"] != 0, Refusal.QTY_STEP),
    ]
    if price:
        rules += [
            (price < limits["price_min"], Refusal.PRICE_MIN),
            (price > limits["price_max"], Refusal.PRICE_MAX),
            (price % limits["price_tick"] != 0, Refusal.PRICE_TICK),
            (qty * price < limits["notional_min"], Refusal.NOTIONAL_MIN),
            (no_more and qty * price > limits["notional_max"], Refusal.NOTIONAL_MAX),
        ]
    else:
        rules += [(no_more and qty * limits["price_max"] > limits["notional_max"], Refusal.NOTIONAL_MAX)]
    rules += [
        (open_orders >= limits["open_orders_max"], Refusal.OPEN_ORDERS),
        (held + qty > limits["position_max"], Refusal.POSITION),
    ]
    return next((int(refusal) for broken, refusal in rules if broken), 0)


@given(LIMITS, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(-5, MOST), AMOUNTS, st.booleans())
@example(
    dict.fromkeys(["qty_step", "price_tick", "qty_min", "price_min"], 1)
    | dict.fromkeys(["qty_max", "price_max", "notional_max", "position_max", "open_orders_max"], MOST)
    | {"notional_min": 0},
    MOST,
    0,
    0,
    MOST,
    MOST,
    True,
)
def test_as_the_rules_say(
    limits: dict[str, Any], long: int, short: int, open_orders: int, qty: int, price: int, is_buy: bool
) -> None:
    guard = SymbolGuard(needs_book=False, **limits)
    guard.expose(long=long, short=short, open_orders=open_orders)
    held = long if is_buy else short
    assert guard.refusal(is_buy, qty, price) == judged(limits, held, open_orders, qty, price)
