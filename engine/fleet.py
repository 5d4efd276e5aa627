"""The connections of one category: opened, exchanged and closed as topics come and go."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from engine.bybit import limits, rules
from engine.connection import Connection
from engine.connector import Connector
from engine.errors import UsageError
from engine.placement import Placement, Shard
from engine.subscriptions import SubscriptionStatus
from ext.dispatch import Dispatcher
from ext.listener import Control, Listener

__all__ = ["FetchFull", "Fleet"]

FULL_BOOK: Final = "orderbook.full."

# Asks for a REST answer to begin a full book with: category, topic, leg.
FetchFull = Callable[[str, str, int], object]


class Fleet(Control):
    """Keeps the topics of a category on connections. ``urls`` are those of the first and the second leg of a
    topic; each leg has its own placement, so that the two are never on the same connection.

    Before `start` topics are only collected: placed together they spread better than one by one.
    """

    def __init__(self, category: str, listener: Listener, connector: Connector, urls: Sequence[str]) -> None:
        self.category = category
        self.dispatcher = Dispatcher(category, listener, control=self, rules=rules.CONTINUITY.get(category))
        self.fetch_full: FetchFull | None = None
        self.reserved: Collection[int] = ()
        self.on_failure: Callable[[BaseException], object] = lambda error: None
        self._connector = connector
        self._urls = urls
        self._lanes = tuple(Placement(category) for _ in urls)
        self._waiting: list[tuple[int, tuple[str, ...], bool]] = []
        self._is_running = False
        self._by_leg: dict[int, Connection] = {}
        self._carriers: dict[Shard, list[Connection]] = {}
        self._tasks: dict[Connection, asyncio.Task[None]] = {}
        self._ended: Counter[str] = Counter()

    # what is wanted

    def want(self, groups: Iterable[Sequence[str]], *, legs: int = 1, hot: bool = False) -> None:
        """Want groups of topics on so many legs; those that are there already stay as they are."""
        if not 1 <= legs <= len(self._lanes):
            raise UsageError(f"legs was {legs}", f"a topic has 1 to {len(self._lanes)} legs")
        for group in groups:
            self._waiting += [(lane, tuple(group), hot) for lane in range(legs)]
        if self._is_running:
            self._place()

    def discard(self, topics: Iterable[str]) -> list[str]:
        """Want these topics no more, on no leg; return those that were wanted."""
        wanted = set(self.topics())
        known = [name for name in dict.fromkeys(topics) if name in wanted]
        names = set(known)
        self._waiting = [
            (lane, tuple(topic for topic in group if topic not in names), hot)
            for lane, group, hot in self._waiting
        ]
        for lane in self._lanes:
            for shard, removed in lane.remove(known).items():
                carriers = self._carriers[shard]
                if shard.topics:
                    for connection in carriers:
                        connection.discard(removed)
                else:
                    del self._carriers[shard]
                    for connection in carriers:
                        self.close(connection)
        return known

    def topics(self) -> list[str]:
        """Return all topics that are wanted, each once."""
        placed = [topic for lane in self._lanes for topic in lane.topics]
        return list(dict.fromkeys(placed + [topic for _, group, _ in self._waiting for topic in group]))

    def start(self) -> None:
        """Open connections for all that is wanted, and from now on at once for what comes."""
        self._is_running = True
        self._place()

    async def stop(self) -> None:
        """Close all connections and return when that is done. Raises what one of them ended by."""
        self._is_running = False
        for task in self._tasks.values():
            task.cancel()
        ends = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    # connections

    @property
    def connections(self) -> list[Connection]:
        """All connections that are not on their way out."""
        return [connection for carriers in self._carriers.values() for connection in carriers]

    @property
    def shards(self) -> list[Shard]:
        """The shares of the topics, one for each connection that is to stay."""
        return list(self._carriers)

    def carriers(self, shard: Shard) -> list[Connection]:
        """Return the connections of a shard: one, and where it is being exchanged its successor; none of a
        shard that is gone.
        """
        return self._carriers.get(shard, [])

    def add_carrier(self, shard: Shard) -> Connection:
        """Open one more connection for all topics of a shard."""
        lane = next(number for number, lane in enumerate(self._lanes) if shard in lane.shards)
        connection = self._open(self._urls[lane])
        connection.want(list(shard.topics))
        self._carriers.setdefault(shard, []).append(connection)
        return connection

    def drop_carrier(self, shard: Shard, connection: Connection) -> None:
        """Take a shard's topics off one of its connections, which is closed."""
        carriers = self._carriers.get(shard, [])
        if connection in carriers:
            carriers.remove(connection)
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """End a connection for good; its leg is free once it is closed."""
        connection.leave()
        self._tasks[connection].cancel()

    async def changed(self) -> None:
        """Return after anything may have changed about any connection of the feed."""
        await self._connector.changes.wait()

    @property
    def counters(self) -> Counter[str]:
        """Everything counted since the start, connections that have ended included."""
        total = Counter(self._ended)
        for connection in self._tasks:
            total.update(connection.counters)
        total.update(self.dispatcher.counters)
        return total

    def statuses(self) -> Iterator[SubscriptionStatus]:
        """Tell of each topic on each leg where it stands."""
        for connection in self.connections:
            for status in connection.session.statuses():
                first_ns = status.first_data_ns or self.dispatcher.first_recv_ns(status.topic)
                last_ns = self.dispatcher.last_recv_ns(status.topic)
                yield replace(status, first_data_ns=first_ns, last_data_ns=last_ns)

    # what the dispatcher tells

    def on_message(self, message: object, leg: int, recv_ns: int) -> None:
        if leg in self._by_leg:
            self._by_leg[leg].on_message(message)

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        if leg not in self._by_leg:
            return
        self._by_leg[leg].on_desync(topic)
        if topic.startswith(FULL_BOOK) and self.fetch_full is not None:
            self.fetch_full(self.category, topic, leg)

    def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
        if leg in self._by_leg:
            self._by_leg[leg].on_sync(topic)

    # inside

    def _place(self) -> None:
        """Put all that waits on connections, or none of it. Raises UsageError where there are too many."""
        waiting, self._waiting = self._waiting, []
        placed: list[tuple[Placement, Shard, list[str]]] = []
        for number, lane in enumerate(self._lanes):
            for hot in (True, False):
                groups = [group for at, group, is_hot in waiting if (at, is_hot) == (number, hot)]
                placed += [(lane, *placing) for placing in lane.place(groups, hot=hot).items()]
        fresh = {shard for _, shard, _ in placed if shard not in self._carriers}
        if len(self._by_leg) + len(fresh) > limits.CONNECTIONS_PER_CATEGORY_MAX:
            for lane, _, topics in placed:
                lane.remove(topics)
            raise self._too_many(len(self._by_leg) + len(fresh))
        for _, shard, topics in placed:
            for connection in self.carriers(shard) or [self.add_carrier(shard)]:
                connection.want(topics)

    def _too_many(self, needed: int) -> UsageError:
        problem = f"{self.category} needs {needed} connections; the venue allows"
        remedy = "want fewer topics, or spread the symbols over several machines"
        return UsageError(f"{problem} {limits.CONNECTIONS_PER_CATEGORY_MAX}", remedy)

    def _open(self, url: str) -> Connection:
        if len(self._by_leg) >= limits.CONNECTIONS_PER_CATEGORY_MAX:
            raise self._too_many(len(self._by_leg) + 1)
        leg = next(leg for leg in count() if leg not in self._by_leg and leg not in self.reserved)
        connection = self._connector.make(self.category, leg, url, self.dispatcher)
        self._by_leg[leg] = connection
        task = asyncio.get_running_loop().create_task(connection.run())
        self._tasks[connection] = task
        task.add_done_callback(lambda task: self._note_end(connection, task))
        return connection

    def _note_end(self, connection: Connection, task: asyncio.Task[None]) -> None:
        del self._by_leg[connection.session.leg]
        del self._tasks[connection]
        self._ended.update(connection.counters)
        self._connector.give_back(connection)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.on_failure(error)
