"""The child's side of a process that the supervisor starts: what it is handed, what it answers, when it dies.

It reads JSON lines from stdin. The first is its `Handover`; later ones ask something, ``{"ask": number,
"do": what, ...}``. It answers on stdout in JSON lines: ``{"ready": true}`` once it works, ``{"ask": number,
...}`` to what was asked, or ``{"error": message, "remedy": remedy}`` before it ends. Nothing secret is in its
arguments.
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, Self

from engine.errors import InternalError, TapeheadError
from recorder.config import RecordConfig
from recorder.errors import ExitCode, exit_code, from_os_error
from recorder.recording.control import ASK_BYTES_MAX, error_answer

__all__ = ["NAMES", "Handover", "Run", "Tell", "answer_asks", "guard", "main", "serve"]

Tell = Callable[[dict[str, Any]], None]

HANDOVER_BYTES_MAX: Final = 4 << 20
PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Handover:
    """What a process is told when it starts.

    ``is_resumed``: one of its kind was ready before, so that this one is to begin whatever happens. ``shard``
    is which part of the symbols is its own (`recorder.shards`). ``former`` is what the capture process says
    of itself that this one is to take over from.
    """

    config: RecordConfig
    is_resumed: bool = False
    shard: int = 0
    former: dict[str, Any] | None = None

    def encoded(self, parent: int) -> bytes:
        """Return the line that the process ``parent`` writes."""
        said = {
            "parent": parent,
            "resumed": self.is_resumed,
            "shard": self.shard,
            "former": self.former,
            "config": self.config.model_dump(mode="json"),
        }
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def decoded(cls, said: dict[str, Any]) -> Self:
        """Return what such a line says."""
        config = RecordConfig.model_validate(said["config"])
        return cls(config, said["resumed"], said["shard"], said["former"])


class Run(Protocol):
    """What a process does: returns its exit code, or raises."""

    def __call__(self, given: Handover, tell: Tell) -> int: ...


def main(name: str) -> int:
    """Run the process of this name to its end and return its exit code."""
    return serve(name, RUNS[name])


def serve(name: str, run: Run) -> int:
    """Take the handover and be the process: die with the supervisor, tell it why this one ends."""
    said = json.loads(sys.stdin.buffer.readline(HANDOVER_BYTES_MAX))
    die_with(said["parent"])
    tell = _private_stdout()
    logging.basicConfig(format=f"tapehead {name}: %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("picows").setLevel(logging.WARNING)
    for library in ("clickhouse_connect", "urllib3"):  # what they warn of is an error of ours, said once
        logging.getLogger(library).setLevel(logging.CRITICAL)
    given = Handover.decoded(said)
    try:
        return run(given, tell)
    except Exception as error:  # noqa: BLE001 (the outermost frame of a process)
        return _report(error, given.config, tell)


async def answer_asks(answering: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], tell: Tell) -> None:
    """Answer what the supervisor asks, one at a time, for ever; errors are answers.

    An answer with ``"ends": true`` is the last thing that this process does.
    """
    reader = asyncio.StreamReader(limit=ASK_BYTES_MAX * 2)
    # The supervisor asks nothing before it heard that this process is ready: no line was read ahead.
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    while line := await reader.readline():
        asked = json.loads(line)
        answer = await _answer(answering, asked)
        tell({"ask": asked["ask"], **answer})
        if answer.get("ends"):
            os._exit(ExitCode.OK)  # not one frame more: they are another process's by now


async def _answer(
    answering: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], asked: dict[str, Any]
) -> dict[str, Any]:
    try:
        return await answering(asked)
    except TapeheadError as error:
        return error_answer(error)
    except Exception as error:
        logging.getLogger(__name__).exception("the answer to an ask failed")
        return error_answer(InternalError(f"{type(error).__name__}: {error}", "see the recording's log"))


# Each imports what it runs: the database engine has no place in capture's memory.


def _capture(given: Handover, tell: Tell) -> int:
    from recorder.recording import capture

    recording = capture.Capture(given.config, shard=given.shard, former=given.former)
    capture.run(recording, tell, is_resumed=given.is_resumed)
    return ExitCode.OK


def _load(given: Handover, tell: Tell) -> int:
    from recorder.loading import process as loading

    config = loading.LoaderConfig(given.config.data, given.config.recorder, given.config.database.url)
    loading.run(config, lambda: tell({"ready": True}))
    return ExitCode.OK


def _keep(given: Handover, tell: Tell) -> int:
    from recorder.spool import keeper

    keeper.run(given.config, lambda: tell({"ready": True}))
    return ExitCode.OK


RUNS: Final[dict[str, Run]] = {"capture": _capture, "keeper": _keep, "loader": _load}
NAMES: Final = tuple(RUNS)


def guard(parent: int, command: list[str]) -> NoReturn:
    """Become ``command``, which dies with the process ``parent``."""
    die_with(parent)
    os.execv(command[0], command)  # noqa: S606 (no shell: a command of our own)


def die_with(parent: int) -> None:
    """Be killed when the process ``parent`` ends, however it ends: nobody would stop or restart this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(f"process {parent}, which started this one, has ended")


def _private_stdout() -> Tell:
    """Keep stdout for answers: whatever a library prints there goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    return tell


def _report(error: Exception, config: RecordConfig, tell: Tell) -> int:
    known = from_os_error(error, config.data) if isinstance(error, OSError) else error
    if isinstance(known, TapeheadError):
        tell({"error": known.problem, "remedy": known.remedy})
        return exit_code(known)
    traceback.print_exception(error)
    tell({"error": f"{type(error).__name__}: {error}", "remedy": "see the traceback, and report it"})
    return ExitCode.INTERNAL
