"""Watches a feed: which topics are dead, which books differ from REST, what gaps left behind, and how far
behind this process is. What is found is recorded and obeyed by the feed; here nothing is touched.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol

from engine.audit import AUDITED, Auditor
from engine.backfill import Backfill, Hole
from engine.bybit.rest import KLINES_PER_PAGE, RestAnswer, RestClient
from engine.clock import NS_PER_S, Clock, Instant
from engine.config import FeedOptions
from engine.connection import Connection
from engine.decisions import Payload
from engine.errors import TapeheadError
from engine.full_book import FullBooks
from engine.gauges import Gauges
from engine.liveness import SAMPLE_S, Liveness, Verdict
from ext.book import BookState
from ext.dispatch import Dispatcher
from ext.journal import RecordKind

__all__ = ["Watch", "Watched"]

logger = logging.getLogger("tapehead")

# REST answers under way at a time; the client's pacer spreads them further.
ASKS_MAX: Final = 8
# Who wakes so much too late was stopped, not busy.
PAUSE_S: Final = 3.0
# A connection that said nothing for so long while a topic of it is dead is asked for a sign of life.
SILENCE_S: Final = 5.0


class Watched(Protocol):
    """The part of a `Feed` that is used."""

    @property
    def connections(self) -> Sequence[Connection]:
        """All connections."""

    def dispatcher(self, category: str) -> Dispatcher:
        """Return the dispatcher of a category."""

    def decide(self, category: str, kind: RecordKind, payload: Payload) -> None:
        """Have a decision recorded and obeyed."""

    def fetch_full_books(self, fetch: Callable[[str, str, int], object]) -> None:
        """Call ``fetch`` whenever a full book needs an answer of REST."""


class _Category:
    """What is kept of one category."""

    def __init__(self, name: str, dispatcher: Dispatcher) -> None:
        self.name = name
        self.dispatcher = dispatcher
        self.liveness = Liveness(name, dispatcher)
        self.backfill = Backfill()
        self.full_books = FullBooks()
        self.in_step: set[str] = set()
        self.judged: set[str] = set()


class Watch:
    """Samples a feed twice a second for as long as `run` runs. Without ``rest`` nothing is asked of REST: no
    audits, no backfill, no full books.
    """

    def __init__(self, feed: Watched, options: FeedOptions, clock: Clock, rest: RestClient | None) -> None:
        self.gauges = Gauges()
        self._feed = feed
        self._options = options
        self._clock = clock
        self._rest = rest
        self._auditor = Auditor(options.audit_interval_s, clock.now().mono_ns)
        self._categories: dict[str, _Category] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._pinging: set[asyncio.Task[float | None]] = set()
        self._counted = Counter(pauses=0, watch_faults=0, unanswered=0)
        self._sampled = clock.now()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self._rest or contextlib.nullcontext():
            if self._rest is not None:
                self._feed.fetch_full_books(self._want_full_book)
            try:
                await self._sample_for_ever()
            finally:
                under_way = [*self._asking, *self._pinging]
                for task in under_way:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)

    @property
    def counters(self) -> Counter[str]:
        """Everything counted since the start."""
        total = Counter(self._counted)
        total["audits"] = self._auditor.begun
        for kept in self._categories.values():
            total["verdicts"] += kept.liveness.verdicts
            total["backfill_asks"] += kept.backfill.asks
            total["full_book_asks"] += kept.full_books.asks
        if self._rest is not None:
            total["rest_requests"] = self._rest.requests
            total["rest_retried"] = self._rest.retried
        return total

    def proofs(self) -> dict[str, dict[str, str]]:
        """Return by category and topic what would prove it dead; `liveness.UNPROVEN` where nothing would."""
        return {name: kept.liveness.proofs() for name, kept in self._categories.items()}

    # samples

    async def _sample_for_ever(self) -> None:
        due_ns = self._clock.now().mono_ns
        while True:
            due_ns += round(SAMPLE_S * NS_PER_S)
            await asyncio.sleep(max(0.0, (due_ns - self._clock.now().mono_ns) / NS_PER_S))
            now = self._clock.now()
            late_ns = now.mono_ns - due_ns
            try:
                self._sample(now, late_ns)
            except Exception as error:  # noqa: BLE001 - a fault of the watch must not end what it watches
                self._fault(error)
            if late_ns > 0:
                due_ns = now.mono_ns

    def _sample(self, now: Instant, late_ns: int) -> None:
        self.gauges.loop.add(max(0, late_ns) / 1_000_000, now.mono_ns)
        connections = list(self._feed.connections)
        self._take_in(connections)
        if late_ns >= PAUSE_S * NS_PER_S:
            self._note_pause(late_ns)
        self._measure(connections, now)
        if self._options.liveness:
            for kept in self._categories.values():
                self._judge(kept, connections, now)
        if self._rest is not None:
            self._ask(now)
        self._sampled = now

    def _take_in(self, connections: Iterable[Connection]) -> None:
        """Which topics are in step, by category."""
        for kept in self._categories.values():
            kept.in_step.clear()
        for connection in connections:
            session = connection.session
            if session.category not in self._categories:
                dispatcher = self._feed.dispatcher(session.category)
                self._categories[session.category] = _Category(session.category, dispatcher)
            self._categories[session.category].in_step |= session.in_step()

    def _note_pause(self, late_ns: int) -> None:
        """An event, no gap: nothing is lost by it unless the venue cut us off, which is a gap of its own."""
        self._counted["pauses"] += 1
        detail = f"this process did not run for {late_ns / NS_PER_S:.1f} s"
        for category in self._categories:
            self._note(category, "paused", "", detail)

    def _measure(self, connections: Sequence[Connection], now: Instant) -> None:
        gauges = self.gauges
        for connection in connections:
            session = connection.session
            if session.is_connected:
                heard_ns = connection.frames.last_mono_ns
                gauges.connection(session.connection, heard_ns, connection.waiting_bytes, now.mono_ns)
        gauges.keep(one.session.connection for one in connections if one.session.is_connected)
        for kept in self._categories.values():
            gauges.books(kept.dispatcher.books(), self._sampled.wall_ns, now.mono_ns)

    # dead or quiet

    def _judge(self, kept: _Category, connections: Sequence[Connection], now: Instant) -> None:
        if kept.in_step != kept.judged:
            kept.judged = set(kept.in_step)
            kept.liveness.watch(sorted(kept.judged))
        verdicts = kept.liveness.tick(now.mono_ns)
        if not verdicts:
            return
        for connection in connections:
            if connection.session.category != kept.name:
                continue
            in_step = connection.session.in_step()
            for verdict in verdicts:
                if verdict.topic in in_step and verdict.leg in (None, connection.session.leg):
                    self._probe(connection, now)
                    start_ns = _silent_since_ns(kept, verdict, now)
                    connection.stalled([verdict.topic], start_ns, verdict.detail)

    def _probe(self, connection: Connection, now: Instant) -> None:
        """A connection that is silent altogether may be dead itself: a ping tells, before the next is due."""
        silent_ns = now.mono_ns - connection.frames.last_mono_ns
        if silent_ns >= SILENCE_S * NS_PER_S and len(self._pinging) < ASKS_MAX:
            self._start(connection.ping(), self._pinging)

    # what is asked of REST

    def _want_full_book(self, category: str, topic: str, leg: int) -> None:
        if category not in self._categories:
            self._categories[category] = _Category(category, self._feed.dispatcher(category))
        self._categories[category].full_books.want(topic, leg, self._clock.now().mono_ns)

    def _ask(self, now: Instant) -> None:
        if self._auditor.is_due(now.mono_ns) and self._free:
            books = (
                (kept.name, topic)
                for kept in self._categories.values()
                for topic in kept.in_step
                if topic.startswith(AUDITED)
            )
            if (book := self._auditor.begin(books, now.mono_ns)) is not None:
                self._start(self._audit(*book), self._asking)
        for kept in self._categories.values():
            self._settle_full_books(kept)
            for topic, leg in kept.full_books.take_due(now.mono_ns, self._free):
                self._start(self._begin_full_book(kept, topic, leg), self._asking)
            if self._options.backfill:
                kept.backfill.note(kept.dispatcher.holes(), now.mono_ns)
                for hole in kept.backfill.take_due(now.mono_ns, self._free):
                    self._start(self._fill(kept, hole), self._asking)

    def _settle_full_books(self, kept: _Category) -> None:
        """Those that are LIVE need no answer, nor do those that are not wanted any more."""
        if not kept.full_books.wanted:
            return
        sessions = [connection.session for connection in self._feed.connections]
        carried = {topic for one in sessions if one.category == kept.name for topic in one.states()}
        for topic in kept.full_books.wanted:
            book = kept.dispatcher.book(_key(topic), "full")
            if topic not in carried or (book is not None and book.state is BookState.LIVE):
                kept.full_books.synced(topic)

    async def _begin_full_book(self, kept: _Category, topic: str, leg: int) -> None:
        try:
            answer = self._client.full_orderbook(kept.name, _key(topic))
            await self._use(kept.name, "full_book", topic, leg, answer)
        finally:
            kept.full_books.asked(topic, self._clock.now().mono_ns)

    async def _audit(self, category: str, topic: str) -> None:
        asked = {"op": "audit", "topics": [topic], "leg": 0}
        self._feed.decide(category, RecordKind.REQUESTED, asked)
        await self._use(category, "audit", topic, 0, self._client.orderbook(category, _key(topic)))

    async def _fill(self, kept: _Category, hole: Hole) -> None:
        try:
            await self._use(kept.name, hole.use, hole.topic, 0, self._missing(kept.name, hole))
        finally:
            kept.backfill.asked(hole, self._clock.now().mono_ns)

    def _missing(self, category: str, hole: Hole) -> Coroutine[Any, Any, RestAnswer]:
        if hole.use == "trades":
            return self._client.recent_trades(category, _key(hole.topic))
        _, interval, symbol = hole.topic.split(".", 2)
        end_ms = hole.until_ms if hole.until_ms >= 0 else self._clock.now().wall_ns // 1_000_000
        return self._client.kline(
            category, symbol, interval, start_ms=hole.from_ms, end_ms=end_ms, limit=KLINES_PER_PAGE
        )

    async def _use(
        self, category: str, use: str, topic: str, leg: int, asking: Coroutine[Any, Any, RestAnswer]
    ) -> None:
        """Have an answer recorded and obeyed; that none came is an event."""
        try:
            answer = await asking
        except TapeheadError as error:
            self._counted["unanswered"] += 1
            self._note(category, "unanswered", topic, f"{use}: {error}")
            return
        used = {
            "use": use,
            "topic": topic,
            "leg": leg,
            "path": answer.path,
            "query": dict(answer.query),
            "body": answer.body.decode(),
        }
        self._feed.decide(category, RecordKind.REST, used)

    @property
    def _free(self) -> int:
        """How many more answers may be under way."""
        return max(0, ASKS_MAX - len(self._asking))

    @property
    def _client(self) -> RestClient:
        assert self._rest is not None
        return self._rest

    # inside

    def _note(self, category: str, kind: str, topic: str, detail: str) -> None:
        self._feed.decide(category, RecordKind.NOTED, {"kind": kind, "topic": topic, "detail": detail})

    def _start(self, work: Awaitable[Any], under_way: set[Any]) -> None:
        task = asyncio.ensure_future(work)
        under_way.add(task)
        task.add_done_callback(lambda task: self._ended(task, under_way))

    def _ended(self, task: asyncio.Task[Any], under_way: set[Any]) -> None:
        under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault(error)

    def _fault(self, error: BaseException) -> None:
        self._counted["watch_faults"] += 1
        if self._counted["watch_faults"] == 1:
            logger.error("a fault of the watch", exc_info=error)


def _silent_since_ns(kept: _Category, verdict: Verdict, now: Instant) -> int:
    """When the last good frame came, by the wall clock."""
    start_ns = now.wall_ns - verdict.silent_ns
    if verdict.leg is None:
        start_ns = kept.dispatcher.last_recv_ns(verdict.topic) or start_ns
    return min(start_ns, now.wall_ns)


def _key(topic: str) -> str:
    """The symbol of a topic; of trades of options the base coin."""
    return topic.split(".", 1 if topic.startswith("publicTrade.") else 2)[-1]
