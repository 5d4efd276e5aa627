"""Makes the connections of a feed: what they share, and the numbers that tell them apart."""

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
        self._opener = opener
        self._allowances: dict[str, Allowance] = {}
        self._numbers: set[int] = set()
        self._last_number = 0

    def make(
        self, category: str, leg: int, url: str, dispatcher: Dispatcher, on_change: Callable[[], object]
    ) -> Connection:
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
            on_change=on_change,
        )

    def give_back(self, connection: Connection) -> None:
        """That connection has ended for good."""
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
