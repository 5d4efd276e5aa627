"""Everything that docs/orders.md refuses, through `place` and by ticket: nothing is sent, and it says why."""

import asyncio
import dataclasses
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.orders import Limits, OrderClient, OrderRefusedError
from engine.orders.guards import Block
from engine.orders.prepared import refused
from ext.ticket import Ticket
from tests.support.loops import run
from tests.support.trading import SYMBOL, WIDE, Floor, becomes, floor

LIMIT: dict[str, Any] = {"side": "Buy", "order_type": "Limit"}
NAME = "linear BTCUSDT"


async def by_place(orders: OrderClient, words: str, qty: str, price: str | None, **kind: Any) -> None:
    """Have an order refused in these words, at its beginning."""
    fields = {**LIMIT, **kind, "qty": qty} | ({} if price is None else {"price": price})
    with pytest.raises(OrderRefusedError) as caught:
        await orders.place(*SYMBOL, **fields)
    assert re.match(words, str(caught.value)), str(caught.value)


def by_ticket(ticket: Ticket, words: str, qty: str, price: str | None) -> None:
    """Have an order refused in these words by a ticket, where its numbers can be said at all."""
    numbers = Decimal(qty).scaleb(ticket.qty_scale), Decimal(price or 0).scaleb(ticket.price_scale)
    if any(number != int(number) for number in numbers):
        return
    mantissas = int(numbers[0]), int(numbers[1])
    result = ticket.send(*mantissas)
    assert result < 0, "it was sent"
    said = str(refused(ticket, result, *mantissas))
    assert re.match(words, said), said


async def both(orders: OrderClient, words: str, qty: str, price: str | None, **kind: Any) -> None:
    ticket = await orders.prepare(*SYMBOL, **{**LIMIT, **kind})
    await by_place(orders, words, qty, price, **kind)
    by_ticket(ticket, words, qty, price)


async def nothing_was_sent(place: Floor) -> bool:
    return not (await place.ask("log"))["lines"]


def test_the_rules_of_the_symbol_and_the_limits_of_the_user(tmp_path: Path) -> None:
    limits = dataclasses.replace(
        WIDE, max_order_notional=Decimal(5_000), max_position={SYMBOL: Decimal("0.025")}, max_orders_per_s=100
    )

    async def main() -> None:
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            low = place.price()
            for words, qty, price, kind in [
                (rf"price {low}\.05 is no multiple of tickSize 0\.10* of {NAME}", "0.01", f"{low}.05", {}),
                (r"price 0\.0* is below minPrice", "0.01", "0", {}),
                (rf"price 90000000\.0* is above maxPrice [\d.]+ of {NAME}", "0.01", "90000000", {}),
                (r"price [\d.]+ of a buy is above [\d.]+, the price band", "0.01", place.price("1.2"), {}),
                (
                    r"price [\d.]+ of a sell is below [\d.]+, the price band",
                    *("0.01", place.price("0.8"), {"side": "Sell"}),
                ),
                (rf"qty 0\.000 is below minOrderQty 0\.001 of {NAME}", "0.000", low, {}),
                (rf"qty 0\.0005 is below minOrderQty 0\.001 of {NAME}", "0.0005", low, {}),
                (rf"qty 0\.0105 is no multiple of qtyStep 0\.001 of {NAME}", "0.0105", low, {}),
                (r"qty 100000\.000 is above [\d.]+, the most of a limit order", "100000", low, {}),
                (
                    r"qty 100000\.000 is above [\d.]+, the most of a PostOnly order",
                    *("100000", low, {"time_in_force": "PostOnly"}),
                ),
                (
                    r"qty 100000\.000 is above [\d.]+, the most of a market order",
                    *("100000", None, {"order_type": "Market"}),
                ),
                (r"notional 1\.0* is below minNotionalValue 5", "0.001", "1000", {}),
                (r"notional [\d.]+ is above max_order_notional 5000", "0.1", low, {}),
                (r"qty 0\.030 of a buy is above 0\.025, what max_position leaves", "0.030", low, {}),
            ]:
                await both(orders, words, qty, price, **kind)
            assert await nothing_was_sent(place)

    run(main())


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"is_reduce_only": True}, r"reduceOnly false is refused in reduce-only mode"),
        ({"is_dry_run": True}, r"dry run is on: all rules hold, nothing is sent"),
        (
            {"symbols": frozenset({("linear", "ETHUSDT")})},
            rf"symbol is not among the allowed symbols \({NAME}\)",
        ),
    ],
    ids=["reduce-only", "dry run", "symbols"],
)
def test_modes(tmp_path: Path, limits: dict[str, Any], words: str) -> None:
    async def main() -> None:
        async with (
            floor(tmp_path) as place,
            place.client(limits=dataclasses.replace(WIDE, **limits)) as orders,
        ):
            await both(orders, words, "0.01", place.price())
            assert await nothing_was_sent(place)

    run(main())


