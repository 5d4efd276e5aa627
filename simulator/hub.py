"""Between the source of frames and the sockets: who is subscribed to what, and what was sent."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from typing import Protocol

from simulator.clock import Clock, wall_ns
from simulator.faults import Ending, Item, Message, Mute, Peer, Ping, Plan, Raw, Shape
from simulator.faults.fault import NEVER_NS
from simulator.log import FrameLog
from simulator.wire import Wire, websocket_frame, websocket_message


class Outlet(Protocol):
    """A connection as the hub sees it."""

    number: int
    writable: bool

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""

    def act(self, item: Ending) -> None:
        """End the connection as a fault says."""


@dataclass(slots=True, eq=False)
class Stream:
    """One topic of one category. `u` is the last update id that was published, 0 where a topic has none."""

    category: str
    topic: str
    subscribers: list["Sending"] = field(default_factory=list)
    frames: int = 0
    u: int = 0
    stale: dict["Sending", int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Sending:
    """What waits for the next flush of a connection: websocket frames, and their payloads for the log.

    A connection without a `peer` has no faults. `muted`: nothing goes out any more.
    """

    outlet: Outlet
    peer: Peer | None = None
    frames: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    wire: Wire | None = None
    muted: bool = False


class Hub:
    """Fans frames out to subscribers and counts them. `changed` is set when a subscription changes.

    Faults of the `plan` that concern frames and connections happen here. What they put off waits in the hub
    until `tick`; `scheduled` is set when there is something new to wait for.
    """

    def __init__(self, log: FrameLog | None, plan: Plan | None = None, clock: Clock = wall_ns) -> None:
        self.streams: dict[tuple[str, str], Stream] = {}
        self.sendings: dict[Outlet, Sending] = {}
        self.frames = 0
        self.data_frames = 0
        self.changed = asyncio.Event()
        self.plan = plan if plan is not None else Plan()
        self.scheduled = asyncio.Event()
        self.clock = clock
        self._log = log
        self._dirty: dict[Sending, None] = {}
        self._later: list[tuple[int, int, Sending, Item]] = []
        self._places = itertools.count()
        if log is not None:
            self.plan.on_fired = log.note

    def stream(self, category: str, topic: str) -> Stream:
        """Return the stream of a topic, made at its first use."""
        return self.streams.setdefault((category, topic), Stream(category, topic))

    def join(self, outlet: Outlet, peer: Peer | None = None) -> None:
        """Take a new connection in."""
        self.sendings[outlet] = Sending(outlet, peer)
        if peer is not None:
            self.plan.opened(peer)
            self.scheduled.set()

    def leave(self, outlet: Outlet) -> None:
        """Forget a connection and its subscriptions."""
        sending = self.sendings.pop(outlet)
        self._dirty.pop(sending, None)
        self._silence(sending)
        if sending.peer is not None:
            self.plan.closed(sending.peer)

    def subscribe(self, outlet: Outlet, stream: Stream, opening: list[bytes]) -> None:
        """Let a connection have a topic from now on, beginning with the `opening` frames."""
        sending = self.sendings[outlet]
        if sending not in stream.subscribers:
            stream.subscribers.append(sending)
        stream.stale.pop(sending, None)
        for payload in opening:
            self._queue(sending, stream.topic, payload)
        stream.frames += len(opening)
        self.data_frames += len(opening)
        self.changed.set()

    def unsubscribe(self, outlet: Outlet, stream: Stream, stale_frames: int = 0) -> None:
        """End a subscription, after `stale_frames` more frames of the topic."""
        sending = self.sendings[outlet]
        if sending in stream.subscribers:
            if stale_frames:
                stream.stale[sending] = stale_frames
            else:
                stream.subscribers.remove(sending)
        self.changed.set()

    def publish(self, stream: Stream, payload: bytes) -> None:
        """Queue a data frame for every subscriber of its topic."""
        if self.plan.faults:
            for sending in list(stream.subscribers):
                self._queue(sending, stream.topic, payload)
        else:
            frame = websocket_frame(payload)
            for sending in stream.subscribers:
                sending.frames.append(frame)
                if self._log is not None:
                    sending.payloads.append(payload)
                self._dirty[sending] = None
        count = len(stream.subscribers)
        stream.frames += count
        self.data_frames += count
        if stream.stale:
            self._count_stale(stream)

    def _count_stale(self, stream: Stream) -> None:
        for sending in list(stream.stale):
            stream.stale[sending] -= 1
            if not stream.stale[sending]:
                del stream.stale[sending]
                stream.subscribers.remove(sending)

    def reply(self, outlet: Outlet, op: str, payload: bytes) -> None:
        """Queue the answer to an op for one connection."""
        self._queue(self.sendings[outlet], op, payload)

    def end(self, outlet: Outlet, ending: Ending) -> None:
        """End a connection after what is queued for it."""
        self._put(self.sendings[outlet], ending)

    def _queue(self, sending: Sending, topic: str, payload: bytes) -> None:
        if sending.peer is None or not self.plan.faults:
            self._put(sending, payload)
            return
        now_ns = self.clock()
        for delay_ns, item in self.plan.outgoing(sending.peer, topic, payload, now_ns):
            if delay_ns:
                self._put_off(now_ns + delay_ns, sending, item)
            else:
                self._put(sending, item)

    def _put(self, sending: Sending, item: Item) -> None:
        """Queue a message, or let happen to the connection what follows those that are queued."""
        if sending.muted:
            return
        if isinstance(item, Message):
            sending.frames.append(websocket_message(item))
            if self._log is not None and not isinstance(item, Ping):
                sending.payloads.append(item if isinstance(item, bytes) else item.payload)
            self._dirty[sending] = None
            return
        self._flush_one(sending)
        self._dirty.pop(sending, None)
        if isinstance(item, Shape):
            sending.wire = Wire(item, sending.wire, self.clock())
            return
        if isinstance(item, Mute):
            self._silence(sending)
        elif isinstance(item, Ending) and sending.wire is not None:
            sending.muted = True
            self._put_off(sending.wire.last_ns, sending, item)
        elif isinstance(item, Ending):
            sending.muted = True
            sending.outlet.act(item)

    def _silence(self, sending: Sending) -> None:
        """Let nothing go out to a connection any more, what was put off included."""
        sending.muted = True
        self._later = [one for one in self._later if one[2] is not sending]
        heapq.heapify(self._later)
        for stream in self.streams.values():
            if sending in stream.subscribers:
                stream.subscribers.remove(sending)
            stream.stale.pop(sending, None)
        self.changed.set()

    def _put_off(self, due_ns: int, sending: Sending, item: Item) -> None:
        heapq.heappush(self._later, (due_ns, next(self._places), sending, item))
        self.scheduled.set()

    def flush(self) -> None:
        """Write what is queued: one write a connection."""
        for sending in self._dirty:
            self._flush_one(sending)
        self._dirty.clear()

    def _flush_one(self, sending: Sending) -> None:
        if not sending.frames:
            return
        data = b"".join(sending.frames)
        if sending.wire is None:
            sending.outlet.write(data)
        else:
            for due_ns, item in sending.wire.carry(data, self.clock()):
                self._put_off(due_ns, sending, item)
        self.frames += len(sending.frames)
        if self._log is not None and sending.payloads:
            self._log.append(self.clock(), sending.outlet.number, sending.payloads)
        sending.frames.clear()
        sending.payloads.clear()

    def tick(self, now_ns: int) -> int:
        """Let happen to connections what is due by now, flush, and return when something is next."""
        for peer, item in self.plan.due_links(now_ns):
            for sending in self.sendings.values():
                if sending.peer is peer:
                    self._put(sending, item)
        while self._later and self._later[0][0] <= now_ns:
            _, _, sending, item = heapq.heappop(self._later)
            if isinstance(item, Raw):
                sending.outlet.write(item.data)
            elif isinstance(item, Ending):
                sending.muted = True
                sending.outlet.act(item)
            else:
                self._put(sending, item)
        self.flush()
        return min(self.next_ns(), self.plan.next_ns())

    def next_ns(self) -> int:
        """Return when something that was put off is due."""
        return self._later[0][0] if self._later else NEVER_NS

    def flush_log(self) -> None:
        """Put the frame log on disk as far as it goes."""
        if self._log is not None:
            self._log.flush()

    def all_writable(self) -> bool:
        """Return whether no connection has asked to wait."""
        return all(outlet.writable for outlet in self.sendings)
