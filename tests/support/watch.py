"""A Listener that keeps what it was called with, and can be waited for."""

import asyncio
from collections.abc import Callable

from ext.book import OrderBook
from ext.listener import Event, Gap, Listener, Notice, Trade


class Watch(Listener):
    def __init__(self) -> None:
        self.books: list[tuple[str, int]] = []
        self.trades: list[Trade] = []
        self.notices: list[Notice] = []
        self.gaps: list[Gap] = []
        self.events: list[Event] = []
        self._event = asyncio.Event()

    def on_book(self, book: OrderBook) -> None:
        self.books.append((book.topic, book.update_id))
        self._event.set()

    def on_trade(self, trade: Trade) -> None:
        self.trades.append(trade.copy())
        self._event.set()

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._event.set()

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self._event.set()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._event.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a callback made the condition true."""
        while not condition():
            self._event.clear()
            await self._event.wait()

    def opened(self, topic: str) -> list[str]:
        """Return the causes of a topic's gaps, in order."""
        return [gap.cause for gap in self.gaps if gap.topic == topic and not gap.is_closed]

    def closed(self, topic: str) -> list[str]:
        return [gap.cause for gap in self.gaps if gap.topic == topic and gap.is_closed]

    def said(self, kind: str) -> list[str]:
        """Return the details of the events of a kind."""
        return [event.detail for event in self.events if event.kind == kind]

    def confirmed(self) -> set[str]:
        return {event.topic for event in self.events if event.kind == "confirmed"}
