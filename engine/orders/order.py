"""One order: what was asked for, what is known of it, and the state machine between. Sans-I/O, no clock.

Facts are method calls, each returning whether the order became another. Times named ``_ms`` are the venue's
clock, except ``due_ms``, which is the caller's own (any that does not go back).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_UP, Decimal
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from engine.bybit.models import ExecutionRow, OrderRow

__all__ = [
    "FINAL_STATES",
    "NOT_FILLS",
    "ORDER_RECV_WINDOW_MS",
    "PROOF_MARGIN_MS",
    "Intent",
    "Order",
    "State",
    "Taken",
]

ORDER_RECV_WINDOW_MS: Final = 2_000  # bounds how long "not found" proves nothing
PROOF_MARGIN_MS: Final = 1_000  # beyond the window: the venue's own way from its door to what a query sees
REASON_CHARS_MAX: Final = 256
ZERO: Final = Decimal(0)
_QUOTE_STEP: Final = Decimal("0.00000001")


class State(StrEnum):
    """What is known of an order; docs/orders.md has the table of transitions."""

    PENDING = "PENDING"  # written, no answer
    ACCEPTED = "ACCEPTED"  # acknowledged: not placed
    LIVE = "LIVE"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    DEACTIVATED = "DEACTIVATED"
    NOT_PLACED = "NOT_PLACED"

    @property
    def is_final(self) -> bool:
        """Whether the order will never be another; late fills may still be told."""
        return self in FINAL_STATES


FINAL_STATES: Final = frozenset(
    {State.FILLED, State.CANCELLED, State.REJECTED, State.DEACTIVATED, State.NOT_PLACED}
)
_WAITING: Final = frozenset({State.PENDING, State.ACCEPTED})

# The venue's statuses; one that is not here is taken as live, the worst it could be.
_STATES: Final = {
    "Filled": State.FILLED,
    "Cancelled": State.CANCELLED,
    "PartiallyFilledCanceled": State.CANCELLED,
    "Rejected": State.REJECTED,
    "Deactivated": State.DEACTIVATED,
}
_RANKS: Final = {"Created": 0, "Untriggered": 1, "Triggered": 2, "New": 3, "PartiallyFilled": 4}
_RANK_OF_NEW_WORDS: Final = 3
_RANK_OF_FINAL: Final = 5

# Executions of these kinds change no order's filled quantity. Kinds that are not known here count as fills.
NOT_FILLS: Final = frozenset({"Funding", "Settle", "Delivery", "CorporateAction"})


class Taken(Enum):
    """What became of a row of an order."""

    CHANGED = "changed"
    SAME = "same"
    OLDER = "older"
    LATE = "late"  # the order is final: at most its filled quantity rose


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What somebody wants of the venue, once: ``link_id`` is its orderLinkId for ever.

    ``options`` are further parameters, as the venue names them. ``base_qty``, needed where ``qty`` is an
    amount of quote coin (spot market buys), is the most base coin that it can become.
    """

    link_id: str
    category: str
    symbol: str
    side: str
    order_type: str
    qty: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    is_reduce_only: bool = False
    position_idx: int = 0
    market_unit: str = ""
    base_qty: Decimal | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_buy(self) -> bool:
        """Whether it buys."""
        return self.side == "Buy"

    @property
    def is_in_quote(self) -> bool:
        """Whether ``qty`` is an amount of the quote coin."""
        if self.category != "spot" or self.order_type != "Market":
            return False
        return self.market_unit == "quoteCoin" or (self.is_buy and self.market_unit != "baseCoin")

    @property
    def is_closing(self) -> bool:
        """Whether the venue lets it only make a position smaller: reduce-only, or the far side of a hedge."""
        hedge_opens = {1: "Buy", 2: "Sell"}.get(self.position_idx, self.side)
        return self.is_reduce_only or hedge_opens != self.side


@dataclass(slots=True, eq=False)
class Amend:
    """An amendment of the quantity whose outcome is not known."""

    qty: Decimal
    sent_ms: int
    proof_ms: int


