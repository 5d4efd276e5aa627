"""The simulator without its sockets: its sessions, hub, market and plan of faults, on links in memory."""

import asyncio
from collections.abc import Iterable
from typing import Final

import orjson

from chaos.log import Log
from chaos.network import Link
from chaos.truth import Truth, topic_of
from engine.clock import ManualClock
from simulator.faults import (
    Binary,
    Close,
    Cut,
    Fragments,
    Item,
    Mute,
    Peer,
    Ping,
    Plan,
    Reset,
    Shape,
    Timed,
)
from simulator.generated import Generated
from simulator.hub import Hub, Stream
from simulator.instruments import listings
from simulator.session import Answer, Session
from simulator.source import IDLE
from simulator.switches import Switches

__all__ = ["Connection", "Venue"]

FILLERS: Final = 100
"""Symbols that are listed beside those that move: the more there are, the shorter a lap of each."""
NS: Final = 1_000_000_000


class Venue:
    """One category of a simulated venue; ``plan`` holds its faults, ``truth`` what it published."""

    def __init__(
        self, category: str, symbols: Iterable[str], clock: ManualClock, log: Log, *, seed: int, rate: float
    ) -> None:
        self.category = category
        self.symbols = list(symbols)
        self.truth = Truth()
        self.switches = Switches()
        self._clock = clock
        self._log = log
        self._start = clock.now()
        self.plan = Plan(seed=seed, now_ns=self.now_ns())
        self.plan.on_fired = self._fired
        self.hub = _TappedHub(self)
        names = [*self.symbols, *(f"X{number}USDT" for number in range(FILLERS))]
        listed = listings(",".join(f"{category}:{name}" for name in names))
        self.source = Generated(
            listed, self.hub, self.switches, self.now_ns, seed=seed, rate=rate * len(self.symbols)
        )
        self._observer = _Observer()
        self.hub.join(self._observer)

    @property
    def start_ns(self) -> int:
        """The venue's time of day when the run began."""
        return self._start.wall_ns

    def now_ns(self) -> int:
        """Return the venue's time of day; steps of the client's wall clock do not concern it."""
        return self._start.wall_ns + self._clock.now().mono_ns - self._start.mono_ns

    def watch(self, topics: Iterable[str]) -> None:
        """Keep topics moving whether or not anybody is subscribed, so that the truth has no holes."""
        for topic in topics:
            stream = self.hub.stream(self.category, topic)
            for payload in self.source.opening(self.category, topic):
                self.truth.note(topic, payload, self.now_ns())
            self.hub.subscribe(self._observer, stream, [])

    async def play(self) -> None:
        """Publish for ever, in step with the clock."""
        while (wait_s := self.source.play(self.now_ns())) is not None:
            self.hub.flush()
            if wait_s == IDLE:
                await self.hub.changed.wait()
            else:
                await asyncio.sleep(wait_s)

    async def accept(self, link: Link, category: str, gateway: str) -> "Connection":
        """Take a new connection in. Raises the error by which a client sees that it was refused."""
        peer = Peer(link.number, category, gateway, self.now_ns())
        refusal = self.plan.handshake(peer, self.now_ns())
        if refusal is not None:
            await link.refuse(refusal.status)
        connection = Connection(self, link, peer)
        self.plan.opened(peer)
        self.hub.join(connection)
        return connection

    def do_due(self) -> None:
        """Let happen what the plan has for connections at this moment."""
        for peer, item in self.plan.due_links(self.now_ns()):
            for outlet in list(self.hub.sendings):
                if outlet.number == peer.number and isinstance(outlet, Connection):
                    outlet.put(0, item)

    def published(self, stream: Stream, payload: bytes) -> None:
        """A message goes out to every subscriber."""
        self.truth.note(stream.topic, payload, self.now_ns())

    def _fired(self, fired: dict[str, object]) -> None:
        self._log.add("fault", orjson.dumps(fired).decode())


