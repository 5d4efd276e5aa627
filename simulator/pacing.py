"""When the next message of the generated market is due."""

MAX_STEP_NS = 5_000
"""Market time of a message at rate `max`: as if 200,000 came a second."""
LATE_NS_MAX = 1_000_000_000
"""A market that fell further behind than this lets the lost time go."""


class Pacer:
    """Spreads messages evenly: message n is due n / rate after the start. Rate None: as fast as possible."""

    def __init__(self, rate: float | None, start_ns: int) -> None:
        self._rate = rate
        self._anchor_ns = start_ns
        self._spent = 0

    @property
    def time_ns(self) -> int:
        """Market time of the next message."""
        if self._rate is None:
            return self._anchor_ns + self._spent * MAX_STEP_NS
        return self._anchor_ns + int(self._spent * 1_000_000_000 / self._rate)

    def wait_ns(self, now_ns: int) -> int:
        """Return how long the next message has to wait; 0 when it is due."""
        if self._rate is None:
            return 0
        if now_ns - self.time_ns > LATE_NS_MAX:
            self.resume(now_ns)
        return max(0, self.time_ns - now_ns)

    def spend(self, messages: int) -> None:
        """Move on by so many messages."""
        self._spent += messages

    def resume(self, now_ns: int) -> None:
        """Continue after a pause: the next message is due now; market time never goes back."""
        self._anchor_ns = max(self.time_ns, now_ns)
        self._spent = 0
