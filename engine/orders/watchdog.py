"""A process of its own that cancels our orders when its parent stops beating.

The parent writes a byte every second; silence or a closed pipe, without a goodbye, is a parent that hangs or
is gone. The process finds its key where the parent did (variables or key file): nothing secret is in its
arguments.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from engine.bybit.credentials import Credentials
from engine.bybit.http import Http, rows
from engine.bybit.trade_rest import TradeRest
from engine.errors import ConnectError, TapeheadError, UsageError
from engine.orders.options import ClientOptions
from engine.orders.order import ORDER_RECV_WINDOW_MS
from engine.orders.reconcile import SWEEPS

__all__ = ["Watchdog", "main"]

logger = logging.getLogger("tapehead")

PROCESS: Final = "import sys; from engine.orders.watchdog import main; sys.exit(main())"
BEAT_S: Final = 0.5
BEAT: Final = b"."
GOODBYE: Final = b"q"
READY: Final = b"ready\n"
PIPE_GONE: Final = (ConnectionError, RuntimeError)  # uvloop's word for a pipe that it has closed
START_S: Final = 20.0
STOP_S: Final = 5.0
SWEEP_S: Final = 1.0
GIVE_UP_S: Final = 3_600.0  # with a venue that cannot be reached
# An order that was under way when the parent fell silent may appear for so long.
LATE_S: Final = ORDER_RECV_WINDOW_MS / 1_000 + 1.0


class Watchdog:
    """The parent's side: starts the process, beats, says goodbye. ``on_gone``: it ended by itself."""

    def __init__(
        self,
        environment: str,
        options: ClientOptions,
        key_mark: str,
        rest_url: str,
        prefix: str,
        *,
        on_gone: Callable[[], object],
    ) -> None:
        self._arguments = [
            *("--environment", environment, "--key-mark", key_mark, "--url", rest_url, "--prefix", prefix),
            *("--silence-s", str(options.watchdog_s), "--categories", *options.categories),
        ]
        self._on_gone = on_gone
        self._process: asyncio.subprocess.Process | None = None
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and return once it can cancel. Raises ConnectError."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", PROCESS, *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # what ends the parent's group must not end it too
        )
        assert self._process.stdout is not None
        said = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                said = await self._process.stdout.readline()
        if said != READY:
            await self.stop()
            detail = "it did not become ready, and said why above"
            raise ConnectError(
                "watchdog", "refused", detail, "it needs the key in variables or in a key file"
            )
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        """Say goodbye: it ends without cancelling anything."""
        if self._beating is not None:
            self._beating.cancel()
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(*PIPE_GONE, TimeoutError):
            process.stdin.write(GOODBYE)
            process.stdin.close()
            async with asyncio.timeout(STOP_S):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def _beat(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        with contextlib.suppress(*PIPE_GONE):
            while process.returncode is None:
                process.stdin.write(BEAT)
                await process.stdin.drain()
                await asyncio.sleep(BEAT_S)
        self._on_gone()


class Watch:
    """The process's side."""

    def __init__(self, http: Http, categories: list[str], prefix: str) -> None:
        self._http = http
        self._trade = TradeRest(http)
        self._categories = categories
        self._prefix = prefix

    async def run(self, silence_s: float) -> None:
        """Wait for beats; at silence cancel, again and again while it lasts. Returns at a goodbye."""
        reader = await _stdin()
        while True:
            reading = asyncio.ensure_future(reader.read(1024))
            while not (await asyncio.wait([reading], timeout=silence_s))[0]:
                logger.error("watchdog: no sign of life for %g s", silence_s)
                await self.cancel(reading.done)
            beats = reading.result()
            if GOODBYE in beats:
                return
            if not beats:
                logger.error("watchdog: the parent is gone without a goodbye")
                await self.cancel()
                return

    async def cancel(self, is_back: Callable[[], bool] = lambda: False) -> None:
        """Cancel what is ours until none is left and none can appear any more, or the parent is back."""
        loop = asyncio.get_running_loop()
        quiet_since = started = loop.time()
        while loop.time() - quiet_since < LATE_S and not is_back():
            if loop.time() - started > GIVE_UP_S:
                logger.error("watchdog: gave up after %g s, look at the account", GIVE_UP_S)
                return
            try:
                cancelled = sum([await self._cancel_in(category) for category in self._categories])
            except TapeheadError as error:
                logger.error("watchdog: %s", error)
                cancelled = 1
            if cancelled:
                quiet_since = loop.time()
            await asyncio.sleep(SWEEP_S)

    async def _cancel_in(self, category: str) -> int:
        cancelled = 0
        for scope in SWEEPS[category]:
            query = {"category": category, "limit": "50", **scope}
            pages = self._http.pages("/v5/order/realtime", query, signed=True)
            found = [row async for page in pages for row in rows(page)]
            for row in found:
                if str(row.get("orderLinkId", "")).startswith(self._prefix):
                    cancelled += 1
                    await self._cancel_one(category, row["symbol"], row["orderLinkId"])
        return cancelled

    async def _cancel_one(self, category: str, symbol: str, link_id: str) -> None:
        try:
            await self._trade.cancel(category, symbol, {"order_link_id": link_id})
            logger.error("watchdog: cancelled %s %s %s", category, symbol, link_id)
        except TapeheadError as error:
            logger.error("watchdog: %s is not cancelled: %s", link_id, error)


async def _stdin() -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader


async def _watch(arguments: argparse.Namespace) -> None:
    credentials = Credentials.load(arguments.environment)
    if credentials.mark != arguments.key_mark:
        problem = "the key that the watchdog found is not the client's"
        raise UsageError(problem, "give it the client's own, in variables or in a key file")
    async with Http(arguments.environment, url=arguments.url, credentials=credentials) as http:
        await http.sync_clock()
        os.write(sys.stdout.fileno(), READY)
        await Watch(http, arguments.categories, arguments.prefix).run(arguments.silence_s)


def main() -> int:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="watchdog")
    parser.add_argument("--environment", required=True)
    parser.add_argument("--key-mark", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--silence-s", type=float, required=True)
    parser.add_argument("--categories", nargs="+", required=True)
    logging.basicConfig(format="%(message)s")
    try:
        asyncio.run(_watch(parser.parse_args()))
    except TapeheadError as error:
        logger.error("watchdog: %s", error)
        return 2
    return 0
