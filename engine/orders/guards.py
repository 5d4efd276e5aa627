"""What is refused before it is sent. Integer compares over limits that are prepared once and kept current.

`SymbolLimits` (of ``ext.guard``) is the whole of a symbol's rules as integers; `broken` is the rule by rule
reading of them, and what its compiled `check` must equal. `Refused` is what is told: field, value and rule.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, IntFlag
from typing import Final

from engine.errors import UsageError
from ext.guard import SymbolLimits

__all__ = [
    "INT64_MAX",
    "Block",
    "Candidate",
    "OrderRefusedError",
    "Refused",
    "Rule",
    "SymbolLimits",
    "broken",
    "explain",
]

INT64_MAX: Final = (1 << 63) - 1


class Block(IntFlag):
    """Why nothing may be sent at all now; bits of `SymbolLimits.blocks`, the lowest is told first."""

    NONE = 0
    KILLED = 1
    ENVIRONMENT = 2
    NOT_ALLOWED = 4
    NOT_TRADING = 8
    NOT_AUTHENTICATED = 16
    NOT_RECONCILED = 32
    CLOCK = 64
    BOOK = 128
    BACKPRESSURE = 256


class Rule(IntEnum):
    """What an order broke, in the order in which it is asked; 0: nothing."""

    SENT = 0
    BLOCKED = 1  # by a bit of blocks
    LAG = 2
    TICK = 3
    MIN_PRICE = 4
    MAX_PRICE = 5
    BAND = 6
    MIN_QTY = 7
    STEP = 8
    MAX_QTY = 9
    NO_PRICE = 10
    MIN_NOTIONAL = 11
    MAX_NOTIONAL = 12
    REDUCE_ONLY = 13
    POSITION = 14
    OPEN_ORDERS = 15
    RATE = 16
    DRY_RUN = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a guard sees of an order: mantissas; a market order's ``price`` is not read.

    ``is_closing``: it can only make a position smaller (`Intent.is_closing`). ``lag_ms``: how old the book
    is; ``sent_in_second``: orders sent within the last second.
    """

    is_buy: bool
    qty: int
    price: int = 0
    is_market: bool = False
    is_post_only: bool = False
    is_closing: bool = False
    lag_ms: int = 0
    sent_in_second: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was sent. ``str()`` says why: ``qty 0.0005 is below minOrderQty 0.001 of linear BTCUSDT``."""

    rule: Rule
    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field} {self.value} {self.reason}" if self.value else f"{self.field} {self.reason}"


class OrderRefusedError(UsageError):
    """An order was refused here and not sent; ``refused`` says by which rule."""

    def __init__(self, refused: Refused, remedy: str = "") -> None:
        super().__init__(str(refused), remedy)
        self.refused = refused


def broken(limits: SymbolLimits, order: Candidate) -> Rule:
    """Return the first rule that an order breaks, `Rule.SENT` where it breaks none."""
    if limits.blocks:
        return Rule.BLOCKED
    if order.lag_ms > limits.lag_ms_max:
        return Rule.LAG
    rule = Rule.SENT if order.is_market else _price_rule(limits, order)
    if rule:
        return rule
    if order.qty <= 0 or order.qty < limits.min_qty:
        return Rule.MIN_QTY
    if order.qty % limits.step:
        return Rule.STEP
    if order.qty > most_qty(limits, order):
        return Rule.MAX_QTY
    return _size_rule(limits, order) or _count_rule(limits, order)


def most_qty(limits: SymbolLimits, order: Candidate) -> int:
    """Return the largest quantity of an order of this type."""
    if order.is_market:
        return limits.max_market_qty
    return limits.max_post_qty if order.is_post_only else limits.max_qty


def counted_price(limits: SymbolLimits, order: Candidate) -> int:
    """Return the price that a notional is counted with; INT64_MAX where there is none."""
    if limits.is_inverse:
        return int(10**limits.price_scale)
    return limits.band_high if order.is_market else order.price


def _price_rule(limits: SymbolLimits, order: Candidate) -> Rule:
    price = order.price
    if price % limits.tick:
        return Rule.TICK
    if price <= 0 or price < limits.min_price:
        return Rule.MIN_PRICE
    if price > limits.max_price:
        return Rule.MAX_PRICE
    is_beyond = price > limits.band_high if order.is_buy else price < limits.band_low
    return Rule.BAND if is_beyond else Rule.SENT


def _size_rule(limits: SymbolLimits, order: Candidate) -> Rule:
    if (
        order.is_closing
    ):  # the venue takes what is below its minimum then; no limit is to keep a position open
        return Rule.SENT
    price = counted_price(limits, order)
    if price == INT64_MAX and limits.max_notional != INT64_MAX:
        return Rule.NO_PRICE
    notional = price * order.qty
    if notional < limits.min_notional:
        return Rule.MIN_NOTIONAL
    if notional > limits.max_notional:
        return Rule.MAX_NOTIONAL
    if limits.is_reduce_only:
        return Rule.REDUCE_ONLY
    room = limits.buy_room if order.is_buy else limits.sell_room
    return Rule.POSITION if order.qty > room else Rule.SENT


def _count_rule(limits: SymbolLimits, order: Candidate) -> Rule:
    if limits.orders_room <= 0:
        return Rule.OPEN_ORDERS
    if order.sent_in_second >= limits.rate_max:
        return Rule.RATE
    return Rule.DRY_RUN if limits.is_dry_run else Rule.SENT


_BLOCKED: Final = {
    Block.KILLED: ("kill switch", "is on: nothing is sent until the client is started again"),
    Block.ENVIRONMENT: ("environment", "of the feed and of the orders are not the same"),
    Block.NOT_ALLOWED: ("symbol", "is not among the allowed symbols"),
    Block.NOT_TRADING: ("status", "of the instrument is not Trading"),
    Block.NOT_AUTHENTICATED: ("order entry", "is not connected and authenticated"),
    Block.NOT_RECONCILED: ("account", "is not reconciled with the venue yet"),
    Block.CLOCK: ("clock", "is not known well enough against the venue's"),
    Block.BOOK: ("book", "is not LIVE"),
    Block.BACKPRESSURE: ("connection", "does not take more bytes now"),
}


def explain(rule: Rule, limits: SymbolLimits, order: Candidate, name: str) -> Refused:
    """Put a broken rule into words; ``name`` is category and symbol: ``linear BTCUSDT``."""

    def price_(mantissa: int) -> str:
        return _text(mantissa, limits.price_scale)

    def qty_(mantissa: int) -> str:
        return _text(mantissa, limits.size_scale)

    def notional_(mantissa: int) -> str:
        return _text(mantissa, limits.price_scale + limits.size_scale)

    if rule is Rule.BLOCKED:
        field, reason = _BLOCKED[Block(limits.blocks & -limits.blocks)]
        return Refused(rule, field, "", f"{reason} ({name})")
    price, qty = price_(order.price), qty_(order.qty)
    notional = notional_(counted_price(limits, order) * order.qty)
    side = "buy" if order.is_buy else "sell"
    kind = "market" if order.is_market else "PostOnly" if order.is_post_only else "limit"
    band = f"above {price_(limits.band_high)}" if order.is_buy else f"below {price_(limits.band_low)}"
    room = qty_(max(0, limits.buy_room if order.is_buy else limits.sell_room))
    field, value, reason = {
        Rule.LAG: ("feed lag", f"{order.lag_ms} ms", f"is above {limits.lag_ms_max} ms"),
        Rule.TICK: ("price", price, f"is no multiple of tickSize {price_(limits.tick)}"),
        Rule.MIN_PRICE: ("price", price, f"is below minPrice {price_(limits.min_price)}"),
        Rule.MAX_PRICE: ("price", price, f"is above maxPrice {price_(limits.max_price)}"),
        Rule.BAND: ("price", price, f"of a {side} is {band}, the price band"),
        Rule.STEP: ("qty", qty, f"is no multiple of qtyStep {qty_(limits.step)}"),
        Rule.MIN_QTY: ("qty", qty, f"is below minOrderQty {qty_(max(limits.min_qty, limits.step))}"),
        Rule.MAX_QTY: ("qty", qty, f"is above {qty_(most_qty(limits, order))}, the most of a {kind} order"),
        Rule.NO_PRICE: ("price", "", "of a market order cannot be bounded without a book"),
        Rule.MIN_NOTIONAL: (
            *("notional", notional),
            f"is below minNotionalValue {notional_(limits.min_notional)}",
        ),
        Rule.MAX_NOTIONAL: (
            *("notional", notional),
            f"is above max_order_notional {notional_(limits.max_notional)}",
        ),
        Rule.REDUCE_ONLY: ("reduceOnly", "false", "is refused in reduce-only mode"),
        Rule.POSITION: ("qty", qty, f"of a {side} is above {room}, what max_position leaves"),
        Rule.OPEN_ORDERS: ("open orders", "", "are as many as max_open_orders allows"),
        Rule.RATE: (
            "order rate",
            f"{order.sent_in_second} a second",
            f"reached the limit of {limits.rate_max}",
        ),
        Rule.DRY_RUN: ("dry run", "", "is on: all rules hold, nothing is sent"),
    }[rule]
    return Refused(
        rule, field, value, f"{reason} of {name}" if rule < Rule.REDUCE_ONLY else f"{reason} ({name})"
    )


def _text(mantissa: int, scale: int) -> str:
    return f"{Decimal(mantissa).scaleb(-scale):f}"
