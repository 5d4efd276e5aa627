"""What time it is at the venue, how sure that is, and which timestamps it takes."""

from collections import deque
from typing import Final

from engine.clock import NS_PER_S

__all__ = ["FRESH_S", "ServerClock"]

NS_PER_MS: Final = 1_000_000
SAMPLES_MAX: Final = 8
FRESH_S: Final = 300.0  # how long an offset is believed; a crystal drifts some 50 ms an hour
# The venue refuses what is 1,000 ms or more ahead of it, whatever the window.
AHEAD_MS_MAX: Final = 1_000


class ServerClock:
    """The venue's clock against ours, from answers that tell its time. Sans-I/O; times in ns unless named.

    The offset is exact to half the round trip of the best sample: the request and its answer may have taken
    any share of it. Samples are kept by the monotonic clock, so a wall clock that is set does not spoil them.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=SAMPLES_MAX)

    def note(self, sent_mono_ns: int, received_mono_ns: int, server_ns: int) -> None:
        """Take the venue's time from an answer that was asked for and received at these moments."""
        half_ns = max(0, received_mono_ns - sent_mono_ns) // 2
        self._samples.append((received_mono_ns, server_ns - (sent_mono_ns + half_ns), half_ns))

    def forget(self) -> None:
        """Believe no sample any more: the venue found a timestamp wrong."""
        self._samples.clear()

    def uncertainty_ms(self, mono_ns: int) -> float:
        """Half the round trip of the best fresh sample; infinite where there is none."""
        best = self._best(mono_ns)
        return float("inf") if best is None else best[2] / NS_PER_MS

    def now_ms(self, mono_ns: int) -> int | None:
        """The venue's time now, None where no fresh sample tells it."""
        best = self._best(mono_ns)
        return None if best is None else (mono_ns + best[1]) // NS_PER_MS

    def timestamp_ms(self, mono_ns: int) -> int | None:
        """A timestamp for a request sent now: surely not ahead of the venue, and as late as that allows.

        None where the clock is unknown, or so uncertain that no timestamp is safe.
        """
        best = self._best(mono_ns)
        if best is None or best[2] // NS_PER_MS >= AHEAD_MS_MAX:
            return None
        return (mono_ns + best[1] - best[2]) // NS_PER_MS

    def offsets(self, mono_ns: int) -> tuple[int, int, int] | None:
        """How to reckon without this object: (stamp offset, offset, until) in ns.

        At ``t`` of the monotonic clock, before ``until``, a request is stamped ``t`` + stamp offset, and the
        venue's clock shows ``t`` + offset. None where no timestamp is safe, as of `timestamp_ms`.
        """
        best = self._best(mono_ns)
        if best is None or best[2] // NS_PER_MS >= AHEAD_MS_MAX:
            return None
        taken_ns, offset_ns, half_ns = best
        return offset_ns - half_ns, offset_ns, taken_ns + round(FRESH_S * NS_PER_S)

    def _best(self, mono_ns: int) -> tuple[int, int, int] | None:
        fresh = [one for one in self._samples if mono_ns - one[0] <= FRESH_S * NS_PER_S]
        return min(fresh, key=lambda one: one[2], default=None)
