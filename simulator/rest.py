"""REST over HTTP: the answers of the venue, and the endpoint that arms faults."""

import asyncio

import orjson
from aiohttp import web

from simulator.answers import Answer, Answers
from simulator.errors import SimulatorError
from simulator.venue import Venue

FAULTS = "/simulator/faults"


class Rest:
    """Gives the answers of a venue to HTTP."""

    def __init__(self, venue: Venue) -> None:
        self._hub = venue.hub
        self._answers = Answers(venue)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.router.add_post(FAULTS, self._arm)
        app.router.add_delete(FAULTS, self._clear)
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


def _response(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, content_type="application/json", status=answer.status)
