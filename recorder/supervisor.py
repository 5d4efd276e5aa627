"""The supervisor of a recording: starts capture and loader, starts them again, stops them in order."""

import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.backoff import Backoff
from engine.clock import NS_PER_S, mono_ns
from engine.errors import InternalError, TapeheadError, UsageError
from recorder.config import RecordConfig
from recorder.errors import ExitCode, MachineError
from recorder.folder import DataFolder
from recorder.lock import FolderLock

__all__ = ["Child", "Status", "Supervisor"]

OWN_COMMAND: Final = (sys.executable, "-m", "recorder")
RESTART_DELAY_S: Final = 0.5
RESTART_DELAY_MAX_S: Final = 30.0
STEADY_S: Final = 60.0  # a child that lived so long is started again without much delay
STOP_TIMEOUT_S: Final = 15.0  # capture writes its last records in much less
STATUS_INTERVAL_S: Final = 1.0
ANSWER_BYTES_MAX: Final = 1 << 20

ERRORS: Final[dict[int, type[TapeheadError]]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.ENVIRONMENT: MachineError,
    ExitCode.INTERNAL: InternalError,
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a recording; ``capture`` and ``loader`` are what these last said of themselves."""

    elapsed_s: float
    capture: dict[str, Any]
    loader: dict[str, Any]
    restarts: dict[str, int]


class Child:
    """One process, started again whenever it ends without being asked to.

    A process that never became ready is not started again: its error is raised.
    """

    def __init__(
        self,
        name: str,
        config: RecordConfig,
        *,
        command: Sequence[str] = OWN_COMMAND,
        restart_delay_s: float = RESTART_DELAY_S,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.restarts = 0
        self._config = config
        self._command = (*command, name)
        self._restart_delay_s = restart_delay_s
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self._told: dict[str, Any] = {}

    async def keep(self) -> None:
        """Run until `stop`. Raises the error of a child that could not begin."""
        backoff = Backoff(self._restart_delay_s, RESTART_DELAY_MAX_S, random.random)
        while not self._is_stopping:
            started_ns = mono_ns()
            code = await self._run_once()
            if self._is_stopping:
                break
            if not self.ready.is_set():
                raise self._error(code)
            self.restarts += 1
            logger.warning("%s; it is started again", self._error(code).problem)
            if mono_ns() - started_ns > STEADY_S * NS_PER_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def stop(self, timeout_s: float | None) -> bool:
        """Ask the process to end and wait for it; False where it had to be killed, or was not running."""
        self._is_stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return False
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                return await process.wait() == ExitCode.OK
        except TimeoutError:
            process.kill()
            await process.wait()
            return False

    @property
    def pid(self) -> int:
        """The process at present, 0 before the first."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """End the process at once."""
        self._is_stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _run_once(self) -> int:
        self._told = {}
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=ANSWER_BYTES_MAX,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops its children in order
        )
        assert process.stdin is not None
        assert process.stdout is not None
        handover = {
            "parent": os.getpid(),
            "resumed": self.ready.is_set(),
            "config": self._config.model_dump(mode="json"),
        }
        process.stdin.write(json.dumps(handover).encode())
        process.stdin.close()
        async for line in process.stdout:
            self._hear(json.loads(line))
        return await process.wait()

    def _hear(self, answer: dict[str, Any]) -> None:
        if answer.get("ready"):
            self.ready.set()
        else:
            self._told = answer

    def _error(self, code: int) -> TapeheadError:
        kind = ERRORS.get(code, InternalError)
        problem = self._told.get("error", f"the {self.name} process ended with exit code {code} unasked")
        return kind(problem, self._told.get("remedy", "see what it printed"))


class Supervisor:
    """Records what ``config`` says until told to stop.

    ``on_status`` is called each second. ``capture_command`` is for a capture process with a listener of its
    own, which must use `recorder.processes.serve`. One recording a folder: others are refused.
    """

    def __init__(
        self,
        config: RecordConfig,
        on_status: Callable[[Status], None] | None = None,
        *,
        capture_command: Sequence[str] = OWN_COMMAND,
    ) -> None:
        self.config = config
        self.folder = DataFolder(config.data)
        self.capture = Child("capture", config, command=capture_command)
        self.loader = Child("loader", config)
        self._on_status = on_status
        self._started_ns = 0

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event | None = None) -> bool:
        """Record until ``stop``, then end capture, let the loader load the rest, and return whether it could.

        ``hurry`` ends the loading too: the rest is loaded at the next start. Raises TapeheadError where a
        process cannot begin.
        """
        self.folder.path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self.folder.path)
        self._started_ns = mono_ns()
        for child in (self.capture, self.loader):
            self.folder.clear_status(child.name)
        work: list[asyncio.Task[Any]] = [
            asyncio.create_task(child.keep()) for child in (self.capture, self.loader)
        ]
        watch = asyncio.create_task(self._watch())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*work, watch, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in (*work, watch):
                if task.done():
                    task.result()
            return await self._stop(hurry or asyncio.Event())
        finally:
            for child in (self.capture, self.loader):
                child.kill()
            for task in (watch, stopped, *work):
                task.cancel()
            await asyncio.gather(*work, watch, stopped, return_exceptions=True)
            lock.release()

    def status(self) -> Status:
        """Return what is known now."""
        told = {child.name: self.folder.read_status(child.name) for child in (self.capture, self.loader)}
        return Status(
            elapsed_s=(mono_ns() - self._started_ns) / NS_PER_S,
            capture=told["capture"],
            loader=told["loader"],
            restarts={child.name: child.restarts for child in (self.capture, self.loader)},
        )

    async def _stop(self, hurry: asyncio.Event) -> bool:
        await self.capture.stop(STOP_TIMEOUT_S)
        loading = asyncio.create_task(self.loader.stop(None))
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait([loading, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not loading.done():
            self.loader.kill()
        return await loading

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            if self._on_status is not None:
                self._on_status(self.status())
