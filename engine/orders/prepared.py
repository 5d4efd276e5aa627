"""Requests of the fast path, ready but for their numbers, and what a refusal of one means in words."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from engine.bybit.instruments import Instrument
from engine.bybit.server_clock import ServerClock
from engine.clock import Instant
from engine.errors import ConfigError
from ext.guard import RateWindow, Refusal, SymbolGuard
from ext.order_frame import OrderFrame, Slot
from ext.ticket import OrderGate, Ticket

__all__ = ["ORDER_OPS", "Rates", "explain", "order_frames", "set_clock", "ticket"]

ORDER_OPS: Final = ("order.create", "order.amend", "order.cancel")

Rates = tuple[RateWindow, RateWindow, RateWindow]  # of ORDER_OPS
Fields = Mapping[str, str | int | bool]

_SLOTS: Final = {
    "<request>": Slot.SLOT_REQUEST,
    "<order>": Slot.SLOT_ORDER,
    "<stamp>": Slot.SLOT_STAMP,
    "<qty>": Slot.SLOT_QTY,
    "<price>": Slot.SLOT_PRICE,
}
_MARK: Final = re.compile(b"(<[a-z]+>)")
_VALUE: Final = re.compile(r"[A-Za-z0-9._-]{0,64}", re.ASCII)


def order_frames(
    category: str,
    symbol: str,
    fields: Fields,
    *,
    prefix: str,
    qty_scale: int,
    price_scale: int,
    recv_window_ms: int,
) -> tuple[OrderFrame, OrderFrame, OrderFrame]:
    """Make the requests that create, amend and cancel orders of one kind, as ``/v5/trade`` takes them.

    ``fields`` are those of the order by the venue's names, without category, symbol, qty, price and
    orderLinkId. ``prefix`` + number is the reqId, and the orderLinkId of a new order. A market order gets no
    price. Raises ConfigError for a value that cannot be one.
    """
    for name, value in {**fields, "category": category, "symbol": symbol}.items():
        if not _VALUE.fullmatch(str(value)):
            raise ConfigError(name, value, "a field of an order has letters, digits, '.', '_' and '-'")
    instrument = {"category": category, "symbol": symbol}
    numbers = {"qty": "<qty>", "price": "<price>"}
    if fields.get("orderType") == "Market":
        del numbers["price"]
    order = {"orderLinkId": f"{prefix}<order>"}
    bodies: tuple[dict[str, Any], ...] = (
        {**instrument, **fields, **numbers, **order},
        {**instrument, **order, **numbers},
        {**instrument, **order},
    )
    create, amend, cancel = (
        OrderFrame(_pieces(op, body, prefix, recv_window_ms), qty_scale, price_scale)
        for op, body in zip(ORDER_OPS, bodies, strict=True)
    )
    return create, amend, cancel


def _pieces(op: str, body: Mapping[str, Any], prefix: str, recv_window_ms: int) -> list[tuple[bytes, int]]:
    request = {
        "reqId": f"{prefix}<request>",
        "header": {"X-BAPI-TIMESTAMP": "<stamp>", "X-BAPI-RECV-WINDOW": str(recv_window_ms)},
        "op": op,
        "args": [body],
    }
    *parts, end = _MARK.split(orjson.dumps(request))
    texts, marks = parts[::2], parts[1::2]
    slots = [_SLOTS[mark.decode()] for mark in marks]
    return [*zip(texts, slots, strict=True), (end, Slot.SLOT_END)]


def ticket(
    gate: OrderGate,
    guard: SymbolGuard,
    instrument: Instrument,
    fields: Fields,
    *,
    rates: Rates,
    recv_window_ms: int,
    about: object = None,
) -> Ticket:
    """Make the Ticket of orders of one kind; ``fields`` as of `order_frames`. Raises ConfigError."""
    side, order_type = fields.get("side"), fields.get("orderType")
    if side not in ("Buy", "Sell"):
        raise ConfigError("side", side, "an order has a side", "use 'Buy' or 'Sell'")
    if order_type not in ("Limit", "Market"):
        raise ConfigError("orderType", order_type, "an order has a type", "use 'Limit' or 'Market'")
    for name in ("qty", "price", "orderId", "orderLinkId"):
        if name in fields:
            raise ConfigError(name, fields[name], "it is different for every order", "give it to send()")
    unit = fields.get("marketUnit")
    if (instrument.category, order_type, side) == ("spot", "Market", "Buy") and unit != "baseCoin":
        rule = "limits count the base coin, and the venue takes the quote coin unless told"
        raise ConfigError("marketUnit", unit, rule, "use marketUnit='baseCoin'")
    create, amend, cancel = order_frames(
        instrument.category,
        instrument.symbol,
        fields,
        prefix=gate.ids.prefix,
        qty_scale=instrument.size_scale,
        price_scale=instrument.price_scale,
        recv_window_ms=recv_window_ms,
    )
    return Ticket(
        gate,
        guard,
        is_buy=side == "Buy",
        is_market=order_type == "Market",
        is_reducing=fields.get("reduceOnly") is True,
        create=create,
        amend=amend,
        cancel=cancel,
        create_rate=rates[0],
        amend_rate=rates[1],
        cancel_rate=rates[2],
        about=about,
    )


def set_clock(gate: OrderGate, clock: ServerClock, now: Instant) -> None:
    """Give the fast path the venue's clock; after each new sample, and when one was found wrong."""
    known = clock.offsets(now.mono_ns)
    if known is None:
        gate.set_clock(0, 0, now.mono_ns)
        return
    stamp_offset_ns, offset_ns, until_ns = known
    gate.set_clock(stamp_offset_ns, now.mono_ns + offset_ns - now.wall_ns, until_ns)


