"""Quotes both sides of BTCUSDT, leaning against what it holds. Ctrl-C ends it and cancels its quotes.

TAPEHEAD_TESTNET_KEY=... TAPEHEAD_TESTNET_SECRET=... python examples/market_maker.py
... python examples/market_maker.py ws://127.0.0.1:PORT http://127.0.0.1:PORT   (those of a simulator)
"""

import asyncio
import contextlib
import sys
from decimal import Decimal

import uvloop

import engine
from engine.orders import Limits, LiveOrder, OrderClient, OrderRefusedError

ENVIRONMENT = "testnet"
KEY = CATEGORY, SYMBOL = "linear", "BTCUSDT"
QTY, QTY_MAX = Decimal("0.005"), Decimal("0.02")  # of a quote, of the position
EDGE = Decimal("0.0003")  # from the middle, of the price
LEAN = Decimal("0.0002")  # how far a full position moves both quotes
TOLERANCE = Decimal("0.0001")  # a quote nearer than this to where it should be is left alone
INTERVAL_S = 0.5


class Maker:
    def __init__(self, orders: OrderClient, book: engine.OrderBook) -> None:
        self.orders, self.book = orders, book
        self.quotes: dict[str, LiveOrder | None] = {"Buy": None, "Sell": None}

    def price(self, side: str) -> Decimal:
        (bid, _), (ask, _) = self.book.bids(1)[0], self.book.asks(1)[0]
        held = self.orders.account.positions.size(*KEY) / QTY_MAX
        middle = (bid + ask) / 2 * (1 - held * LEAN)
        return min(middle * (1 - EDGE), bid) if side == "Buy" else max(middle * (1 + EDGE), ask)

    async def quote(self, side: str) -> None:
        order, price = self.quotes[side], self.price(side)
        if order is None or order.is_final:
            self.quotes[side] = await self.orders.place(
                *KEY, side=side, order_type="Limit", time_in_force="PostOnly", qty=QTY, price=price
            )
        elif order.state == "LIVE" and abs((order.price or price) - price) > price * TOLERANCE:
            await self.orders.amend(order, price=price)  # an order in any other state is waited for

    async def run(self) -> None:
        while True:
            for side in self.quotes:
                try:
                    if self.book.state is engine.BookState.LIVE:
                        await self.quote(side)
                except (OrderRefusedError, engine.TapeheadError) as refused:
                    print(side, "refused:", refused, file=sys.stderr)
            for order in filter(None, self.quotes.values()):
                print(order.intent.side, order.price, order.state, flush=True)
            await asyncio.sleep(INTERVAL_S)


async def main(url: str | None = None, rest_url: str | None = None) -> None:
    feed = engine.Feed(engine.Listener(), ENVIRONMENT, url=url, rest_url=rest_url)
    feed.subscribe(CATEGORY, [SYMBOL])
    limits = Limits(max_position={KEY: QTY_MAX}, max_open_orders=2, rounding="round")
    client = OrderClient(
        ENVIRONMENT, feed=feed, limits=limits, url=url, rest_url=rest_url, instance="maker", at_start="cancel"
    )
    async with feed, client as orders:
        book = feed.book(*KEY, 50)
        assert book is not None
        await Maker(orders, book).run()


with contextlib.suppress(KeyboardInterrupt):
    uvloop.run(main(*sys.argv[1:]))
