"""When to ask for the whole of a book that comes as changes only (``orderbook.full``). Sans-I/O.

The dispatcher keeps the changes and splices an answer with them; here is only decided when to ask, and when
to ask again: an answer may be older than the first change that was kept, or never come.
"""

from dataclasses import dataclass

from engine.backoff import doubled_s
from engine.clock import NS_PER_S

__all__ = ["FullBooks"]

# Changes come every 200 ms: with the first answer one of them should already be there to meet it.
FIRST_ASK_S = 0.3
# An answer that met no change is followed by another attempt after this, doubled each time up to the maximum.
AGAIN_S = 1.0
AGAIN_S_MAX = 30.0


@dataclass(slots=True)
class _Wanted:
    leg: int
    due_ns: int
    attempts: int = 0
    is_asking: bool = False


class FullBooks:
    """The full books of one category that wait for an answer. Times are ns of the monotonic clock."""

    def __init__(self) -> None:
        self.asks = 0
        self._wanted: dict[str, _Wanted] = {}

    def want(self, topic: str, leg: int, now_ns: int) -> None:
        """The book of a topic has to be begun; one that is wanted already keeps its turn."""
        wanted = self._wanted.setdefault(topic, _Wanted(leg, now_ns + _ns(FIRST_ASK_S)))
        wanted.leg = leg

    def synced(self, topic: str) -> None:
        """The book is good."""
        self._wanted.pop(topic, None)

    @property
    def wanted(self) -> list[str]:
        """The topics that wait."""
        return list(self._wanted)

    def take_due(self, now_ns: int, count: int) -> list[tuple[str, int]]:
        """Return up to ``count`` topics, with legs, to ask for now; each is to be followed by `asked`."""
        due = [
            (topic, wanted)
            for topic, wanted in self._wanted.items()
            if not wanted.is_asking and wanted.due_ns <= now_ns
        ][:count]
        for _, wanted in due:
            wanted.is_asking = True
            self.asks += 1
        return [(topic, wanted.leg) for topic, wanted in due]

    def asked(self, topic: str, now_ns: int) -> None:
        """An answer was used, or none came: unless `synced` follows, ask again later."""
        wanted = self._wanted.get(topic)
        if wanted is not None:
            wanted.is_asking = False
            wanted.due_ns = now_ns + _ns(doubled_s(AGAIN_S, wanted.attempts, AGAIN_S_MAX))
            wanted.attempts += 1


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
