"""When to try again: waits that double, with jitter, and the venue's allowance of new connections."""

from collections import deque
from collections.abc import Callable

from engine.bybit.limits import NEW_CONNECTIONS_MAX, NEW_CONNECTIONS_WINDOW_S
from engine.clock import NS_PER_S

__all__ = ["Allowance", "Backoff", "doubled_s"]


def doubled_s(first_s: float, times: int, max_s: float) -> float:
    """Return ``first_s`` doubled so many times, at most ``max_s``."""
    # The exponent is capped too: 2.0**1024 is an OverflowError after some hours without a network.
    return min(max_s, first_s * 2.0 ** min(times, 64))


class Backoff:
    """Delays for attempt after attempt: between half and all of ``initial_s * 2**failures``, at most
    ``max_s``.

    ``random`` returns a number in [0, 1): many clients that lost the same server must not return at once.
    """

    def __init__(self, initial_s: float, max_s: float, random: Callable[[], float]) -> None:
        self._initial_s = initial_s
        self._max_s = max_s
        self._random = random
        self.failures = 0

    def next_s(self) -> float:
        """Return how long to wait now, and count one more failure."""
        ceiling_s = doubled_s(self._initial_s, self.failures, self._max_s)
        self.failures += 1
        return ceiling_s * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        """Start again from the initial delay."""
        self.failures = 0


class Allowance:
    """At most ``limit`` new connections in any ``window_s``; shared by all that open some."""

    def __init__(self, limit: int = NEW_CONNECTIONS_MAX, window_s: float = NEW_CONNECTIONS_WINDOW_S) -> None:
        self._window_ns = round(window_s * NS_PER_S)
        self._opened_ns: deque[int] = deque(maxlen=limit)

    def reserve_s(self, mono_ns: int) -> float:
        """Take the next place and return how long to wait for it."""
        at_ns = mono_ns
        if len(self._opened_ns) == self._opened_ns.maxlen:
            at_ns = max(at_ns, self._opened_ns[0] + self._window_ns)
        self._opened_ns.append(at_ns)
        return (at_ns - mono_ns) / NS_PER_S
