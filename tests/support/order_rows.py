"""Rows of an account as the venue spells them, read by the project's own models."""

from decimal import Decimal
from typing import Any

from engine.bybit.models import ExecutionRow, OrderRow, PositionRow, read_execution, read_order, read_position
from engine.orders.order import Intent

SENT_MS = 1_790_000_000_000


def intent(link_id: str = "bot1-1-1", **changed: Any) -> Intent:
    """Return what somebody wants: to buy 1 BTCUSDT at 100, unless told otherwise."""
    given: dict[str, Any] = {
        "link_id": link_id,
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "order_type": "Limit",
        "qty": Decimal(1),
        "price": Decimal(100),
    }
    return Intent(**{**given, **changed})


def order_row(status: str = "New", at: int = 10, filled: str = "0", **changed: Any) -> OrderRow:
    """Return a row of the order ``bot1-1-1``; ``at`` is its updatedTime after the request, in ms."""
    raw = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "bot1-1-1",
        "side": "Buy",
        "orderType": "Limit",
        "timeInForce": "GTC",
        "price": "100",
        "qty": "1",
        "cumExecQty": filled,
        "avgPrice": "",
        "orderStatus": status,
        "cancelType": "UNKNOWN",
        "rejectReason": "EC_NoError",
        "positionIdx": 0,
        "createdTime": str(SENT_MS + 5),
        "updatedTime": str(SENT_MS + at),
    }
    return read_order({**raw, **changed})


def execution_row(exec_id: str = "e1", qty: str = "0.5", seq: int = 100, **changed: Any) -> ExecutionRow:
    """Return a fill of the order ``o1`` at 100."""
    raw = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "bot1-1-1",
        "side": "Buy",
        "execId": exec_id,
        "execPrice": "100",
        "execQty": qty,
        "execFee": "0.01",
        "feeCurrency": "USDT",
        "execType": "Trade",
        "execTime": str(SENT_MS + 20),
        "isMaker": True,
        "seq": seq,
    }
    return read_execution({**raw, **changed})


def fast_row(exec_id: str = "e1", qty: str = "0.5", seq: int = 100, **changed: Any) -> ExecutionRow:
    """Return the same fill as a row of execution.fast: no orderLinkId, no type, no fee."""
    raw = dict(execution_row(exec_id, qty, seq).raw)
    for name in ("execFee", "feeCurrency", "execType"):
        del raw[name]
    return read_execution({**raw, "orderLinkId": "", **changed})


def position_row(size: str = "0", seq: int = 90, side: str = "Buy", **changed: Any) -> PositionRow:
    """Return a position of BTCUSDT."""
    raw = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": side if size != "0" else "",
        "size": size,
        "positionIdx": 0,
        "entryPrice": "100",
        "seq": seq,
        "updatedTime": str(SENT_MS),
    }
    return read_position({**raw, **changed})
