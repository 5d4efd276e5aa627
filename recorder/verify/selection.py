"""What of a recording is looked at: a stretch of time and symbols."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["DAY_NS", "Selection", "day_name", "symbol_of"]

DAY_NS: Final = 86_400 * 10**9
END_NS: Final = 9 * 10**18


@dataclass(frozen=True, slots=True)
class Selection:
    """Wall clock ``[start_ns, end_ns)`` of receipt; ``symbols`` empty: all, what has none included."""

    start_ns: int = 0
    end_ns: int = END_NS
    symbols: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def has(self, symbol: str, recv_ns: int) -> bool:
        """Whether a row of a symbol at a time is looked at."""
        return self.start_ns <= recv_ns < self.end_ns and (not self.symbols or symbol in self.symbols)

    def where(self, symbol: str, time: str) -> str:
        """Return the condition of `has`, for SQL of a symbol and a time."""
        conditions = ["1"]
        if self.start_ns:
            conditions.append(f"{time} >= fromUnixTimestamp64Nano({self.start_ns}, 'UTC')")
        if self.end_ns != END_NS:
            conditions.append(f"{time} < fromUnixTimestamp64Nano({self.end_ns}, 'UTC')")
        if self.symbols:
            conditions.append(f"{symbol} IN ({', '.join(map(_quoted, sorted(self.symbols)))})")
        return " AND ".join(conditions)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; None where it is not bounded."""
        return {
            "start_ns": self.start_ns or None,
            "end_ns": None if self.end_ns == END_NS else self.end_ns,
            "symbols": sorted(self.symbols),
        }


def symbol_of(topic: str) -> str:
    """Return what a topic is of: its last part."""
    return topic.rpartition(".")[2]


def day_name(day: int) -> str:
    """Return a day, counted since 1970, as ISO 8601."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
