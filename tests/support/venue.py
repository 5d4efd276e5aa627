"""A scripted venue on loopback, for what a well-behaved one never does: each test says how it answers."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)


def book_frame(topic: str, kind: str, update_id: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    symbol = topic.rpartition(".")[2]
    data = {"s": symbol, "b": bids, "a": asks, "u": update_id, "seq": 1000 + update_id}
    return json.dumps({"topic": topic, "type": kind, "ts": 1790000000000, "data": data, "cts": 1790000000000})


def snapshot(topic: str, update_id: int = 100) -> str:
    return book_frame(topic, "snapshot", update_id, [["100.1", "1"], ["100.0", "2"]], [["100.2", "3"]])


def delta(topic: str, update_id: int, size: str = "5") -> str:
    return book_frame(topic, "delta", update_id, [["100.1", size]], [])


class Peer(WSListener):
    """One accepted connection: what it was asked, and ways to answer."""

    def __init__(self, venue: "Venue", path: str) -> None:
        self.venue = venue
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.pings = 0
        self.pongs = 0
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.venue.peers.append(self)
        self.venue.changed()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PONG:
            self.pongs += 1
            self.venue.changed()
        elif frame.msg_type == WSMsgType.TEXT:
            self._on_request(json.loads(frame.get_payload_as_bytes()))

    def _on_request(self, request: dict[str, Any]) -> None:
        if request["op"] == "ping":
            self.pings += 1
            if self.venue.answers_pings:
                self.send({"success": True, "ret_msg": "pong", "conn_id": "c1", "req_id": "", "op": "ping"})
        else:
            self.requests.append(request)
            self.venue.answer(self, request)
        self.venue.changed()

    def send(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.transport.send(WSMsgType.TEXT, text)

    def reply(self, *messages: object) -> None:
        for message in messages:
            self.send(message)

    def ack(self, request: dict[str, Any], success: bool = True, reason: str = "") -> None:
        answer = {"success": success, "ret_msg": reason, "conn_id": "c1"}
        self.send({**answer, "req_id": request["req_id"], "op": request["op"]})


class Asked(Protocol):
    """Whoever was asked something: a `Peer` or a connection in memory."""

    def reply(self, *messages: object) -> None: ...

    def ack(self, request: dict[str, Any], success: bool = True, reason: str = "") -> None: ...


def obedient(peer: Asked, request: dict[str, Any]) -> None:
    """Confirm whatever is asked, and send each book's snapshot."""
    peer.ack(request)
    if request["op"] == "subscribe":
        for topic in request["args"]:
            if topic.startswith("orderbook"):
                peer.reply(snapshot(topic))


class Venue:
    """A server whose `answer` decides what follows a request."""

    def __init__(self, answer: Callable[[Peer, dict[str, Any]], None] = obedient) -> None:
        self.answer = answer
        self.answers_pings = True
        self.peers: list[Peer] = []
        self.port = 0
        self._event = asyncio.Event()
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    def changed(self) -> None:
        self._event.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something that came from outside made the condition true."""
        while not condition():
            self._event.clear()
            await self._event.wait()

    async def start(self, ssl_context: ssl.SSLContext | None = None) -> None:
        def accept(request: WSUpgradeRequest) -> WSListener:
            return Peer(self, request.path.decode())

        self._server = await ws_create_server(accept, "127.0.0.1", self.port, ssl=ssl_context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new connections and reset those there are."""
        self._server.close()
        for peer in self.peers:
            peer.transport.disconnect(graceful=False)
        await self._server.wait_closed()


@asynccontextmanager
async def running(venue: Venue, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Venue]:
    await venue.start(ssl_context)
    try:
        yield venue
    finally:
        await venue.stop()
