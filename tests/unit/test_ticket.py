"""Orders from a callback: on the wire when `send` returns, or refused at once."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from engine.bybit.server_clock import ServerClock
from engine.clock import NS_PER_S, Instant
from engine.errors import ConfigError
from engine.orders.guards import Block, Rule
from engine.orders.prepared import set_clock
from ext.book import OrderBook
from ext.guard import SymbolLimits
from ext.journal import Journal, RecordKind
from ext.ticket import Op, OrderGate, Ticket, TicketLimit
from tests.support.spools import START_NS, Segments, read_segment
from tests.support.tickets import Wire, order_ticket, symbol_limits


def test_an_order_is_on_the_wire_when_send_returns() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire)
        wire.gate.set_clock(0, 0, 1 << 62)
        number = ticket.send(1, 3_000_010)
        (request,) = map(orjson.loads, wire.requests())
        assert request["reqId"] == request["args"][0]["orderLinkId"] == ticket.link_id(number) == "bot1-1-1"
        assert request["op"] == "order.create"
        assert request["args"] == [
            {
                "category": "linear",
                "symbol": "BTCUSDT",
                "side": "Buy",
                "orderType": "Limit",
                "timeInForce": "PostOnly",
                "qty": "0.001",
                "price": "30000.10",
                "orderLinkId": "bot1-1-1",
            }
        ]
        assert request["header"]["X-BAPI-RECV-WINDOW"] == "2000"


def test_amend_and_cancel_name_the_order_and_have_request_ids_of_their_own() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire)
        number = ticket.send(1, 3_000_010)
        assert ticket.amend(number, 2, 3_000_020) == number
        assert ticket.cancel(number) == number
        create, amend, cancel = map(orjson.loads, wire.requests())
        assert [one["reqId"] for one in (create, amend, cancel)] == ["bot1-1-1", "bot1-1-2", "bot1-1-3"]
        link = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "bot1-1-1"}
        assert (amend["op"], amend["args"]) == (
            "order.amend",
            [link | {"qty": "0.002", "price": "30000.20"}],
        )
        assert (cancel["op"], cancel["args"]) == ("order.cancel", [link])


@pytest.mark.parametrize("number", [0, -1, 2])
def test_only_orders_of_this_start_are_amended_or_cancelled(number: int) -> None:
    with Wire() as wire:
        ticket = order_ticket(wire)
        ticket.send(1, 100)
        with pytest.raises(ValueError, match="number was"):
            ticket.cancel(number)
        with pytest.raises(ValueError, match="number was"):
            ticket.amend(number, 1, 100)


def test_a_market_order_has_no_price_and_closing_ones_need_no_room() -> None:
    with Wire() as wire:
        limits = symbol_limits(buy_room=5, orders_room=9)
        ticket = order_ticket(wire, limits, orderType="Market", timeInForce="IOC", reduceOnly=True)
        assert ticket.send(100) == 1
        assert "price" not in orjson.loads(wire.requests()[0])["args"][0]
        assert (limits.buy_room, limits.orders_room) == (-95, 8)


def test_what_was_sent_is_drained_once_and_wakes_the_client_once() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, about="mine")
        ticket.send(1, 100)
        ticket.send(2, 110)
        ticket.cancel(1)
        assert wire.woken == 1
        drained = wire.gate.drain()
        assert [one[1:6] for one in drained] == [
            (Op.CREATE, 1, 1, 1, 100),
            (Op.CREATE, 2, 2, 2, 110),
            (Op.CANCEL, 3, 1, 0, 0),
        ]
        assert all(one[0] is ticket for one in drained)
        stamps = [int(orjson.loads(one)["header"]["X-BAPI-TIMESTAMP"]) for one in wire.requests()]
        assert [one[6] for one in drained] == stamps == [one[7] // 1_000_000 for one in drained]
        assert wire.gate.drain() == []
        ticket.send(1, 100)
        assert wire.woken == 2


def test_sent_orders_count_before_the_account_knows_them() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, symbol_limits(buy_room=10, orders_room=3))
        assert ticket.send(6, 100) > 0
        assert ticket.send(5, 100) == -Rule.POSITION
        assert ticket.send(2, 100) > 0
        assert ticket.send(1, 100) > 0
        assert ticket.send(1, 100) == -Rule.OPEN_ORDERS


def close(wire: Wire, limits: SymbolLimits) -> None:
    wire.gate.connect(None)


def kill(wire: Wire, limits: SymbolLimits) -> None:
    limits.blocks |= Block.KILLED | Block.NOT_RECONCILED


def rehearse(wire: Wire, limits: SymbolLimits) -> None:
    limits.is_dry_run = 1


def lose_clock(wire: Wire, limits: SymbolLimits) -> None:
    wire.gate.set_clock(0, 0, 1)


def stuff(wire: Wire, limits: SymbolLimits) -> None:
    wire.underlying.waiting = 1


def say_goodbye(wire: Wire, limits: SymbolLimits) -> None:
    assert wire.gate.transport is not None
    wire.gate.transport.send_close()
    wire.theirs.recv(1000)


def lose_book(wire: Wire, limits: SymbolLimits) -> None:
    limits.follow(OrderBook("linear", "BTCUSDT", 50))


def lag(wire: Wire, limits: SymbolLimits) -> None:
    book = OrderBook("linear", "BTCUSDT", 50)
    book.snapshot([("1", "1")], [("2", "1")], ts_ms=0)
    limits.follow(book)
    limits.lag_ms_max = 1_000
    wire.gate.set_clock(0, -1_001_000_000, 1 << 62)


@pytest.mark.parametrize(
    ("spoil", "rule", "blocks", "cancel"),
    [
        (close, Rule.BLOCKED, Block.NOT_AUTHENTICATED, -Rule.BLOCKED),
        (say_goodbye, Rule.BLOCKED, Block.NOT_AUTHENTICATED, -Rule.BLOCKED),
        (kill, Rule.BLOCKED, Block.KILLED | Block.NOT_RECONCILED, 1),
        (rehearse, Rule.DRY_RUN, Block.NONE, -Rule.DRY_RUN),
        (lose_clock, Rule.BLOCKED, Block.CLOCK, -Rule.BLOCKED),
        (stuff, Rule.BLOCKED, Block.BACKPRESSURE, -Rule.BLOCKED),
        (lose_book, Rule.BLOCKED, Block.BOOK, 1),
        (lag, Rule.LAG, Block.NONE, 1),
    ],
)
def test_refused_at_once_and_nothing_written(
    spoil: Callable[[Wire, SymbolLimits], None], rule: Rule, blocks: Block, cancel: int
) -> None:
    with Wire() as wire:
        limits = symbol_limits(buy_room=10, orders_room=10)
        ticket = order_ticket(wire, limits)
        ticket.send(1, 100)
        wire.requests()
        spoil(wire, limits)
        assert ticket.send(1, 100) == -rule
        assert ticket.amend(1, 1, 100) == -rule
        assert wire.gate.blocks == blocks
        assert ticket.cancel(1) == cancel
        assert len(wire.requests()) == (cancel > 0)
        assert wire.gate.refused == 2 + (cancel < 0)
        assert (limits.buy_room, limits.orders_room) == (9, 9)


def test_a_lag_at_its_limit_is_none() -> None:
    with Wire() as wire:
        limits = symbol_limits()
        lag(wire, limits)
        wire.gate.set_clock(0, -1_000_000_000, 1 << 62)
        assert order_ticket(wire, limits).send(1, 100) == 1


def test_bytes_may_wait_where_the_client_allows_it() -> None:
    with Wire() as wire:
        wire.gate.waiting_bytes_max = 1000
        ticket = order_ticket(wire)
        wire.underlying.waiting = 1000
        assert ticket.send(1, 100) == 1
        assert wire.requests() == []
        assert ticket.send(1, 100) == -Rule.BLOCKED


def test_a_rate_is_spent_by_each_kind_of_request() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, per_second=2)
        assert [ticket.send(1, 100) for _ in range(3)] == [1, 2, -Rule.RATE]
        assert [ticket.cancel(1) for _ in range(3)] == [1, 1, -Rule.RATE]


def test_the_ring_is_bounded() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, per_second=5000)
        for _ in range(TicketLimit.SENT_MAX):
            assert ticket.send(1, 100) > 0
            wire.requests()
        assert ticket.send(1, 100) == -Rule.BLOCKED
        assert wire.gate.undrained == TicketLimit.SENT_MAX
        assert [one[3] for one in wire.gate.drain()] == list(range(1, TicketLimit.SENT_MAX + 1))
        assert ticket.send(1, 100) == TicketLimit.SENT_MAX + 1


def test_another_thread_is_refused_and_the_order_is_known_as_doubtful() -> None:
    async def from_a_thread(ticket: Ticket) -> None:
        await asyncio.to_thread(ticket.send, 1, 100)

    with Wire() as wire:
        ticket = order_ticket(wire)
        with pytest.raises(RuntimeError, match="wrong thread"):
            asyncio.run(from_a_thread(ticket))
        assert wire.requests() == []
        assert [one[3] for one in wire.gate.drain()] == [1]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"side": "buy"}, "side"),
        ({"orderType": "limit"}, "orderType"),
        ({"qty": "1"}, "qty"),
        ({"orderLinkId": "x"}, "orderLinkId"),
    ],
)
def test_a_ticket_says_what_is_wrong_with_it(fields: dict[str, str], name: str) -> None:
    with Wire() as wire, pytest.raises(ConfigError, match=name):
        order_ticket(wire, **fields)


def test_the_audit_has_the_text_of_each_request(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    journal = Journal(segments, START_NS, 1)
    with Wire() as wire:
        wire.gate.audit_into(journal, RecordKind.NOTED, 7)
        ticket = order_ticket(wire)
        ticket.send(1, 100)
        assert len(read_segment(segments.path(1))) == 1
        journal.commit()
        record = read_segment(segments.path(1))[1]
        assert [record.payload] == wire.requests()
        assert (record.kind, record.connection) == (RecordKind.NOTED, 7)
        journal.close()
        assert ticket.send(1, 100) == 2
        assert wire.gate.unaudited == 1
    segments.close()


@pytest.mark.parametrize(("kind", "connection"), [(1, 0), (256, 0), (2, 65_536)])
def test_an_audit_record_has_a_kind(kind: int, connection: int) -> None:
    with Wire() as wire, pytest.raises(ValueError, match="kind was"):
        wire.gate.audit_into(None, kind, connection)


def test_requests_are_stamped_by_the_venues_clock() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire)
        clock = ServerClock()
        now = Instant(time.time_ns(), time.monotonic_ns())
        set_clock(wire.gate, clock, now)
        assert ticket.send(1, 100) == -Rule.BLOCKED
        server_ns = 1_900_000_000 * NS_PER_S
        clock.note(now.mono_ns, now.mono_ns + 2_000_000, server_ns)
        set_clock(wire.gate, clock, now)
        ticket.send(1, 100)
        ((*_, stamp_ms, mono_ns),) = wire.gate.drain()
        assert stamp_ms == clock.timestamp_ms(mono_ns)
        assert wire.gate.ahead_ns == now.wall_ns - (server_ns - 1_000_000)


def test_a_gate_is_closed_at_the_start() -> None:
    with Wire() as wire:
        fresh = OrderGate(wire.gate.ids, lambda: None)
        assert fresh.transport is None
