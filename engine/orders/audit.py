"""The audit log's records: each request, answer, refusal and change of an order; payloads without secrets.

What a payload has, by its ``record``:

    request   via op request_id category orders      via: ws, rest; orders: the fields of each, as sent
    answer    via op request_id code message orders  code null: no answer came, message says why;
                                                     orders: of a batch, code message orderId orderLinkId
    refused   op rule field value reason category orders
    order     category symbol link_id order_id before state cause status qty filled_qty is_reconciled

    rest      direction path body                    direction: sent, received; body: at most 4,096 characters

Headers, keys and signatures are never part of a payload: only fields that an order can have are taken, the
value of any other is left out.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from engine.bybit.wire import AMEND_FIELDS, CANCEL_FIELDS, ORDER_FIELDS, TRADING_STOP_FIELDS, wire_name
from engine.orders.events import OrderEvent
from engine.orders.guards import Refused
from ext.journal import Journal

__all__ = ["Trail", "answer", "encoded", "journalled", "order", "refused", "request", "rest"]

logger = logging.getLogger("tapehead")

Payload = dict[str, Any]

MESSAGE_CHARS_MAX: Final = 256
ORDERS_MAX: Final = 20  # the largest batch
BODY_CHARS_MAX: Final = 4_096
KEY_PATHS: Final = frozenset({"/v5/user/query-api"})  # whose answers name the key
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


def rest(direction: str, path: str, body: bytes) -> Payload:
    """Return the record of what was ``sent`` or ``received`` by a signed REST request."""
    text = LEFT_OUT if path in KEY_PATHS else body.decode(errors="replace")[:BODY_CHARS_MAX]
    return {"record": "rest", "direction": direction, "path": path, "body": text}


class Trail:
    """Gives every record to ``keep``, as bytes; where that fails, it is counted and no order is held up."""

    def __init__(self, keep: Callable[[bytes], object] | None) -> None:
        self.failures = 0
        self._keep = keep

    def put(self, make: Callable[..., Payload], *told: Any) -> None:
        """Keep the record that ``make(*told)`` returns."""
        if self._keep is None:
            return
        try:
            self._keep(encoded(make(*told)))
        except Exception as error:
            if not self.failures:
                logger.error("a record of the audit log is lost", exc_info=error)
            self.failures += 1

    def rest(self, direction: str, path: str, body: bytes) -> None:
        """As an `engine.bybit.http.AuditHook`."""
        self.put(rest, direction, path, body)


def journalled(
    journal: Journal, kind: int, now: Callable[[], tuple[int, int]], connection: int = 0
) -> Callable[[bytes], object]:
    """Return a ``keep`` that appends to a journal, without a disk wait; its owner commits it.

    ``now()`` returns wall and monotonic clock in ns.
    """
    return lambda payload: journal.append_record(kind, payload, connection, *now())


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
