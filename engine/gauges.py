"""How far behind this process is: measured, bounded, and cheap enough for twice a second.

What hides a slow reader is named: the kernel's buffer of each socket, the event loop, the time from the
venue's matching engine to here.
"""

import fcntl
import socket
import struct
import termios
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from engine.clock import NS_PER_S
from ext.book import BookState, OrderBook

__all__ = ["Gauges", "Lags", "waiting_bytes"]

WINDOW_S: Final = 60.0
# Books looked at for their lag at one time; with more they take turns.
BOOKS_PER_SAMPLE_MAX: Final = 64
# Upper ends of what is told apart, in ms; the last has none.
LIMITS_MS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)


class Lags:
    """How often which lag was seen, over the last one to two minutes."""

    def __init__(self) -> None:
        self._began_ns = 0
        self._now = [0] * (len(LIMITS_MS) + 1)
        self._before = list(self._now)
        self._max_ms = [0.0, 0.0]

    def add(self, lag_ms: float, now_ns: int) -> None:
        """Count a lag seen at ``now_ns`` (monotonic)."""
        if now_ns - self._began_ns >= WINDOW_S * NS_PER_S:
            self._began_ns = now_ns
            self._before, self._now = self._now, [0] * (len(LIMITS_MS) + 1)
            self._max_ms = [0.0, self._max_ms[0]]
        place = next((at for at, limit in enumerate(LIMITS_MS) if lag_ms < limit), len(LIMITS_MS))
        self._now[place] += 1
        self._max_ms[0] = max(self._max_ms[0], lag_ms)

    def read(self) -> dict[str, float]:
        """Return how many there were, how many below zero (a clock is wrong), the upper limits of the median
        and of 99 in 100, and the longest.
        """
        counts = [now + before for now, before in zip(self._now, self._before, strict=True)]
        longest_ms = max(self._max_ms)
        return {
            "count": sum(counts),
            "negative": counts[0],
            "p50_ms": _quantile(counts, 0.50, longest_ms),
            "p99_ms": _quantile(counts, 0.99, longest_ms),
            "max_ms": longest_ms,
        }


@dataclass(slots=True)
class _Wire:
    silence_s: float
    kernel_bytes: int
    kernel_bytes_max: int


class Gauges:
    """What was measured of connections, loop and books."""

    def __init__(self) -> None:
        self.loop = Lags()
        self.market = Lags()
        self._wires: dict[int, _Wire] = {}
        self._turn = 0

    def connection(self, number: int, heard_ns: int, waiting: int, now_ns: int) -> None:
        """Note of an open connection when its last frame came, and how many bytes wait in the kernel."""
        wire = self._wires.setdefault(number, _Wire(0.0, 0, 0))
        wire.silence_s = max(0, now_ns - heard_ns) / NS_PER_S
        wire.kernel_bytes = waiting
        wire.kernel_bytes_max = max(wire.kernel_bytes_max, waiting)

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget all connections but these."""
        kept = set(numbers)
        self._wires = {number: wire for number, wire in self._wires.items() if number in kept}

    def books(self, books: list[OrderBook], since_ns: int, now_ns: int) -> None:
        """Note ``recv - cts`` of the books that had a message since ``since_ns`` (wall clock)."""
        if not books:
            return
        first = self._turn % len(books)
        self._turn = first + BOOKS_PER_SAMPLE_MAX
        for book in islice(books, first, first + BOOKS_PER_SAMPLE_MAX):
            if book.state is BookState.LIVE and book.recv_ns > since_ns and book.cts_ms:
                self.market.add(book.recv_ns / 1_000_000 - book.cts_ms, now_ns)

    def read(self) -> dict[str, Any]:
        """Return all of it: ``loop_lag`` and ``market_lag`` (see `Lags.read`), ``connections`` by number."""
        return {
            "loop_lag": self.loop.read(),
            "market_lag": self.market.read(),
            "connections": {
                number: {
                    "silence_s": wire.silence_s,
                    "kernel_bytes": wire.kernel_bytes,
                    "kernel_bytes_max": wire.kernel_bytes_max,
                }
                for number, wire in self._wires.items()
            },
        }


def waiting_bytes(raw: socket.socket) -> int:
    """Return how many bytes the kernel has received on a socket that nobody has read; 0 if it is closed."""
    if raw.fileno() < 0:
        return 0
    answer = fcntl.ioctl(raw.fileno(), termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])


def _quantile(counts: list[int], share: float, longest_ms: float) -> float:
    """The upper limit of the place where that share of all is reached, at most the longest there was."""
    wanted = sum(counts) * share
    reached = 0
    for count, limit_ms in zip(counts, (*LIMITS_MS, longest_ms), strict=True):
        reached += count
        if reached >= wanted:
            return min(float(limit_ms), max(longest_ms, 0.0))
    return longest_ms
