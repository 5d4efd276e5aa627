"""Makes the connections of a feed: what they share, and the numbers that tell them apart."""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from engine.backoff import Allowance
from engine.clock import Clock
from engine.config import FeedOptions
from engine.connection import Connection
from engine.decider import Decider
from engine.session import Session
from engine.websocket import Opener
from ext.dispatch import Dispatcher

__all__ = ["Connector"]

CONNECTION_NUMBER_MAX: Final = 0xFFFF  # what a record's header holds


class Changes:
    """Wakes whoever waits for anything to change about any connection."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def tell(self) -> None:
        """Something may have changed."""
        if self._next is not None:
            awaited, self._next = self._next, None
            if not awaited.done():
                awaited.set_result(None)

    async def wait(self) -> None:
        """Return after the next change."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)


class Connector:
    """Makes connections. All to one host share its allowance of new ones, whatever the category."""

    def __init__(
        self,
        options: FeedOptions,
        *,
        clock: Clock,
        random: Callable[[], float],
        opener: Opener,
        decider: Decider,
    ) -> None:
        self.options = options
        self.clock = clock
        self.random = random
        self.decider = decider
        self.changes = Changes()
        self._opener = opener
        self._allowances: dict[str, Allowance] = {}
        self._numbers: set[int] = set()
        self._last_number = 0

    def make(self, category: str, leg: int, url: str, dispatcher: Dispatcher) -> Connection:
        """Return a new connection, not yet running; its number is its own until it is given back."""
        session = Session(category, leg, self.options, connection=self._next_number(), url=url)
        return Connection(
            session,
            dispatcher,
            self.options,
            clock=self.clock,
            random=self.random,
            allowance=self._allowances.setdefault(urlsplit(url).netloc, Allowance()),
            opener=self._opener,
            decider=self.decider,
            on_change=self.changes.tell,
        )

    def number_after(self, number: int) -> None:
        """Give the next connection the first free number after this one."""
        self._last_number = number

    def give_back(self, connection: Connection) -> None:
        """That connection has ended for good."""
        self.changes.tell()
        self._numbers.discard(connection.session.connection)

    def _next_number(self) -> int:
        """Return the next one that is free; one that was given back comes after all others."""
        number = self._last_number
        while True:
            number = number % CONNECTION_NUMBER_MAX + 1
            if number not in self._numbers:
                self._numbers.add(number)
                self._last_number = number
                return number
