"""The control socket of a recording: one JSON line asks, one answers. docs/feed.md has the asks."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from engine.errors import InternalError, TapeheadError, UsageError
from recorder.errors import ExitCode, MachineError, exit_code
from recorder.folder import DataFolder

__all__ = ["ASK_BYTES_MAX", "ControlServer", "NotRecordingError", "ask", "error_answer", "error_of"]

ASK_BYTES_MAX: Final = 256 << 10
ANSWER_BYTES_MAX: Final = 4 << 20
ADDRESS_BYTES_MAX: Final = 107  # of a unix socket, its final zero not counted
CLIENTS_MAX: Final = 16
IDLE_TIMEOUT_S: Final = 60.0
ASK_TIMEOUT_S: Final = 60.0


class NotRecordingError(MachineError):
    """Nothing records into a folder at this moment."""


Answer = dict[str, Any]
Answering = Callable[[dict[str, Any]], Awaitable[Answer]]

_ERRORS: Final[dict[int, type[TapeheadError]]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.ENVIRONMENT: MachineError,
    ExitCode.INTERNAL: InternalError,
}

logger = logging.getLogger(__name__)


class ControlServer:
    """Answers what is asked on ``path``, a unix socket that only this user can open.

    ``answering`` gets each ask, one at a time, and returns the answer; a TapeheadError that it raises is the
    answer. To be used by the holder of the folder's lock: a socket left behind is replaced. MachineError
    where there can be no socket.
    """

    def __init__(self, path: Path, answering: Answering) -> None:
        self.path = path
        self._answering = answering
        self._one_at_a_time = asyncio.Lock()
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        listening = _listen(self.path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=ASK_BYTES_MAX)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Answer nobody any more and remove the socket. May be repeated."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.path.unlink(missing_ok=True)
        async with self._one_at_a_time:  # an answer under way is still given
            pass
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > CLIENTS_MAX:
                problem = f"{CLIENTS_MAX} others ask at this moment"
                await _send(writer, error_answer(MachineError(problem, "ask again later")))
                return
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # the client is gone or idle, or we are closing: nobody is left to tell
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one line; False where the client is to be let go."""
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                line = await reader.readuntil()
        except asyncio.IncompleteReadError:
            return False
        except asyncio.LimitOverrunError:
            problem = f"an ask is one line of at most {ASK_BYTES_MAX} bytes"
            await _send(writer, error_answer(UsageError(problem, "ask in several parts")))
            return False
        async with self._one_at_a_time:
            await _send(writer, await self._answer(line))
        return True

    async def _answer(self, line: bytes) -> Answer:
        try:
            return await self._answering(_read(line))
        except TapeheadError as error:
            return error_answer(error)
        except Exception as error:
            logger.exception("the answer to an ask failed")
            return error_answer(InternalError(f"{type(error).__name__}: {error}", "see the recording's log"))


def ask(folder: DataFolder, asked: dict[str, Any], timeout_s: float = ASK_TIMEOUT_S) -> Answer:
    """Ask the recording that runs in a folder and return its answer.

    Raises NotRecordingError where none runs there, MachineError where it does not answer, or the error that
    is the answer.
    """
    line = orjson.dumps(asked) + b"\n"
    if len(line) > ASK_BYTES_MAX:
        problem = f"what is asked takes {len(line)} bytes, at most {ASK_BYTES_MAX} are taken"
        raise UsageError(problem, "ask in several parts")
    answer = _exchange(folder, line, timeout_s)
    if not answer.endswith(b"\n"):
        raise MachineError("the recording ended before it answered", "see what it printed")
    told: Answer = orjson.loads(answer)
    if "error" in told:
        raise error_of(told)
    return told


def _exchange(folder: DataFolder, line: bytes, timeout_s: float) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as connection, _address(folder.control) as address:
            connection.settimeout(timeout_s)
            connection.connect(address)
            with contextlib.suppress(BrokenPipeError):  # it was answered, and closed, before it was asked
                connection.sendall(line)
            return connection.makefile("rb").readline(ANSWER_BYTES_MAX)
    except (FileNotFoundError, ConnectionRefusedError):
        problem = f"nothing records into {folder.path}"
        raise NotRecordingError(problem, "give the folder of a `tapehead record` that runs") from None
    except OSError as error:
        raise MachineError(f"{folder.control}: {error}", "see whether the recording still runs") from None


def error_answer(error: TapeheadError) -> Answer:
    """Return an error as an answer."""
    return {"error": error.problem, "remedy": error.remedy, "exit_code": int(exit_code(error))}


def error_of(answer: Answer) -> TapeheadError:
    """Return the error that an answer is."""
    kind = _ERRORS.get(answer.get("exit_code", ExitCode.INTERNAL), InternalError)
    return kind(str(answer["error"]), str(answer.get("remedy", "")))


def _read(line: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the ask is no JSON: {error}", 'ask with a line like {"do": "status"}') from None
    if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
        raise UsageError('the ask has no text "do"', 'ask with a line like {"do": "status"}')
    return asked


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(orjson.dumps(answer, default=str) + b"\n")
    async with asyncio.timeout(IDLE_TIMEOUT_S):
        await writer.drain()


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        with _address(path) as address:
            listening.bind(address)
        path.chmod(0o600)  # nobody can connect before listen()
        listening.listen(CLIENTS_MAX)
    except OSError as error:
        listening.close()
        raise MachineError(
            f"{path}: no socket can be made there: {error.strerror}", "record into a folder of a local disk"
        ) from None
    return listening


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield a name of a socket that fits into an address: the path, or one by a descriptor of its folder."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        problem = f"{path} has {len(os.fsencode(path))} bytes, the address of a socket {ADDRESS_BYTES_MAX}"
        raise MachineError(problem, "choose a folder with a shorter name with --data")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield str(descriptors / str(folder) / path.name)
    finally:
        os.close(folder)
