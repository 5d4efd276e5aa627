"""REST over HTTP: the answers of the venue, and the endpoint that arms faults."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from simulator.answers import Answer, Answers
from simulator.errors import SimulatorError
from simulator.exchange import control
from simulator.exchange.exchange import Exchange
from simulator.exchange.rest import FORBIDDEN, Reply, SignedRest
from simulator.venue import Venue

FAULTS = "/simulator/faults"
UNANSWERED_S = 60.0
"""A request that a fault leaves without an answer is cut after this."""


class Rest:
    """Gives the answers of a venue to HTTP."""

    def __init__(self, venue: Venue) -> None:
        self._hub = venue.hub
        self._exchange = venue.exchange
        self._answers = Answers(venue)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.router.add_post(FAULTS, self._arm)
        app.router.add_delete(FAULTS, self._clear)
        if self._exchange is not None:
            signed = _Signed(self._exchange, self._get)
            app.router.add_route("*", control.PREFIX + "{name}", signed.control)
            app.router.add_route("*", "/v5/{path:.*}", signed.handle)
        app.router.add_get("/{path:.*}", self._get)
        return app

    async def _get(self, request: web.Request) -> web.StreamResponse:
        answer = self._answers.get(request.path, dict(request.query))
        if answer.delay_ns:
            await asyncio.sleep(answer.delay_ns / 1e9)
        if answer.cut and request.transport is not None:
            request.transport.abort()
        return _response(answer)

    async def _arm(self, request: web.Request) -> web.StreamResponse:
        """Arm the faults of a script; times in it count from now."""
        try:
            self._hub.plan.arm(orjson.loads(await request.read()), self._hub.clock())
        except (orjson.JSONDecodeError, SimulatorError) as error:
            return _response(Answer(400, orjson.dumps({"error": str(error)})))
        self._hub.scheduled.set()
        return _response(self._answers.get(FAULTS, {}))

    async def _clear(self, request: web.Request) -> web.StreamResponse:
        """Disarm everything."""
        self._hub.plan.clear()
        return _response(self._answers.get(FAULTS, {}))


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Signed:
    """The signed endpoints and the control of an exchange; what it does not know goes to `other`."""

    def __init__(self, exchange: Exchange, other: Handler) -> None:
        self._rest = SignedRest(exchange)
        self._control = control.Control(exchange)
        self._other = other

    async def handle(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        if self._rest.is_banned(address):
            return web.Response(body=FORBIDDEN, status=403)
        target = request.raw_path
        if not self._rest.knows(request.method, target.partition("?")[0]):
            return await self._other(request)
        body = await request.read()
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answer(found: Reply) -> None:
            if not reply.done():
                reply.set_result(found)

        self._rest.handle(request.method, target, request.headers, body, address, answer)
        try:
            found = await asyncio.wait_for(reply, UNANSWERED_S)
        except TimeoutError:
            found = Reply(504, b"", cut=True)
        if found.cut and request.transport is not None:
            request.transport.abort()
        return web.Response(
            body=found.body, status=found.status, headers=found.headers, content_type="application/json"
        )

    async def control(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            if request.method == "GET":
                found = self._control.get(name, dict(request.query))
            elif request.method == "DELETE":
                found = self._control.delete(name)
            else:
                found = self._control.post(name, orjson.loads(await request.read() or b"{}"))
        except (orjson.JSONDecodeError, SimulatorError) as error:
            return _response(Answer(400, orjson.dumps({"error": str(error)})))
        return _response(Answer(200, orjson.dumps(found)))


def _response(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, content_type="application/json", status=answer.status)
