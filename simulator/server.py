"""The simulator as a whole: a websocket port, a REST port, and the task that moves the source."""

import asyncio
import errno
import ipaddress
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web
from picows import ws_create_server

from simulator.clock import Clock
from simulator.errors import MachineError, SimulatorError
from simulator.exchange.exchange import Exchange
from simulator.hub import Hub
from simulator.rest import Rest
from simulator.source import IDLE, Source
from simulator.switches import Switches
from simulator.venue import Venue
from simulator.websocket import Door

REQUEST_BYTES_MAX = 1 << 20
TICK_S_MAX = 3_600.0
SHUTDOWN_S = 1.0
"""Requests that are still without an answer at the end are given this."""

T = TypeVar("T")


@dataclass(slots=True)
class Simulator:
    """A running simulator. `player` is done when the source has sent all its data and the log is flushed."""

    ws: str
    rest: str
    venue: Venue
    door: Door
    player: asyncio.Task[None]


@asynccontextmanager
async def serve(
    source: Source,
    hub: Hub,
    switches: Switches,
    clock: Clock,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    rest_port: int = 0,
    exchange: Exchange | None = None,
) -> AsyncIterator[Simulator]:
    """Serve a source that publishes to `hub`, until the block ends. Port 0 is any free one.

    Raises SimulatorError when the host is not loopback or a port is taken.
    """
    if not is_loopback(host):
        raise SimulatorError(f"host was {host!r}; the simulator serves loopback only: use 127.0.0.1")
    venue = Venue(hub, source, switches, clock, exchange)
    door = Door(venue)
    runner = web.AppRunner(Rest(venue).application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await _listen(web.TCPSite(runner, host, rest_port).start(), "--rest-port", rest_port)
        websockets = ws_create_server(door.accept, host, port, max_frame_size=REQUEST_BYTES_MAX)
        server = await _listen(websockets, "--port", port)
        player = asyncio.create_task(_play(door))
        ticker = asyncio.create_task(_tick(venue))
        try:
            ws_port, rest_port = server.sockets[0].getsockname()[1], runner.addresses[0][1]
            yield Simulator(f"ws://{host}:{ws_port}", f"http://{host}:{rest_port}", venue, door, player)
        finally:
            player.cancel()
            ticker.cancel()
            await asyncio.wait([player, ticker])
            if not ticker.cancelled():
                ticker.result()
            server.close()
            await door.close()
    finally:
        await runner.cleanup()


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _listen(start: Awaitable[T], option: str, port: int) -> T:
    try:
        return await start
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise MachineError(
            f"port {port} is taken; name another with {option}, or 0 for any free one"
        ) from error


async def _play(door: Door) -> None:
    """Let the source publish, batch by batch, until its end."""
    venue = door.venue
    hub, source = venue.hub, venue.source
    while (wait_s := source.play(venue.clock())) is not None:
        hub.flush()
        if source.lossless and not hub.all_writable():
            await door.until_writable()
        elif wait_s == IDLE:
            await hub.changed.wait()
        else:
            await asyncio.sleep(wait_s)
    hub.flush()
    hub.flush_log()


async def _tick(venue: Venue) -> None:
    """Let faults happen that wait for a moment."""
    scheduled = venue.hub.scheduled
    while True:
        scheduled.clear()
        wait_s = (venue.tick() - venue.hub.clock()) / 1e9
        with suppress(TimeoutError):
            await asyncio.wait_for(scheduled.wait(), min(max(0.0, wait_s), TICK_S_MAX))
