"""A client and a model exchange with a network between that delays, repeats, loses, and is cut."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from engine.bybit.models import read_execution, read_order, read_position
from engine.bybit.order_codes import verdict
from engine.orders.account import Account, Answer
from engine.orders.events import AccountEvent
from engine.orders.ids import Intents
from engine.orders.order import ORDER_RECV_WINDOW_MS, Intent, Order, State
from engine.orders.reconcile import Ask, Reconciler, What
from tests.support.model_exchange import ModelExchange
from tests.support.order_rows import SENT_MS, intent

TIMEOUT_MS = 600
FINISHED_AFTER_MS = 120_000


@dataclass
class Want:
    """What the strategy wants once; it sends a new order for it only when the last is surely not placed."""

    side: str
    qty: Decimal
    orders: list[Order] = field(default_factory=list)


class Traffic:
    """Moves time, carries messages. Whatever the account must never say is asserted after every step."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now_ms = SENT_MS
        self.exchange = ModelExchange(random, SENT_MS)
        self.intents = Intents("bot1", 1)
        self.account = Account(self.intents.is_ours)
        self.reconciler = Reconciler(self.account, ["linear"], SENT_MS)
        self.wants: list[Want] = []
        self.events: list[AccountEvent] = []
        self.ended: dict[Order, State] = {}
        self.flying: dict[str, Intent] = {}  # creates that may still be accepted
        self.amending: dict[str, list[Decimal]] = {}
        self.is_streaming = False
        self.is_calm = False
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._line: list[tuple[str, dict[str, Any]]] = []
        self._told: list[tuple[str, dict[str, Any]]] = []
        self._connection = 0

    def step(self) -> None:
        """Something happens, some time passes, and what is due arrives."""
        if not self.is_calm:
            self._do_something()
        self.now_ms += 500 if self.is_calm else self.random.choice((0, 1, 5, 40, 300))
        self.exchange.now_ms = self.now_ms
        while self._queue and self._queue[0][0] <= self.now_ms:
            heapq.heappop(self._queue)[2]()
        self.exchange.work()
        self._stream()
        self.events += self.account.passed(self.now_ms)
        for ask in self.reconciler.due(self._venue_ms()):
            self._ask(ask)
        self.check()

    def finish(self) -> None:
        """Let everything arrive: no more faults, the stream connected, until nothing is in doubt."""
        self.is_calm = True
        self._disconnect()
        self._connect()
        end_ms = self.now_ms + FINISHED_AFTER_MS
        while self.now_ms < end_ms:
            self.step()
        self.check_equal()

    def check(self) -> None:
        """What must hold at any time."""
        for order, state in self.ended.items():
            assert order.state is state, f"{order.name} was {state}, became {order.state}"
        for want in self.wants:
            self.ended.update({order: order.state for order in want.orders if order.is_final})
            self._check_once(want)
        assert self.account.counts["contradiction"] == 0
        assert self.account.counts["second_order"] == 0
        true_long, true_short = self._worst(True), self._worst(False)
        exposure = self.account.exposure("linear", "BTCUSDT")
        assert exposure.long >= true_long, f"long {exposure.long} is below the true {true_long}"
        assert exposure.short >= true_short, f"short {exposure.short} is below the true {true_short}"

    def check_equal(self) -> None:
        """What must hold when all has arrived: the account is the exchange's."""
        for placed in self.exchange.orders:
            order = self.account.order(placed.intent.link_id)
            assert order is not None
            assert (order.filled_qty, order.settled_qty) == (placed.filled, placed.filled), order
            assert order.qty == placed.qty
            assert (order.state is State.LIVE) == placed.is_live, (order, placed)
            assert order.fees.get("USDT", 0) == Decimal("0.01") * len(placed.executions)
        known = {placed.intent.link_id for placed in self.exchange.orders}
        for want in self.wants:
            for order in want.orders:
                assert (order.state is State.NOT_PLACED) == (order.link_id not in known), order
        assert self.account.positions.size("linear", "BTCUSDT") == self.exchange.position
        exposure = self.account.exposure("linear", "BTCUSDT")
        assert (exposure.long, exposure.short) == (self._worst(True), self._worst(False))
        assert exposure.unknown == 0
        assert self.reconciler.is_reconciled

    def _check_once(self, want: Want) -> None:
        links = {order.link_id for order in want.orders}
        live = [
            one.intent.link_id for one in self.exchange.orders if one.is_live and one.intent.link_id in links
        ]
        flying = [link_id for link_id in self.flying if link_id in links]
        assert len({*live, *flying}) <= 1, f"two orders for one want: {live} {flying}"

    def _worst(self, is_buy: bool) -> Decimal:
        held = self.exchange.position if is_buy else -self.exchange.position
        for placed in self.exchange.orders:
            if placed.is_live and placed.intent.is_buy == is_buy:
                most = max([placed.qty, *self.amending.get(placed.intent.link_id, [])])
                held += most - placed.filled
        held += sum((one.qty for one in self.flying.values() if one.is_buy == is_buy), Decimal(0))
        return max(Decimal(0), held)

    def _do_something(self) -> None:
        what = self.random.random()
        if what < 0.1:
            self._want()
        elif what < 0.2 and self.wants:
            self._again(self.random.choice(self.wants))
        elif what < 0.25 and self.wants:
            self._cancel(self.random.choice(self.wants).orders[-1])
        elif what < 0.4 and self.wants:
            self._amend(self.random.choice(self.wants[-3:]).orders[-1])
        elif what < 0.43:
            self._disconnect()
        elif what < 0.55:
            self._connect()
        elif what < 0.7 and self._told:
            self._take(*self.random.choice(self._told))  # a late duplicate
        elif what < 0.73:
            self._take_stale()

    def _want(self) -> None:
        want = Want(self.random.choice(("Buy", "Sell")), Decimal(self.random.randint(1, 8)))
        self.wants.append(want)
        self._create(want)

    def _again(self, want: Want) -> None:
        if want.orders[-1].state is State.NOT_PLACED:
            self._create(want)

    def _create(self, want: Want) -> None:
        wanted = intent(self.intents.next(), side=want.side, qty=want.qty)
        sent_ms = self._venue_ms()
        order = self.account.sending(wanted, sent_ms, self.now_ms)
        want.orders.append(order)
        if self.random.random() < 0.1:  # lost before the venue
            self._later(TIMEOUT_MS, lambda: self._unanswered(order))
            return
        self.flying[wanted.link_id] = wanted
        self._later(self._delay(), lambda: self._create_arrives(order, wanted, sent_ms))
        self._later(TIMEOUT_MS, lambda: self._unanswered(order))

    def _create_arrives(self, order: Order, wanted: Intent, sent_ms: int) -> None:
        code, order_id = self.exchange.create(wanted, sent_ms, ORDER_RECV_WINDOW_MS)
        del self.flying[wanted.link_id]
        if self.random.random() < 0.3:
            code = self.random.choice((code, 10016)) if code == 0 else code
            if code == 0:  # the acknowledgement is lost
                return
        answer = Answer(verdict("create", code), code, "", order_id, self.now_ms)
        self._later(
            self._delay(), lambda: self.events.extend(self.account.created(order, answer, self.now_ms))
        )

    def _unanswered(self, order: Order) -> None:
        self.events += self.account.unanswered(order, "timeout")

    def _amend(self, order: Order) -> None:
        if order.is_final:
            return
        qty, sent_ms = order.qty + self.random.choice((-1, 1, 2)), self._venue_ms()
        if qty <= 0:
            return
        self.account.amending(order, qty, sent_ms)
        self.amending.setdefault(order.link_id, []).append(qty)
        self._later(self._delay(), lambda: self._amend_arrives(order, qty, sent_ms))

    def _amend_arrives(self, order: Order, qty: Decimal, sent_ms: int) -> None:
        code = self.exchange.amend(order.link_id, qty, sent_ms, ORDER_RECV_WINDOW_MS)
        self.amending[order.link_id].remove(qty)
        answer = Answer(verdict("amend", code), code)
        if self.random.random() < 0.7:
            self._later(self._delay(), lambda: self.account.amended(order, qty, sent_ms, answer))

    def _cancel(self, order: Order) -> None:
        if not order.is_final:
            self._later(self.random.choice((1, 10, 200)), lambda: self._cancel_arrives(order))

    def _cancel_arrives(self, order: Order) -> None:
        self.exchange.cancel(order.link_id)

    def _ask(self, ask: Ask) -> None:
        asked_ms = self._venue_ms()
        if not self.is_calm and self.random.random() < 0.15:
            self._later(50, lambda: self.reconciler.failed(ask, self._venue_ms()))
            return
        self._later(self._short_delay(), lambda: self._ask_arrives(ask, asked_ms))

    def _ask_arrives(self, ask: Ask, asked_ms: int) -> None:
        rows = self._rows(ask)
        self._later(
            self._short_delay(), lambda: self.events.extend(self.reconciler.answered(ask, rows, asked_ms))
        )

    def _rows(self, ask: Ask) -> list[Any]:
        link_id = ask.params.get("orderLinkId", "")
        if ask.what is What.OPEN:
            return (
                []
                if ask.params.get("settleCoin") == "USDC"
                else self._orders(self.exchange.open_rows(link_id))
            )
        if ask.what is What.HISTORY:
            return self._orders(self.exchange.history_rows(link_id))
        if ask.what is What.EXECUTIONS:
            since_ms = int(ask.params.get("startTime", "0"))
            return [read_execution(row) for row in self.exchange.execution_rows(link_id, since_ms)]
        if ask.what is What.POSITIONS:
            row = self.exchange.position_row()
            is_told = "symbol" in ask.params or (
                ask.params["settleCoin"] == "USDT" and self.exchange.position
            )
            return [read_position(row)] if is_told else []
        return []

    def _orders(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [read_order(row) for row in rows]

    def _connect(self) -> None:
        if not self.is_streaming:
            self.is_streaming = True
            self.exchange.streamed.clear()
            self.reconciler.subscribed(self._venue_ms())

    def _disconnect(self) -> None:
        if self.is_streaming:
            self.is_streaming = False
            self._line.clear()
            self.reconciler.disconnected()

    def _stream(self) -> None:
        if self.is_streaming:
            self._line += self.exchange.streamed
        self.exchange.streamed.clear()
        if self.is_calm or self.random.random() < 0.6:
            count = len(self._line) if self.is_calm else self.random.randint(0, len(self._line))
            for topic, row in self._line[:count]:
                self._take(topic, row)
                self._told.append((topic, row))
            del self._line[:count]

    def _take_stale(self) -> None:
        # A row of an order that has ended comes again as if it were new.
        for topic, row in self._told:
            order = self.account.order(row.get("orderLinkId", ""))
            if topic == "order" and order is not None and order.is_final and row["orderStatus"] == "New":
                self._take(topic, {**row, "updatedTime": str(self.now_ms)})
                return

    def _take(self, topic: str, row: dict[str, Any]) -> None:
        if topic == "order":
            self.events += self.account.take_order(read_order(row))
        elif topic == "execution":
            self.events += self.account.take_execution(read_execution(row))
        else:
            self.events += self.account.take_position(read_position(row))

    def _venue_ms(self) -> int:
        return self.now_ms - self.random.choice((0, 5, 30))  # never ahead of the venue

    def _delay(self) -> int:
        return self.random.choice((1, 10, 100, 700, 1_900, 2_500))

    def _short_delay(self) -> int:
        return self.random.choice((1, 20, 300))

    def _later(self, after_ms: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + after_ms, self._count, what))
