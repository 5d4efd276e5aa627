"""Feed: topics of any categories, over as many connections as they need, into one Listener."""

import asyncio
import contextlib
import logging
import random as random_module
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, Unpack

import uvloop

from engine.bybit import endpoints, topics
from engine.bybit.pacer import Pacer
from engine.bybit.rest import RestClient
from engine.clock import Clock, SystemClock
from engine.config import FeedOptionNames, feed_options
from engine.connection import Connection
from engine.connector import Connector
from engine.decider import Decider
from engine.decisions import Decision, Payload
from engine.errors import ConfigError, TopicError, UsageError
from engine.fleet import FetchFull, Fleet
from engine.rotation import rotate, rotate_when_old
from engine.subscriptions import SubscriptionStatus, TopicState
from engine.watch import Watch
from engine.websocket import Opener, WebsocketOpener
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.journal import Journal, RecordKind
from ext.listener import Listener

__all__ = ["Feed"]

logger = logging.getLogger("tapehead")


class Feed:
    """Live market data of the venue's public streams, delivered to ``listener`` (docs/callbacks.md is the
    contract).

    ``environment`` is mainnet, testnet or demo; ``region`` one of `engine.bybit.endpoints.REGIONS`; ``url``
    replaces the base URL (``wss://``, or ``ws://`` to this machine), ``second_url`` that of the second leg of
    topics that have two, ``rest_url`` that of REST. ``pacer`` keeps the allowance of REST requests: to be
    shared with whatever else of this process asks. ``journal`` records every frame and decision. To run a
    feed in virtual time ``clock``, ``random`` and ``opener`` (how a connection is opened, see
    `engine.websocket`) are replaced, together with the event loop. Further options are those of
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
        second_url: str | None = None,
        rest_url: str | None = None,
        pacer: Pacer | None = None,
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
        first = endpoints.public_base(environment, region=region, url=url)
        second = endpoints.public_base(environment, region=region, url=second_url or url)
        self._bases = (first, second)
        # A stream from elsewhere has nothing to do with the environment's REST interface.
        has_rest = rest_url is not None or url is None
        rest = RestClient(environment, region=region, url=rest_url, pacer=pacer) if has_rest else None
        self._clock = clock or SystemClock()
        self._decider = Decider(journal)
        self._connector = Connector(
            self.options,
            clock=self._clock,
            random=random,
            opener=opener or WebsocketOpener(),
            decider=self._decider,
        )
        self._fleets: dict[str, Fleet] = {}
        self._decisions: list[tuple[Fleet, Decision]] = []
        self._fetch_full: FetchFull | None = None
        self._watch = Watch(self, self.options, self._clock, rest)
        self._failed: asyncio.Future[None] | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._reserved: Mapping[str, Collection[int]] = {}
        self._is_running = False
        self._faults = 0

    # what is wanted

    def subscribe(
        self,
        category: str,
        symbols: Iterable[str],
        *,
        book: int | str | Iterable[int | str] | None = 50,
        trades: bool = False,
        ticker: bool = False,
        kline: str | int | Iterable[str | int] = (),
        liquidations: bool = False,
        price_limits: bool = False,
        companion: bool = False,
        legs: int = 1,
        hot: Iterable[str] = (),
    ) -> None:
        """Want these topics of these symbols; at any time, from callbacks too, as often as needed.

        ``book`` is a depth (a number, "rpi", "full"), several, or None; ``companion`` adds depth 1 to deeper
        ones, where there is one: it is how a dead book is told from a quiet one. ``kline`` is an interval or
        several. With ``legs=2`` each topic is carried by two connections, the second to ``second_url``. A
        ``hot`` symbol has a connection of its own. Topics that are wanted already are left alone. Raises
        TopicError, naming the nearest that exists, for what the category does not have.
        """
        groups = topics.symbol_topics(
            category,
            symbols,
            book=topics.with_companion(category, book) if companion else book,
            trades=trades,
            ticker=ticker,
            kline=kline,
            liquidations=liquidations,
            price_limits=price_limits,
        )
        self.add_topics(category, groups, legs=legs, hot=hot)

    add = subscribe

    def remove(
        self,
        category: str,
        symbols: Iterable[str],
        *,
        book: int | str | Iterable[int | str] | None = None,
        trades: bool = False,
        ticker: bool = False,
        kline: str | int | Iterable[str | int] = (),
        liquidations: bool = False,
        price_limits: bool = False,
    ) -> list[str]:
        """Want these topics of these symbols no more; without a kind: all topics of these symbols.

        At any time, from callbacks too. Returns the topics that were wanted. No other topic is touched.
        Option trades come by base coin: they go with the coin as a symbol.
        """
        if book is None and not (trades or ticker or kline or liquidations or price_limits):
            keys = _named(symbols)
            fleet = self._fleets.get(category)
            names = [] if fleet is None else fleet.topics()
            return self.remove_topics(
                category, [name for name in names if topics.parse(category, name).key in keys]
            )
        groups = topics.symbol_topics(
            category,
            symbols,
            book=book,
            trades=trades,
            ticker=ticker,
            kline=kline,
            liquidations=liquidations,
            price_limits=price_limits,
        )
        return self.remove_topics(category, [topic for group in groups for topic in group])

    def add_topics(
        self, category: str, groups: Iterable[Sequence[str]], *, legs: int = 1, hot: Iterable[str] = ()
    ) -> None:
        """Want groups of topics, each group on one connection: `subscribe` for those who know the topics.

        It is the way to what has no symbol: ``[["insurance.USDT", "adlAlert.USDT"]]`` of ``linear``,
        ``[["system.status"]]`` of ``status``.
        """
        parsed = [[topics.parse(category, name) for name in group] for group in groups]
        hot_symbols = _named(hot)
        fleet = self._fleets.get(category) or self._new_fleet(category)
        for is_hot in (True, False):
            chosen = [group for group in parsed if group and (group[0].key in hot_symbols) is is_hot]
            fleet.want([[str(topic) for topic in group] for group in chosen], legs=legs, hot=is_hot)

    def remove_topics(self, category: str, names: Iterable[str]) -> list[str]:
        """Want these topics no more; return those that were wanted."""
        fleet = self._fleets.get(category)
        return [] if fleet is None else fleet.discard(names)

    def resync(self) -> None:
        """Have all that begins with a snapshot begin anew, on all legs, after the dispatchers were told of a
        loss.
        """
        for connection in self.connections:
            for topic in connection.session.states():
                connection.on_desync(topic)

    def reserve(self, legs: Mapping[str, Collection[int]], last_connection: int) -> None:
        """Leave these legs of each category to another feed, which writes the same journal, and number
        connections from ``last_connection`` + 1 on. To be called before the feed runs.
        """
        self._reserved = legs
        self._connector.number_after(last_connection)
        for category, fleet in self._fleets.items():
            fleet.reserved = legs.get(category, ())

    def free_legs(self) -> None:
        """Use all legs again: there is no other feed any more."""
        self._reserved = {}
        for fleet in self._fleets.values():
            fleet.reserved = ()

    # running

    def run(self) -> None:
        """Run on uvloop until Ctrl-C, then close the connections and return."""
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(self.run_async())

    async def run_async(self) -> None:
        """Run in the present event loop until cancelled."""
        async with self:
            assert self._failed is not None
            await self._failed

    async def __aenter__(self) -> Self:
        if self._failed is not None:
            raise UsageError("the feed was started before", "make a new Feed")
        if not self._fleets:
            raise UsageError("nothing is subscribed", "call subscribe() first")
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        self._is_running = True
        try:
            for fleet in self._fleets.values():
                fleet.start()
        except UsageError:
            await self.__aexit__(None, None, None)
            raise
        self._background = {
            loop.create_task(rotate_when_old(self._fleets, self.options.rotate_after_s)),
            loop.create_task(self._watch.run()),
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_running = False
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._carry_out()
        await asyncio.gather(*(fleet.stop() for fleet in self._fleets.values()))

    def rotate(self) -> asyncio.Task[int]:
        """Exchange each connection for a new one, one after the other, each without a gap.

        It goes on by itself; awaited, it tells how many were exchanged. A connection whose successor does not
        have all its topics in step within a minute stays.
        """
        task = asyncio.get_running_loop().create_task(self._rotate())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def changed(self) -> None:
        """Return after anything may have changed about any connection or subscription."""
        await self._connector.changes.wait()

    async def ping(self) -> dict[int, float | None]:
        """Ping all connections now; return each one's round-trip in seconds, None without an answer."""
        connections = self.connections
        answers = await asyncio.gather(*(connection.ping() for connection in connections))
        return {one.session.connection: rtt_s for one, rtt_s in zip(connections, answers, strict=True)}

    # what others decide

    def stalled(self, category: str, names: Iterable[str], start_ns: int, detail: str) -> None:
        """These topics are dead since ``start_ns`` (wall clock), on all legs: they are subscribed anew."""
        dead = list(names)
        for connection in self._fleet(category).connections:
            connection.stalled(dead, start_ns, detail)

    def decide(self, category: str, kind: RecordKind, payload: Payload) -> None:
        """Have a decision recorded and obeyed as soon as the callbacks of the present batch are through."""
        now = self._clock.now()
        decision = Decision(kind, {"category": category, **payload}, now.wall_ns, now.mono_ns)
        if not self._decisions:
            asyncio.get_running_loop().call_soon(self._carry_out)
        self._decisions.append((self._fleet(category), decision))

    def fetch_full_books(self, fetch: FetchFull) -> None:
        """Call ``fetch(category, topic, leg)`` whenever a full book needs a REST answer to begin with."""
        self._fetch_full = fetch
        for fleet in self._fleets.values():
            fleet.fetch_full = fetch

    # how it stands

    def dispatcher(self, category: str) -> Dispatcher:
        """Return the Dispatcher of a category that was subscribed. Raises UsageError."""
        return self._fleet(category).dispatcher

    def book(self, category: str, symbol: str, depth: int | str) -> OrderBook | None:
        """Return the live book, reused and changed by every message; None before it was subscribed."""
        return self.dispatcher(category).book(symbol, depth)

    def subscriptions(self) -> list[SubscriptionStatus]:
        """Return where each topic stands on each of its legs, and what would prove it dead."""
        proofs = self.proofs()
        return [
            replace(status, proof=proofs.get(category, {}).get(status.topic, ""))
            for category, fleet in self._fleets.items()
            for status in fleet.statuses()
        ]

    @property
    def connections(self) -> list[Connection]:
        """All connections, those that are being exchanged and their successors included."""
        return [connection for fleet in self._fleets.values() for connection in fleet.connections]

    @property
    def topics(self) -> dict[str, dict[str, TopicState]]:
        """Where each topic of each category stands, on its first leg."""
        states: dict[str, dict[str, TopicState]] = {category: {} for category in self._fleets}
        for connection in reversed(self.connections):
            states[connection.session.category].update(connection.session.states())
        return states

    @property
    def counters(self) -> dict[str, int]:
        """Everything counted since the start, summed over connections and categories."""
        total: Counter[str] = Counter()
        for fleet in self._fleets.values():
            total.update(fleet.counters)
        total.update(self._watch.counters)
        total["faults"] += self._faults
        return dict(total)

    def gauges(self) -> dict[str, Any]:
        """Return how far behind this process is: ``loop_lag`` and ``market_lag`` (receive less matching
        engine), each with count, negative, p50_ms, p99_ms and max_ms of the last minutes, and of each
        connection ``silence_s``, ``kernel_bytes`` (received, not read) and ``kernel_bytes_max``.
        """
        return self._watch.gauges.read()

    def proofs(self) -> dict[str, dict[str, str]]:
        """Return by category and topic what would prove it dead while its connection lives, or
        "quiet (unproven)".
        """
        return self._watch.proofs()

    def restate(self) -> dict[str, Any]:
        """Return what a new segment must say to stand alone: open connections, and the topics that wait for
        theirs, by leg; all topics by category.
        """
        by_state: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for session in (connection.session for connection in self.connections):
            by_state[session.is_connected].append(
                {
                    "connection": session.connection,
                    "category": session.category,
                    "leg": session.leg,
                    "url": session.url,
                    "topics": list(session.states()),
                }
            )
        return {
            "connections": by_state[True],
            "waiting": by_state[False],
            "topics": {category: list(states) for category, states in self.topics.items()},
        }

    # inside

    async def _rotate(self) -> int:
        shards = [(fleet, shard) for fleet in self._fleets.values() for shard in fleet.shards]
        return sum([await rotate(fleet, shard) for fleet, shard in shards])

    def _fleet(self, category: str) -> Fleet:
        if category not in self._fleets:
            known = ", ".join(self._fleets) or "nothing"
            raise UsageError(f"category {category!r} is not subscribed", f"subscribed: {known}")
        return self._fleets[category]

    def _new_fleet(self, category: str) -> Fleet:
        urls = [f"{base}/{endpoints.public_path(category)}" for base in self._bases]
        fleet = self._fleets[category] = Fleet(category, self.listener, self._connector, urls)
        fleet.fetch_full = self._fetch_full
        fleet.reserved = self._reserved.get(category, ())
        fleet.on_failure = self._fail
        if self._is_running:
            fleet.start()
        return fleet

    def _fail(self, error: BaseException) -> None:
        """A connection ended by an error of this program: so does the feed."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _carry_out(self) -> None:
        decisions, self._decisions = self._decisions, []
        for fleet, decision in decisions:
            self._decider.carry_out(fleet.dispatcher, [decision], 0, self._fault)

    def _fault(self, error: Exception) -> None:
        """What could not be recorded, or obeyed, must not end the feed: counted, the first one logged."""
        self._faults += 1
        if self._faults == 1:
            logger.error("a fault of the feed", exc_info=error)


def _named(symbols: Iterable[str]) -> set[str]:
    if isinstance(symbols, str):
        raise TopicError(f"symbols was the text {symbols!r}", symbols, remedy=f"give a list: [{symbols!r}]")
    return set(symbols)
