"""How good a recording is, by day and symbol: wanted, verified and clean seconds, gaps, latencies."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from recorder.intervals import Interval, intersect, union
from recorder.verify.selection import DAY_NS, Selection, day_name, symbol_of

__all__ = [
    "LEVELS",
    "Chains",
    "GapSpan",
    "GapSum",
    "Latency",
    "SymbolDay",
    "Topic",
    "by_day",
    "is_book",
    "symbol_days",
]

LEVELS: Final = (0.5, 0.9, 0.99, 0.999)
MISSING_BELOW_PCT: Final = 50.0  # clean seconds

Topic = tuple[str, str]  # category, topic
DaySymbol = tuple[int, str, str]  # day, category, symbol


class GapSpan(NamedTuple):
    """One gap; `end_ns` is None while it is open."""

    category: str
    topic: str
    cause: str
    fault: str
    start_ns: int
    end_ns: int | None
    missing: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class GapSum:
    """Gaps of one cause and fault: how many touch the day, and their seconds, topic by topic."""

    cause: str
    fault: str
    gaps: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds at the quantiles of `LEVELS`, whole as the venue's times are, over so many messages."""

    messages: int
    p50: int
    p90: int
    p99: int
    p999: int

    @classmethod
    def of(cls, counts: dict[int, int]) -> "Latency | None":
        """Return those of counted milliseconds; None where there are none."""
        messages = sum(counts.values())
        if not messages:
            return None
        found: list[int] = []
        seen = 0
        for lag_ms in sorted(counts):
            seen += counts[lag_ms]
            while len(found) < len(LEVELS) and seen >= LEVELS[len(found)] * messages:
                found.append(lag_ms)
        return cls(messages, *found)


@dataclass(slots=True)
class SymbolDay:
    """One symbol on one day (UTC). Seconds add up over topics, but for `span_s`, of the longest.

    `frames` is None where the spool does not say. `verified_pct` is of the seconds in which books deeper
    than 1 were wanted, None where there were none; `clean_pct` of all wanted ones. `recv_ts` and `recv_cts`:
    how long after the venue's gateway and its matching engine messages came.
    """

    day: str
    category: str
    symbol: str
    frames: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    span_s: float = 0.0
    wanted_s: float = 0.0
    book_s: float = 0.0
    verified_s: float = 0.0
    gap_s: float = 0.0
    gaps: list[GapSum] = field(default_factory=list)
    recv_ts: Latency | None = None
    recv_cts: Latency | None = None
    problems: int = 0

    @property
    def verified_pct(self) -> float | None:
        """Share of the books' wanted time that a later message confirmed."""
        return round(100 * min(1.0, self.verified_s / self.book_s), 3) if self.book_s else None

    @property
    def clean_pct(self) -> float | None:
        """Share of the wanted time without a gap."""
        return round(100 * max(0.0, 1 - self.gap_s / self.wanted_s), 3) if self.wanted_s else None

    @property
    def verdict(self) -> str:
        """``verified``; ``suspect``: a gap, or rows that are not right; ``missing``: more than half of it."""
        clean = self.clean_pct
        is_empty = self.wanted_s > 0 and not any(self.rows.values())
        if is_empty or (clean is not None and clean < MISSING_BELOW_PCT):
            return "missing"
        return "suspect" if self.problems or self.gaps else "verified"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        extra = {"verified_pct": self.verified_pct, "clean_pct": self.clean_pct, "verdict": self.verdict}
        return asdict(self) | extra


class Chains:
    """Time in which a book was live and a later message confirmed it, by its update id or as a whole one."""

    def __init__(self) -> None:
        self.verified_ns: dict[tuple[int, Topic], int] = defaultdict(int)
        self._last_ns: dict[Topic, int] = {}

    def message(self, topic: Topic, recv_ns: int) -> None:
        """A message that followed on from the one before, unless the chain was broken since."""
        last_ns = self._last_ns.get(topic)
        if last_ns is not None:
            for day, ns in by_day(last_ns, recv_ns):
                self.verified_ns[day, topic] += ns
        self._last_ns[topic] = max(recv_ns, last_ns or 0)

    def broken(self, topic: Topic) -> None:
        """A gap: what comes next confirms nothing of before."""
        self._last_ns.pop(topic, None)


