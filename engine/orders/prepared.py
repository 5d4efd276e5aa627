"""Tickets of the fast path: requests ready but for their numbers; and a refusal in words."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.bybit.instruments import Instrument
from engine.bybit.server_clock import ServerClock
from engine.clock import Instant
from engine.errors import ConfigError
from engine.orders.guards import Candidate, Refused, Rule, SymbolLimits, explain
from ext.guard import RateWindow
from ext.order_frame import OrderFrame, Slot
from ext.ticket import OrderGate, Ticket

__all__ = ["ORDER_OPS", "Rates", "order_frames", "refused", "set_clock", "ticket"]

ORDER_OPS: Final = ("order.create", "order.amend", "order.cancel")

Rates = tuple[RateWindow, RateWindow, RateWindow]  # of ORDER_OPS
Fields = Mapping[str, str | int | bool]

HEDGE_OPENS: Final = {1: "Buy", 2: "Sell"}  # by positionIdx
NS_PER_MS: Final = 1_000_000

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
    limits: SymbolLimits,
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
    unit = fields.get("marketUnit", "" if side == "Buy" else "baseCoin")
    if (instrument.category, order_type) == ("spot", "Market") and unit != "baseCoin":
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
        limits,
        name=f"{instrument.category} {instrument.symbol}",
        is_buy=side == "Buy",
        is_market=order_type == "Market",
        is_post_only=fields.get("timeInForce") == "PostOnly",
        # Of a hedge the far side can only close: as `Intent.is_closing`.
        is_closing=fields.get("reduceOnly") is True
        or HEDGE_OPENS.get(int(fields.get("positionIdx", 0)), side) != side,
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
    gate.set_clock(stamp_offset_ns, now.wall_ns - (now.mono_ns + offset_ns), until_ns)


def refused(sender: Ticket, result: int, qty: int, price: int = 0) -> Refused:
    """Put into words why `Ticket.send` or ``amend``, just called with these numbers, returned ``result``."""
    limits = sender.limits
    lag_ms = 0
    if limits.book is not None:
        lag_ms = (limits.book.recv_ns - sender.gate.ahead_ns) // NS_PER_MS - limits.book.ts_ms
    order = Candidate(
        is_buy=sender.is_buy,
        qty=qty,
        price=price,
        is_market=sender.is_market,
        is_post_only=sender.is_post_only,
        is_closing=sender.is_closing,
        lag_ms=lag_ms,
        sent_in_second=limits.rate_max,
    )
    return explain(Rule(-result), limits.but(blocks=sender.gate.blocks), order, sender.name)
