"""Which book is compared with REST, and when. Sans-I/O; the comparison is the dispatcher's.

One book at a time, in turn: `next_topic`, then (after the dispatcher was told to keep the checksums of the
next messages) the answer, which is used once the book has come as far as the answer's ``u``, or will not.
"""

from collections.abc import Sequence
from typing import Final

from engine.clock import NS_PER_S

__all__ = ["AUDITED", "Auditor"]

AUDITED: Final = "orderbook.1000."
# The answer may be ahead of the stream, whose messages come every 200 ms.
CATCH_UP_S: Final = 3.0


class Auditor:
    """Takes the books of one feed in turn, one every ``interval_s``. Times are ns of the monotonic clock."""

    def __init__(self, interval_s: float, now_ns: int) -> None:
        self.begun = 0
        self.unanswered = 0
        self._interval_ns = round(interval_s * NS_PER_S)
        self._due_ns = now_ns + self._interval_ns
        self._last: tuple[str, str] | None = None
        self._is_asking = False
        self._give_up_ns: int | None = None

    def next_topic(self, topics: Sequence[tuple[str, str]], now_ns: int) -> tuple[str, str] | None:
        """Return which of these (category, topic) to audit now; `used` or `failed` must follow."""
        if self._is_asking or now_ns < self._due_ns or not topics:
            return None
        in_turn = sorted(topics)
        self._last = next((one for one in in_turn if self._last is None or one > self._last), in_turn[0])
        self._is_asking = True
        self._give_up_ns = None
        self.begun += 1
        return self._last

    def is_usable(self, update_id: int, answered_update_id: int, now_ns: int) -> bool:
        """Whether the answer can be used now: the book is as far, or was waited for long enough."""
        if self._give_up_ns is None:
            self._give_up_ns = now_ns + round(CATCH_UP_S * NS_PER_S)
        return update_id >= answered_update_id or now_ns >= self._give_up_ns

    def used(self, now_ns: int) -> None:
        """The answer went to the dispatcher."""
        self._is_asking = False
        self._due_ns = now_ns + self._interval_ns

    def failed(self, now_ns: int) -> None:
        """No answer came: the next turn is another topic's."""
        self.unanswered += 1
        self.used(now_ns)
