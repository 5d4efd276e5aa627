"""The child's side of a process that the supervisor starts: what it is handed, what it answers, when it dies.

It reads one JSON object from stdin, ``{"parent": pid, "resumed": bool, "config": {...}}``, and answers on
stdout in JSON lines: ``{"ready": true}`` once it works, or ``{"error": message, "remedy": remedy}`` before it
ends. Nothing secret is in its arguments.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol

from engine.errors import TapeheadError
from recorder.config import RecordConfig
from recorder.errors import ExitCode, exit_code, from_os_error

__all__ = ["NAMES", "Run", "Tell", "guard", "main", "serve"]

Tell = Callable[[dict[str, Any]], None]

HANDOVER_BYTES_MAX: Final = 4 << 20
PR_SET_PDEATHSIG: Final = 1


class Run(Protocol):
    """What a process does: returns its exit code, or raises."""

    def __call__(self, config: RecordConfig, tell: Tell, *, is_resumed: bool) -> int: ...


def main(name: str) -> int:
    """Run the process of this name to its end and return its exit code."""
    return serve(name, RUNS[name])


def serve(name: str, run: Run) -> int:
    """Take the handover and be the process: die with the supervisor, tell it why this one ends."""
    handover = json.loads(sys.stdin.buffer.read(HANDOVER_BYTES_MAX))
    die_with(handover["parent"])
    tell = _private_stdout()
    logging.basicConfig(format=f"tapehead {name}: %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("picows").setLevel(logging.WARNING)
    config = RecordConfig.model_validate(handover["config"])
    try:
        return run(config, tell, is_resumed=handover["resumed"])
    except Exception as error:  # noqa: BLE001 (the outermost frame of a process)
        return _report(error, config, tell)


# Each imports what it runs: the database engine has no place in capture's memory.


def _capture(config: RecordConfig, tell: Tell, *, is_resumed: bool) -> int:
    from recorder import capture

    capture.run(capture.Capture(config), tell, is_resumed=is_resumed)
    return ExitCode.OK


def _load(config: RecordConfig, tell: Tell, *, is_resumed: bool) -> int:
    from recorder import loader

    loader.run(loader.LoaderConfig(config.data, config.recorder), lambda: tell({"ready": True}))
    return ExitCode.OK


RUNS: Final[dict[str, Run]] = {"capture": _capture, "loader": _load}
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
