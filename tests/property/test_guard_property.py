"""The compiled guard says what the plain reading of the rules says, at any size of number."""

from hypothesis import example, given
from hypothesis import strategies as st

from engine.orders.guards import INT64_MAX, Candidate, broken
from ext.guard import SymbolLimits

SMALL = st.integers(0, 30)
AMOUNTS = st.one_of(SMALL, SMALL, st.integers(0, INT64_MAX), st.just(INT64_MAX))
GRID = st.one_of(st.integers(1, 4), st.integers(1, INT64_MAX))
FLAGS = st.integers(0, 1)
LIMITS = st.fixed_dictionaries(
    {
        **dict.fromkeys(["price_scale", "size_scale"], st.integers(0, 18)),
        **dict.fromkeys(["tick", "step"], GRID),
        **dict.fromkeys(["is_inverse", "is_reduce_only"], FLAGS),
        **dict.fromkeys(["min_price", "min_qty", "min_notional", "band_low"], SMALL),
        **dict.fromkeys(
            ["max_price", "max_qty", "max_post_qty", "max_market_qty", "max_notional", "band_high"], AMOUNTS
        ),
        **dict.fromkeys(["buy_room", "sell_room", "orders_room"], st.one_of(AMOUNTS, st.integers(-9, 3))),
    }
)
LARGEST = dict.fromkeys(["price_scale", "size_scale"], 0) | dict.fromkeys(["tick", "step"], 1)


@given(
    LIMITS,
    st.one_of(st.integers(-2, 40), st.integers(-1, INT64_MAX)),
    st.one_of(st.integers(-2, 40), st.integers(-1, INT64_MAX)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@example(LARGEST, INT64_MAX, INT64_MAX, True, False, False, False)
@example(LARGEST | {"max_notional": INT64_MAX - 1}, INT64_MAX, INT64_MAX, True, False, False, False)
def test_as_the_rules_say(
    values: dict[str, int],
    qty: int,
    price: int,
    is_buy: bool,
    is_market: bool,
    is_post: bool,
    is_closing: bool,
) -> None:
    limits = SymbolLimits(**values)
    order = Candidate(
        is_buy=is_buy, qty=qty, price=price, is_market=is_market, is_post_only=is_post, is_closing=is_closing
    )
    assert broken(limits, order) == limits.rule(
        is_buy=is_buy, qty=qty, price=price, is_market=is_market, is_post_only=is_post, is_closing=is_closing
    )
