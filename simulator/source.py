"""What the server asks of whatever makes the frames: a generated market or a capture."""

from typing import Any, Protocol

from simulator.faults import Change
from simulator.instruments import Instrument
from simulator.tape import Window
from simulator.topics import Depth

IDLE = float("inf")
"""Nothing to do before a subscription changes."""


class Source(Protocol):
    """Frames, and the state that they lead to. Categories are those of `instruments.CATEGORIES`."""

    lossless: bool
    """True: as fast as the slowest connection reads. False: a connection that does not read is closed."""

    def knows(self, category: str, topic: str) -> bool:
        """Return whether the topic can be subscribed."""

    def opening(self, category: str, topic: str) -> list[bytes]:
        """Return the frames a new subscription begins with."""

    def play(self, now_ns: int) -> float | None:
        """Publish what is due; return seconds to wait before the next call, None at the end of the data."""

    def change(self, change: Change) -> None:
        """Let something happen to a market."""

    def counters(self) -> dict[str, int]:
        """Return counters of the source's own, for the state endpoint."""

    def instruments(self, category: str) -> list[Instrument]:
        """Return the instruments of a category, whatever their status."""

    def book(self, category: str, symbol: str, depth: Depth) -> tuple[Window, dict[str, int]] | None:
        """Return the last published window of a topic and its ts, u, seq, cts; None where there is none."""

    def trades(self, category: str, symbol: str) -> list[dict[str, Any]]:
        """Return the latest trades as REST lists them, newest first."""

    def ticker(self, category: str, symbol: str) -> dict[str, str]:
        """Return the ticker's fields as REST lists them."""

    def candles(self, category: str, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Return the candles as kline topics carry them, oldest first, the open one last."""

    def limits(self, category: str, symbol: str) -> tuple[int, int]:
        """Return the highest bid and the lowest ask that are let in, in ticks."""

    def statuses(self) -> list[dict[str, Any]]:
        """Return the maintenances that were announced, oldest first."""
