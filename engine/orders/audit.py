"""The audit log's records: each request, answer, refusal and change of an order; payloads without secrets.

What a payload has, by its ``record``:

    request   via op request_id category orders      via: ws, rest; orders: the fields of each, as sent
    answer    via op request_id code message orders  code null: no answer came, message says why;
                                                     orders: of a batch, code message orderId orderLinkId
    refused   op rule field value reason category orders
    order     category symbol link_id order_id before state cause status qty filled_qty is_reconciled

Headers, keys and signatures are never part of a payload: only fields that an order can have are taken, the
value of any other is left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from engine.bybit.wire import AMEND_FIELDS, CANCEL_FIELDS, ORDER_FIELDS, TRADING_STOP_FIELDS, wire_name
from engine.orders.events import OrderEvent
from engine.orders.guards import Refused

__all__ = ["answer", "encoded", "order", "refused", "request"]

Payload = dict[str, Any]

MESSAGE_CHARS_MAX: Final = 256
ORDERS_MAX: Final = 20  # the largest batch
LEFT_OUT: Final = "[left out]"

FIELDS: Final = frozenset(
    {
        *map(wire_name, ORDER_FIELDS | AMEND_FIELDS | CANCEL_FIELDS | TRADING_STOP_FIELDS),
        *("category", "symbol", "baseCoin", "settleCoin", "stopOrderType", "buyLeverage", "sellLeverage"),
    }
)


def request(
    via: str, op: str, request_id: str, category: str, orders: Iterable[Mapping[str, object]]
) -> Payload:
    """Return the record of a request, made before it is written; ``orders`` as they go over the wire."""
    return {
        "record": "request",
        "via": via,
        "op": op,
        "request_id": request_id,
        "category": category,
        "orders": _kept(orders),
    }


def answer(
    via: str,
    op: str,
    request_id: str,
    code: int | None,
    message: str,
    orders: Iterable[tuple[int, str, str, str]] = (),
) -> Payload:
    """Return the record of an answer; ``orders`` has code, message, orderId and orderLinkId of each."""
    named = [dict(zip(("code", "message", "orderId", "orderLinkId"), one, strict=True)) for one in orders]
    return {
        "record": "answer",
        "via": via,
        "op": op,
        "request_id": request_id,
        "code": code,
        "message": message[:MESSAGE_CHARS_MAX],
        "orders": [{**one, "message": str(one["message"])[:MESSAGE_CHARS_MAX]} for one in named[:ORDERS_MAX]],
    }


def refused(op: str, why: Refused, category: str, orders: Iterable[Mapping[str, object]]) -> Payload:
    """Return the record of what a guard refused."""
    return {
        "record": "refused",
        "op": op,
        "rule": why.rule.name,
        "field": why.field,
        "value": why.value,
        "reason": why.reason,
        "category": category,
        "orders": _kept(orders),
    }


def order(event: OrderEvent) -> Payload:
    """Return the record of an order that became another; call it while the event is handled."""
    of = event.order
    return {
        "record": "order",
        "category": of.intent.category,
        "symbol": of.intent.symbol,
        "link_id": of.link_id,
        "order_id": of.order_id,
        "before": event.before,
        "state": event.state,
        "cause": event.cause,
        "status": of.status,
        "qty": str(of.qty),
        "filled_qty": str(of.filled_qty),
        "is_reconciled": event.is_reconciled,
    }


def encoded(payload: Payload) -> bytes:
    """Return a payload as the bytes of its record."""
    return orjson.dumps(payload)


def _kept(orders: Iterable[Mapping[str, object]]) -> list[Payload]:
    return [_fields(one) for one in list(orders)[:ORDERS_MAX]]


def _fields(one: Mapping[str, object]) -> Payload:
    return {
        name: (value if isinstance(value, int | str) else str(value)) if name in FIELDS else LEFT_OUT
        for name, value in one.items()
    }
