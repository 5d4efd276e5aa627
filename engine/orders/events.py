"""What an account tells: each change, once. ``is_reconciled``: a query told it, not a stream."""

from dataclasses import dataclass

from engine.bybit.models import ExecutionRow, GreeksRow, PositionRow, WalletRow
from engine.orders.order import Order, State

__all__ = ["AccountEvent", "ExecutionEvent", "GreeksEvent", "OrderEvent", "PositionEvent", "WalletEvent"]


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An order became another. ``order`` is the account's own, current object: ``order.copy()`` keeps it.

    ``state`` and ``before`` are of this moment. ``cause``: sent, ack, refusal, timeout, disconnect, open
    (a code that proves nothing), overdue, missing, row, fill, absence; or contradiction: the venue shows an
    order that was proved not placed, cancel it.
    """

    order: Order
    state: State
    before: State
    cause: str
    is_reconciled: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionEvent:
    """An execution. ``is_fill``: it counts, now and once; else it is a fee that followed, or no fill at all.

    ``order`` is None where no row told yet whose it is.
    """

    execution: ExecutionRow
    order: Order | None
    is_fill: bool
    is_reconciled: bool = False


@dataclass(frozen=True, slots=True)
class PositionEvent:
    """A position that is newer than the last one of its symbol and index."""

    position: PositionRow
    is_reconciled: bool = False


@dataclass(frozen=True, slots=True)
class WalletEvent:
    """The message's totals, and those of its coins that are newer than what was known."""

    wallet: WalletRow
    is_reconciled: bool = False


@dataclass(frozen=True, slots=True)
class GreeksEvent:
    """The greeks of a base coin."""

    greeks: GreeksRow
    is_reconciled: bool = False


AccountEvent = OrderEvent | ExecutionEvent | PositionEvent | WalletEvent | GreeksEvent
