"""A feed in virtual time: on the event loop of `chaos.loop`, with a venue in memory.

Nothing waits: hours of feed take the time of their callbacks. No socket is opened, no thread started::

    clock = ManualClock()
    venue = MemoryVenue(clock)
    run_virtual(main(engine.Feed(watch, url="ws://127.0.0.1:1", clock=clock, opener=venue.open)), clock)
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from picows import WSMsgType
from picows.picows import WSCloseHandshake

from chaos import loop
from engine.clock import ManualClock
from engine.config import FeedOptions
from ext.frames import FrameListener
from tests.support.venue import Asked, obedient

Result = TypeVar("Result")


def run_virtual(main: Coroutine[Any, Any, Result], clock: ManualClock, limit_s: float = 86_400) -> Result:
    """Run to the end, within ``limit_s`` seconds of the clock."""

    async def limited() -> Result:
        async with asyncio.timeout(limit_s):
            return await main

    return loop.run(limited(), clock)


class Link:
    """One connection in memory: the feed's transport, and the venue's peer."""

    close_handshake: WSCloseHandshake | None = None

    def __init__(self, venue: "MemoryVenue", frames: FrameListener, url: str) -> None:
        self.venue = venue
        self.url = url
        self.requests: list[dict[str, Any]] = []
        self.pings = 0
        self.is_open = True
        self._frames = frames
        self._closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # as the feed sees it

    def send(self, msg_type: WSMsgType, message: Any) -> None:
        self._loop.call_later(self.venue.latency_s, self._asked, json.loads(message))

    def send_close(self) -> None:
        """The end itself follows by `disconnect`."""

    def disconnect(self, graceful: bool = True) -> None:
        self._loop.call_soon(self.cut)

    async def wait_disconnected(self) -> None:
        await self._closed.wait()

    # as the venue sees it

    def reply(self, *messages: object) -> None:
        """Send messages, which arrive together after the latency."""
        encoded = [(item if isinstance(item, str) else json.dumps(item)).encode() for item in messages]
        self._loop.call_later(self.venue.latency_s, self._arrive, encoded)

    def ack(self, request: dict[str, Any], success: bool = True, reason: str = "") -> None:
        answer = {"success": success, "ret_msg": reason, "conn_id": "c1"}
        self.reply({**answer, "req_id": request["req_id"], "op": request["op"]})

    def cut(self) -> None:
        """The connection is gone, now."""
        if self.is_open:
            self.is_open = False
            self._frames.closed(self)
            self._closed.set()

    def _arrive(self, messages: list[bytes]) -> None:
        if self.is_open:
            now = self.venue.clock.now()
            self._frames.received(messages, now.wall_ns, now.mono_ns)

    def _asked(self, request: dict[str, Any]) -> None:
        if not self.is_open:
            return
        if request["op"] == "ping":
            self.pings += 1
            self.reply({"success": True, "ret_msg": "pong", "conn_id": "c1", "req_id": "", "op": "ping"})
        else:
            self.requests.append(request)
            self.venue.answer(self, request)


class MemoryVenue:
    """Opens `Link`s; ``answer`` decides what follows a request, ``refuse`` which URL cannot be had."""

    def __init__(
        self, clock: ManualClock, answer: Callable[[Asked, dict[str, Any]], None] = obedient
    ) -> None:
        self.clock = clock
        self.answer = answer
        self.latency_s = 0.001
        self.links: list[Link] = []
        self.refuse: Callable[[str], bool] = lambda url: False

    async def open(self, frames: FrameListener, url: str, options: FeedOptions) -> Link:
        await asyncio.sleep(self.latency_s)
        if self.refuse(url):
            raise ConnectionRefusedError(url)
        link = Link(self, frames, url)
        self.links.append(link)
        frames.opened(link)
        return link

    @property
    def open_links(self) -> list[Link]:
        return [link for link in self.links if link.is_open]
