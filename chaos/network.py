"""The network between a feed and the venue: latency, jitter, bandwidth, silence, cuts, refusals."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from picows import WSMsgType

from chaos.log import Log
from engine.clock import ManualClock
from engine.config import FeedOptions
from ext.frames import FrameListener

__all__ = ["GATEWAY", "SECOND_PORT", "Conditions", "Link", "Network", "Peer"]

IN_FLIGHT_MAX: Final = 100_000
GATEWAY: Final = "second"
"""The gateway behind the port of the second leg."""
SECOND_PORT: Final = 2
APART_S: Final = 1e-6
TOO_BIG: Final = 1009
HANDSHAKE_TRIPS: Final = 4  # TCP, TLS, HTTP


class Peer(Protocol):
    """The venue's end of a connection."""

    def receive(self, text: bytes) -> None:
        """Take one message of the client."""

    def leave(self) -> None:
        """The connection is gone."""


Accept = Callable[["Link", str], Awaitable[Peer]]
"""(link, path of the URL)."""


@dataclass(slots=True)
class Conditions:
    """How messages travel; what else can be wrong with a wire, the simulator does."""

    latency_s: float = 0.02
    jitter_s: float = 0.01
    is_silent_down: bool = False
    is_silent_up: bool = False


@dataclass(frozen=True, slots=True)
class _CloseInfo:
    code: Any
    reason: str


@dataclass(frozen=True, slots=True)
class _Code:
    value: int


@dataclass(frozen=True, slots=True)
class _CloseHandshake:
    recv: _CloseInfo | None
    sent: _CloseInfo | None
    recv_then_sent: bool


class Link:
    """One open connection: the client's transport, and what is in flight on it. Order is kept, as by TCP."""

    def __init__(
        self, network: "Network", frames: FrameListener, url: str, number: int, options: FeedOptions
    ) -> None:
        self.number = number
        self._bytes_max = options.message_bytes_max
        self.url = url
        self.conditions = network.fresh()
        self.close_handshake: Any = None
        self.is_open = True
        self.delivered = 0
        self.peer: Peer | None = None
        self._network = network
        self._frames = frames
        self._down: deque[tuple[float, bytes]] = deque()
        self._down_free_s = 0.0
        self._up_free_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    # the client's side: what `engine.websocket.Transport` asks for

    def send(self, msg_type: WSMsgType, message: Any, /) -> None:
        """Put a message of the client on the way."""
        text = bytes(message)
        self._network.log.add("send", f"{self.number} {text.decode()}")
        if self.conditions.is_silent_up:
            return
        # Apart by a little: timers of one moment have no order.
        arrival_s = self._loop.time() + self._network.travel_s(self.conditions)
        self._up_free_s = max(self._up_free_s + APART_S, arrival_s)
        self._loop.call_at(self._up_free_s, self._arrive, text)

    def send_close(self) -> None:
        """Begin an orderly end."""

    def disconnect(self, graceful: bool = True) -> None:
        """End the connection from the client's side."""
        self._end("client")

    async def wait_disconnected(self) -> None:
        """Return once the client's listener knows of the end."""
        await self._ended.wait()

    # the venue's side

    def push(self, payload: bytes) -> None:
        """Put a message of the venue on the way."""
        if not self.is_open or self.conditions.is_silent_down:
            return
        if len(payload) > self._bytes_max:
            # What picows does at the first bytes of such a frame.
            self._loop.call_soon(self._refuse_message)
            return
        arrival_s = self._loop.time() + self._network.travel_s(self.conditions)
        self._down_free_s = arrival_s = max(self._down_free_s, arrival_s)
        if len(self._down) >= IN_FLIGHT_MAX:
            self.cut()
            return
        self._down.append((arrival_s, payload))
        if self._timer is None:
            self._timer = self._loop.call_at(arrival_s, self._deliver)

    def close(self, code: int | None) -> None:
        """End the connection behind what is in flight, with a close frame or without one."""
        self._loop.call_at(max(self._down_free_s, self._loop.time()), self._close_now, code)

    def cut(self) -> None:
        """Reset: what is in flight is lost."""
        self._end("cut")

    # inside

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _arrive(self, text: bytes) -> None:
        if self.is_open and self.peer is not None:
            self.peer.receive(text)

    def _deliver(self) -> None:
        """Hand over all that has arrived as one receive batch."""
        self._timer = None
        if not self.is_open:
            return
        batch = []
        while self._down and self._down[0][0] <= self._loop.time():
            batch.append(self._down.popleft()[1])
        if self._down:
            self._timer = self._loop.call_at(self._down[0][0], self._deliver)
        if batch:
            now = self._network.clock.now()
            self.delivered += len(batch)
            self._network.delivered(self, batch)
            self._frames.received(batch, now.wall_ns, now.mono_ns)

    def _close_now(self, code: int | None) -> None:
        if not self.is_open or self.conditions.is_silent_down:
            return
        if code is not None:
            info = _CloseInfo(_Code(code), "")
            self.close_handshake = _CloseHandshake(info, info, recv_then_sent=True)
        self._end(f"close {code or ''}")

    def _refuse_message(self) -> None:
        if self.is_open:
            self.close_handshake = _CloseHandshake(None, _CloseInfo(_Code(TOO_BIG), ""), recv_then_sent=False)
            self._end(f"refused {TOO_BIG}")

    def _end(self, how: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._down.clear()
        self._network.ended(self, how)
        self._loop.call_soon(self._tell_client)

    def _tell_client(self) -> None:
        self._frames.closed(self)
        self._ended.set()


@dataclass
class Network:
    """Opens connections to the venue under the conditions of the moment; `open` is an engine's opener."""

    clock: ManualClock
    random: Random
    log: Log
    accept: Accept
    conditions: Conditions = field(default_factory=Conditions)
    failure: Callable[[], Exception] | None = None
    attempts: int = 0
    links: list[Link] = field(default_factory=list)
    on_delivered: Callable[[Link, list[bytes]], None] | None = None

    async def open(self, frames: FrameListener, url: str, options: FeedOptions) -> Link:
        """Connect, within the option's time."""
        self.attempts += 1
        number = self.attempts
        async with asyncio.timeout(options.connect_timeout_s):
            await asyncio.sleep(HANDSHAKE_TRIPS * self.travel_s(self.conditions))
            if self.failure is not None:
                error = self.failure()
                self.log.add("failed", f"{number} {type(error).__name__}")
                raise error
            link = Link(self, frames, url, number, options)
            address = urlsplit(url)
            gateway = f"/{GATEWAY}" if address.port == SECOND_PORT else ""
            link.peer = await self.accept(link, gateway + address.path)
        self.links.append(link)
        self.log.add("open", f"{number} {url}")
        frames.opened(link)
        return link

    def fresh(self) -> Conditions:
        """Return the conditions of a new connection: its own, beginning as the network's."""
        return Conditions(self.conditions.latency_s, self.conditions.jitter_s)

    def travel_s(self, conditions: Conditions) -> float:
        """Return how long a message travels."""
        return conditions.latency_s + conditions.jitter_s * self.random.random()

    def delivered(self, link: Link, batch: list[bytes]) -> None:
        """Messages reached the client."""
        if self.on_delivered is not None:
            self.on_delivered(link, batch)

    def ended(self, link: Link, how: str) -> None:
        """A connection ended."""
        self.log.add("end", f"{link.number} {how}")
        self.links.remove(link)
        if link.peer is not None:
            link.peer.leave()
