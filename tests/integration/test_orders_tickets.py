"""Tickets of an order client on the simulator's exchange: one account, whichever way an order went."""

import asyncio
import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.errors import ConfigError, UsageError
from engine.orders import LiveOrder, OrderClient, OrderRefusedError, State
from engine.orders.guards import Block, Rule
from engine.orders.prepared import refused
from ext.ticket import Ticket
from tests.support.loops import run
from tests.support.trading import KEY, SECRET, SYMBOL, WIDE, Floor, becomes, floor

BUY: dict[str, Any] = {"side": "Buy", "order_type": "Limit", "time_in_force": "PostOnly"}


def low(place: Floor, ticket: Ticket, share: str = "0.97") -> int:
    """Return a price far from the market, as the ticket's mantissa."""
    return int(Decimal(place.price(share)).scaleb(ticket.price_scale))


def sent(orders: OrderClient, ticket: Ticket, number: int) -> LiveOrder:
    """Return the order that a ticket sent."""
    order = orders.account.order(ticket.link_id(number))
    assert isinstance(order, LiveOrder)
    return order


def test_an_order_by_ticket_is_pending_in_the_same_turn_and_lives_like_any_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            price = low(place, ticket)
            number = ticket.send(10, price)
            assert number > 0
            states: list[State] = []
            # Behind the drain in the same turn, before anything is read.
            asyncio.get_running_loop().call_soon(lambda: states.append(sent(orders, ticket, number).state))
            await asyncio.sleep(0)
            assert states == [State.PENDING]
            order = sent(orders, ticket, number)
            assert (str(order.qty), order.price) == ("0.010", Decimal(price).scaleb(-ticket.price_scale))
            assert orders.account.exposure(*SYMBOL).long == Decimal("0.01")
            await order.until(lambda order: order.state is State.LIVE)
            assert ticket.amend(number, 20, low(place, ticket, "0.96")) == number
            await order.until(lambda order: str(order.qty) == "0.02")
            assert ticket.cancel(number) == number
            assert (await order.done()).state is State.CANCELLED
            assert place.seen.states(order)[-1] == State.CANCELLED
            assert orders.account.exposure(*SYMBOL).long == 0

    run(main())


def test_place_counts_what_a_ticket_sent_in_the_same_turn(tmp_path: Path) -> None:
    async def main() -> None:
        limits = dataclasses.replace(WIDE, max_position={SYMBOL: Decimal("0.015")})
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            other = await orders.prepare(*SYMBOL, side="Buy", order_type="Limit")
            assert ticket.send(10, low(place, ticket)) > 0
            assert other.send(10, low(place, ticket)) == -Rule.POSITION
            with pytest.raises(OrderRefusedError, match=r"qty 0\.010 of a buy is above 0\.005, what max_pos"):
                await orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=place.price())
            assert ticket.send(5, low(place, ticket)) > 0
            assert ticket.send(1, low(place, ticket)) == -Rule.POSITION

    run(main())


def test_both_ways_share_one_rate_and_one_count(tmp_path: Path) -> None:
    async def main() -> None:
        limits = dataclasses.replace(WIDE, max_orders_per_s=3, max_open_orders=3)
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            price = place.price()
            first = asyncio.create_task(
                orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=price)
            )
            await asyncio.sleep(0)
            assert ticket.send(10, low(place, ticket)) > 0
            assert ticket.send(10, low(place, ticket)) > 0
            result = ticket.send(10, low(place, ticket))
            assert result == -Rule.OPEN_ORDERS
            with pytest.raises(OrderRefusedError, match="as many as max_open_orders allows"):
                await orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=price)
            await first
            # All are cancelled at once; their second is not over.
            for order in orders.account.open_orders():
                await orders.cancel(order)
                assert isinstance(order, LiveOrder)
                await order.done()
            counted = orders.gate.guard.limits_of(*SYMBOL)
            assert counted.orders_room == 3

    run(main())


