"""An event loop whose time is a `ManualClock`: it jumps to the next timer instead of sleeping."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from engine.clock import NS_PER_S, ManualClock

__all__ = ["StuckError", "VirtualLoop", "run"]

Result = TypeVar("Result")

TURNS_AT_ONCE_MAX: Final = 100_000


class StuckError(RuntimeError):
    """Nothing is scheduled any more, or time stands still while callbacks schedule each other."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers in the order of their times; no socket, no thread, no signal, no sleep."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self._selector = _Jump(clock)

    def time(self) -> float:
        """Return the seconds of the virtual monotonic clock."""
        return self.clock.now().mono_ns / NS_PER_S

    def _process_events(self, event_list: list[object]) -> None:
        """There are no events but timers."""

    def _write_to_self(self) -> None:
        """There is no other thread to be woken by."""


class _Jump:
    """In the place of a selector: waiting is setting the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._turns = 0

    def select(self, timeout: float | None) -> list[object]:
        """Let the time pass that a selector would have waited for."""
        if timeout is None:
            raise StuckError("nothing is scheduled: every task waits for something that nobody will do")
        self._turns = 0 if timeout else self._turns + 1
        if self._turns > TURNS_AT_ONCE_MAX:
            raise StuckError(f"{TURNS_AT_ONCE_MAX} turns of the loop at one moment")
        if timeout:
            self._clock.advance_to(self._clock.now().mono_ns + math.ceil(timeout * NS_PER_S))
        return []

    def close(self) -> None:
        """Nothing is held."""


def run(main: Coroutine[Any, Any, Result], clock: ManualClock) -> Result:
    """Run to the end in virtual time; what is still running then is cancelled."""
    loop = VirtualLoop(clock)
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(main)
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        return result
    finally:
        asyncio.set_event_loop(None)
        loop.close()
