"""A cable that can be stalled, cut or reset: a TCP proxy on loopback, on a thread of its own."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 20.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST

Result = TypeVar("Result")


class Cable:
    """Leads to one address; its methods may be called from any thread. ``made`` counts connections."""

    def __init__(self, host: str, port: int) -> None:
        self.made = 0
        self.port = 0
        self._target = (host, port)
        self._is_cut = False
        self._flows: asyncio.Event
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def stall(self) -> None:
        """Let nothing through; connections stay."""
        self._run(self._let_through(through=False))

    def resume(self) -> None:
        """Let everything through again that waited."""
        self._run(self._let_through(through=True))

    def cut(self) -> None:
        """End all connections without a word of the websocket, and refuse new ones."""
        self._run(self._break(refuse=True, reset=False))

    def mend(self) -> None:
        """Take new connections again."""
        self._is_cut = False

    def reset(self) -> None:
        """End all connections with RST; new ones are taken."""
        self._run(self._break(refuse=False, reset=True))

    # on the thread

    def start(self) -> None:
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    async def _listen(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self.made += 1
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # that end is gone: the other one is told below
        writer.close()

    async def _let_through(self, *, through: bool) -> None:
        if through:
            self._flows.set()
        else:
            self._flows.clear()

    async def _break(self, *, refuse: bool, reset: bool) -> None:
        self._is_cut = refuse
        for writer in self._writers:
            if reset:
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._flows.set()

    async def _end(self) -> None:
        self._server.close()
        await self._break(refuse=True, reset=False)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def cable(url: str) -> Iterator[tuple[Cable, str]]:
    """Yield a cable to the host of a URL, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    one = Cable(parts.hostname, parts.port)
    one.start()
    try:
        yield one, parts._replace(netloc=f"127.0.0.1:{one.port}").geturl()
    finally:
        one.stop()
