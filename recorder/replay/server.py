"""A recorded range as an exchange on loopback, websocket and REST on one port: docs/replay.md."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from engine.bybit.topics import CATEGORIES
from engine.clock import Clock, SystemClock
from ext.journal import Record, RecordKind
from ext.listener import Listener
from recorder.playback import Playback
from recorder.replay.session import Session
from recorder.replay.state import Market, ParameterError
from recorder.tape.of_spool import SpoolRange
from recorder.tape.tape import Pacer

__all__ = ["Progress", "ReplayServer", "serve"]

REQUEST_BYTES_MAX: Final = 1 << 20
QUEUE_BYTES_MAX: Final = 1 << 20  # of a client; then the tape waits for it
QUIET_S: Final = 0.5  # without a further subscription, before the tape begins
STALLED_S: Final = 30.0  # a client that takes nothing for so long is closed
BREATH_FRAMES: Final = 64  # at most so many before other tasks have their turn
PARAMETER_ERROR: Final = 10001
RUN_RECORDS: Final = 1_000
NS_PER_MS: Final = 1_000_000
CLOSE_TIMEOUT_S: Final = 2.0
TOPIC_START: Final = b'{"topic":"'

Answering = Callable[[Mapping[str, str]], dict[str, Any]]
Progress = Callable[[int, int, int], None]
"""Told the time of the tape (ns), the frames sent to clients so far, and how many clients there are."""


class _Client:
    """One connection, and what waits for it."""

    def __init__(self, session: Session, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.session = session
        self.took = asyncio.Event()
        self._request = request
        self._socket = socket
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the tape has to wait for it."""
        return self._bytes > QUEUE_BYTES_MAX

    @property
    def is_empty(self) -> bool:
        """Whether everything was written."""
        return not self._bytes

    def put(self, frame: bytes) -> None:
        """Queue a message."""
        self._waiting.append(frame)
        self._bytes += len(frame)
        self._more.set()

    async def write(self) -> None:
        """Send what waits, until the connection ends."""
        while not self._socket.closed:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                frame = self._waiting.popleft()
                await self._socket.send_frame(frame, WSMsgType.TEXT)
                self._bytes -= len(frame)
                self.took.set()

    async def close(self, code: WSCloseCode) -> None:
        """Close in order."""
        await self._socket.close(code=code)

    def cut(self) -> None:
        """Close at once."""
        if self._request.transport is not None:
            self._request.transport.abort()


