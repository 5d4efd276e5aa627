"""An account: all its orders, executions once each, positions, wallet and exposure. Facts in, events out.

Sans-I/O, no clock, one thread. A fact is a method call; it returns what changed, in order. The same facts in
any order that a network can make of them end in the same account.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.bybit.models import CoinRow, ExecutionRow, GreeksRow, OrderRow, PositionRow, WalletRow
from engine.bybit.order_codes import Verdict
from engine.errors import UsageError
from engine.orders.events import (
    AccountEvent,
    ExecutionEvent,
    GreeksEvent,
    OrderEvent,
    PositionEvent,
    WalletEvent,
)
from engine.orders.executions import Executions
from engine.orders.exposure import Exposure, exposure
from engine.orders.order import NOT_FILLS, ORDER_RECV_WINDOW_MS, Intent, Order, State, Taken
from engine.orders.positions import Positions

__all__ = ["Account", "Answer"]

ROW_DUE_MS: Final = 2_000  # after an acknowledgement, or a last fill, the row that says so is due
ANSWER_DUE_MS: Final = 10_000  # whoever waits for the answer gives up long before
FINAL_KEPT_MAX: Final = 10_000  # orders in a final state; the others are all kept
COINS_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one create, amend or cancel: an answer read by the table of codes.

    ``at_ms`` is the venue's time of the answer.
    """

    verdict: Verdict
    code: int = 0
    message: str = ""
    order_id: str = ""
    at_ms: int = 0


def _everything(link_id: str) -> bool:
    return bool(link_id)


