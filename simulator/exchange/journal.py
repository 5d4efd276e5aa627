"""What the exchange did, line by line: every change of an order and every fill."""

from collections import deque
from pathlib import Path
from typing import Any

import orjson

from simulator.exchange.decimals import text
from simulator.exchange.executions import Execution
from simulator.exchange.orders import Order

LINES_KEPT_MAX = 200_000


class Journal:
    """Keeps the latest lines, and writes all to a file where one is named (JSON lines, unbuffered)."""

    def __init__(self, path: Path | None = None) -> None:
        self.lines: deque[dict[str, Any]] = deque(maxlen=LINES_KEPT_MAX)
        self._file = path.open("wb", buffering=0) if path is not None else None

    def order(self, order: Order) -> None:
        """An order has changed."""
        self._add(
            {
                "what": "order",
                "at_ms": order.updated_ms,
                "uid": order.account.uid,
                "category": order.category,
                "symbol": order.symbol,
                "orderId": order.order_id,
                "orderLinkId": order.link_id,
                "side": order.side,
                "status": order.status,
                "qty": text(order.qty),
                "price": text(order.price),
                "filled": text(order.filled),
                "left": text(order.left),
                "cancelType": order.cancel_type,
                "rejectReason": order.reject_reason,
            }
        )

    def fill(self, execution: Execution) -> None:
        """An order has filled, or a position was paid its funding."""
        order = execution.order
        self._add(
            {
                "what": "fill",
                "at_ms": execution.time_ms,
                "uid": order.account.uid,
                "category": order.category,
                "symbol": order.symbol,
                "orderId": order.order_id,
                "orderLinkId": order.link_id,
                "side": order.side,
                "execId": execution.exec_id,
                "execType": execution.kind,
                "qty": text(execution.qty),
                "price": text(execution.price),
                "fee": text(execution.fee),
                "isMaker": execution.is_maker,
            }
        )

    def fault(self, at_ms: int, name: str, op: str, link_id: str) -> None:
        """A fault has happened to a request."""
        self._add({"what": "fault", "at_ms": at_ms, "fault": name, "op": op, "orderLinkId": link_id})

    def _add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if self._file is not None:
            self._file.write(orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
