"""What happened in a run, line by line: the same seed gives the same bytes."""

import zlib

from engine.clock import NS_PER_S, ManualClock

__all__ = ["Log"]


class Log:
    """Lines of (virtual seconds, what, detail)."""

    def __init__(self, clock: ManualClock) -> None:
        self.lines: list[str] = []
        self._clock = clock
        self._start_ns = clock.now().mono_ns

    @property
    def now_s(self) -> float:
        """Seconds of virtual time since the run began."""
        return (self._clock.now().mono_ns - self._start_ns) / NS_PER_S

    def add(self, what: str, detail: str = "") -> None:
        """Write one line."""
        self.lines.append(f"{self.now_s:12.6f} {what} {detail}".rstrip())

    def text(self) -> bytes:
        """Return all lines as bytes."""
        return "\n".join(self.lines).encode()

    def digest(self) -> str:
        """Return a checksum of all lines."""
        return f"{zlib.crc32(self.text()):08x}"
