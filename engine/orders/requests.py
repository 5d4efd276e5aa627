"""From the fields of an order to an intent, and from an intent to the request for it."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.bybit.wire import AMEND_FIELDS, ORDER_FIELDS, body
from engine.errors import ConfigError
from engine.orders.order import Intent, Order

__all__ = ["exact", "order_names", "read_change", "read_intent", "request_of"]

SIDES: Final = ("Buy", "Sell")
ORDER_TYPES: Final = ("Limit", "Market")
# What an intent says itself; all else are its options.
OWN: Final = frozenset(
    [
        "side",
        "orderType",
        "qty",
        "price",
        "timeInForce",
        "orderLinkId",
        "reduceOnly",
        "positionIdx",
        "marketUnit",
    ]
)


def read_intent(link_id: str, category: str, symbol: str, fields: Mapping[str, object]) -> Intent:
    """Return what is wanted. Raises ConfigError, naming the field, its value and the rule."""
    wire = body(fields, ORDER_FIELDS)
    side, order_type = str(wire.get("side", "")), str(wire.get("orderType", ""))
    _check_choice("side", side, SIDES)
    _check_choice("order_type", order_type, ORDER_TYPES)
    price = exact("price", wire["price"]) if "price" in wire else None
    if order_type == "Limit" and price is None and "bboSideType" not in wire and "orderIv" not in wire:
        raise ConfigError("price", "", "is needed for a limit order", "give price='...'")
    return Intent(
        link_id=link_id,
        category=category,
        symbol=symbol,
        side=side,
        order_type=order_type,
        qty=exact("qty", wire.get("qty", "")),
        price=price,
        time_in_force=str(wire.get("timeInForce", "IOC" if order_type == "Market" else "GTC")),
        is_reduce_only=wire.get("reduceOnly") is True,
        position_idx=_whole(wire.get("positionIdx", 0)),
        market_unit=str(wire.get("marketUnit", "")),
        options={name: value for name, value in wire.items() if name not in OWN},
    )


def read_change(fields: Mapping[str, Any]) -> tuple[dict[str, object], Decimal | None, Decimal | None]:
    """Return an amendment as it goes out, its quantity and price. Raises ConfigError."""
    wire = body(fields, AMEND_FIELDS)
    if not wire:
        raise ConfigError("fields", "", "nothing is to be changed", "give qty=... or price=...")
    qty = exact("qty", wire["qty"]) if "qty" in wire else None
    price = exact("price", wire["price"]) if "price" in wire else None
    return wire, qty, price


def request_of(intent: Intent) -> dict[str, object]:
    """Return the request for an intent, without its category."""
    request: dict[str, object] = {
        "symbol": intent.symbol,
        "side": intent.side,
        "orderType": intent.order_type,
        "qty": format(intent.qty, "f"),
        "timeInForce": intent.time_in_force,
        "orderLinkId": intent.link_id,
        "positionIdx": intent.position_idx,
    }
    if intent.price is not None:
        request["price"] = format(intent.price, "f")
    if intent.is_reduce_only:
        request["reduceOnly"] = True
    if intent.market_unit:
        request["marketUnit"] = intent.market_unit
    return request | dict(intent.options)


def order_names(order: Order) -> dict[str, object]:
    """Return by what an order is named in a request: its orderLinkId, which is known from the start."""
    names: dict[str, object] = {"symbol": order.intent.symbol}
    return names | ({"orderLinkId": order.link_id} if order.link_id else {"orderId": order.order_id})


def exact(name: str, value: object) -> Decimal:
    """Return a number above zero, or zero. Raises ConfigError."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ConfigError(name, value, "is no number", "give text such as '0.01'") from None
    if not number.is_finite() or number < 0:
        raise ConfigError(name, value, "is negative or no number", "give text such as '0.01'")
    return number


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(name, value, "is " + " or ".join(known))


def _whole(value: Any) -> int:
    return int(value)
