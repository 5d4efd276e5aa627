"""The simulator as a separate process, started and stopped by a test."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

READY_TIMEOUT_S = 20


class SimulatorProcess:
    """One run of ``python -m simulator``; `ws` and `rest` are its base URLs."""

    def __init__(self, process: Process, ready: dict[str, Any]) -> None:
        self._process = process
        self.ws: str = ready["ws"]
        self.rest: str = ready["rest"]

    @classmethod
    async def start(cls, *arguments: str) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", *arguments, stdout=PIPE
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                return cls(process, await _line(process))
        except BaseException:
            process.kill()
            await process.wait()
            raise

    def same_ports(self) -> list[str]:
        """Return the arguments with which another run listens where this one did."""
        return ["--port", str(urlsplit(self.ws).port), "--rest-port", str(urlsplit(self.rest).port)]

    async def done(self) -> dict[str, Any]:
        """Wait until it has sent all it was to send; return what it says of that."""
        return await _line(self._process)

    async def kill(self) -> None:
        """End it the way a power cut does."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it in order, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        await self._process.wait()


async def _line(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, f"the simulator ended with {await process.wait()}"
    message: dict[str, Any] = json.loads(line)
    return message


@asynccontextmanager
async def simulated(*arguments: str) -> AsyncIterator[SimulatorProcess]:
    """Run the simulator for the time of a ``with``."""
    simulator = await SimulatorProcess.start(*arguments)
    try:
        yield simulator
    finally:
        await simulator.stop()