def is_book(topic: str) -> bool:
    """Whether it is a book with update ids that follow on each other: deeper than 1."""
    return topic.startswith("orderbook.") and not topic.startswith("orderbook.1.")


def by_day(start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield the days (since 1970) that a stretch touches, and how many ns of it are in each."""
    while start_ns < end_ns:
        day = start_ns // DAY_NS
        until_ns = min(end_ns, (day + 1) * DAY_NS)
        yield day, until_ns - start_ns
        start_ns = until_ns


def symbol_days(
    selection: Selection,
    last_ns: int,
    wanted: dict[Topic, list[Interval]],
    gaps: Iterable[GapSpan],
    chains: Chains,
) -> dict[DaySymbol, SymbolDay]:
    """Put together what is known of each day and symbol; an open gap lasts up to ``last_ns``."""
    days = _Days()
    window = [(selection.start_ns, selection.end_ns)]
    spans = {topic: intersect(union(some), window) for topic, some in wanted.items()}
    for topic, some in spans.items():
        of_days: Counter[int] = Counter()
        for interval in some:
            of_days.update(dict(by_day(*interval)))
        for day, ns in of_days.items():
            one = days.of(day, topic)
            one.span_s = max(one.span_s, ns / 1e9)
            one.wanted_s += ns / 1e9
            one.book_s += ns / 1e9 if is_book(topic[1]) else 0.0
    _add_gaps(days, gaps, spans, window, last_ns)
    for (day, topic), ns in chains.verified_ns.items():
        if selection.has(symbol_of(topic[1]), max(day * DAY_NS, selection.start_ns)):
            days.of(day, topic).verified_s += ns / 1e9
    return days.found


class _Days:
    def __init__(self) -> None:
        self.found: dict[DaySymbol, SymbolDay] = {}

    def of(self, day: int, topic: Topic) -> SymbolDay:
        """Return the day of a topic's symbol."""
        key = (day, topic[0], symbol_of(topic[1]))
        return self.found.setdefault(key, SymbolDay(day_name(day), key[1], key[2]))


def _add_gaps(
    days: _Days,
    gaps: Iterable[GapSpan],
    wanted: dict[Topic, list[Interval]],
    window: list[Interval],
    last_ns: int,
) -> None:
    spans: dict[Topic, list[Interval]] = defaultdict(list)
    sums: dict[tuple[DaySymbol, str, str], tuple[int, int]] = {}
    for gap in gaps:
        topic = (gap.category, gap.topic)
        end_ns = max(gap.start_ns, last_ns if gap.end_ns is None else gap.end_ns)
        spans[topic].append((gap.start_ns, end_ns))
        parts = [part for one in intersect([(gap.start_ns, end_ns)], window) for part in by_day(*one)]
        if not parts and window[0][0] <= gap.start_ns < window[0][1]:
            parts = [(gap.start_ns // DAY_NS, 0)]
        for day, ns in parts:
            one = (day, gap.category, symbol_of(gap.topic))
            count, before_ns = sums.get((one, gap.cause, gap.fault), (0, 0))
            sums[one, gap.cause, gap.fault] = (count + 1, before_ns + ns)
            days.of(day, topic)
    for topic, some in spans.items():
        for interval in intersect(union(some), wanted.get(topic, [])):
            for day, ns in by_day(*interval):
                days.of(day, topic).gap_s += ns / 1e9
    for (one, cause, fault), (count, ns) in sorted(sums.items()):
        days.found[one].gaps.append(GapSum(cause, fault, count, ns / 1e9))
