"""A spliced request is byte for byte what a JSON library writes of the same order."""

from decimal import Decimal

import orjson
from hypothesis import given
from hypothesis import strategies as st

from engine.orders.ids import base36
from engine.orders.prepared import order_frames

PREFIX = "bot1-2s-"
NUMBERS = st.integers(0, 36**7 - 1)
MANTISSAS = st.integers(0, 10**18)
SCALES = st.integers(0, 18)
STAMPS = st.integers(1_500_000_000_000, 9_999_999_999_999)
FIELDS = st.fixed_dictionaries(
    {"side": st.sampled_from(["Buy", "Sell"]), "orderType": st.sampled_from(["Limit", "Market"])},
    optional={
        "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "PostOnly"]),
        "positionIdx": st.integers(0, 2),
        "reduceOnly": st.booleans(),
        "takeProfit": st.decimals(0, 10**6, places=2).map(str),
    },
)


def spelled(mantissa: int, scale: int) -> str:
    return format(Decimal(mantissa).scaleb(-scale), "f")


@given(FIELDS, NUMBERS, NUMBERS, MANTISSAS, MANTISSAS, SCALES, SCALES, STAMPS)
def test_spliced_as_dumped(
    fields: dict[str, str | int | bool],
    request: int,
    order: int,
    qty: int,
    price: int,
    qty_scale: int,
    price_scale: int,
    stamp_ms: int,
) -> None:
    instrument = {"category": "linear", "symbol": "ETHUSDT-27DEC26"}
    numbers = {"qty": spelled(qty, qty_scale), "price": spelled(price, price_scale)}
    if fields["orderType"] == "Market":
        del numbers["price"]
    link = {"orderLinkId": PREFIX + base36(order)}
    bodies = (instrument | fields | numbers | link, instrument | link | numbers, instrument | link)
    frames = order_frames(
        **instrument,
        fields=fields,
        prefix=PREFIX,
        qty_scale=qty_scale,
        price_scale=price_scale,
        recv_window_ms=2000,
    )
    for op, body, frame in zip(("create", "amend", "cancel"), bodies, frames, strict=True):
        assert frame.text(
            request=request, order=order, qty=qty, price=price, stamp_ms=stamp_ms
        ) == orjson.dumps(
            {
                "reqId": PREFIX + base36(request),
                "header": {"X-BAPI-TIMESTAMP": str(stamp_ms), "X-BAPI-RECV-WINDOW": "2000"},
                "op": f"order.{op}",
                "args": [body],
            }
        )
