"""The supervisor's hold on a child: restarts, errors that end it, the order to stop."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InternalError, UsageError
from recorder.config import RecordConfig, checked
from recorder.errors import MachineError
from recorder.recording.child import Child
from recorder.recording.processes import Handover

READY = "print('{\"ready\": true}', flush=True)"
READ_HANDOVER = "import sys; handover = sys.stdin.readline()\n"


def child(script: str) -> Child:
    config = checked(market=[{"symbols": ["BTCUSDT"]}])
    command = (sys.executable, "-S", "-c", READ_HANDOVER + script)
    return Child(
        "capture", lambda is_resumed: Handover(config, is_resumed), command=command, restart_delay_s=0.001
    )


def run(work: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(limited())


def test_a_child_that_is_kept_no_more_is_gone() -> None:
    async def work() -> None:
        one = child(READY + "; import time; time.sleep(60)")
        keeping = asyncio.create_task(one.keep())
        await one.ready.wait()
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        with pytest.raises(ProcessLookupError):
            os.kill(one.pid, 0)

    run(work())


def times_started(log: Path) -> int:
    """How often a child has begun: each writes one line when it is ready for a signal."""
    return log.read_text().count("\n") if log.exists() else 0


def fails_until(log: Path, times: int) -> str:
    """A child that writes its handover to a log, and ends by itself unless it is the last of so many."""
    wait = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
    return f"""
import signal
{wait}
{READY}
with open({str(log)!r}, "a+") as log:
    log.write(handover)
    log.flush()
    log.seek(0)
    count = log.read().count("\\n")
if count < {times}:
    sys.exit(1)
signal.pause()
"""


def test_a_child_that_ends_unasked_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "log"

    async def work() -> None:
        one = child(fails_until(log, 3))
        keeping = asyncio.create_task(one.keep())
        while times_started(log) < 3:
            await asyncio.wait([keeping], timeout=0.01)
            assert not keeping.done()
        assert await one.stop(10)
        await keeping
        assert one.restarts == 2
        assert caplog.text.count("exit code 1 unasked; it is started again") == 2

    run(work())
    first, second, third = (json.loads(line) for line in log.read_text().splitlines())
    assert first["parent"] == os.getpid()
    assert RecordConfig.model_validate(first["config"]).market[0].symbols == ("BTCUSDT",)
    assert [one["resumed"] for one in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize(
    ("code", "kind"), [(2, UsageError), (3, MachineError), (4, InternalError), (1, InternalError)]
)
def test_the_error_of_a_child_that_could_not_begin_is_raised(code: int, kind: type[Exception]) -> None:
    script = 'print(\'{"error": "symbol was X", "remedy": "use Y"}\', flush=True)\n' + f"sys.exit({code})"
    with pytest.raises(kind, match="symbol was X: use Y"):
        run(child(script).keep())


def test_a_child_that_says_nothing_is_reported_with_its_exit_code() -> None:
    with pytest.raises(InternalError, match="capture process ended with exit code 7"):
        run(child("sys.exit(7)").keep())


def test_a_child_that_does_not_stop_is_killed() -> None:
    async def work() -> None:
        one = child(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}\nsignal.pause()")
        keeping = asyncio.create_task(one.keep())
        await one.ready.wait()
        assert not await one.stop(0.05)
        await keeping

    run(work())


def test_stopping_what_never_ran() -> None:
    run(_stop_unstarted())


async def _stop_unstarted() -> None:
    assert not await child(READY).stop(1)
