"""A stand-in for the venue's REST interface: answers by path, and remembers what came."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Asked:
    """One request as it came over the wire: ``payload`` is the raw query or body."""

    method: str
    path: str
    payload: str
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What is answered: an envelope, or another status or body."""

    code: int = 0
    message: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Answering = Callable[[Asked], Answer]


class Venue:
    """``answer`` says what is answered to all but the time; ``ahead_s`` is how far its clock is ahead."""

    def __init__(self, answer: Answering = lambda asked: Answer(), ahead_s: float = 0) -> None:
        self.answer = answer
        self.ahead_s = ahead_s
        self.asked: list[Asked] = []
        self.url = ""

    def now_ms(self) -> int:
        """The time by this venue's clock."""
        return round((time.time() + self.ahead_s) * 1_000)

    @property
    def paths(self) -> list[str]:
        """What was asked for, but for the time."""
        return [one.path for one in self.asked if one.path != "/v5/market/time"]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = (await request.read()).decode()
        asked = Asked(
            request.method, request.path, body or request.url.raw_query_string, dict(request.headers)
        )
        self.asked.append(asked)
        if asked.path == "/v5/market/time":
            nano = f"{self.now_ms()}000000"
            answer = Answer(result={"timeSecond": nano[:10], "timeNano": nano})
        else:
            answer = self.answer(asked)
        envelope = {
            "retCode": answer.code,
            "retMsg": answer.message,
            "result": answer.result,
            "retExtInfo": {},
            "time": self.now_ms(),
        }
        return web.Response(body=orjson.dumps(envelope), status=answer.status, headers=answer.headers)


@asynccontextmanager
async def served(venue: Venue) -> AsyncIterator[Venue]:
    """Serve it on this machine."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", venue.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield venue
    finally:
        await runner.cleanup()
