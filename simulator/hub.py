"""Between the source of frames and the sockets: who is subscribed to what, and what was sent."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from simulator.clock import wall_ns
from simulator.log import FrameLog


class Outlet(Protocol):
    """A connection as the hub sees it."""

    number: int
    writable: bool

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""


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
    """What waits for the next flush of a connection: websocket frames, and their payloads for the log."""

    outlet: Outlet
    frames: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)


def websocket_frame(payload: bytes) -> bytes:
    """Return a complete, unmasked text frame."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Hub:
    """Fans frames out to subscribers and counts them. `changed` is set when a subscription changes."""

    def __init__(self, log: FrameLog | None) -> None:
        self.streams: dict[tuple[str, str], Stream] = {}
        self.sendings: dict[Outlet, Sending] = {}
        self.frames = 0
        self.data_frames = 0
        self.changed = asyncio.Event()
        self._log = log
        self._dirty: dict[Sending, None] = {}

    def stream(self, category: str, topic: str) -> Stream:
        """Return the stream of a topic, made at its first use."""
        return self.streams.setdefault((category, topic), Stream(category, topic))

    def join(self, outlet: Outlet) -> None:
        """Take a new connection in."""
        self.sendings[outlet] = Sending(outlet)

    def leave(self, outlet: Outlet) -> None:
        """Forget a connection and its subscriptions."""
        sending = self.sendings.pop(outlet)
        self._dirty.pop(sending, None)
        for stream in self.streams.values():
            if sending in stream.subscribers:
                stream.subscribers.remove(sending)
            stream.stale.pop(sending, None)
        self.changed.set()

    def subscribe(self, outlet: Outlet, stream: Stream, opening: list[bytes]) -> None:
        """Let a connection have a topic from now on, beginning with the `opening` frames."""
        sending = self.sendings[outlet]
        if sending not in stream.subscribers:
            stream.subscribers.append(sending)
        stream.stale.pop(sending, None)
        for payload in opening:
            self._queue(sending, payload)
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

    def reply(self, outlet: Outlet, payload: bytes) -> None:
        """Queue a control frame for one connection."""
        self._queue(self.sendings[outlet], payload)

    def _queue(self, sending: Sending, payload: bytes) -> None:
        sending.frames.append(websocket_frame(payload))
        if self._log is not None:
            sending.payloads.append(payload)
        self._dirty[sending] = None

    def flush(self) -> None:
        """Write what is queued: one write a connection."""
        for sending in self._dirty:
            sending.outlet.write(b"".join(sending.frames))
            self.frames += len(sending.frames)
            if self._log is not None:
                self._log.append(wall_ns(), sending.outlet.number, sending.payloads)
            sending.frames.clear()
            sending.payloads.clear()
        self._dirty.clear()

    def flush_log(self) -> None:
        """Put the frame log on disk as far as it goes."""
        if self._log is not None:
            self._log.flush()

    def all_writable(self) -> bool:
        """Return whether no connection has asked to wait."""
        return all(outlet.writable for outlet in self.sendings)