# Which limit a refusal is about, what is held against it, and the rule.
_AMOUNTS: Final = {
    Refusal.QTY_MIN: ("qty", "is below", "qty_min"),
    Refusal.QTY_MAX: ("qty", "is above", "qty_max"),
    Refusal.QTY_STEP: ("qty", "is no multiple of", "qty_step"),
    Refusal.PRICE_MIN: ("price", "is below", "price_min"),
    Refusal.PRICE_MAX: ("price", "is above", "price_max"),
    Refusal.PRICE_TICK: ("price", "is no multiple of", "price_tick"),
    Refusal.NOTIONAL_MIN: ("notional", "is below", "notional_min"),
    Refusal.NOTIONAL_MAX: ("notional", "is above", "notional_max"),
    Refusal.POSITION: ("qty", "beside position and open orders exceeds", "position_max"),
    Refusal.OPEN_ORDERS: ("open_orders", "have reached", "open_orders_max"),
}
_STATES: Final = {
    Refusal.KILLED: "the kill switch is on",
    Refusal.NOT_CONNECTED: "order entry is not connected",
    Refusal.NOT_AUTHENTICATED: "order entry is not authenticated",
    Refusal.NOT_RECONCILED: "the private stream is not reconciled",
    Refusal.CLOCK_UNCERTAIN: "the venue's clock is not known well enough",
    Refusal.BACKPRESSURE: "bytes wait to be written in front of it",
    Refusal.UNDRAINED: "too many requests were sent that the client has not taken note of",
    Refusal.NUMBERS_SPENT: "all order numbers of this start are given: start again",
    Refusal.RATE: "the requests of this second are spent",
    Refusal.BOOK_NOT_LIVE: "the book is not LIVE",
    Refusal.FEED_LAG: "the feed lags by more than lag_max_ns",
    Refusal.REDUCE_ONLY: "reduce-only mode, and the order is not reduceOnly",
    Refusal.DRY_RUN: "dry run: it passed every guard",
}


def explain(sender: Ticket, refusal: int, qty: int, price: int = 0) -> str:
    """Say why `Ticket.send(qty, price)` was refused, by what it returned: field, value, rule."""
    reason = Refusal(abs(refusal))
    if reason in _STATES:
        return f"{reason.name}: {_STATES[reason]}"
    field, verb, limit = _AMOUNTS[reason]
    scales = {
        "qty": sender.qty_scale,
        "price": sender.price_scale,
        "notional": sender.qty_scale + sender.price_scale,
        "position": sender.qty_scale,
    }
    values = {"qty": qty, "price": price, "notional": qty * price, "open_orders": sender.guard.open_orders}
    value = _text(values[field], scales.get(field, 0))
    bound = _text(sender.guard.limits[limit], scales.get(limit.partition("_")[0], 0))
    return f"{reason.name}: {field} {value} {verb} {limit} {bound}"


def _text(mantissa: int, scale: int) -> str:
    return format(Decimal(mantissa).scaleb(-scale), "f")
