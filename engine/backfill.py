"""What to ask for after a gap of trades or candles, and when. Sans-I/O.

The dispatcher knows the holes that gaps left, and an answer goes to it: it delivers what lies in the hole
and was not seen. Trades reach back seconds to minutes, so nothing is gained by asking late: a hole
has a few attempts, then it stays as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.clock import NS_PER_S

__all__ = ["ATTEMPTS_MAX", "USES", "Backfill", "Hole"]

# Topic kind -> the use of the answer.
USES: Final = {"publicTrade": "trades", "kline": "kline"}
# Trades at once: an answer holds the last 1000, in a storm those of less than a second.
SETTLE_S: Final = {"trades": 0.0, "kline": 1.0}
AGAIN_S: Final = 2.0
ATTEMPTS_MAX: Final = 3


@dataclass(slots=True)
class Hole:
    """What is missing of a topic, in the venue's time; ``until_ms`` is -1 where nothing came since."""

    topic: str
    from_ms: int
    until_ms: int
    due_ns: int
    attempts: int = 0
    is_asking: bool = False

    @property
    def use(self) -> str:
        """What the answer is for."""
        return USES[self.topic.partition(".")[0]]


class Backfill:
    """The holes of one category. ``now_ns`` is of the monotonic clock."""

    def __init__(self) -> None:
        self.asks = 0
        self._holes: dict[str, Hole] = {}

    def note(self, found: Iterable[tuple[str, int, int]], now_ns: int) -> None:
        """These holes (topic, from_ms, until_ms) there are: new ones are to be asked for, others are gone."""
        before, self._holes = self._holes, {}
        for topic, from_ms, until_ms in found:
            hole = before.get(topic)
            if hole is None or (hole.from_ms != from_ms and not hole.is_asking):
                hole = Hole(topic, from_ms, until_ms, now_ns)
                hole.due_ns += _ns(SETTLE_S[hole.use])
            hole.until_ms = until_ms
            self._holes[topic] = hole

    def take_due(self, now_ns: int, count: int) -> list[Hole]:
        """Return up to ``count`` holes to ask for now; each is to be followed by `asked`."""
        due = [
            hole
            for hole in self._holes.values()
            if hole.due_ns <= now_ns and not hole.is_asking and hole.attempts < ATTEMPTS_MAX
        ][:count]
        for hole in due:
            hole.is_asking = True
            self.asks += 1
        return due

    def asked(self, hole: Hole, now_ns: int) -> bool:
        """An answer was used, or none came. Return whether the hole, if it is still there, is given up."""
        hole.is_asking = False
        hole.attempts += 1
        hole.due_ns = now_ns + _ns(AGAIN_S * hole.attempts)
        return hole.attempts >= ATTEMPTS_MAX


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
