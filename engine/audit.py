"""Which book is compared with REST, and when. Sans-I/O; the comparison is the dispatcher's.

One book at a time, in turn: the dispatcher is told to keep the checksums of the next messages, then REST is
asked, and its answer compared with the checksum of the same ``u``.
"""

from collections.abc import Iterable
from typing import Final

from engine.clock import NS_PER_S

__all__ = ["AUDITED", "Auditor"]

# The topics whose ``u`` is that of REST's books.
AUDITED: Final = "orderbook.1000."

Book = tuple[str, str]  # category, topic


class Auditor:
    """Takes the books of a feed in turn, one every ``interval_s``. ``now_ns`` is of the monotonic clock."""

    def __init__(self, interval_s: float, now_ns: int) -> None:
        self.begun = 0
        self._interval_ns = round(interval_s * NS_PER_S)
        self._due_ns = now_ns + self._interval_ns
        self._last: Book | None = None

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time for the next one."""
        return now_ns >= self._due_ns

    def begin(self, books: Iterable[Book], now_ns: int) -> Book | None:
        """Return which of these books, all in step, is next."""
        self._due_ns = now_ns + self._interval_ns
        in_turn = sorted(books)
        if not in_turn:
            return None
        self._last = next((one for one in in_turn if self._last is None or one > self._last), in_turn[0])
        self.begun += 1
        return self._last