@dataclass(slots=True, eq=False)
class Order:
    """What is known of one order. The account's own object, always current: `copy` keeps a moment.

    ``qty`` and ``price`` follow amendments. ``filled_qty`` is the most that any row told, ``settled_qty`` the
    sum of its executions, each counted once, both in base coin. ``fees`` is by coin. ``status`` is the
    venue's own word.
    """

    intent: Intent
    sent_ms: int = 0
    recv_window_ms: int = ORDER_RECV_WINDOW_MS
    due_ms: int | None = None
    is_ours: bool = True
    is_adopted: bool = False
    state: State = State.PENDING
    order_id: str = ""
    status: str = ""
    cancel_type: str = ""
    reject_reason: str = ""
    ret_code: int = 0
    reason: str = ""
    qty: Decimal = ZERO
    price: Decimal | None = None
    avg_price: Decimal | None = None
    filled_qty: Decimal = ZERO
    settled_qty: Decimal = ZERO
    settled_value: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    acked_ms: int = 0
    is_placed: bool = False
    is_contradicted: bool = False
    amends: list[Amend] = field(default_factory=list)
    _newest: tuple[int, int, Decimal] = (-1, -1, ZERO)

    def __post_init__(self) -> None:
        self.qty = self.qty or self.intent.qty
        self.price = self.intent.price if self.price is None else self.price

    @classmethod
    def adopted(cls, row: OrderRow, is_ours: bool) -> Self:
        """Return an order that is known by a row only: of an earlier start, another program, the venue."""
        qty = max(row.qty or ZERO, row.filled_qty)
        intent = Intent(
            link_id=row.link_id,
            category=row.category,
            symbol=row.symbol,
            side=row.side,
            order_type=row.order_type,
            qty=qty,
            price=row.price,
            time_in_force=row.time_in_force,
            is_reduce_only=row.is_reduce_only,
            position_idx=row.position_idx,
            market_unit=row.market_unit,
        )
        if intent.is_in_quote:
            base_qty = (qty / row.price).quantize(_QUOTE_STEP, ROUND_UP) if row.price else qty
            intent = replace(intent, base_qty=base_qty)
        return cls(intent, sent_ms=row.created_ms, is_ours=is_ours, is_adopted=True)

    @property
    def link_id(self) -> str:
        """The orderLinkId; empty for orders that the venue made."""
        return self.intent.link_id

    @property
    def name(self) -> str:
        """By what the order is called in messages and told to the venue."""
        return self.link_id or self.order_id

    @property
    def is_final(self) -> bool:
        """Whether the state is a final one."""
        return self.state in FINAL_STATES

    @property
    def proof_ms(self) -> int:
        """A query asked after this time of the venue that misses the order proves that it is not there."""
        return max(self.sent_ms + self.recv_window_ms, self.acked_ms) + PROOF_MARGIN_MS

    @property
    def exposed_qty(self) -> Decimal:
        """The most base coin that this order can still add to a position, beyond its counted executions."""
        if self.is_final and not self.is_contradicted:
            return max(ZERO, self.filled_qty - self.settled_qty)
        most = max((amend.qty for amend in self.amends), default=ZERO)
        if self.intent.is_in_quote:
            most = self.qty if self.intent.base_qty is None else self.intent.base_qty
        else:
            most = max(most, self.qty)
        return max(ZERO, max(most, self.filled_qty) - self.settled_qty)

    def unsure(self, now_ms: int) -> bool:
        """Whether an amendment counts that was either made or will not be, by now, and no row tells which."""
        return any(amend.qty > self.qty and amend.proof_ms < now_ms for amend in self.amends)

    def acknowledged(self, order_id: str, at_ms: int, due_ms: int) -> bool:
        """The venue accepted the request; a row is expected before ``due_ms``."""
        self.order_id = self.order_id or order_id
        self.acked_ms = max(self.acked_ms, at_ms)
        if self.state is State.NOT_PLACED and not self.ret_code:
            self.is_contradicted = True  # proved absent, and yet accepted: to be asked for again
        if self.state not in (State.PENDING, State.UNKNOWN) or self.is_placed:
            return False
        self.due_ms = due_ms
        return self._become(State.ACCEPTED)

    def refused(self, code: int, reason: str) -> bool:
        """The venue said that the request was never accepted."""
        if self.is_placed or self.state not in (State.PENDING, State.UNKNOWN):
            return False
        self.ret_code, self.reason = code, reason[:REASON_CHARS_MAX]
        return self._become(State.NOT_PLACED)

    def doubted(self, reason: str, code: int = 0) -> bool:
        """No word, or one that leaves it open, or a query that missed it: whatever was known may be over."""
        if self.is_final or self.state is State.UNKNOWN:
            return False
        self.ret_code, self.reason = code, reason[:REASON_CHARS_MAX]
        return self._become(State.UNKNOWN)

    def absent(self) -> bool:
        """Open orders, history and executions, each asked after `proof_ms`, did not find it."""
        if self.is_placed or not (self.state is State.UNKNOWN or self.is_contradicted):
            return False
        self.is_contradicted = False
        self.ret_code, self.reason = 0, "absent"
        self._become(State.NOT_PLACED)
        return True

    def overdue(self, now_ms: int) -> bool:
        """Whether something was expected before this time of the caller's clock."""
        return self.due_ms is not None and now_ms >= self.due_ms

    def take_row(self, row: OrderRow) -> Taken:
        """Take a row of a stream or of a query, in any order and any number of times."""
        before = self._shown()
        self.filled_qty = max(self.filled_qty, row.filled_qty)
        self.order_id = self.order_id or row.order_id
        newest = (row.updated_ms, _rank(row.status), row.filled_qty)
        is_older = newest < self._newest
        self._newest = max(newest, self._newest)
        if self.is_final:
            if self.state is State.NOT_PLACED and not is_older:
                self.is_contradicted = row.status not in _STATES
                self.is_placed = True
                self.qty = self.qty if row.qty is None else row.qty
            return Taken.LATE
        self.is_placed = True
        if is_older:
            return Taken.OLDER
        self._take_fields(row)
        self._become(_STATES.get(row.status, State.LIVE))
        return Taken.SAME if before == self._shown() else Taken.CHANGED

    def take_fill(self, row: ExecutionRow, due_ms: int) -> bool:
        """Count an execution that was not counted before; a final order's filled quantity can only rise."""
        self.settled_qty += row.qty
        self.settled_value += row.value
        self.filled_qty = max(self.filled_qty, self.settled_qty)
        self.order_id = self.order_id or row.order_id
        if self.is_final:
            if self.state is State.NOT_PLACED and not self.is_placed:
                self.is_contradicted = self.is_placed = True
            return False
        self.is_placed = True
        if self.exposed_qty == 0 and self.due_ms is None:
            self.due_ms = due_ms  # all of it is filled: the row that says so is due
        if self.state in _WAITING or self.state is State.UNKNOWN:
            self._become(State.LIVE)
            self.due_ms = due_ms
        return True

    def take_fee(self, row: ExecutionRow) -> None:
        """Add an execution's fee, told once with the fill or after it."""
        if row.fee is not None:
            self.fees[row.fee_coin] = self.fees.get(row.fee_coin, ZERO) + row.fee

    def amending(self, qty: Decimal | None, sent_ms: int, recv_window_ms: int) -> None:
        """A request goes out that changes the quantity to this."""
        if qty is not None:
            self.amends.append(Amend(qty, sent_ms, sent_ms + recv_window_ms + PROOF_MARGIN_MS))

    def not_amended(self, qty: Decimal | None, sent_ms: int) -> None:
        """The venue said that the amendment sent then was never accepted."""
        for at, amend in enumerate(self.amends):
            if (amend.qty, amend.sent_ms) == (qty, sent_ms):
                del self.amends[at]
                return

    def queried(self, asked_ms: int) -> None:
        """A query asked then told a row: it shows what amendments before came to."""
        self.amends = [amend for amend in self.amends if amend.proof_ms >= asked_ms]

    def copy(self) -> Self:
        """Return this moment of the order, which no later fact changes."""
        kept = copy.copy(self)
        kept.fees, kept.amends = dict(self.fees), list(self.amends)
        return kept

    def _take_fields(self, row: OrderRow) -> None:
        self._settle_amends(row)
        self.status = row.status
        self.qty = self.qty if row.qty is None else row.qty
        self.price = self.price if row.price is None else row.price
        self.avg_price = self.avg_price if row.avg_price is None else row.avg_price
        self.cancel_type, self.reject_reason = row.cancel_type, row.reject_reason
        self.created_ms = row.created_ms or self.created_ms
        self.updated_ms = row.updated_ms
        if self.exposed_qty:
            self.due_ms = None

    def _settle_amends(self, row: OrderRow) -> None:
        self.amends = [amend for amend in self.amends if row.updated_ms <= amend.proof_ms]
        # A quantity that was so before, or was asked for twice, does not tell which request made it so.
        same = [amend for amend in self.amends if amend.qty == row.qty and amend.sent_ms <= row.updated_ms]
        if row.qty != self.qty and len(same) == 1:
            self.amends.remove(same[0])

    def _shown(self) -> tuple[object, ...]:
        return self.state, self.status, self.qty, self.price, self.filled_qty, self.cancel_type

    def _become(self, state: State) -> bool:
        changed, self.state = self.state is not state, state
        if state in FINAL_STATES or state is State.UNKNOWN:
            self.due_ms = None
        if state in FINAL_STATES:
            self.amends.clear()
        return changed


def _rank(status: str) -> int:
    return _RANK_OF_FINAL if status in _STATES else _RANKS.get(status, _RANK_OF_NEW_WORDS)
