"""An order that can be waited for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from engine.connector import Changes
from engine.orders.order import Order

__all__ = ["LiveOrder"]


@dataclass(slots=True, eq=False)
class LiveOrder(Order):
    """An order of an `OrderClient`: its own, current object. Event-loop thread only."""

    changes: Changes = field(default_factory=Changes, repr=False)

    async def done(self) -> Self:
        """Return the order once its state is final; an UNKNOWN order is waited for until it is known."""
        return await self.until(lambda order: order.is_final)

    async def until(self, is_reached: Callable[[Order], bool]) -> Self:
        """Return the order once ``is_reached(order)`` holds."""
        while not is_reached(self):
            await self.changes.wait()
        return self
