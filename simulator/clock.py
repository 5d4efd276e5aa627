"""The simulator's only reader of a clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the time of day in nanoseconds; never goes back."""


def system_clock(start_ms: int | None = None) -> Clock:
    """Return a clock that runs at the speed of the machine, from now or from `start_ms` (ms since 1970)."""
    offset_ns = (time.time_ns() if start_ms is None else start_ms * 1_000_000) - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset_ns


def wall_ns() -> int:
    """Return the machine's time of day in nanoseconds, for the frame log."""
    return time.time_ns()
