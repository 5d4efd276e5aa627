"""A venue for orders, slow and obvious: what it accepts, when it shows it, what it tells and what gets lost.

Time is a number of ms that the test moves. A request is accepted when it arrives within its recv window, and
shown by streams and queries some time after that, not longer than the margin. Streams and queries read the
same orders; a stream's frames are queued by the test, repeated, delayed, and lost where it is cut.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from engine.orders.order import Intent

AHEAD_MS = 1_000
SHOWN_MS_MAX = 800  # from the door to what a query sees; below the margin of the proof
ZERO = Decimal(0)
LOT = Decimal("0.001")


@dataclass
class Placed:
    """One order of the exchange."""

    intent: Intent
    order_id: str
    shown_ms: int
    qty: Decimal
    created_ms: int
    status: str = "New"
    filled: Decimal = ZERO
    updated_ms: int = 0
    executions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return self.status in ("New", "PartiallyFilled")


class ModelExchange:
    """Orders of one account and one symbol; one-way positions."""

    def __init__(self, random: Random, now_ms: int) -> None:
        self.random = random
        self.now_ms = now_ms
        self.seq = 1_000
        self.position = ZERO
        self.orders: list[Placed] = []
        self.refused: list[str] = []
        self.streamed: list[tuple[str, dict[str, Any]]] = []  # what the streams tell next, in order

    def create(self, intent: Intent, sent_ms: int, window_ms: int) -> tuple[int, str]:
        """A create arrives now: return its code and orderId."""
        if not self.now_ms - window_ms <= sent_ms < self.now_ms + AHEAD_MS:
            self.refused.append(intent.link_id)
            return 10002, ""
        if any(order.intent.link_id == intent.link_id for order in self.orders):
            return 110072, ""
        if self.random.random() < 0.1:
            self.refused.append(intent.link_id)
            return 110007, ""
        shown_ms = self.now_ms + self.random.choice((0, 0, 50, SHOWN_MS_MAX))
        order = Placed(intent, f"o{len(self.orders) + 1}", shown_ms, intent.qty, self.now_ms)
        self.orders.append(order)
        return 0, order.order_id

    def amend(self, link_id: str, qty: Decimal, sent_ms: int, window_ms: int) -> int:
        """An amend of the quantity arrives now."""
        if not self.now_ms - window_ms <= sent_ms < self.now_ms + AHEAD_MS:
            return 10002
        order = self.named(link_id)
        if order is None or not order.is_live or qty <= order.filled:
            return 110001
        order.qty = qty
        self._tell(order)
        return 0

    def cancel(self, link_id: str) -> int:
        """A cancel arrives now."""
        order = self.named(link_id)
        if order is None:
            return 110001
        if not order.is_live:
            if order.status == "Filled":  # the cancel raced the fill: the row is sent a second time
                self._tell(order, cancelType="CancelByUser", rejectReason="EC_OrigClOrdIDDoesNotExist")
            return 110010
        order.status = "PartiallyFilledCanceled" if order.filled else "Cancelled"
        self._tell(order, cancelType="CancelByUser")
        return 0

    def work(self) -> None:
        """Show what is due, and match something."""
        for order in self.orders:
            if order.updated_ms == 0 and order.shown_ms <= self.now_ms:
                self._tell(order)
        live = [order for order in self.orders if order.is_live and order.updated_ms]
        if not live:
            return
        order = self.random.choice(live)
        what = self.random.random()
        if what < 0.1:
            order.status = self.random.choice(("Rejected", "Cancelled"))
            self._tell(order)
        elif what < 0.7:
            self._fill(order)

    def named(self, link_id: str) -> Placed | None:
        """Return a shown order by its orderLinkId."""
        shown = [order for order in self.orders if order.shown_ms <= self.now_ms]
        return next((order for order in shown if order.intent.link_id == link_id), None)

    def open_rows(self, link_id: str = "") -> list[dict[str, Any]]:
        """Answer for open orders."""
        return [self._row(order) for order in self._shown(link_id) if order.is_live]

    def history_rows(self, link_id: str) -> list[dict[str, Any]]:
        """Answer for the history."""
        return [self._row(order) for order in self._shown(link_id) if not order.is_live]

    def execution_rows(self, link_id: str = "", since_ms: int = 0) -> list[dict[str, Any]]:
        """Answer for executions, the latest first."""
        rows = [row for order in self._shown(link_id) for row in order.executions]
        return [row for row in reversed(rows) if int(row["execTime"]) >= since_ms]

    def position_row(self) -> dict[str, Any]:
        """Answer for the position."""
        return {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy" if self.position > 0 else "Sell" if self.position else "",
            "size": str(abs(self.position)),
            "positionIdx": 0,
            "seq": self.seq,
            "updatedTime": str(self.now_ms),
        }

    def _shown(self, link_id: str) -> list[Placed]:
        shown = [order for order in self.orders if order.updated_ms or order.shown_ms <= self.now_ms]
        return [order for order in shown if link_id in ("", order.intent.link_id)]

    def _fill(self, order: Placed) -> None:
        rest = order.qty - order.filled
        part = (rest / 2).quantize(LOT)
        qty = rest if self.random.random() < 0.4 or not part else part
        self.seq += 1
        order.filled += qty
        self.position += qty if order.intent.is_buy else -qty
        order.status = "Filled" if order.filled == order.qty else "PartiallyFilled"
        execution = {
            "category": "linear",
            "symbol": "BTCUSDT",
            "orderId": order.order_id,
            "orderLinkId": order.intent.link_id,
            "side": order.intent.side,
            "execId": f"e{self.seq}",
            "execPrice": "100",
            "execQty": str(qty),
            "execFee": "0.01",
            "feeCurrency": "USDT",
            "execType": "Trade",
            "execTime": str(self.now_ms),
            "seq": self.seq,
        }
        order.executions.append(execution)
        fast = {name: execution[name] for name in execution if name not in ("execFee", "execType")}
        self.streamed.append(("execution", {**fast, "orderLinkId": ""}))
        self._tell(order)
        self.streamed.append(("execution", execution))
        self.streamed.append(("position", self.position_row()))

    def _tell(self, order: Placed, **changed: Any) -> None:
        order.updated_ms = self.now_ms
        self.streamed.append(("order", {**self._row(order), **changed}))

    def _row(self, order: Placed) -> dict[str, Any]:
        return {
            "category": "linear",
            "symbol": "BTCUSDT",
            "orderId": order.order_id,
            "orderLinkId": order.intent.link_id,
            "side": order.intent.side,
            "orderType": "Limit",
            "price": "100",
            "qty": str(order.qty),
            "cumExecQty": str(order.filled),
            "orderStatus": order.status,
            "cancelType": "UNKNOWN",
            "rejectReason": "EC_NoError",
            "positionIdx": 0,
            "createdTime": str(order.created_ms),
            "updatedTime": str(order.updated_ms or order.created_ms),
        }
