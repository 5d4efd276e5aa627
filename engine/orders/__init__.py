"""The order module: orders, account state and the fast path. docs/orders.md is its contract."""

from engine.bybit.credentials import Credentials
from engine.orders.client import OrderClient
from engine.orders.events import ExecutionEvent, GreeksEvent, OrderEvent, PositionEvent, WalletEvent
from engine.orders.guards import OrderRefusedError, Refused, Rule
from engine.orders.limits import Limits
from engine.orders.live_order import LiveOrder
from engine.orders.order import Order, State

__all__ = [
    "Credentials",
    "ExecutionEvent",
    "GreeksEvent",
    "Limits",
    "LiveOrder",
    "Order",
    "OrderClient",
    "OrderEvent",
    "OrderRefusedError",
    "PositionEvent",
    "Refused",
    "Rule",
    "State",
    "WalletEvent",
]
