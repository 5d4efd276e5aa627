"""The websocket end: one listener a connection, between picows and the hub."""

import asyncio
import socket
import struct
from http import HTTPStatus

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

from simulator.faults import Close, Ending, Peer, Refusal, Reset
from simulator.venue import AnyClient, Venue

WRITE_HIGH_BYTES = 1 << 19
"""Above this a connection asks the source to wait, where the source can."""
CLOSE_TIMEOUT_S = 2.0
WRITE_BYTES_MAX = 64 << 20
"""A connection that leaves more than this unread is closed."""
NO_ANSWER = 504
"""What a handshake gets here that a fault leaves without an answer."""


class Door:
    """Lets connections in and knows them."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connections: set[Connection] = set()
        self._caught_up = asyncio.Event()

    def accept(self, request: WSUpgradeRequest) -> "Connection | WSUpgradeResponseWithListener":
        """Return the listener of a path that is served, or the answer to a handshake that is not let in."""
        peer = self.venue.admit(request.path.decode("ascii", "replace"))
        return refused(peer) if isinstance(peer, Refusal) else Connection(self, peer)

    async def until_writable(self) -> None:
        """Wait until no connection asks to wait."""
        while not self.venue.hub.all_writable():
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


def refused(refusal: Refusal) -> WSUpgradeResponseWithListener:
    """Return the HTTP answer of a refusal."""
    response = WSUpgradeResponse.create_ok_response(b"", refusal.headers)
    response.status = HTTPStatus(refusal.status or NO_ANSWER)
    return WSUpgradeResponseWithListener(response, None)


class Connection(WSListener):
    """One client. Runs on the loop's thread."""

    def __init__(self, door: Door, peer: Peer) -> None:
        super().__init__()
        self.number = peer.number
        self.writable = True
        self.client: AnyClient | None = None
        self._peer = peer
        self._door = door
        self._transport: WSTransport | None = None
        self.idle_timer: asyncio.TimerHandle | None = None

    @property
    def topics(self) -> list[str]:
        """What the connection is subscribed to."""
        return list(self.client.topics) if self.client is not None else []

    @property
    def category(self) -> str:
        """The category of the connection's path."""
        return self._peer.category

    def write(self, data: bytes) -> None:
        """Put websocket frames on the wire; close the connection when too much is unread."""
        if self._transport is None or self._transport.is_disconnected:
            return
        wire = self._transport.underlying_transport
        wire.write(data)
        if wire.get_write_buffer_size() > WRITE_BYTES_MAX:
            self._door.venue.slow_closed += 1
            self.cut()

    def act(self, item: Ending) -> None:
        """End as a fault says."""
        if self._transport is None:
            return
        if isinstance(item, Close):
            self._transport.send_close(WSCloseCode(item.code))
        if isinstance(item, Reset):
            end = self._transport.underlying_transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not (isinstance(item, Close) and item.stays):
            self._transport.disconnect(graceful=not isinstance(item, Reset))

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
        self.client = self._door.venue.client(self._peer, self)
        self._door.connections.add(self)
        self._touch()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End, whoever began it."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        self._door.connections.discard(self)
        if self.client is not None:
            self.client.leave()
        self._door.caught_up()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a request of the client."""
        if frame.msg_type == WSMsgType.CLOSE:
            self.hang_up(frame.get_close_code() or WSCloseCode.OK)
        elif frame.msg_type == WSMsgType.TEXT and self.client is not None:
            if self.client.request(frame.get_payload_as_bytes()):
                self.hang_up(WSCloseCode.POLICY_VIOLATION)
            self._touch()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.writable = False

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.writable = True
        self._door.caught_up()

    def _touch(self) -> None:
        """Start the idle time anew; it runs only while nothing is subscribed."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None
        idle_s = int(self._door.venue.switches.idle_close_s)
        if idle_s and not self.topics:
            self.idle_timer = asyncio.get_running_loop().call_later(idle_s, self.cut)
