"""The websocket end: one listener a connection, between picows and the hub."""

import asyncio
import itertools
from collections.abc import Iterable

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest

from simulator.hub import Hub
from simulator.instruments import CATEGORIES
from simulator.session import Answer, Session
from simulator.source import Source
from simulator.switches import Switches

WRITE_HIGH_BYTES = 1 << 19
"""Above this a connection asks the source to wait, where the source can."""
CLOSE_TIMEOUT_S = 2.0
WRITE_BYTES_MAX = 64 << 20
"""A connection that leaves more than this unread is closed."""


class Venue:
    """Everything the connections share."""

    def __init__(self, hub: Hub, source: Source, switches: Switches) -> None:
        self.hub = hub
        self.source = source
        self.switches = switches
        self.connections: set[Connection] = set()
        self.refused_requests = 0
        self.slow_closed = 0
        self._caught_up = asyncio.Event()
        self._numbers = itertools.count(1)

    def accept(self, request: WSUpgradeRequest) -> "Connection | None":
        """Return the listener of a path that is served, None (HTTP 404) for any other."""
        path = request.path.decode("ascii", "replace").partition("?")[0]
        prefix, _, category = path.rpartition("/")
        if prefix != "/v5/public" or category not in CATEGORIES:
            return None
        return Connection(self, category, next(self._numbers))

    async def until_writable(self) -> None:
        """Wait until no connection asks to wait."""
        while not self.hub.all_writable():
            self._caught_up.clear()
            await self._caught_up.wait()

    def caught_up(self) -> None:
        """A connection can take more, or has gone."""
        self._caught_up.set()

    async def close(self) -> None:
        """Close every connection, giving each a moment to take what is queued."""
        closing = [connection.close() for connection in self.connections]
        if closing:
            await asyncio.wait([asyncio.ensure_future(one) for one in closing], timeout=CLOSE_TIMEOUT_S)
        for connection in list(self.connections):
            connection.cut()


class Connection(WSListener):
    """One client. Runs on the loop's thread."""

    def __init__(self, venue: Venue, category: str, number: int) -> None:
        super().__init__()
        self.number = number
        self.writable = True
        self.category = category
        self.session = Session(
            category,
            f"sim{number:017x}-{number:05x}",
            venue.switches,
            lambda topic: venue.source.knows(category, topic),
            lambda symbol: any(one.symbol == symbol for one in venue.source.instruments(category)),
        )
        self._venue = venue
        self._transport: WSTransport | None = None
        self.idle_timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Put websocket frames on the wire; close the connection when too much is unread."""
        if self._transport is None or self._transport.is_disconnected:
            return
        wire = self._transport.underlying_transport
        wire.write(data)
        if wire.get_write_buffer_size() > WRITE_BYTES_MAX:
            self._venue.slow_closed += 1
            self.cut()

    async def close(self) -> None:
        """Say goodbye and close after what is queued."""
        if self._transport is not None:
            self.hang_up(WSCloseCode.GOING_AWAY)
            await self._transport.wait_disconnected()

    def hang_up(self, code: WSCloseCode) -> None:
        """Send a close frame and close after what is queued, without waiting for it."""
        if self._transport is not None:
            self._transport.send_close(code)
            self._transport.disconnect()

    def cut(self) -> None:
        """Close at once; what is queued is lost."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._venue.connections.add(self)
        self._venue.hub.join(self)
        self._touch()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End, whoever began it."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        self._venue.connections.discard(self)
        self._venue.hub.leave(self)
        self._venue.caught_up()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a request of the client."""
        if frame.msg_type == WSMsgType.CLOSE:
            self.hang_up(frame.get_close_code() or WSCloseCode.OK)
        elif frame.msg_type == WSMsgType.TEXT:
            self._obey(self.session.handle(frame.get_payload_as_bytes()))
            self._touch()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.writable = False

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.writable = True
        self._venue.caught_up()

    def _obey(self, answer: Answer) -> None:
        hub, source, switches = self._venue.hub, self._venue.source, self._venue.switches
        before = switches.snapshot_order == "before"
        self._venue.refused_requests += not answer.success
        if not before:
            hub.reply(self, answer.reply)
        for topic in answer.added:
            hub.subscribe(self, hub.stream(self.category, topic), source.opening(self.category, topic))
        if before:
            hub.reply(self, answer.reply)
        self._leave(answer.removed, int(switches.stale_frames))
        if answer.poisoned:
            self._leave(self.session.topics, 0)
        hub.flush()
        if answer.close:
            self.hang_up(WSCloseCode.POLICY_VIOLATION)

    def _leave(self, topics: Iterable[str], stale_frames: int) -> None:
        hub = self._venue.hub
        for topic in topics:
            hub.unsubscribe(self, hub.stream(self.category, topic), stale_frames)

    def _touch(self) -> None:
        """Start the idle time anew; it runs only while nothing is subscribed."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None
        idle_s = int(self._venue.switches.idle_close_s)
        if idle_s and not self.session.topics:
            self.idle_timer = asyncio.get_running_loop().call_later(idle_s, self.cut)
