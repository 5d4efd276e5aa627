"""For those who prefer ``async for`` to callbacks."""

import asyncio
from collections import deque
from typing import Final, Self

from engine.errors import ConfigError
from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade

__all__ = ["Stream"]

CAPACITY: Final = 10_000

Item = OrderBook | Trade | Ticker | Kline | Liquidation | Notice | Gap | Event


class Stream(Listener):
    """A Listener that is also an asynchronous iterator of what it was called with; books and trades are
    copies.

    At most ``capacity`` items wait. When the reader is slower than the market the oldest are dropped and
    counted in ``dropped``: a reader that sees it grow has holes. One reader, on the feed's event loop::

        stream = engine.Stream()
        feed = engine.Feed(stream)
        feed.subscribe("linear", ["BTCUSDT"], trades=True)
        async with feed:
            async for item in stream:
                ...
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ConfigError("capacity", capacity, "must be at least 1 item")
        self.dropped = 0
        self._items: deque[Item] = deque(maxlen=capacity)
        self._ready = asyncio.Event()
        self._is_closed = False

    def close(self) -> None:
        """End the iteration once the waiting items were taken."""
        self._is_closed = True
        self._ready.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()

    def _put(self, item: Item) -> None:
        if len(self._items) == self._items.maxlen:
            self.dropped += 1
        self._items.append(item)
        self._ready.set()

    def on_book(self, book: OrderBook) -> None:
        self._put(book.copy())

    def on_trade(self, trade: Trade) -> None:
        self._put(trade.copy())

    def on_ticker(self, ticker: Ticker) -> None:
        self._put(ticker)

    def on_kline(self, kline: Kline) -> None:
        self._put(kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self._put(liquidation)

    def on_notice(self, notice: Notice) -> None:
        self._put(notice)

    def on_gap(self, gap: Gap) -> None:
        self._put(gap)

    def on_event(self, event: Event) -> None:
        self._put(event)