def test_what_blocks_for_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            guard, ticket = orders.gate.guard, await orders.prepare(*SYMBOL, **LIMIT)
            limits, price = guard.limits_of(*SYMBOL), place.price()

            limits.lag_ms_max = -1_000_000
            await both(orders, r"feed lag -?\d+ ms is above -1000000 ms", "0.01", price)
            limits.lag_ms_max = 1 << 40

            instrument = orders.gate.instruments[SYMBOL]
            orders.gate.listed(dataclasses.replace(instrument, status="Closed"))
            await both(orders, rf"status of the instrument is not Trading \({NAME}\)", "0.01", price)
            orders.gate.listed(instrument)

            orders.venue.rest.server_clock.forget()
            orders._set_blocks()
            await both(orders, r"clock is not known well enough against the venue's", "0.01", price)
            await orders.venue.rest.sync_clock()
            orders._set_blocks()

            ticket.gate.waiting_bytes_max = -1
            by_ticket(ticket, r"connection does not take more bytes now", "0.01", price)
            assert ticket.gate.blocks == Block.BACKPRESSURE
            ticket.gate.waiting_bytes_max = 0

            link = orders.venue.sender.link
            assert link is not None
            link.drop()
            await becomes(lambda: not orders.venue.is_entry_ready)
            await both(orders, r"order entry is not connected and authenticated", "0.01", price)
            assert await nothing_was_sent(place)
            await becomes(lambda: orders.venue.is_ready)
            assert (await orders.place(*SYMBOL, **LIMIT, qty="0.01", price=place.price())).link_id

    run(main())


def test_without_a_book(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place:
            price = place.price()
            place.feed = engine.Feed(engine.Listener(), "testnet")  # with nothing subscribed
            async with place.client() as orders:
                await both(orders, r"book is not LIVE", "0.01", price)
            async with place.client(limits=dataclasses.replace(WIDE, needs_book=False)) as orders:
                words = r"price of a market order cannot be bounded without a book"
                await both(orders, words, "0.01", None, order_type="Market")
            assert await nothing_was_sent(place)

    run(main())


def test_the_rate_of_both_ways_is_one(tmp_path: Path) -> None:
    async def main() -> None:
        limits = dataclasses.replace(WIDE, max_orders_per_s=2)
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            ticket, price = await orders.prepare(*SYMBOL, **LIMIT), place.price()
            assert ticket.send(10, int(Decimal(price).scaleb(ticket.price_scale))) > 0
            placing = asyncio.create_task(orders.place(*SYMBOL, **LIMIT, qty="0.01", price=price))
            await asyncio.sleep(0)
            words = r"order rate 2 a second reached the limit of 2"
            by_ticket(ticket, words, "0.01", price)
            await by_place(orders, words, "0.01", price)
            await placing

    run(main())


def test_limits_are_on_by_default() -> None:
    assert Limits().needs_book
    assert Limits().max_order_notional is not None
    assert Limits().max_position_notional is not None
