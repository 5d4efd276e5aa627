"""The simulator in memory, in step with the virtual clock, on the links of the network; and its truth."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import orjson
from picows import WSError

from chaos.log import Log
from chaos.network import Link
from chaos.truth import Truth, topic_of
from engine.clock import NS_PER_S, ManualClock
from simulator.faults import Binary, Close, Cut, Fragments, Item, Ping, Plan, Refusal, Reset
from simulator.instruments import listings
from simulator.memory import MemoryConnection, MemoryVenue
from simulator.wire import Messages

__all__ = ["Peer", "Venue"]

LAP_STEPS: Final = 120


class Venue:
    """One category of a simulated venue: its faults are in ``plan``, what it published in ``truth``."""

    def __init__(
        self, category: str, symbols: Iterable[str], clock: ManualClock, log: Log, *, seed: int, rate: float
    ) -> None:
        self.category = category
        self.truth = Truth()
        self.pings = 0
        self._clock = clock
        self._log = log
        self._start = clock.now()
        self.plan = Plan(seed=seed, now_ns=self.start_ns)
        listed = listings(",".join(f"{category}:{name}" for name in symbols))
        self.memory = MemoryVenue(
            listed, self.plan, seed=seed, rate=rate, start_ns=self.start_ns, lap_steps=LAP_STEPS
        )
        self.plan.on_fired = self._fired
        self._peers: dict[int, Peer] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._observer = _Observer(self)
        self.memory.hub.join(self._observer)

    @property
    def start_ns(self) -> int:
        """The venue's time of day when the run began."""
        return self._start.wall_ns

    def now_ns(self) -> int:
        """Return the venue's time of day; steps of the client's wall clock do not concern it."""
        return self.start_ns + self._clock.now().mono_ns - self._start.mono_ns

    def seconds(self, at_ns: int) -> float:
        """Return a time of the venue as seconds of the run."""
        return (at_ns - self.start_ns) / NS_PER_S

    def watch(self, topics: Iterable[str]) -> None:
        """Keep topics moving whether or not anybody is subscribed, so that the truth has no holes."""
        hub = self.memory.hub
        for topic in topics:
            opening = self.memory.source.opening(self.category, topic)
            hub.subscribe(self._observer, hub.stream(self.category, topic), opening)
        hub.flush()

    def arm(self, entry: dict[str, Any]) -> None:
        """Add a fault to the plan; its times count from now."""
        self.plan.arm([entry], self.now_ns())
        self.step()

    async def accept(self, link: Link, path: str) -> "Peer":
        """Take a new connection in. Raises what a client sees of a refusal."""
        self.step()
        connection = self.memory.connect(path)
        if isinstance(connection, Refusal):
            self._log.add("refused", f"{link.number} {connection.status}")
            if not connection.status:
                await asyncio.Event().wait()
            raise WSError(f"the handshake was answered with {connection.status}")
        peer = self._peers[link.number] = Peer(self, link, connection)
        return peer

    def leave(self, peer: "Peer") -> None:
        """A connection has gone."""
        self._peers.pop(peer.link.number, None)

    def step(self) -> None:
        """Let everything happen that is due by now, and come back when something is due next."""
        self.memory.advance(self.now_ns())
        for peer in list(self._peers.values()):
            peer.pump()
        if self._timer is not None:
            self._timer.cancel()
        wait_s = (self.memory.next_ns() - self.now_ns()) / NS_PER_S
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait_s), self.step)

    def _fired(self, fired: dict[str, Any]) -> None:
        self._log.add("fault", orjson.dumps(fired).decode())


class Peer:
    """The venue's end of one link."""

    def __init__(self, venue: Venue, link: Link, connection: MemoryConnection) -> None:
        self.link = link
        self._venue = venue
        self._connection = connection

    def receive(self, text: bytes) -> None:
        """Take a request of the client."""
        self._venue.step()
        self._connection.send(text)
        self._venue.step()

    def leave(self) -> None:
        """The link has ended."""
        self._connection.close()
        self._venue.leave(self)

    def pump(self) -> None:
        """Put on the link what the venue has sent."""
        for _, item in self._connection.take():
            self._put(item)

    def _put(self, item: Item) -> None:
        match item:
            case bytes():
                self.link.push(item)
            case Fragments() | Binary():
                self.link.push(item.payload)
            case Close():
                self.link.close(item.code)
            case Cut():
                self.link.close(None)
            case Reset():
                self.link.cut()
            case Ping():
                self._venue.pings += 1


class _Observer:
    """A subscriber of everything, beyond the reach of faults: what it gets is the truth."""

    number = 0
    writable = True

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._messages = Messages()

    def write(self, data: bytes) -> None:
        """Note what was published."""
        for message in self._messages.feed(data):
            if isinstance(message, bytes):
                self._venue.truth.note(topic_of(message), message, self._venue.memory.now_ns)

    def act(self, item: Close | Cut | Reset) -> None:
        """Never: no fault concerns it."""