class _TappedHub(Hub):
    """Everything published is noted as the truth first."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(None)
        self._venue = venue

    def publish(self, stream: Stream, payload: bytes) -> None:
        self._venue.published(stream, payload)
        super().publish(stream, payload)


class _Observer:
    """A subscriber that keeps nothing."""

    number = 0
    writable = True

    def write(self, data: bytes) -> None:
        """Let it go."""


class Connection:
    """The venue's end of one link: what `simulator.websocket` does, without a websocket."""

    writable = True

    def __init__(self, venue: Venue, link: Link, peer: Peer) -> None:
        self.number = link.number
        self.link = link
        self.peer = peer
        self._venue = venue
        source, category = venue.source, venue.category
        self.session = Session(
            category,
            f"sim-{link.number:05x}",
            venue.switches,
            lambda topic: source.knows(category, topic),
            lambda symbol: any(one.symbol == symbol for one in source.instruments(category)),
        )

    def receive(self, text: bytes) -> None:
        """Answer a request of the client."""
        venue = self._venue
        request = orjson.loads(text)
        verdict = venue.plan.incoming(self.peer, request, venue.now_ns())
        if verdict is not None and verdict.lost:
            return
        answer = self._judged(text, request, verdict)
        self._send(str(request["op"]), answer.reply)
        for topic in answer.added:
            self._open(topic)
        for topic in answer.removed:
            venue.hub.unsubscribe(self, venue.hub.stream(venue.category, topic))
        venue.hub.flush()

    def leave(self) -> None:
        """The link has ended."""
        self._venue.plan.closed(self.peer)
        self._venue.hub.leave(self)

    def write(self, data: bytes) -> None:
        """Put the websocket frames of a flush on the link, one message each."""
        for payload in _payloads(data):
            self._send(topic_of(payload), payload)

    def put(self, delay_ns: int, item: Item) -> None:
        """Do what the plan made of a message, or says of the connection."""
        if delay_ns:
            asyncio.get_running_loop().call_later(delay_ns / NS, self.put, 0, item)
            return
        link, conditions = self.link, self.link.conditions
        match item:
            case bytes():
                link.push(item)
            case Fragments() | Binary():
                link.push(item.payload)
            case Close():
                link.close(item.code)
            case Cut() | Reset():
                link.cut()
            case Mute():
                conditions.is_silent_down = conditions.is_silent_up = True
            case Shape():
                conditions.latency_s += item.latency_ns / NS
                conditions.jitter_s += item.jitter_ns / NS
                conditions.bytes_per_s = item.bytes_per_s
                link.block(item.blocked_ns / NS)
            case Ping():
                pass

    def _judged(self, text: bytes, request: dict[str, object], verdict: object) -> Answer:
        session = self.session
        if verdict is None:
            return session.handle(text)
        refused = getattr(verdict, "refused", "")
        reply = {
            "success": not refused,
            "ret_msg": refused or ("" if self._venue.category != "spot" else request["op"]),
            "conn_id": "sim",
            "req_id": request.get("req_id", ""),
            "op": request["op"],
        }
        return Answer(orjson.dumps(reply), not refused)

    def _send(self, topic: str, payload: bytes) -> None:
        venue = self._venue
        timed: list[Timed] = venue.plan.outgoing(self.peer, topic, payload, venue.now_ns())
        for delay_ns, item in timed:
            self.put(delay_ns, item)

    def _open(self, topic: str) -> None:
        venue = self._venue
        opening = venue.source.opening(venue.category, topic)
        for payload in opening:
            venue.truth.opening(topic, payload)
        venue.hub.subscribe(self, venue.hub.stream(venue.category, topic), opening)


def _payloads(data: bytes) -> list[bytes]:
    """Return the payloads of unmasked websocket text frames."""
    found, place = [], 0
    while place < len(data):
        size, place = data[place + 1], place + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, place = int.from_bytes(data[place : place + width], "big"), place + width
        found.append(data[place : place + size])
        place += size
    return found
