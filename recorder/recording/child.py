"""A process that the supervisor keeps: started, asked, started again, ended in order."""

import asyncio
import itertools
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.backoff import Backoff
from engine.clock import NS_PER_S, mono_ns
from engine.errors import TapeheadError
from recorder.errors import ExitCode, MachineError
from recorder.recording.control import error_of
from recorder.recording.processes import Handover

__all__ = ["OWN_COMMAND", "Child"]

OWN_COMMAND: Final = (sys.executable, "-m", "recorder")
RESTART_DELAY_S: Final = 0.5
RESTART_DELAY_MAX_S: Final = 30.0
STEADY_S: Final = 60.0  # a child that lived so long is started again without much delay
ANSWER_TIMEOUT_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 4 << 20

logger = logging.getLogger(__name__)


class Child:
    """One process, started again whenever it ends without being asked to.

    ``handover`` returns what it is to be told at a start; it is called for each, with whether the process was
    ready before. A process that never became ready is not started again: its error is raised.
    """

    def __init__(
        self,
        name: str,
        handover: Callable[[bool], Handover],
        *,
        command: Sequence[str] = OWN_COMMAND,
        role: str = "",
        restart_delay_s: float = RESTART_DELAY_S,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.restarts = 0
        self._handover = handover
        self._command = (*command, role or name)
        self._restart_delay_s = restart_delay_s
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self._told: dict[str, Any] = {}
        self._asks: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ask_numbers = itertools.count(1)

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

    async def ask(self, asked: dict[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Return the process's answer. Raises the error that it answers; MachineError if there is none."""
        process = self._process
        if process is None or process.returncode is not None or not self.ready.is_set():
            raise MachineError(f"the {self.name} process does not run at this moment", "ask again in a while")
        assert process.stdin is not None
        number = next(self._ask_numbers)
        answered = self._asks[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                process.stdin.write(json.dumps({"ask": number, **asked}).encode() + b"\n")
                await process.stdin.drain()
                answer: dict[str, Any] = await answered
        except (TimeoutError, ConnectionError):
            problem = f"the {self.name} process did not answer within {timeout_s:g} s"
            raise MachineError(problem, "look at its status, and ask again") from None
        finally:
            del self._asks[number]
        if "error" in answer:
            raise error_of(answer)
        return answer

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

    def retire(self) -> None:
        """Do not start the process again when it ends, which it is about to do."""
        self._is_stopping = True

    def restart(self) -> None:
        """End the process at once; it is started again."""
        self._end()

    @property
    def pid(self) -> int:
        """The process at present, 0 before the first."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """End the process at once."""
        self._is_stopping = True
        self._end()

    def _end(self) -> None:
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
        try:
            process.stdin.write(self._handover(self.ready.is_set()).encoded(os.getpid()))
            async for line in process.stdout:
                self._hear(json.loads(line))
        except BaseException:
            self._end()  # nobody hears it any more
            raise
        finally:
            process.stdin.close()
            code = await process.wait()
        for answered in self._asks.values():
            if not answered.done():
                answered.set_exception(
                    MachineError(f"the {self.name} process ended before it answered", "see what it printed")
                )
        return code

    def _hear(self, answer: dict[str, Any]) -> None:
        if answer.get("ready"):
            self.ready.set()
        elif (number := answer.pop("ask", None)) is not None:
            waiting = self._asks.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        else:
            self._told = answer

    def _error(self, code: int) -> TapeheadError:
        problem = f"the {self.name} process ended with exit code {code} unasked"
        return error_of({"error": problem, "remedy": "see what it printed", **self._told, "exit_code": code})
