"""The demonstration: a simulated market, recorded, loaded, and held against what the simulator sent."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from engine.errors import InternalError
from recorder import config as configs
from recorder.demo.report import Report, Sent, check
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.recording.supervisor import Status, Supervisor

__all__ = ["Progress", "run"]

Progress = Callable[[str, float], None]
Result = TypeVar("Result")

ALSO: Final = {"trades": True, "tickers": True, "kline": ["1"]}
MARKETS: Final[tuple[dict[str, Any], ...]] = (
    {
        "category": "linear",
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "book": [1, 50, 200, 1000],
        "liquidations": True,
        **ALSO,
    },
    {"category": "spot", "symbols": ["BTCUSDT", "ETHUSDT"], "book": [50, 200], **ALSO},
)
SETTLE_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
LINE_BYTES_MAX: Final = 1 << 20


async def run(data: Path, seconds: float, rate: int, on_progress: Progress) -> Report:
    """Record the simulated market into a folder and check the result.

    ``on_progress`` is called with what is being done and the share of the messages that was captured, 0 to 1.
    """
    messages = max(1, round(seconds * rate))
    async with _simulator(rate, messages) as simulator:
        settings = configs.checked(
            data=data, recorder="demo", url=simulator.ws, rest_url=simulator.rest, market=MARKETS
        )

        def show(status: Status) -> None:
            on_progress("recording", min(1.0, status.capture.get("frames", 0) / messages))

        stop = asyncio.Event()
        supervisor = Supervisor(settings, show)
        recording = asyncio.create_task(supervisor.run(stop))
        try:
            await _unless_over(recording, _all_captured(simulator, supervisor))
            on_progress("loading", 1.0)
        finally:
            stop.set()
            is_loaded = await recording
        if not is_loaded:
            raise MachineError("the loader did not come to the end of the spool", "see what it printed")
        sent = await simulator.sent()
    on_progress("checking", 1.0)
    return await asyncio.to_thread(check, DataFolder(data), sent)


async def _unless_over(recording: "asyncio.Task[bool]", work: Awaitable[Result]) -> Result:
    """Return what ``work`` returns; if the recording ends before it, raise its error."""
    working = asyncio.ensure_future(work)
    await asyncio.wait([recording, working], return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        recording.result()
        raise InternalError("the recording ended by itself")
    return working.result()


async def _all_captured(simulator: "_Simulator", supervisor: Supervisor) -> None:
    """Wait until the simulator has sent its last message and capture has counted as many frames."""
    await simulator.line()
    async with asyncio.timeout(SETTLE_TIMEOUT_S):
        while supervisor.status().capture.get("frames", 0) < await simulator.frames():  # noqa: ASYNC110 (polls another process)
            await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class _Simulator:
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    ws: str
    rest: str

    async def line(self) -> dict[str, Any]:
        """Return the next JSON line that it prints."""
        return await _line(self.process)

    async def get(self, path: str, **query: str) -> Any:
        """Return what its REST interface answers."""
        async with self.http.get(self.rest + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def frames(self) -> int:
        """Return how many frames it has sent so far."""
        return int((await self.get("/simulator/state"))["frames"])

    async def sent(self) -> Sent:
        """Return what it has sent, and the books that a client must have now."""
        state = await self.get("/simulator/state")
        books = {}
        for stream in state["topics"]:
            kind, *parameters = stream["topic"].split(".")
            if kind == "orderbook":
                depth, symbol = parameters
                query = {"category": stream["category"], "symbol": symbol, "depth": depth}
                books[stream["category"], symbol, int(depth)] = await self.get("/simulator/book", **query)
        return Sent(state["frames"], state["data_frames"], books)


@asynccontextmanager
async def _simulator(rate: int, messages: int) -> AsyncIterator[_Simulator]:
    listed = ",".join(f"{market['category']}:{symbol}" for market in MARKETS for symbol in market["symbols"])
    guard = (sys.executable, "-m", "recorder", "guard", str(os.getpid()))
    options = ("--symbols", listed, "--rate", str(rate), "--messages", str(messages))
    process = await asyncio.create_subprocess_exec(
        *(*guard, sys.executable, "-m", "simulator", *options),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal is for this process, which ends the simulator last
        limit=LINE_BYTES_MAX,
    )
    try:
        ready = await _line(process)
        async with aiohttp.ClientSession() as http:
            yield _Simulator(process, http, ready["ws"], ready["rest"])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise InternalError("the simulator ended by itself", "see what it printed")
    message: dict[str, Any] = json.loads(line)
    return message
