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
from engine.orders.prepared import set_clock
from ext.guard import Refusal
from ext.journal import Journal, RecordKind
from ext.ticket import Op, OrderGate, Ticket, TicketLimit
from tests.support.spools import START_NS, Segments, read_segment
from tests.support.tickets import Wire, guard, order_ticket


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


def test_a_market_order_has_no_price_and_reducing_ones_count_nothing() -> None:
    with Wire() as wire:
        symbol_guard = guard(position_max=5)
        ticket = order_ticket(wire, symbol_guard, orderType="Market", timeInForce="IOC", reduceOnly=True)
        assert ticket.send(100) == 1
        assert "price" not in orjson.loads(wire.requests()[0])["args"][0]
        assert (symbol_guard.long, symbol_guard.open_orders) == (0, 1)


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
        ticket = order_ticket(wire, guard(position_max=10, open_orders_max=3))
        assert ticket.send(6, 100) > 0
        assert ticket.send(5, 100) == -Refusal.POSITION
        assert ticket.send(2, 100) > 0
        assert ticket.send(1, 100) > 0
        assert ticket.send(1, 100) == -Refusal.OPEN_ORDERS


def close(wire: Wire) -> None:
    wire.gate.connect(None)


def reconnect(wire: Wire) -> None:
    wire.gate.connect(wire.gate.transport)


def kill(wire: Wire) -> None:
    wire.gate.is_killed = True


def rehearse(wire: Wire) -> None:
    wire.gate.is_dry_run = True


def part(wire: Wire) -> None:
    wire.gate.is_reconciled = False


def lose_clock(wire: Wire) -> None:
    wire.gate.set_clock(0, 0, 1)


def stuff(wire: Wire) -> None:
    wire.underlying.waiting = 1


def say_goodbye(wire: Wire) -> None:
    assert wire.gate.transport is not None
    wire.gate.transport.send_close()
    wire.theirs.recv(1000)


@pytest.mark.parametrize(
    ("spoil", "refusal", "cancel_refusal"),
    [
        (close, Refusal.NOT_CONNECTED, Refusal.NOT_CONNECTED),
        (say_goodbye, Refusal.NOT_CONNECTED, Refusal.NOT_CONNECTED),
        (reconnect, Refusal.NOT_AUTHENTICATED, Refusal.NOT_AUTHENTICATED),
        (kill, Refusal.KILLED, 0),
        (rehearse, Refusal.DRY_RUN, Refusal.DRY_RUN),
        (part, Refusal.NOT_RECONCILED, 0),
        (lose_clock, Refusal.CLOCK_UNCERTAIN, Refusal.CLOCK_UNCERTAIN),
        (stuff, Refusal.BACKPRESSURE, Refusal.BACKPRESSURE),
    ],
)
def test_refused_at_once_and_nothing_written(
    spoil: Callable[[Wire], None], refusal: int, cancel_refusal: int
) -> None:
    with Wire() as wire:
        symbol_guard = guard()
        ticket = order_ticket(wire, symbol_guard)
        ticket.send(1, 100)
        wire.requests()
        spoil(wire)
        assert ticket.send(1, 100) == -refusal
        assert ticket.amend(1, 1, 100) == -refusal
        assert ticket.cancel(1) == (-cancel_refusal or 1)
        assert len(wire.requests()) == (not cancel_refusal)
        assert wire.gate.refused == 2 + (cancel_refusal != 0)
        assert (symbol_guard.long, symbol_guard.open_orders) == (1, 1)


def test_bytes_may_wait_where_the_client_allows_it() -> None:
    with Wire() as wire:
        wire.gate.waiting_bytes_max = 1000
        ticket = order_ticket(wire)
        wire.underlying.waiting = 1000
        assert ticket.send(1, 100) == 1
        assert wire.requests() == []
        assert ticket.send(1, 100) == -Refusal.BACKPRESSURE


def test_a_rate_is_spent_by_each_kind_of_request() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, per_second=2)
        assert [ticket.send(1, 100) for _ in range(3)] == [1, 2, -Refusal.RATE]
        assert [ticket.cancel(1) for _ in range(3)] == [1, 1, -Refusal.RATE]


def test_the_ring_is_bounded() -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, per_second=5000)
        for _ in range(TicketLimit.SENT_MAX):
            assert ticket.send(1, 100) > 0
            wire.requests()
        assert ticket.send(1, 100) == -Refusal.UNDRAINED
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
        assert ticket.send(1, 100) == -Refusal.CLOCK_UNCERTAIN
        server_ns = 1_900_000_000 * NS_PER_S
        clock.note(now.mono_ns, now.mono_ns + 2_000_000, server_ns)
        set_clock(wire.gate, clock, now)
        ticket.send(1, 100)
        ((*_, stamp_ms, mono_ns),) = wire.gate.drain()
        assert stamp_ms == clock.timestamp_ms(mono_ns)
        assert wire.gate.wall_offset_ns == server_ns - 1_000_000 - now.wall_ns


def test_a_gate_is_closed_at_the_start() -> None:
    with Wire() as wire:
        fresh = OrderGate(wire.gate.ids, lambda: None)
        assert (fresh.is_authenticated, fresh.is_reconciled, fresh.transport) == (False, False, None)
