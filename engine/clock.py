"""The only place of ``engine`` that reads a clock; ``ext/frames`` has the C function that stamps frames."""

import time
from typing import NamedTuple, Protocol

__all__ = ["Clock", "Instant", "ManualClock", "SystemClock", "mono_ns", "wall_ns"]

NS_PER_S = 1_000_000_000


class Instant(NamedTuple):
    """One moment on both clocks: deadlines are in ``mono_ns``, what is recorded is stamped ``wall_ns``."""

    wall_ns: int
    mono_ns: int


class Clock(Protocol):
    """Tells the time; replaced by a `ManualClock` in tests."""

    def now(self) -> Instant:
        """Return the present moment on both clocks."""
        ...


def wall_ns() -> int:
    """Return nanoseconds since 1970 UTC; may step."""
    return time.time_ns()


def mono_ns() -> int:
    """Return nanoseconds of a clock that never steps; its zero is arbitrary."""
    return time.monotonic_ns()


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """Return the present moment on both clocks."""
        return Instant(wall_ns(), mono_ns())


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, wall_ns: int = 1_790_000_000 * NS_PER_S, mono_ns: int = 1_000 * NS_PER_S) -> None:
        self._now = Instant(wall_ns, mono_ns)

    def now(self) -> Instant:
        """Return the moment the clock was last moved to."""
        return self._now

    def advance(self, seconds: float) -> Instant:
        """Move both clocks forward and return the new moment."""
        step_ns = round(seconds * NS_PER_S)
        if step_ns < 0:
            raise ValueError(
                f"seconds was {seconds}; a clock moves forward: use step_wall for a clock that was set"
            )
        return self.advance_to(self._now.mono_ns + step_ns)

    def advance_to(self, mono_ns: int) -> Instant:
        """Move both clocks forward until the monotonic one shows ``mono_ns``; return the new moment."""
        step_ns = max(0, mono_ns - self._now.mono_ns)
        self._now = Instant(self._now.wall_ns + step_ns, self._now.mono_ns + step_ns)
        return self._now

    def step_wall(self, seconds: float) -> Instant:
        """Set the wall clock forward or back, as an administrator would; return the new moment."""
        self._now = Instant(self._now.wall_ns + round(seconds * NS_PER_S), self._now.mono_ns)
        return self._now
