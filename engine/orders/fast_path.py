"""Tickets of a client: what they wrote is entered into the account, awaited and counted like any order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

from picows import WSTransport

from engine.bybit.instruments import Instrument
from engine.bybit.wire import ORDER_FIELDS, body
from engine.clock import Clock
from engine.errors import UsageError
from engine.orders.account import Account, Answer
from engine.orders.gate import Gate
from engine.orders.ids import Intents
from engine.orders.live_order import LiveOrder
from engine.orders.order import ORDER_RECV_WINDOW_MS, Order
from engine.orders.prepared import Fields, set_clock, ticket
from engine.orders.requests import read_intent, request_of
from engine.orders.sender import Reply
from engine.orders.venue import Venue
from ext.guard import RateWindow
from ext.ticket import Op, OrderGate, Ticket

__all__ = ["FastPath"]

NS_PER_MS: Final = 1_000_000
VERBS: Final = {Op.CREATE: "create", Op.AMEND: "amend", Op.CANCEL: "cancel"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a ticket's orders have in common; its ``about``."""

    category: str
    symbol: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Written:
    """A request that a ticket wrote; ``order`` is None where the account does not keep it any more."""

    ticket: Ticket
    kind: Kind
    verb: str
    request_id: str
    order: Order | None
    request: Mapping[str, object]
    qty: Decimal
    stamp_ms: int


class FastPath:
    """One for a client. ``created`` and ``amended`` take what came back, as of an order sent the other way.

    Nothing may look at room or orders while requests wait to be drained: `drain` comes first.
    """

    def __init__(
        self,
        intents: Intents,
        account: Account,
        gate: Gate,
        venue: Venue,
        clock: Clock,
        *,
        created: Callable[[Sequence[LiveOrder], Reply], object],
        amended: Callable[[Order, Decimal, int, Answer | None], object],
    ) -> None:
        self.gate = OrderGate(intents.numbers, self._wake)
        self._account = account
        self._guards = gate
        self._venue = venue
        self._clock = clock
        self._created = created
        self._amended = amended
        self._changes: dict[tuple[str, str], RateWindow] = {}  # of amend and cancel, by category
        self._symbols: set[tuple[str, str]] = set()
        gate.before_look = self.drain
        venue.sender.before_answers(self.drain)

    def prepare(self, instrument: Instrument, fields: Mapping[str, Any]) -> Ticket:
        """Make a ticket; its symbol is listed. Raises ConfigError, UsageError."""
        category, symbol = instrument.category, instrument.symbol
        if not self._venue.sender.is_by_websocket(category):
            raise UsageError(f"{category} has no order entry by websocket here", "use place()")
        wire = cast(Fields, body(fields, ORDER_FIELDS))
        rates = (self._guards.rate, self._rate("amend", category), self._rate("cancel", category))
        made = ticket(
            self.gate,
            self._guards.guard.limits_of(category, symbol),
            instrument,
            wire,
            rates=rates,
            recv_window_ms=ORDER_RECV_WINDOW_MS,
            about=Kind(category, symbol, dict(fields)),
        )
        self._symbols.add((category, symbol))
        self._guards.follow(category, symbol)
        self.refresh()
        return made

    def refresh(self) -> None:
        """Take connection and clock as they are now."""
        link = self._venue.sender.link
        transport = link.transport if link is not None and self._venue.sender.takes_tickets else None
        if transport is not self.gate.transport:
            self.gate.connect(cast(WSTransport | None, transport))
        set_clock(self.gate, self._venue.rest.server_clock, self._clock.now())

    def look(self) -> None:
        """Take books and allowances of all symbols that have tickets as they are now."""
        for category, symbol in self._symbols:
            self._guards.follow(category, symbol)
            for verb in VERBS.values():
                self._heed_allowance(verb, category)

    def drain(self) -> None:
        """Enter what tickets wrote into the account, then await the answers."""
        written = [self._enter(*one) for one in self.gate.drain()]
        if not written:
            return
        self._guards.exposed({(one.kind.category, one.kind.symbol) for one in written})
        for one in written:
            told = partial(self._answered, one)
            self._venue.sender.expect(one.request_id, one.verb, one.kind.category, one.request, told)
            self._heed_allowance(one.verb, one.kind.category)

    # inside

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self.drain)

    def _enter(
        self,
        of: Ticket,
        op: int,
        request_number: int,
        number: int,
        qty: int,
        price: int,
        stamp_ms: int,
        sent_ns: int,
    ) -> _Written:
        kind: Kind = of.about
        link_id = of.link_id(number)
        quantity = Decimal(qty).scaleb(-of.qty_scale)
        if op == Op.CREATE:
            fields = {**kind.fields, "qty": quantity}
            if not of.is_market:
                fields["price"] = Decimal(price).scaleb(-of.price_scale)
            intent = read_intent(link_id, kind.category, kind.symbol, fields)
            order: Order | None = self._account.sending(intent, stamp_ms, sent_ns // NS_PER_MS)
            self._guards.guard.sent(sent_ns // NS_PER_MS)
            request = request_of(intent)
        else:
            order = self._account.order(link_id)
            request = {"symbol": kind.symbol, "orderLinkId": link_id}
            if op == Op.AMEND:
                new_price = Decimal(price).scaleb(-of.price_scale)
                request |= {"qty": format(quantity, "f"), "price": format(new_price, "f")}
                if order is not None:
                    self._account.amending(order, quantity, stamp_ms)
        return _Written(
            of, kind, VERBS[Op(op)], of.link_id(request_number), order, request, quantity, stamp_ms
        )

    def _answered(self, written: _Written, reply: Reply) -> None:
        self._heed_allowance(written.verb, written.kind.category)
        if written.verb == "create":
            assert isinstance(written.order, LiveOrder)
            self._created([written.order], reply)
        elif written.verb == "amend" and written.order is not None:
            self._amended(written.order, written.qty, written.stamp_ms, reply.answer)

    def _rate(self, verb: str, category: str) -> RateWindow:
        limit = self._venue.sender.buckets.limit(f"order/{verb}", category)
        return self._changes.setdefault((verb, category), RateWindow(limit))

    def _heed_allowance(self, verb: str, category: str) -> None:
        now_ms = self._clock.now().mono_ns // NS_PER_MS
        wait_ms = self._venue.sender.buckets.wait_ms(f"order/{verb}", category, now_ms)
        rate = self._guards.rate if verb == "create" else self._changes.get((verb, category))
        if wait_ms and rate is not None:
            rate.block((now_ms + wait_ms) * NS_PER_MS)