class Account:
    """What is known of an account. ``is_ours`` tells our orderLinkIds (`Intents.is_ours`).

    ``now_ms`` is the caller's own clock, any that does not go back; other times are the venue's. ``counts``
    says how often a row was repeated, older, late for a final order, or a contradiction.
    """

    def __init__(self, is_ours: Callable[[str], bool] = _everything, order_type: type[Order] = Order) -> None:
        self.positions = Positions()
        self.executions = Executions()
        self.wallet: WalletRow | None = None
        self.coins: dict[str, CoinRow] = {}
        self.greeks: dict[str, GreeksRow] = {}
        self.counts: Counter[str] = Counter()
        self._is_ours = is_ours
        self._order_type = order_type
        self._now_ms = 0
        self._open: dict[Order, None] = {}
        self._final: OrderedDict[Order, None] = OrderedDict()
        self._owing: dict[Order, None] = {}
        self._by_link: dict[str, Order] = {}
        self._by_id: dict[tuple[str, str], Order] = {}
        self._coin_times: dict[str, int] = {}

    def order(self, link_id: str = "", category: str = "", order_id: str = "") -> Order | None:
        """Return an order by its orderLinkId, or by category and orderId."""
        return (self._by_link.get(link_id) if link_id else None) or self._by_id.get((category, order_id))

    def open_orders(self, category: str = "", symbol: str = "") -> list[Order]:
        """Return the orders that are not final, unknown ones included. Empty: of every category, symbol."""
        return [
            order
            for order in self._open
            if category in ("", order.intent.category) and symbol in ("", order.intent.symbol)
        ]

    def unknown_orders(self) -> list[Order]:
        """Return the orders in state UNKNOWN, and those proved not placed and yet shown live."""
        return [order for order in self._open if order.state is State.UNKNOWN or order.is_contradicted]

    def exposure(self, category: str, symbol: str) -> Exposure:
        """Return the most that position and orders of a symbol can become."""
        of_symbol = [
            order
            for order in {**self._open, **self._owing}
            if order.intent.category == category and order.intent.symbol == symbol
        ]
        return exposure(self.positions, category, symbol, of_symbol)

    def owing_orders(self) -> list[Order]:
        """Return the orders of which more is filled than executions tell."""
        return list(self._owing)

    # Facts of requests

    def sending(
        self, intent: Intent, sent_ms: int, now_ms: int, recv_window_ms: int = ORDER_RECV_WINDOW_MS
    ) -> Order:
        """A create goes out, signed with timestamp ``sent_ms``: call this before it is written.

        Raises UsageError where the orderLinkId was sent before: an intent is sent once.
        """
        if not intent.link_id or intent.link_id in self._by_link:
            raise UsageError(
                f"orderLinkId {intent.link_id!r} was sent before or is empty", "give every intent a new one"
            )
        order = self._order_type(
            intent, sent_ms=sent_ms, recv_window_ms=recv_window_ms, due_ms=now_ms + ANSWER_DUE_MS
        )
        self._now_ms = max(self._now_ms, now_ms)
        self._keep(order)
        return order

    def created(self, order: Order, answer: Answer, now_ms: int) -> list[AccountEvent]:
        """The answer to a create."""
        before, was_contradicted = order.state, order.is_contradicted
        self._now_ms = max(self._now_ms, now_ms)
        if answer.verdict is Verdict.ACCEPTED:
            changed, cause = order.acknowledged(answer.order_id, answer.at_ms, now_ms + ROW_DUE_MS), "ack"
        elif answer.verdict.is_never_accepted:
            changed, cause = order.refused(answer.code, answer.message), "refusal"
        elif order.state is State.PENDING:
            changed, cause = order.doubted(answer.message, answer.code), "open"
        else:
            changed, cause = False, ""
        events = self._changed(order, before, cause) if changed else []
        if order.is_contradicted and not was_contradicted:
            events = self._contradicted(order, is_reconciled=False)
        return events + self._identified(order, is_reconciled=False)

    def unanswered(self, order: Order, cause: str) -> list[AccountEvent]:
        """No answer to a create will come: ``timeout`` or ``disconnect``."""
        before = order.state
        return self._changed(order, before, cause) if before is State.PENDING and order.doubted(cause) else []

    def amending(
        self, order: Order, qty: Decimal | None, sent_ms: int, recv_window_ms: int = ORDER_RECV_WINDOW_MS
    ) -> None:
        """An amend of the quantity (None: of something else) goes out: call this before it is written."""
        order.amending(qty, sent_ms, recv_window_ms)

    def amended(self, order: Order, qty: Decimal | None, sent_ms: int, answer: Answer) -> None:
        """The answer to the amend sent then. Where none comes the larger quantity stays counted."""
        if answer.verdict.is_never_accepted or answer.verdict in (Verdict.UNCHANGED, Verdict.BUSY):
            order.not_amended(qty, sent_ms)

    def passed(self, now_ms: int) -> list[AccountEvent]:
        """It is now this time: what was due and did not come makes its order UNKNOWN."""
        self._now_ms = max(self._now_ms, now_ms)
        events: list[AccountEvent] = []
        for order in [order for order in self._open if order.overdue(now_ms)]:
            before = order.state
            if order.doubted("overdue"):
                events += self._changed(order, before, "overdue")
        return events

    # Facts of streams and queries

    def take_order(self, row: OrderRow, asked_ms: int | None = None) -> list[AccountEvent]:
        """A row of an order. ``asked_ms``: of a query, asked surely not before that time of the venue."""
        order = self.order(row.link_id, row.category, row.order_id)
        if order is not None and order.order_id not in ("", row.order_id):
            self.counts["second_order"] += 1  # the venue made another order of the same orderLinkId
            order = self.order("", row.category, row.order_id)
        is_reconciled = asked_ms is not None
        if order is None:
            order = self._order_type.adopted(row, self._is_ours(row.link_id))
            order.due_ms = None
            self._keep(order)
        before, filled, was_contradicted = order.state, order.filled_qty, order.is_contradicted
        taken = order.take_row(row)
        if asked_ms is not None:
            order.queried(asked_ms)
        self.counts[f"order_{taken.value}"] += 1
        events: list[AccountEvent] = []
        if order.is_contradicted and not was_contradicted:
            events += self._contradicted(order, is_reconciled)
        elif taken is Taken.CHANGED or order.filled_qty != filled:
            events += self._changed(order, before, "row", is_reconciled)
        self._sort(order)
        return events + self._identified(order, is_reconciled)

    def take_execution(self, row: ExecutionRow, *, is_reconciled: bool = False) -> list[AccountEvent]:
        """A row of execution, execution.fast or a list of executions."""
        is_new, is_new_fee = self.executions.note(row)
        if not is_new and not is_new_fee:
            return []
        if row.kind in NOT_FILLS:
            self.counts[f"execution_{row.kind}"] += 1
            return [ExecutionEvent(row, None, False, is_reconciled)]
        order = self.order(row.link_id, row.category, row.order_id)
        if is_new:
            self.positions.take_fill(row, 0 if order is None else order.intent.position_idx)
        if order is None:
            if row.order_id:
                self.executions.keep_orphan(row, is_new)
            return [ExecutionEvent(row, None, is_new, is_reconciled)]
        events: list[AccountEvent] = [ExecutionEvent(row, order, is_new, is_reconciled)]
        return (
            events + self._settle(order, row, is_new, is_reconciled) + self._identified(order, is_reconciled)
        )

    def take_position(self, row: PositionRow, *, is_reconciled: bool = False) -> list[AccountEvent]:
        """A row of a position."""
        return [PositionEvent(row, is_reconciled)] if self.positions.take_row(row) else []

    def take_wallet(self, row: WalletRow, *, is_reconciled: bool = False) -> list[AccountEvent]:
        """A wallet: its totals, and the coins that it names; other coins stay."""
        newer = [coin for coin in row.coins if self._coin_times.get(coin.coin, -1) <= row.time_ms]
        for coin in newer:
            if coin.coin in self.coins or len(self.coins) < COINS_MAX:
                self.coins[coin.coin], self._coin_times[coin.coin] = coin, row.time_ms
        if self.wallet is None or self.wallet.time_ms <= row.time_ms:
            self.wallet = row
        elif not newer:
            self.counts["wallet_older"] += 1
            return []
        return [WalletEvent(row, is_reconciled)]

    def take_greeks(self, row: GreeksRow) -> list[AccountEvent]:
        """The greeks of a base coin."""
        self.greeks[row.base_coin] = row
        return [GreeksEvent(row)]

    def missing(self, order: Order) -> list[AccountEvent]:
        """A list of open orders, asked while the order was live, does not have it."""
        before = order.state
        return self._changed(order, before, "missing", True) if order.doubted("missing") else []

    def absent(self, order: Order) -> list[AccountEvent]:
        """Open orders, history and executions, each asked after `Order.proof_ms`, do not have it."""
        before = order.state
        return self._changed(order, before, "absence", True) if order.absent() else []

    def _settle(
        self, order: Order, row: ExecutionRow, is_fill: bool, is_reconciled: bool
    ) -> list[AccountEvent]:
        order.take_fee(row)
        if not is_fill:
            return []
        before, was_contradicted = order.state, order.is_contradicted
        order.take_fill(row, self._now_ms + ROW_DUE_MS)
        if order.is_contradicted and not was_contradicted:
            events = self._contradicted(order, is_reconciled)
        else:
            events = self._changed(order, before, "fill", is_reconciled)
        self._sort(order)
        return events

    def _identified(self, order: Order, is_reconciled: bool) -> list[AccountEvent]:
        if not order.order_id:
            return []
        key = (order.intent.category, order.order_id)
        self._by_id[key] = order
        events: list[AccountEvent] = []
        for row, is_fill in self.executions.orphans_of(*key):
            if is_fill:
                self.positions.move_fill(row, order.intent.position_idx)
            events += self._settle(order, row, is_fill, is_reconciled)
        return events

    def _changed(
        self, order: Order, before: State, cause: str, is_reconciled: bool = False
    ) -> list[AccountEvent]:
        self._sort(order)
        return [OrderEvent(order, order.state, before, cause, is_reconciled)]

    def _contradicted(self, order: Order, is_reconciled: bool) -> list[AccountEvent]:
        self.counts["contradiction"] += 1
        return self._changed(order, order.state, "contradiction", is_reconciled)

    def _keep(self, order: Order) -> None:
        self._open[order] = None
        if order.link_id and not self._is_open(self._by_link.get(order.link_id)):
            self._by_link[order.link_id] = order

    def _sort(self, order: Order) -> None:
        if order.filled_qty > order.settled_qty:
            self._owing[order] = None
        else:
            self._owing.pop(order, None)
        if not order.is_final or order.is_contradicted:
            self._final.pop(order, None)
            self._open[order] = None
            return
        self._open.pop(order, None)
        self._final[order] = None
        if len(self._final) > FINAL_KEPT_MAX:
            self._forget(self._final.popitem(last=False)[0])

    def _forget(self, order: Order) -> None:
        if self._by_link.get(order.link_id) is order:
            del self._by_link[order.link_id]
        self._by_id.pop((order.intent.category, order.order_id), None)

    def _is_open(self, order: Order | None) -> bool:
        return order is not None and order in self._open
