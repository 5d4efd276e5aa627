"""What is done with orders: placed, amended, cancelled; each held against the guards and sent once."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar, Unpack

from engine.bybit import instruments
from engine.bybit.http import rows
from engine.bybit.order_codes import Verdict
from engine.bybit.trade_rest import TradeRest
from engine.bybit.wire import AmendOptions, OrderOptions
from engine.clock import Clock
from engine.errors import ConfigError, NotSentError, RetCodeError, UsageError
from engine.orders import audit
from engine.orders.account import Account, Answer
from engine.orders.events import AccountEvent
from engine.orders.fast_path import FastPath
from engine.orders.gate import Gate
from engine.orders.guards import OrderRefusedError, Refused, Rule
from engine.orders.ids import Intents
from engine.orders.live_order import LiveOrder
from engine.orders.order import ORDER_RECV_WINDOW_MS, Intent, Order, State
from engine.orders.requests import order_names, read_change, read_intent, request_of
from engine.orders.sender import Reply, item_answer
from engine.orders.venue import Venue
from ext.ticket import Ticket

__all__ = ["Desk"]

BATCH_MAX: Final = {"spot": 10}
BATCH_MAX_ELSEWHERE: Final = 20
CANCEL_TRIES: Final = 5
CANCEL_RETRY_S: Final = 0.2
SETTLE_COINS: Final = {"linear": ("USDT", "USDC")}
# What a cancel may meet and be sent again: it can do nothing but cancel.
AGAIN: Final = frozenset({Verdict.BUSY, Verdict.LIMITED, Verdict.UNKNOWN, Verdict.CLOCK})
PARAMETER_CODE: Final = 10001  # among others: there is no such symbol
NO_ANSWER: Final = Answer(Verdict.UNKNOWN, 0, "no answer")
REFUSED: Final = Answer(Verdict.REFUSED, 0, "not sent")

Item = TypeVar("Item")


class Desk:
    """The order methods of a client. What one raises was not sent; what it sent has a state."""

    def __init__(
        self,
        account: Account,
        intents: Intents,
        gate: Gate,
        venue: Venue,
        clock: Clock,
        trail: audit.Trail,
        tell: Callable[[Sequence[AccountEvent]], object],
    ) -> None:
        self.account = account
        self.intents = intents
        self.gate = gate
        self.venue = venue
        self._tell = tell
        self._trail = trail
        self._trade = TradeRest(venue.rest, recv_window_ms=ORDER_RECV_WINDOW_MS)
        self.fast = FastPath(
            intents, account, gate, venue, clock, created=self._answered, amended=self._ticket_amended
        )

    # placing

    async def place(self, category: str, symbol: str, **fields: Unpack[OrderOptions]) -> LiveOrder:
        """Send an order and return it once the venue answered, or once it is clear that it will not.

        Its state says what is known: ACCEPTED and LIVE, NOT_PLACED with ``ret_code`` and ``reason``, or
        UNKNOWN, which is cleared up in the background; it is never sent again. Raises OrderRefusedError for
        what a guard refused, ConfigError for what is no order, NotSentError.
        """
        await self.know(category, symbol)
        intent = read_intent(self._link_id(fields), category, symbol, fields)
        await self.venue.sender.allowance("create", category)
        order = self._admit(intent)
        if isinstance(order, Refused):
            raise OrderRefusedError(order)
        self._begin("create", category, [order])
        return await order.until(_is_answered)

    async def place_batch(
        self, category: str, orders: Sequence[Mapping[str, Any]]
    ) -> list[LiveOrder | Refused]:
        """Send orders, each with its ``symbol`` and fields, in batches; return what became of each.

        What a guard refused is a `Refused` in its place, and the others are sent. They count against the
        limits one after another. So is a batch that could not be sent: those before it were.
        """
        found: list[LiveOrder | Refused] = []
        intents = []
        for fields in orders:
            symbol = str(fields.get("symbol", ""))
            await self.know(category, symbol)
            own = {name: value for name, value in fields.items() if name != "symbol"}
            intents.append(read_intent(self._link_id(own), category, symbol, own))
        for batch in self._batches("create-batch", category, intents):
            admitted: list[LiveOrder | Refused] = []
            try:
                await self.venue.sender.allowance("create-batch", category, len(batch))
                admitted += [self._admit(intent) for intent in batch]
                if sent := [one for one in admitted if isinstance(one, LiveOrder)]:
                    self._begin("create-batch", category, sent)
            except NotSentError as error:
                # What was admitted says so itself.
                refused = Refused(Rule.BLOCKED, "batch", "", f"was not sent: {error}")
                admitted += [refused] * (len(batch) - len(admitted))
            found += admitted
        for order in found:
            if isinstance(order, LiveOrder):
                await order.until(_is_answered)
        return found

    async def prepare(self, category: str, symbol: str, **fields: Unpack[OrderOptions]) -> Ticket:
        """Make a ticket: orders of one kind, from any callback, written before ``send`` returns.

        ``fields`` are those of `place` without ``qty`` and ``price``. Raises ConfigError, UsageError.
        """
        await self.know(category, symbol)
        return self.fast.prepare(self.gate.instruments[category, symbol], fields)

    # amending and cancelling

    async def amend(self, order: Order, **fields: Unpack[AmendOptions]) -> Answer:
        """Change an order; ``qty`` is the new total. An answer that accepts is not the change itself.

        Raises OrderRefusedError, ConfigError, NotSentError.
        """
        category = order.intent.category
        await self.know(category, order.intent.symbol)
        await self.venue.sender.allowance("amend", category)
        change = self._change(order, fields)
        if isinstance(change, Refused):
            raise OrderRefusedError(change)
        try:
            reply = await self._reply("amend", category, change.request, change.stamp_ms)
        except NotSentError:
            self._changed(change, REFUSED)
            raise
        return self._changed(change, reply.answer or _unanswered(reply))

    async def amend_batch(
        self, category: str, changes: Sequence[tuple[Order, Mapping[str, Any]]]
    ) -> list[Answer | Refused]:
        """Change orders, each with its fields, in batches; return the answer or the refusal of each."""
        for _, fields in changes:
            read_change(fields)  # before any of them counts
        found: list[Answer | Refused] = []
        for batch in self._batches("amend-batch", category, changes):
            for order, _ in batch:
                await self.know(category, order.intent.symbol)
            try:
                await self.venue.sender.allowance("amend-batch", category, len(batch))
            except NotSentError:
                found += [REFUSED] * len(batch)
                continue
            held = [self._change(order, fields) for order, fields in batch]
            sent = [one for one in held if not isinstance(one, Refused)]
            answers = iter(await self._batch("amend-batch", category, [one.request for one in sent]))
            found += [one if isinstance(one, Refused) else self._changed(one, next(answers)) for one in held]
        return found

    async def cancel_batch(self, category: str, orders: Sequence[Order]) -> list[Answer]:
        """Cancel orders in batches, each batch once; return what was answered to each."""
        found: list[Answer] = []
        for batch in self._batches("cancel-batch", category, orders):
            try:
                await self.venue.sender.allowance("cancel-batch", category, len(batch))
            except NotSentError:
                found += [REFUSED] * len(batch)
                continue
            found += await self._batch("cancel-batch", category, [order_names(order) for order in batch])
        return found

    async def cancel(self, order: Order) -> Answer:
        """Cancel an order, in whatever state it is; accepted is not cancelled: `LiveOrder.done` says when.

        A cancel that the venue did not answer, or was too busy for, is sent again. Raises NotSentError.
        """
        intent = order.intent
        fields = order_names(order)
        if order_filter := intent.options.get("orderFilter"):
            fields["orderFilter"] = order_filter
        answer = NO_ANSWER
        for attempt in range(CANCEL_TRIES):
            if order.is_final:
                return Answer(Verdict.FINAL, 0, order.state)
            if attempt:
                await asyncio.sleep(CANCEL_RETRY_S * attempt)
            await self.venue.sender.allowance("cancel", intent.category)
            reply = await self._reply("cancel", intent.category, fields, self.venue.sender.stamp_ms())
            answer = reply.answer or _unanswered(reply)
            if answer.verdict not in AGAIN:
                break
        if answer.verdict is Verdict.MISSING and order.state is State.LIVE:
            self._tell(self.account.missing(order))
        return answer

    async def cancel_all(self, category: str, symbol: str = "", *, settle_coin: str = "") -> int:
        """Cancel all orders of a symbol, or of a category, whoever sent them; return how many were named.

        Over REST, as the venue has it only there.
        """
        coins = [settle_coin] if settle_coin or symbol else list(SETTLE_COINS.get(category, [""]))
        named = 0
        for coin in coins:
            answer = await self._trade.cancel_all(category, symbol, settle_coin=coin)
            named += len(rows(answer))
        return named

    async def cancel_ours(self) -> None:
        """Cancel every open order of ours, of earlier starts too, and return when none is open.

        Raises nothing for an order that cannot be cancelled now: it is tried again until that is done.
        """
        self.fast.drain()
        while ours := [order for order in self.account.open_orders() if order.is_ours]:
            await asyncio.gather(*(self._cancel_one(order) for order in ours), return_exceptions=True)
            await asyncio.sleep(CANCEL_RETRY_S)

    async def _cancel_one(self, order: Order) -> None:
        await self.cancel(order)
        if isinstance(order, LiveOrder):
            async with asyncio.timeout(1.0):
                await order.done()

    # what is known

    async def know(self, category: str, symbol: str) -> None:
        """Read the rules of a symbol, once. Raises UsageError where there is none."""
        if self.gate.is_listed(category, symbol):
            return
        try:
            listed = await self.venue.rest.instrument_list(category, symbol=symbol)
        except RetCodeError as error:
            if error.ret_code != PARAMETER_CODE:
                raise
            listed = []
        found = next((one for one in listed if one.get("symbol") == symbol), None)
        if found is None:
            raise UsageError(f"{category} has no symbol {symbol!r}", "see `tapehead symbols`")
        self.gate.listed(instruments.parse(category, found))

    # inside

    def _link_id(self, fields: Mapping[str, Any]) -> str:
        own = str(fields.get("order_link_id") or "")
        if self.intents.is_to_come(own):
            rule = "is one that this client will give itself"
            raise ConfigError("order_link_id", own, rule, "choose another, or leave it out")
        return own or self.intents.next()

    def _admit(self, intent: Intent) -> LiveOrder | Refused:
        """Hold an intent against the guards and enter it into the account; from here on it counts."""
        checked = self.gate.check(intent, self.venue.ahead_ms)
        if isinstance(checked, Refused):
            wanted = [request_of(intent)]
            self._trail.put(audit.refused, "order.create", checked, intent.category, wanted)
            return checked
        stamp_ms = self.venue.sender.stamp_ms()
        order = self.account.sending(checked, stamp_ms, self.venue.live.mono_ms())
        assert isinstance(order, LiveOrder)
        self.gate.sent()
        self.gate.exposed([(intent.category, intent.symbol)])
        return order

    def _begin(self, verb: str, category: str, orders: Sequence[LiveOrder]) -> None:
        requests = [request_of(order.intent) for order in orders]
        is_batch = verb.endswith("-batch")
        fields: dict[str, object] = {"category": category}
        fields |= {"request": requests} if is_batch else requests[0]
        told = partial(self._batch_answered if is_batch else self._answered, orders)
        try:
            self.venue.sender.begin(
                verb, category, fields, told, stamp_ms=orders[0].sent_ms, orders=len(orders)
            )
        except NotSentError as error:
            told(Reply(Answer(Verdict.REFUSED, 0, str(error))))
            raise

    def _answered(self, orders: Sequence[LiveOrder], reply: Reply) -> None:
        for order in orders:
            # By REST a request may have waited: its timestamp is at most that of its answer.
            order.sent_ms = max(order.sent_ms, reply.stamp_ms)
            if reply.answer is None:
                events = self.account.unanswered(order, reply.cause)
            else:
                events = self.account.created(order, reply.answer, self.venue.live.mono_ms())
                self._heed(reply.answer)
            self._tell(events)
            order.changes.tell()
        self.venue.live.soon()

    def _batch_answered(self, orders: Sequence[LiveOrder], reply: Reply) -> None:
        if reply.answer is None or reply.answer.verdict is not Verdict.ACCEPTED:
            self._answered(orders, reply)
            return
        for index, order in enumerate(orders):
            answer = NO_ANSWER
            if index < len(reply.items):
                answer = item_answer("create-batch", reply.items[index], reply.answer.at_ms)
            self._answered([order], Reply(answer, stamp_ms=reply.stamp_ms))

    def _change(self, order: Order, fields: Mapping[str, Any]) -> "_Change | Refused":
        """Hold an amendment against the guards; from here on it counts."""
        wire, qty, price = read_change(fields)
        wanted = self.gate.check_amend(order, qty, price, self.venue.ahead_ms)
        if isinstance(wanted, Refused):
            asked = [order_names(order) | wire]
            self._trail.put(audit.refused, "order.amend", wanted, order.intent.category, asked)
            return wanted
        if qty is not None:
            qty = wanted.qty
            wire["qty"] = format(qty, "f")
        if price is not None and wanted.price is not None:
            wire["price"] = format(wanted.price, "f")
        stamp_ms = self.venue.sender.stamp_ms()
        self.account.amending(order, qty, stamp_ms)
        return _Change(order, qty, order_names(order) | wire, stamp_ms)

    def _changed(self, change: "_Change", answer: Answer) -> Answer:
        self.account.amended(change.order, change.qty, change.stamp_ms, answer)
        self.gate.exposed([(change.order.intent.category, change.order.intent.symbol)])
        return answer

    def _ticket_amended(self, order: Order, qty: Decimal, stamp_ms: int, answer: Answer | None) -> None:
        self._changed(_Change(order, qty, {}, stamp_ms), answer or NO_ANSWER)
        if answer is not None:
            self._heed(answer)

    async def _batch(
        self, verb: str, category: str, requests: Sequence[Mapping[str, object]]
    ) -> list[Answer]:
        """Send a batch of amends or cancels; return an answer for each."""
        if not requests:
            return []
        try:
            reply = await self._reply(
                verb, category, {"request": requests}, self.venue.sender.stamp_ms(), len(requests)
            )
        except NotSentError:
            return [REFUSED] * len(requests)
        if reply.answer is None or reply.answer.verdict is not Verdict.ACCEPTED:
            return [reply.answer or _unanswered(reply)] * len(requests)
        answers = [item_answer(verb, item, reply.answer.at_ms) for item in reply.items]
        return (answers + [NO_ANSWER] * len(requests))[: len(requests)]

    async def _reply(
        self, verb: str, category: str, fields: Mapping[str, object], stamp_ms: int, orders: int = 1
    ) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def told(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        sent = {"category": category, **fields}
        self.venue.sender.begin(verb, category, sent, told, stamp_ms=stamp_ms, orders=orders)
        reply = await future
        if reply.answer is not None:
            self._heed(reply.answer)
        return reply

    def _batches(self, verb: str, category: str, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        # Of a batch beyond the allowance the venue refuses the rest, order by order.
        most = BATCH_MAX.get(category, BATCH_MAX_ELSEWHERE)
        size = self.venue.sender.buckets.batch_max(f"order/{verb}", category, most)
        for start in range(0, len(items), size):
            yield items[start : start + size]

    def _heed(self, answer: Answer) -> None:
        if answer.verdict is Verdict.CLOCK:
            self.venue.distrust_clock()


@dataclass(frozen=True, slots=True)
class _Change:
    """An amendment that goes out."""

    order: Order
    qty: Decimal | None
    request: Mapping[str, object]
    stamp_ms: int


def _is_answered(order: Order) -> bool:
    return order.state is not State.PENDING


def _unanswered(reply: Reply) -> Answer:
    return Answer(Verdict.UNKNOWN, 0, reply.cause)
