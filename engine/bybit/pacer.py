"""The venue's allowance of REST requests, kept on this side."""

from typing import Final

from engine.backoff import Allowance
from engine.clock import NS_PER_S

__all__ = ["BAN_S", "Pacer"]

# The venue allows an address 600 requests in 5 s, over all its hosts. A third of it: several processes, and
# whatever else there is behind the same address, have to live with it too.
REQUESTS_MAX: Final = 200
WINDOW_S: Final = 5.0
# An address that was refused must be silent for so long.
BAN_S: Final = 600.0


class Pacer:
    """Says how long a request must wait, and for how long none may be made at all.

    Sans-I/O; times are ns of the monotonic clock. To be shared by all that ask from one process.
    """

    def __init__(self, requests_max: int = REQUESTS_MAX, window_s: float = WINDOW_S) -> None:
        self._allowance = Allowance(requests_max, window_s)
        self._banned_until_ns: int | None = None

    def reserve_s(self, mono_ns: int) -> float:
        """Take the next place and return how long to wait for it."""
        return self._allowance.reserve_s(mono_ns)

    def refused(self, mono_ns: int) -> None:
        """The venue refused this address."""
        self._banned_until_ns = mono_ns + round(BAN_S * NS_PER_S)

    def banned_s(self, mono_ns: int) -> float:
        """Return for how much longer nothing may be asked; 0 where something may."""
        if self._banned_until_ns is None:
            return 0.0
        return max(0.0, (self._banned_until_ns - mono_ns) / NS_PER_S)
