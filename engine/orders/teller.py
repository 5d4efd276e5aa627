"""Tells a listener what the account tells, and wakes whoever waits for an order."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from engine.orders.events import (
    AccountEvent,
    ExecutionEvent,
    GreeksEvent,
    OrderEvent,
    PositionEvent,
    WalletEvent,
)
from engine.orders.live_order import LiveOrder
from ext.listener import Listener

__all__ = ["Teller", "symbol_of"]

logger = logging.getLogger("tapehead")

CALLBACKS: Final[dict[type, str]] = {
    OrderEvent: "on_order",
    ExecutionEvent: "on_execution",
    PositionEvent: "on_position",
    WalletEvent: "on_wallet",
    GreeksEvent: "on_greeks",
}


class Teller:
    """Calls ``listener``; what a callback raises is counted, logged once a kind, and harms nothing else."""

    def __init__(self, listener: Listener | None) -> None:
        self.callback_failures = 0
        self._callbacks: dict[type, Callable[[AccountEvent], object]] = (
            {} if listener is None else {kind: getattr(listener, name) for kind, name in CALLBACKS.items()}
        )
        self._logged: set[type[Exception]] = set()

    def tell(self, events: Sequence[AccountEvent]) -> None:
        """Tell them in order; an order's own waiters first."""
        for event in events:
            if isinstance(event, OrderEvent | ExecutionEvent) and isinstance(event.order, LiveOrder):
                event.order.changes.tell()
            callback = self._callbacks.get(type(event))
            if callback is not None:
                self._call(callback, event)

    def _call(self, callback: Callable[[AccountEvent], object], event: AccountEvent) -> None:
        try:
            callback(event)
        except Exception as error:
            self.callback_failures += 1
            if type(error) not in self._logged:
                self._logged.add(type(error))
                logger.error("fault in a callback of the account", exc_info=error)


def symbol_of(event: AccountEvent) -> tuple[str, str] | None:
    """Return the category and symbol whose exposure an event may have changed."""
    match event:
        case OrderEvent():
            return event.order.intent.category, event.order.intent.symbol
        case ExecutionEvent():
            return event.execution.category, event.execution.symbol
        case PositionEvent():
            return event.position.category, event.position.symbol
    return None
