"""Feed: topics of any categories, over as many connections as they need, into one Listener."""

import asyncio
import contextlib
import random as random_module
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, Unpack

import uvloop

from engine.backoff import Allowance
from engine.bybit import endpoints, limits, rules, topics
from engine.clock import Clock, SystemClock
from engine.config import FeedOptionNames, feed_options
from engine.connection import Connection
from engine.errors import ConfigError, UsageError
from engine.session import Session
from engine.subscriptions import TopicState
from engine.websocket import Opener, WebsocketOpener
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.journal import Journal
from ext.listener import Control, Listener

__all__ = ["Feed"]

CONNECTIONS_PER_CATEGORY_MAX: Final = 16  # the legs that a Dispatcher tells apart


class Feed:
    """Live market data of the venue's public streams, delivered to ``listener`` (docs/callbacks.md is the
    contract).

    ``environment`` is mainnet, testnet or demo; ``region`` one of `engine.bybit.endpoints.REGIONS`; ``url``
    replaces the base URL (``wss://``, or ``ws://`` to this machine). ``journal`` records every frame and
    decision. To run a feed in virtual time ``clock``, ``random`` and ``opener`` (how a connection is opened,
    see `engine.websocket`) are replaced, together with the event loop. Further options are those of
    `engine.config.FeedOptions`. Raises UsageError for what cannot be.

    One thread, one event loop. `run` blocks until Ctrl-C; inside a loop of yours use ``async with feed:``.
    """

    def __init__(
        self,
        listener: Listener,
        environment: str = "mainnet",
        *,
        region: str = "",
        url: str | None = None,
        journal: Journal | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_module.random,
        opener: Opener | None = None,
        **options: Unpack[FeedOptionNames],
    ) -> None:
        if not isinstance(listener, Listener):
            raise ConfigError("listener", listener, "must be an engine.Listener", "derive your class from it")
        self.listener = listener
        self.environment = environment
        self.options = feed_options(**options)
        self._public = endpoints.public_base(environment, region=region, url=url)
        self._journal = journal
        self._clock = clock or SystemClock()
        self._random = random
        self._opener = opener or WebsocketOpener()
        self._categories: dict[str, _Category] = {}
        self._connections: list[Connection] = []
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(
        self,
        category: str,
        symbols: Iterable[str],
        *,
        book: int | Iterable[int] | None = 50,
        trades: bool = False,
        ticker: bool = False,
        kline: str | int | Iterable[str | int] = (),
        liquidations: bool = False,
    ) -> None:
        """Want these topics of these symbols; to be called before the feed runs, as often as needed.

        ``book`` is a depth, several, or None; ``kline`` an interval or several. Raises TopicError, naming the
        nearest that exists, for what the category does not have.
        """
        if self._connections:
            raise UsageError("the feed was started", "subscribe before run() or async with")
        wanted = topics.symbol_topics(
            category, symbols, book=book, trades=trades, ticker=ticker, kline=kline, liquidations=liquidations
        )
        if category not in self._categories:
            self._categories[category] = _Category(category, self.listener)
        self._categories[category].want(wanted)

    def run(self) -> None:
        """Run on uvloop until Ctrl-C, then close the connections and return."""
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(self.run_async())

    async def run_async(self) -> None:
        """Run in the present event loop until cancelled."""
        async with self:
            await asyncio.gather(*self._tasks)

    async def __aenter__(self) -> Self:
        if self._connections:
            raise UsageError("the feed was started before", "make a new Feed")
        if not self._categories:
            raise UsageError("nothing is subscribed", "call subscribe() first")
        self._make_connections()
        self._tasks = [asyncio.create_task(connection.run()) for connection in self._connections]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def dispatcher(self, category: str) -> Dispatcher:
        """Return the Dispatcher of a category that was subscribed. Raises UsageError."""
        if category not in self._categories:
            known = ", ".join(self._categories) or "nothing"
            raise UsageError(f"category {category!r} is not subscribed", f"subscribed: {known}")
        return self._categories[category].dispatcher

    def book(self, category: str, symbol: str, depth: int) -> OrderBook | None:
        """Return the live book, reused and changed by every message; None before it was subscribed."""
        return self.dispatcher(category).book(symbol, depth)

    @property
    def topics(self) -> dict[str, dict[str, TopicState]]:
        """Where each topic of each category stands."""
        states: dict[str, dict[str, TopicState]] = {}
        for connection in self._connections:
            states.setdefault(connection.session.category, {}).update(connection.session.states())
        return states

    @property
    def counters(self) -> dict[str, int]:
        """Everything counted since the start, summed over connections and categories."""
        total: Counter[str] = Counter()
        for connection in self._connections:
            total.update(connection.counters)
        for category in self._categories.values():
            total.update(category.dispatcher.counters)
        return dict(total)

    def restate(self) -> dict[str, Any]:
        """Return what a new segment must say to stand alone: open connections, topics by category."""
        return {
            "connections": [
                {
                    "connection": session.connection,
                    "category": session.category,
                    "leg": session.leg,
                    "url": session.url,
                    "topics": list(session.states()),
                }
                for session in (connection.session for connection in self._connections)
                if session.is_connected
            ],
            "topics": {category: list(states) for category, states in self.topics.items()},
        }

    def _make_connections(self) -> None:
        allowance = Allowance()
        for name, category in self._categories.items():
            url = f"{self._public}/{name}"
            parts = limits.split(name, category.groups)
            if len(parts) > CONNECTIONS_PER_CATEGORY_MAX:
                problem = f"{name} needs {len(parts)} connections; a feed has {CONNECTIONS_PER_CATEGORY_MAX}"
                raise UsageError(problem, "spread the symbols over several feeds")
            for leg, topic_names in enumerate(parts):
                number = len(self._connections) + 1
                session = Session(name, leg, self.options, connection=number, url=url)
                connection = Connection(
                    session,
                    category.dispatcher,
                    self.options,
                    clock=self._clock,
                    random=self._random,
                    allowance=allowance,
                    opener=self._opener,
                    journal=self._journal,
                )
                session.add(topic_names, self._clock.now())
                category.legs.connections.append(connection)
                self._connections.append(connection)


class _Category:
    """What a feed keeps of one category."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.groups: list[tuple[str, ...]] = []
        self.legs = _Legs()
        self.dispatcher = Dispatcher(name, listener, control=self.legs, rules=rules.CONTINUITY[name])

    def want(self, groups: Iterable[tuple[str, ...]]) -> None:
        """Add what is not wanted yet; a symbol's topics stay together."""
        known = {topic for group in self.groups for topic in group}
        fresh = [tuple(topic for topic in group if topic not in known) for group in groups]
        self.groups += [group for group in fresh if group]


class _Legs(Control):
    """Finds the connection that a dispatcher's message is meant for."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []

    def on_message(self, message: object, leg: int, recv_ns: int) -> None:
        self.connections[leg].on_message(message)

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.connections[leg].on_desync(topic)

    def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.connections[leg].on_sync(topic)