def test_a_lost_answer_to_a_ticket_is_cleared_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            await place.tell("faults", [{"fault": "ack_lost"}, {"fault": "stream_lost", "times": 0}])
            order_number = ticket.send(10, low(place, ticket))
            await asyncio.sleep(0)
            order = sent(orders, ticket, order_number)
            await order.until(lambda order: order.state is State.UNKNOWN)
            await order.until(lambda order: order.state is State.LIVE)
            assert await place.open_orders() == [order.link_id]

    run(main())


def test_a_connection_cut_after_a_ticket_leaves_no_order_and_the_next_one_takes_tickets(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            await place.tell("faults", [{"fault": "cut_after"}])
            number = ticket.send(10, low(place, ticket))
            await asyncio.sleep(0)
            order = sent(orders, ticket, number)
            assert (await order.done()).state is State.CANCELLED
            await becomes(lambda: orders.venue.is_ready)
            again = ticket.send(10, low(place, ticket))
            assert again > 0
            await asyncio.sleep(0)
            await sent(orders, ticket, again).until(lambda order: order.state is State.LIVE)

    run(main())


def test_what_was_sent_in_the_last_moment_is_cancelled_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place:
            async with place.client() as orders:
                ticket = await orders.prepare(*SYMBOL, **BUY)
                assert ticket.send(10, low(place, ticket)) > 0
            assert await place.open_orders() == []
            async with place.client() as orders:
                ticket = await orders.prepare(*SYMBOL, **BUY)
                assert ticket.send(10, low(place, ticket)) > 0
                await orders.kill("a test")
                assert await place.open_orders() == []
                assert ticket.send(10, low(place, ticket)) == -Rule.BLOCKED
                assert ticket.gate.blocks & Block.KILLED
                assert str(refused(ticket, -Rule.BLOCKED, 10)).startswith("kill switch is on")

    run(main())


def test_a_ticket_is_of_a_known_symbol_and_of_a_venue_that_takes_them(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, environment="mainnet") as place, place.client("demo") as orders:
            with pytest.raises(UsageError, match="has no order entry by websocket"):
                await orders.prepare(*SYMBOL, **BUY)
            with pytest.raises(UsageError, match="linear has no symbol 'NONEUSDT'"):
                await orders.prepare("linear", "NONEUSDT", **BUY)
        async with floor(tmp_path) as place, place.client() as orders:
            with pytest.raises(ConfigError, match="different for every order"):
                await orders.prepare(*SYMBOL, qty="0.01", **BUY)

    run(main())


def test_the_audit_log_has_every_request_and_answer_of_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        kept: list[bytes] = []
        async with floor(tmp_path) as place, place.client(audit=kept.append) as orders:
            ticket = await orders.prepare(*SYMBOL, **BUY)
            number = ticket.send(10, low(place, ticket))
            ticket.amend(number, 20, low(place, ticket))
            order = await orders.place(
                *SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=place.price()
            )
            with pytest.raises(OrderRefusedError):
                await orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.0001", price="1")
            await orders.cancel(order)
            await order.done()
            await becomes(lambda: orders.trail.failures == 0)
        text = b"\n".join(kept).decode()
        assert KEY not in text
        assert SECRET not in text
        records = [orjson.loads(one) for one in kept]
        by_kind = {
            kind: [one for one in records if one["record"] == kind]
            for kind in ("request", "answer", "refused", "order", "rest")
        }
        asked = [(one["op"], one["orders"][0]["orderLinkId"]) for one in by_kind["request"]]
        assert asked[:4] == [
            ("order.create", ticket.link_id(number)),
            ("order.amend", ticket.link_id(number)),
            ("order.create", order.link_id),
            ("order.cancel", order.link_id),
        ]
        answered = {one["request_id"] for one in by_kind["answer"]}
        assert answered == {one["request_id"] for one in by_kind["request"]}
        assert [one["rule"] for one in by_kind["refused"]] == ["MIN_QTY"]
        assert {one["link_id"] for one in by_kind["order"]} == {ticket.link_id(number), order.link_id}
        assert any(one["path"] == "/v5/order/realtime" for one in by_kind["rest"])

    run(main())
