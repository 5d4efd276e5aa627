"""What `verify` found of one recorder, for people and for programs."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from recorder.verify.problems import Problem
from recorder.verify.quality import GapSpan, SymbolDay
from recorder.verify.selection import Selection

__all__ = ["BookCheck", "Clock", "RowCheck", "Sources", "VerifyReport"]


@dataclass(frozen=True)
class RowCheck:
    """Rows of one kind: expected from the spool, found in the table; `is_equal`: their sums are."""

    table: str
    category: str
    symbol: str
    detail: str
    expected: int
    found: int
    repeated: int
    is_equal: bool

    @property
    def is_right(self) -> bool:
        """Whether each expected row is there, once, with the numbers that it must have."""
        return self.expected == self.found and self.repeated == 0 and self.is_equal


@dataclass(frozen=True)
class BookCheck:
    """A book at the commit mark: rebuilt by SQL from the tables, compared with the dispatcher's."""

    category: str
    symbol: str
    kind: str
    depth: int
    state: str
    levels: int
    is_right: bool


@dataclass(frozen=True)
class Clock:
    """How far our clock was ahead of the venue's, at most: the least that anything came after it was sent.

    `by`: ``rest`` or ``stream``, what came soonest; None where nothing tells. `steps`: how often it was set.
    """

    ahead_ms_max: float | None = None
    by: str | None = None
    steps: int = 0


@dataclass
class Sources:
    """What there was to compare, and what could not be.

    `expired`: segments that the keeper deleted once they were loaded, as (first, last, records); `dropped`:
    those that it deleted for want of room. `missing`: segments that are not there without a word.
    `uncompared`: segments that no state is left to run from. `rows_expired`: rows, by table, that a TTL
    deleted. `segments` and `inputs`: how many were read, and the hash of their hashes.
    """

    spool: bool = False
    database: bool = False
    segments: int = 0
    inputs: str = ""
    expired: list[tuple[int, int, int]] = field(default_factory=list)
    dropped: list[tuple[int, int, int]] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    uncompared: list[tuple[int, int]] = field(default_factory=list)
    rows_expired: dict[str, int] = field(default_factory=dict)


@dataclass
class VerifyReport:
    """What `verify` found.

    `frames` of the spool up to the commit mark at `position`; `counters` of the dispatchers by category say
    what became of those that are no rows (duplicates, repeats, dropped_unsynced, malformed ...).
    `snapshots`: whole books of the tables that those rebuilt before them were compared with. `sent`: frames
    that a log says were sent. `lags`: counted milliseconds, as of `facts.histogram`. `found`: what
    is wrong.
    """

    recorder: str
    position: int = 0
    frames: int = 0
    records: int = 0
    rows: list[RowCheck] = field(default_factory=list)
    books: list[BookCheck] = field(default_factory=list)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    open_gaps: list[str] = field(default_factory=list)
    snapshots: int = 0
    sent: int | None = None
    selection: Selection = field(default_factory=Selection)
    sources: Sources = field(default_factory=Sources)
    clock: Clock = field(default_factory=Clock)
    days: list[SymbolDay] = field(default_factory=list)
    gaps: list[GapSpan] = field(default_factory=list)
    lags: dict[str, Counter[int]] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each; empty when all is right."""
        return [problem.text for problem in self.found]

    @property
    def is_right(self) -> bool:
        """Whether nothing is missing, repeated or different."""
        return not self.found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {name: value for name, value in vars(self).items() if name not in ("found", "lags")}
        lists: dict[str, Any] = {
            "rows": [asdict(one) for one in self.rows],
            "books": [asdict(one) for one in self.books],
            "selection": self.selection.to_dict(),
            "sources": asdict(self.sources),
            "clock": asdict(self.clock),
            "days": [one.to_dict() for one in self.days],
            "gaps": [one._asdict() for one in self.gaps],
        }
        return values | lists | {"problems": self.problems, "is_right": self.is_right}

    def text(self) -> str:
        """For people."""
        return "\n".join([*self._summary(), *self._not_compared(), *self.problems])

    def _summary(self) -> list[str]:
        checked = sum(check.expected for check in self.rows)
        right = sum(check.is_right for check in self.books)
        lines = [f"recorder {self.recorder}, up to position {self.position}"]
        if self.sources.spool:
            lines.append(f"{self.frames} frames in {self.records} records of the spool")
        if self.sent is not None:
            lines.append(f"{self.sent} frames sent, as the log says")
        if self.sources.database and self.sources.spool:
            lines.append(f"{checked} rows expected, {sum(check.found for check in self.rows)} found")
            lines.append(f"{right} of {len(self.books)} books rebuilt from the table are equal")
        if self.sources.database:
            lines.append(f"{self.snapshots} whole books compared with the tables before them")
        lines.append(f"{len(self.open_gaps)} gaps open" + "".join(f"\n  {topic}" for topic in self.open_gaps))
        if self.clock.ahead_ms_max is not None:
            lines.append(
                f"our clock was ahead of the venue's by {self.clock.ahead_ms_max:g} ms at most"
                f" (by {self.clock.by}), and set {self.clock.steps} times"
            )
        return lines

    def _not_compared(self) -> list[str]:
        lines = [
            f"segments {first} to {last} have expired from the spool: {records} records, loaded before"
            for first, last, records in self.sources.expired
        ]
        lines += [
            f"segments {first} to {last} were dropped, for the quota had no room: {records} records, in the"
            " ledger"
            for first, last, records in self.sources.dropped
        ]
        lines += [
            f"segments {first} to {last} are not compared: no state is left that says what came before"
            for first, last in self.sources.uncompared
        ]
        return lines + [
            f"{table}: {rows} rows have expired from the database"
            for table, rows in self.sources.rows_expired.items()
        ]
