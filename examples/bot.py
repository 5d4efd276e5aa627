"""A bot to start from: it enters with a limit order that carries take profit and stop loss, sized by what the
account may lose, trails the stop once it is in, and ends flat. What it trades on is no advice: put your own
into `Market.side`. Ctrl-C (or SIGTERM) ends it.

TAPEHEAD_TESTNET_KEY=... TAPEHEAD_TESTNET_SECRET=... python examples/bot.py
... python examples/bot.py ws://127.0.0.1:PORT http://127.0.0.1:PORT   (those of a simulator)
"""

import asyncio
import contextlib
import signal
import sys
from collections import deque
from decimal import ROUND_DOWN, Decimal
from typing import Final

import uvloop

import engine
from engine.orders import Limits, LiveOrder, OrderClient, OrderEvent, OrderRefusedError, PositionEvent

ENVIRONMENT: Final = "testnet"  # the one word to change: testnet, demo, mainnet
CATEGORY, SYMBOL = "linear", "BTCUSDT"

RISK: Final = Decimal("0.005")  # of the equity is lost where the stop loss is hit
STOP: Final = Decimal("0.004")  # how far the stop is from the entry, of the price
TARGET: Final = Decimal("0.008")
TRAIL: Final = Decimal("0.003")
ORDER_NOTIONAL_MAX: Final = Decimal(5_000)  # whatever the risk allows
ENTRY_S: Final = 5.0  # an entry that is not filled by then is cancelled
PAUSE_S: Final = 1.0  # after something was refused
END_S: Final = 20.0  # how long ending flat may take
TRADES_KEPT: Final = 200
LEAN: Final = Decimal("0.2")  # how one-sided trades and book must be, 0 to 1


class Market(engine.Listener):
    """What the streams tell; callbacks only take notes, `Bot` acts."""

    def __init__(self) -> None:
        self.bid = self.ask = self.book_lean = Decimal(0)
        self.trades: deque[Decimal] = deque(maxlen=TRADES_KEPT)
        self.changed = asyncio.Event()

    def on_book(self, book: engine.OrderBook) -> None:
        bids, asks = book.bids(5), book.asks(5)
        if bids and asks:
            self.bid, self.ask = bids[0][0], asks[0][0]
            wanted = sum((size for _, size in bids), Decimal(0))
            offered = sum((size for _, size in asks), Decimal(0))
            self.book_lean = (wanted - offered) / (wanted + offered)
            self.changed.set()

    def on_trade(self, trade: engine.Trade) -> None:
        self.trades.append(trade.size if trade.is_buy else -trade.size)

    def on_gap(self, gap: engine.Gap) -> None:
        self.trades.clear()  # some are missing: begin to count anew
        print(gap, file=sys.stderr)

    def on_order(self, event: OrderEvent) -> None:
        print(event.order.name or "venue", event.before, "->", event.state, event.cause, flush=True)

    def on_position(self, event: PositionEvent) -> None:
        print("position", event.position.size, "at", event.position.entry_price, flush=True)
        self.changed.set()

    def side(self) -> str:
        """Return Buy or Sell where trades and book agree, else nothing."""
        total = sum((abs(size) for size in self.trades), Decimal(0))
        flow = sum(self.trades) / total if total else Decimal(0)
        if min(flow, self.book_lean) > LEAN:
            return "Buy"
        return "Sell" if max(flow, self.book_lean) < -LEAN else ""


