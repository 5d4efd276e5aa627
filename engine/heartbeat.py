"""Whether a connection still breathes: pings sent, pongs due."""

__all__ = ["Heartbeat"]


class Heartbeat:
    """Says when to ping and when a connection is dead. All times are ns of the monotonic clock.

    A ping that nothing at all follows within the timeout means dead. A frame of another kind does prove the
    connection alive, so a missing pong alone is only counted; whether a single topic lives is another matter.
    """

    def __init__(self, interval_ns: int, timeout_ns: int) -> None:
        self.pings = 0
        self.pongs = 0
        self.missed_pongs = 0
        self.rtt_ns = 0
        self._interval_ns = interval_ns
        self._timeout_ns = timeout_ns
        self._ping_due_ns = 0
        self._pinged_ns = 0
        self._pong_due_ns = 0
        self._is_pong_due = False
        self.heard_ns = 0

    @property
    def deadline_ns(self) -> int:
        """When there is something to do next."""
        return self._pong_due_ns if self._is_pong_due else self._ping_due_ns

    @property
    def pong_due_ns(self) -> int | None:
        """When the pong is due that is waited for; None while none is."""
        return self._pong_due_ns if self._is_pong_due else None

    def start(self, now_ns: int) -> None:
        """A connection opened."""
        self._ping_due_ns = now_ns + self._interval_ns
        self._is_pong_due = False

    def ping_at(self, at_ns: int) -> None:
        """Ping at that moment at the latest."""
        self._ping_due_ns = min(self._ping_due_ns, at_ns)

    def heard(self, at_ns: int) -> None:
        """A frame of whatever kind came."""
        self.heard_ns = max(self.heard_ns, at_ns)

    def pong(self, now_ns: int) -> None:
        """A pong came."""
        self.pongs += 1
        if self._is_pong_due:
            self._is_pong_due = False
            self.rtt_ns = now_ns - self._pinged_ns

    def wait_until(self, until_ns: int) -> None:
        """Let the pong be due at that moment at the earliest."""
        self._pong_due_ns = max(self._pong_due_ns, until_ns)

    def is_dead(self, now_ns: int) -> bool:
        """Whether the last ping stayed without any frame for too long."""
        if not self._is_pong_due or now_ns < self.deadline_ns:
            return False
        self._is_pong_due = False
        self.missed_pongs += 1
        return self.heard_ns < self._pinged_ns

    def takes_ping(self, now_ns: int) -> bool:
        """Whether to send a ping now, which is noted as sent."""
        if self._is_pong_due or now_ns < self._ping_due_ns:
            return False
        self.pings += 1
        self._is_pong_due = True
        self._pinged_ns = now_ns
        self._pong_due_ns = now_ns + self._timeout_ns
        self._ping_due_ns = now_ns + self._interval_ns
        return True
