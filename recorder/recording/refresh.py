"""When the instruments of a category are to be read again; it asks no clock and reads nothing."""

from collections.abc import Callable, Iterable
from typing import Final

from engine.backoff import Backoff

__all__ = ["RefreshSchedule"]

RETRY_S: Final = 10.0  # after a reading that failed; doubles with each
RETRY_S_MAX: Final = 600.0
SETTLE_S: Final = 2.0  # a restart of the venue is many restarts at once, and its lists follow
LATE_S: Final = 300.0  # the venue's list may follow a date so late
SPACING_S: Final = 30.0  # between two readings of a category for other reasons than its time


class RefreshSchedule:
    """Says which categories are due: every ``every_s``, and sooner after a restart, on a date, on demand.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, categories: Iterable[str], every_s: float, random: Callable[[], float]) -> None:
        self._every_s = every_s
        self._random = random
        self._due_s: dict[str, float] = {}
        self._read_s: dict[str, float] = {}
        self._retries: dict[str, Backoff] = {}
        for category in categories:
            self.watch(category)

    def watch(self, category: str) -> None:
        """Have a category that is due at once; nothing where it is watched already."""
        if category not in self._due_s:
            self._due_s[category] = 0.0
            self._retries[category] = Backoff(min(RETRY_S, self._every_s), RETRY_S_MAX, self._random)

    def due(self, now_s: float) -> list[str]:
        """Return the categories that are to be read now."""
        return [category for category, due_s in self._due_s.items() if due_s <= now_s]

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing will be due; at most the interval."""
        return max(0.0, min(self._due_s.values(), default=now_s + self._every_s) - now_s)

    def succeeded(self, category: str, now_s: float, dates_s: Iterable[float] = ()) -> None:
        """Note a reading; ``dates_s`` are known moments of change, launches for one.

        Nothing where the category is not watched yet: then it is due as soon as it is.
        """
        if category not in self._due_s:
            return
        self._retries[category].reset()
        self._read_s[category] = now_s
        ahead = [max(date_s + SETTLE_S, now_s + SPACING_S) for date_s in dates_s if date_s + LATE_S > now_s]
        self._due_s[category] = min([now_s + self._every_s, *ahead])

    def failed(self, category: str, now_s: float) -> None:
        """Note that a reading failed: it is tried again, less and less often."""
        self._due_s[category] = now_s + self._retries[category].next_s()

    def hasten(self, category: str, now_s: float) -> None:
        """Have a category read soon, because the venue restarted or someone wants it."""
        if category in self._due_s:
            soonest_s = self._read_s.get(category, now_s - SPACING_S) + SPACING_S
            self._due_s[category] = min(self._due_s[category], max(now_s + SETTLE_S, soonest_s))
