"""What to ask for after a gap of trades or candles, and when. Sans-I/O.

An answer goes to the dispatcher, which delivers what lies in the gap and was not seen. Trades reach back
seconds to minutes at most, so nothing is gained by asking late: a topic has a few attempts, then the gap
stays as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.bybit import topics
from engine.clock import NS_PER_S

__all__ = ["ATTEMPTS_MAX", "USES", "Backfill", "Hole"]

# Topic kind -> the use of the answer.
USES: Final = {"publicTrade": "trades", "kline": "kline"}
# What happened in the last moment of a gap must have reached the venue's answers.
SETTLE_S: Final = 1.0
AGAIN_S: Final = 2.0
ATTEMPTS_MAX: Final = 3
# Topics that wait at a time; after a cut all topics of all connections do.
HOLES_MAX: Final = 20_000


@dataclass(slots=True)
class Hole:
    """A gap that is over, of a topic that can be asked for; ``start_ns`` and ``end_ns`` are wall clock."""

    topic: str
    use: str
    start_ns: int
    end_ns: int
    due_ns: int
    attempts: int = 0


class Backfill:
    """The holes of one category that wait to be filled; ``due_ns`` and ``now_ns`` are monotonic."""

    def __init__(self, category: str) -> None:
        self.asks = 0
        self.given_up = 0
        self.not_kept = 0
        self._category = category
        self._holes: dict[str, Hole] = {}

    @property
    def waiting(self) -> list[Hole]:
        """The holes that wait, the oldest first."""
        return list(self._holes.values())

    def closed(self, topic: str, start_ns: int, end_ns: int, now_ns: int) -> None:
        """A gap of a topic was closed; kinds that cannot be asked for are ignored."""
        use = USES.get(topic.partition(".")[0])
        if use is None:
            return
        hole = self._holes.get(topic)
        if hole is not None:
            hole.start_ns, hole.end_ns = min(hole.start_ns, start_ns), max(hole.end_ns, end_ns)
        elif len(self._holes) < HOLES_MAX:
            self._holes[topic] = Hole(topic, use, start_ns, end_ns, now_ns + _ns(SETTLE_S))
        else:
            self.not_kept += 1

    def forget(self, names: Iterable[str]) -> None:
        """These topics are not wanted any more."""
        for name in names:
            self._holes.pop(name, None)

    def take_due(self, now_ns: int, count: int) -> list[Hole]:
        """Return up to ``count`` holes to ask for now; `failed` puts one back."""
        due = [hole for hole in self._holes.values() if hole.due_ns <= now_ns][:count]
        for hole in due:
            del self._holes[hole.topic]
            self.asks += 1
        return due

    def failed(self, hole: Hole, now_ns: int) -> bool:
        """No answer came. Return whether this was the last attempt."""
        hole.attempts += 1
        if hole.attempts >= ATTEMPTS_MAX:
            self.given_up += 1
            return True
        hole.due_ns = now_ns + _ns(AGAIN_S * hole.attempts)
        other = self._holes.get(hole.topic)
        if other is not None:
            hole.start_ns = min(hole.start_ns, other.start_ns)
            hole.end_ns = max(hole.end_ns, other.end_ns)
        self._holes[hole.topic] = hole
        return False

    def key(self, hole: Hole) -> topics.Topic:
        """Return the parts of a hole's topic."""
        return topics.parse(self._category, hole.topic)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
