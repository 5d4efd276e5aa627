"""The most that a position can become with what is filled and what is still open. Never understated."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.orders.order import Order, State
from engine.orders.positions import Positions

__all__ = ["Exposure", "exposure"]

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Of one symbol, in base coin (inverse: USD), neither side negative.

    ``position`` is what is held with all fills that are known, the sum of a hedge. ``long`` and ``short`` are
    the most that can be held if all orders of that side fill in the worst order. ``open_orders`` counts those
    that are not final, ``unknown`` those in doubt among them.
    """

    position: Decimal
    long: Decimal
    short: Decimal
    open_orders: int
    unknown: int


def exposure(positions: Positions, category: str, symbol: str, orders: Iterable[Order]) -> Exposure:
    """Add up positions and orders of one symbol."""
    sizes = {index: positions.size(category, symbol, index) for index in positions.indexes(category, symbol)}
    opening = dict.fromkeys(((index, is_buy) for index in sizes for is_buy in (True, False)), ZERO)
    closing = dict(opening)
    open_orders = unknown = 0
    for order in orders:
        intent, qty = order.intent, order.exposed_qty
        side = closing if intent.is_closing else opening
        key = (intent.position_idx, intent.is_buy)
        side[key] = side.get(key, ZERO) + qty
        sizes.setdefault(intent.position_idx, ZERO)
        open_orders += not order.is_final or order.is_contradicted
        unknown += order.state is State.UNKNOWN or order.is_contradicted
    long = short = ZERO
    for index, size in sizes.items():
        long += _worst(size, opening.get((index, True), ZERO), closing.get((index, True), ZERO))
        short += _worst(-size, opening.get((index, False), ZERO), closing.get((index, False), ZERO))
    return Exposure(sum(sizes.values(), ZERO), long, short, open_orders, unknown)


def _worst(size: Decimal, opening: Decimal, closing: Decimal) -> Decimal:
    # Closing orders fill first, and bring a position of the other side to 0 and no further.
    return max(ZERO, (size if size >= 0 else min(ZERO, size + closing)) + opening)