class ReplayServer:
    """Plays ranges (one a shard) to whoever subscribes. For one event loop.

    Args:
        ranges: of the shards of one recording.
        speed: times the pace of the recording; None: as fast as the clients read.
        wait: for the first subscription, and until half a second has brought no further one.
        loop: begin anew at the end.
    """

    def __init__(
        self,
        ranges: Sequence[SpoolRange],
        *,
        speed: float | None = 1.0,
        wait: bool = True,
        loop: bool = False,
        clock: Clock | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        names = ("records", "frames", "sent", "clients", "stalled_clients", "rounds")
        self.counters = dict.fromkeys(names, 0)
        self._ranges = ranges
        self._speed = speed
        self._wait = wait
        self._loop = loop
        self._clock = clock or SystemClock()
        self._on_progress = on_progress
        self._market = Market()
        self._topics: dict[str, set[str]] = {}
        for one in ranges:
            for category, topics in one.topics().items():
                self._topics.setdefault(category, set()).update(topics)
        self._clients: set[_Client] = set()
        self._subscribers: dict[tuple[str, str], list[_Client]] = {}
        self._subscribed = asyncio.Event()
        self._legs: dict[tuple[str, str], int] = {}
        self._down: set[tuple[str, int]] = set()
        self._numbers = itertools.count(1)

    # playing

    async def play(self) -> None:
        """Play to the end (with `loop` for ever), until all of it was written."""
        while True:
            await self._play_once()
            self.counters["rounds"] += 1
            if not self._loop:
                break
        for client in list(self._clients):
            while not client.is_empty and client in self._clients:
                await self._until_it_takes(client)

    async def _play_once(self) -> None:
        playbacks = [one.begin(Listener(), self._market.take_rest) for one in self._ranges]
        try:
            self._market.playbacks = playbacks
            self._legs.clear()
            self._down.clear()
            for key in self._subscribers:  # of a round before
                if (opening := self._market.opening(*key)) is not None:
                    self._send(key, opening)
            if self._wait:
                await self._until_subscribed()
            pacer = None if self._speed is None else Pacer(self._clock, self._speed)
            for count, (record, playback) in enumerate(self._records(playbacks)):
                if pacer is not None and (wait_s := pacer.wait_s(record.recv_ns)) > 0:
                    await asyncio.sleep(wait_s)
                elif count % BREATH_FRAMES == 0:
                    await asyncio.sleep(0)
                self._obey(record, playback)
                for client in [one for one in self._clients if one.is_full]:
                    await self._until_it_takes(client)
        finally:
            for playback in playbacks:
                playback.close()

    async def _until_subscribed(self) -> None:
        """Wait for the first subscription, and until no more come: clients ask topic by topic."""
        await self._subscribed.wait()
        with suppress(TimeoutError):
            while True:
                self._subscribed.clear()
                await asyncio.wait_for(self._subscribed.wait(), QUIET_S)
        self._subscribed.set()

    def _records(self, playbacks: Sequence[Playback]) -> Iterator[tuple[Record, Playback]]:
        """The records of all shards, by the time at which they were received."""
        streams = [
            _of(playback, one.records()) for one, playback in zip(self._ranges, playbacks, strict=True)
        ]
        return heapq.merge(*streams, key=lambda item: item[0].recv_ns)

    def _obey(self, record: Record, playback: Playback) -> None:
        while playback.position < record.position and playback.run(RUN_RECORDS, until=record.position):
            pass
        self._market.recv_ns = record.recv_ns
        self.counters["records"] += 1
        if record.kind == RecordKind.FRAME:
            self._publish(record, playback)
        elif record.kind in (RecordKind.CONNECTED, RecordKind.DISCONNECTED):
            said = orjson.loads(record.payload)
            leg = (said["category"], said["leg"])
            if record.kind == RecordKind.CONNECTED:
                self._down.discard(leg)
            else:
                self._down.add(leg)

    def _publish(self, record: Record, playback: Playback) -> None:
        """Send a frame as it is, if its leg is the one whose frames of that topic are sent."""
        route, topic = playback.route(record.connection), _topic_of(record.payload)
        if route is None or topic is None:
            return
        self.counters["frames"] += 1
        dispatcher, leg = route
        key = (dispatcher.category, topic)
        chosen = self._legs.setdefault(key, leg)
        if leg == chosen:
            self._send(key, record.payload)
        elif (dispatcher.category, chosen) in self._down or chosen not in dispatcher.legs_of(topic):
            self._legs[key] = leg
            self._send(key, self._market.opening(*key) or record.payload)

    def _send(self, key: tuple[str, str], frame: bytes) -> None:
        for client in self._subscribers.get(key, ()):
            client.put(frame)
            self.counters["sent"] += 1

    async def _until_it_takes(self, client: _Client) -> None:
        client.took.clear()
        try:
            await asyncio.wait_for(client.took.wait(), STALLED_S)
        except TimeoutError:
            self.counters["stalled_clients"] += 1
            self._leave(client)
            client.cut()

    async def tell(self) -> None:
        """Tell the progress each second, until cancelled."""
        while self._on_progress is not None:
            self._on_progress(self._market.recv_ns, self.counters["sent"], len(self._clients))
            await asyncio.sleep(1.0)

    # clients

    def application(self) -> web.Application:
        """Return the aiohttp application of websocket and REST."""
        app = web.Application()
        app.router.add_get("/v5/public/{category}", self._websocket)
        for path, answer in self._rest().items():
            app.router.add_get(path, _answering(answer, lambda: self._market.recv_ns // NS_PER_MS))
        return app

    def _rest(self) -> dict[str, Answering]:
        market = self._market
        return {
            "/v5/market/time": market.time,
            "/v5/market/instruments-info": market.instruments_info,
            "/v5/spread/instrument": lambda query: market.instruments_info({**query, "category": "spread"}),
            "/v5/market/orderbook": market.orderbook,
            "/v5/market/tickers": market.tickers,
        }

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        category = request.match_info["category"]
        if category not in CATEGORIES:
            raise web.HTTPNotFound(text=f"no category {category}\n")
        socket = web.WebSocketResponse(
            max_msg_size=REQUEST_BYTES_MAX, compress=False, timeout=CLOSE_TIMEOUT_S
        )
        await socket.prepare(request)
        topics = self._topics.get(category, set())
        name = f"replay-{next(self._numbers):08}"
        session = Session(category, name, topics.__contains__, lambda: self._market.recv_ns // NS_PER_MS)
        client = _Client(session, request, socket)
        self._clients.add(client)
        self.counters["clients"] += 1
        writer = asyncio.create_task(client.write())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._request(category, client, message.data)
        finally:
            self._leave(client)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    def _request(self, category: str, client: _Client, text: str) -> None:
        answer = client.session.handle(text)
        client.put(answer.reply)
        for topic in answer.added:
            opening = self._market.opening(category, topic)
            if opening is not None:
                client.put(opening)
            self._subscribers.setdefault((category, topic), []).append(client)
            self._subscribed.set()
        for topic in answer.removed:
            self._subscribers[category, topic].remove(client)

    def _leave(self, client: _Client) -> None:
        self._clients.discard(client)
        client.took.set()
        for subscribers in self._subscribers.values():
            if client in subscribers:
                subscribers.remove(client)

    async def close(self, code: WSCloseCode) -> None:
        """Close all connections in order."""
        await asyncio.gather(*(client.close(code) for client in list(self._clients)))


@asynccontextmanager
async def serve(server: ReplayServer, port: int = 0) -> AsyncIterator[int]:
    """Listen on 127.0.0.1 until the block ends; gives the port. 0 is any free one. OSError: it is taken."""
    runner = web.AppRunner(server.application(), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner.addresses[0][1]
        await server.close(WSCloseCode.OK)
    finally:
        await runner.cleanup()


def _of(playback: Playback, records: Iterator[Record]) -> Iterator[tuple[Record, Playback]]:
    return ((record, playback) for record in records)


def _topic_of(frame: bytes) -> str | None:
    """The topic of a frame; None where it has none, or is not JSON."""
    if frame.startswith(TOPIC_START):
        return frame[len(TOPIC_START) : frame.find(b'"', len(TOPIC_START))].decode("utf-8", "replace")
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None
    topic = message.get("topic") if isinstance(message, dict) else None
    return topic if isinstance(topic, str) else None


def _answering(
    answer: Answering, now_ms: Callable[[], int]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            said: dict[str, Any] = {"retCode": 0, "retMsg": "OK", "result": answer(request.query)}
        except ParameterError as error:
            said = {"retCode": PARAMETER_ERROR, "retMsg": f"params error: {error}", "result": {}}
        body = orjson.dumps({**said, "retExtInfo": {}, "time": now_ms()})
        return web.Response(body=body, content_type="application/json")

    return handle