class Bot:
    """One position at a time. The venue holds its stop: it is there also when the bot is not."""

    def __init__(self, market: Market, orders: OrderClient) -> None:
        self.market = market
        self.orders = orders

    @property
    def position(self) -> Decimal:
        """What is held, negative where short."""
        return self.orders.account.positions.size(CATEGORY, SYMBOL)

    async def run(self) -> None:
        """Trade until cancelled. What goes wrong is said, and the next thing tried; nothing is sent twice."""
        await self.orders.know(CATEGORY, SYMBOL)
        while True:
            await self.market.changed.wait()
            self.market.changed.clear()
            try:
                if self.position:
                    await self.trail()
                elif side := self.market.side():
                    await self.enter(side)
            except OrderRefusedError as error:  # by a guard: not sent
                print("refused:", error, file=sys.stderr)
                await asyncio.sleep(PAUSE_S)
            except engine.TapeheadError as error:  # the venue or the network; the client connects again
                print(error, file=sys.stderr)
                await asyncio.sleep(PAUSE_S)

    async def enter(self, side: str) -> None:
        """Place an entry at the best price of its side, and return when it is filled, or surely is not."""
        ahead = 1 if side == "Buy" else -1
        price = self.market.bid if side == "Buy" else self.market.ask
        order = await self.orders.place(
            CATEGORY,
            SYMBOL,
            side=side,
            order_type="Limit",
            time_in_force="PostOnly",
            qty=self.size(price),
            price=price,
            take_profit=self.on_grid(price * (1 + ahead * TARGET)),
            stop_loss=self.on_grid(price * (1 - ahead * STOP)),
        )
        await self.finish(order)

    async def finish(self, order: LiveOrder) -> None:
        """Give an order its time, then cancel it. One in doubt is waited for, however long that takes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENTRY_S):
                await order.done()
        while not order.is_final:
            await self.orders.cancel(order)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await order.done()

    async def trail(self) -> None:
        """Have the venue trail the stop of a position that has none that trails."""
        row = self.orders.account.positions.row(CATEGORY, SYMBOL)
        if row is not None and row.size and not row.trailing_stop and row.entry_price:
            distance = self.on_grid(row.entry_price * TRAIL)
            await self.orders.positions.trading_stop(CATEGORY, SYMBOL, {"trailing_stop": distance})

    async def end(self) -> None:
        """Cancel what is open, then close the position at the market."""
        await self.orders.cancel_ours()
        if size := self.position:
            side = "Sell" if size > 0 else "Buy"
            order = await self.orders.place(
                CATEGORY, SYMBOL, side=side, order_type="Market", qty=abs(size), reduce_only=True
            )
            await self.finish(order)

    def size(self, price: Decimal) -> Decimal:
        """Return the quantity that loses `RISK` of the equity at the stop; the client rounds it down."""
        wallet = self.orders.account.wallet
        equity = (wallet.total_equity if wallet else None) or Decimal(0)
        return min(equity * RISK / (price * STOP), ORDER_NOTIONAL_MAX / price)

    def on_grid(self, price: Decimal) -> Decimal:
        """Return a price as the symbol's tick has it."""
        rules = self.orders.gate.guard.limits_of(CATEGORY, SYMBOL)
        tick = Decimal(rules.tick).scaleb(-rules.price_scale)
        return (price / tick).to_integral_value(ROUND_DOWN) * tick


async def main(url: str | None = None, rest_url: str | None = None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    market = Market()
    limits = Limits(
        symbols=frozenset({(CATEGORY, SYMBOL)}),
        max_order_notional=ORDER_NOTIONAL_MAX,
        max_position_notional=ORDER_NOTIONAL_MAX * 2,
        rounding="round",
    )
    feed = engine.Feed(market, ENVIRONMENT, url=url, rest_url=rest_url)
    feed.subscribe(CATEGORY, [SYMBOL], book=50, trades=True)
    client = OrderClient(ENVIRONMENT, feed=feed, limits=limits, url=url, rest_url=rest_url)
    async with feed, client as orders:  # on the way out what is open is cancelled
        bot = Bot(market, orders)
        running = asyncio.create_task(bot.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.wait([running])
        async with asyncio.timeout(END_S):
            await bot.end()
    stopping.cancel()
    if not running.cancelled():
        running.result()  # it ended by itself: with a fault of its own


if __name__ == "__main__":
    try:
        uvloop.run(main(*sys.argv[1:]))
    except TimeoutError:
        sys.exit(f"the position could not be closed within {END_S:g} s: look at it")
    except engine.TapeheadError as error:
        sys.exit(str(error))
