"""A book as it was: after the last message at or before a time or record, exact, from the tables.

Two narrow reads by the primary key (`recorder.history.rows`), and the gaps that cover the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from engine.clock import NS_PER_S
from engine.errors import ConfigError, TopicError, UsageError, nearest
from recorder.archives.archive import is_import
from recorder.database.clickhouse import Database
from recorder.history.moments import POSITION_BITS, Moment, iso
from recorder.history.rows import (
    OURS,
    Levels,
    Limit,
    Row,
    Topic,
    by_position,
    chain,
    levels,
    select,
)

__all__ = ["CLOCKS", "KINDS", "BookAt", "Doubt", "RpiLevels", "book_at"]

CLOCKS: Final = ("recv", "cts")
KINDS: Final = ("plain", "rpi", "full")

NS_PER_MS: Final = 1_000_000
DAY_NS: Final = 86_400 * 10**9
NEAR_RECORDS: Final = 1 << 16
UPDATE_ID_MAX: Final = (1 << 64) - 1
# What recv is beyond cts, nearly always at most: latency and the offset of our clock.
CLOCK_SLACK_S: Final = 2

RpiLevels = tuple[tuple[Decimal, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A gap of the book's topic that covers the time asked for; `end_ns` is None while it is open."""

    cause: str
    fault: str
    start_ns: int
    end_ns: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class BookAt:
    """A book after the message `update_id` of the record `position`.

    `bids` and `asks` are (price, size), best first, exact. Of kind rpi they hold the ordinary sizes, and
    `rpi_bids` and `rpi_asks` are (price, ordinary size, size that only retail price improvement has).
    """

    recorder: str
    category: str
    symbol: str
    kind: str
    depth: int
    source: str
    position: int
    update_id: int
    seq: int
    recv_ns: int
    ts_ms: int
    cts_ms: int
    bids: Levels
    asks: Levels
    rpi_bids: RpiLevels
    rpi_asks: RpiLevels
    gaps: tuple[Doubt, ...]

    @property
    def segment(self) -> int:
        """The segment of the spool that holds the record."""
        return self.position >> POSITION_BITS

    @property
    def record(self) -> int:
        """Its number within the segment."""
        return self.position & (1 << POSITION_BITS) - 1

    @property
    def doubtful(self) -> bool:
        """Whether a gap covers the time asked for: what the book was then is not known for certain."""
        return bool(self.gaps)


def book_at(
    database: Database,
    symbol: str,
    at: Moment,
    *,
    category: str = "linear",
    depth: int | None = None,
    clock: str = "recv",
    kind: str = "plain",
    recorder: str = "",
) -> BookAt:
    """Rebuild a book as it was after the last message at or before a moment.

    Args:
        database: a connection; only what is committed is read.
        at: a time, or a position. Where the wall clock was set back and a time came twice, the later
            recorded message counts.
        depth: of the topic; None for the deepest one recorded. Kinds rpi and full have one each.
        clock: "recv", ours at the frame, or "cts", of the matching engine: all messages up to that
            millisecond.
        recorder: "" for the best of those that have it: without a gap, then the newest message.

    Raises:
        ConfigError: an option that cannot be.
        TopicError: no such symbol, kind or depth was recorded.
        UsageError: the moment is outside what was recorded.
    """
    if clock not in CLOCKS:
        raise ConfigError("clock", clock, "there are two", "use recv or cts")
    if kind not in KINDS:
        raise ConfigError("kind", kind, "there are three", "use plain, rpi or full")
    if kind != "plain" and depth is not None:
        raise ConfigError("depth", depth, f"a book of kind {kind} has one depth", "leave it out")
    marks = [mark for mark in _marks(database) if recorder in ("", mark.recorder)]
    if not marks:
        raise UsageError(
            f"nothing of recorder {recorder!r} is loaded" if recorder else "nothing is loaded yet",
            "wait until the loader has committed, or look with `tapehead sql 'SELECT * FROM committed'`",
        )
    chosen = _depth(database, category, symbol, kind, None) if depth is None else depth
    topic = Topic(category, symbol, kind, chosen)
    found = [book for mark in marks if (book := _book(database, topic, mark, at, clock)) is not None]
    if not found:
        _depth(database, *topic)
        raise _outside(database, topic, marks, at)
    return min(found, key=lambda book: (book.doubtful, -book.recv_ns, book.recorder))


class _Mark(NamedTuple):
    """How far a recorder is loaded."""

    recorder: str
    position: int
    first_ns: int
    last_ns: int


def _marks(database: Database) -> list[_Mark]:
    rows = database.query(
        "SELECT recorder, max(last_position), toUnixTimestamp64Nano(min(least(first_recv, last_recv))),"
        " toUnixTimestamp64Nano(max(last_recv)) FROM load_batch"
        " GROUP BY recorder ORDER BY recorder"
    )
    return [_Mark(*row) for row in rows]


def _book(database: Database, topic: Topic, mark: _Mark, at: Moment, clock: str) -> BookAt | None:
    """Return the book of one recorder; None where it has none at that moment."""
    if at.position > mark.position or (clock == "recv" and at.ns > mark.last_ns):
        return None
    # There may be an archive for each day of years.
    if is_import(mark.recorder) and at.ns and not mark.first_ns - DAY_NS <= at.ns <= mark.last_ns + DAY_NS:
        return None
    if at.position:
        rows = by_position(database, topic, mark.recorder, (at.position, UPDATE_ID_MAX))
    elif clock == "cts":
        rows = _chain_by_cts(database, topic, mark, at.ns)
    else:
        rows = chain(database, topic, mark.recorder, Limit(mark.position, at.ns, None))
    if not rows:
        return None
    last = rows[-1]
    bids, asks = levels(rows)
    rpi: tuple[RpiLevels, RpiLevels] = ((), ())
    if topic.kind == "rpi":
        beside = topic._replace(kind="rpi_only")
        of_rpi = levels(by_position(database, beside, mark.recorder, (last.position, last.update_id)))
        rpi = _beside(bids, of_rpi[0])[::-1], _beside(asks, of_rpi[1])
    return BookAt(
        recorder=mark.recorder,
        category=topic.category,
        symbol=topic.symbol,
        kind=topic.kind,
        depth=topic.depth,
        source=last.source,
        position=last.position,
        update_id=last.update_id,
        seq=last.seq,
        recv_ns=last.recv_ns,
        ts_ms=last.ts_ms,
        cts_ms=last.cts_ms,
        bids=bids,
        asks=asks,
        rpi_bids=rpi[0],
        rpi_asks=rpi[1],
        gaps=_doubts(database, topic, mark, at.ns or last.recv_ns, at.position),
    )


def _beside(ordinary: Levels, rpi: Levels) -> RpiLevels:
    """Return (price, size, RPI size) of all prices of either, ascending."""
    sizes, rpi_sizes = dict(ordinary), dict(rpi)
    none = Decimal(0)
    return tuple(
        (price, sizes.get(price, none), rpi_sizes.get(price, none)) for price in sorted({*sizes, *rpi_sizes})
    )


def _chain_by_cts(database: Database, topic: Topic, mark: _Mark, cts_ns: int) -> list[Row]:
    """Return what makes the book after the last message with such a cts, whenever it was received."""
    cts_ms = cts_ns // NS_PER_MS
    guess = Limit(mark.position, cts_ns + CLOCK_SLACK_S * NS_PER_S, cts_ms)
    rows = chain(database, topic, mark.recorder, guess)
    # Within a book a message with a later cts ends the search: these times do not go back.
    later = next((number for number, row in enumerate(rows) if row.cts_ms > cts_ms), None)
    if later is not None:
        return rows[:later]
    found = (rows[-1].position, rows[-1].update_id) if rows else (0, 0)
    last, is_end = _last_by_cts(database, topic, mark, found, cts_ms)
    if is_end and cts_ns > mark.last_ns:
        return []
    return rows if last == found else by_position(database, topic, mark.recorder, last)


def _last_by_cts(
    database: Database, topic: Topic, mark: _Mark, found: tuple[int, int], cts_ms: int
) -> tuple[tuple[int, int], bool]:
    """Return the last message with such a cts from one that has it on, and whether none comes after it.

    A message with a later cts ends the search: within a book they do not go back.
    """
    columns = "position, update_id, cts"
    since = "position >= {since:UInt64} AND (position, update_id) > ({since:UInt64}, {update_id:UInt64})"
    both = " UNION ALL ".join(select(columns, table, OURS, since) for table in topic.tables)
    earlier = "cts <= fromUnixTimestamp64Milli({cts_ms:Int64}, 'UTC')"
    values = {**topic._asdict(), "recorder": mark.recorder, "cts_ms": cts_ms}
    # The next message is nearly always near, or in the next segment; to read all later ones takes longer.
    next_segments = ((found[0] >> POSITION_BITS) + 2) << POSITION_BITS
    for until in (found[0] + NEAR_RECORDS, next_segments, mark.position):
        [(count, earlier_count, last)] = database.query(
            " ".join(
                (
                    f"SELECT count(), countIf({earlier}), maxIf((position, update_id), {earlier})",
                    f"FROM ({both})",
                )
            ),
            {**values, "position": min(until, mark.position), "since": found[0], "update_id": found[1]},
        )
        if earlier_count:
            found = last
        if count > earlier_count:
            return found, False
    return found, True


def _doubts(database: Database, topic: Topic, mark: _Mark, at_ns: int, at_position: int) -> tuple[Doubt, ...]:
    """Return the gaps of the topic that cover a time, or were open after a record (0: not asked)."""
    rows = database.query(
        "SELECT argMin(cause, position), argMin(fault, position), toUnixTimestamp64Nano(min(start)) AS since,"
        " toUnixTimestamp64Nano(max(end)) AS until, argMax(detail, position) FROM gap"
        " WHERE category = {category:String} AND topic = {topic:String} AND recorder = {recorder:String}"
        " AND position <= {position:UInt64}"
        " GROUP BY id HAVING since < {at_ns:Int64} AND (until IS NULL OR until > {at_ns:Int64})"
        " OR min(position) <= {at_position:UInt64}"
        " AND maxIf(end, position <= {at_position:UInt64}) IS NULL ORDER BY since, id",
        {
            "category": topic.category,
            "topic": topic.name,
            "recorder": mark.recorder,
            "position": mark.position,
            "at_ns": at_ns,
            "at_position": at_position,
        },
    )
    return tuple(Doubt(*row) for row in rows)


def _depth(database: Database, category: str, symbol: str, kind: str, depth: int | None) -> int:
    """Return the depth to read: the one given, or the deepest. TopicError where it was not recorded."""
    values = {"category": category, "symbol": symbol, "kind": kind, "depth": depth or 0}
    of_topic = ["category = {category:String}", "symbol = {symbol:String}", "kind = {kind:String}"]
    if depth is not None:
        of_topic.append("depth = {depth:UInt16}")
    deepest = "ORDER BY category DESC, symbol DESC, kind DESC, depth DESC LIMIT 1"
    for table in ("book_snapshot", "bbo") if depth != 1 else ("bbo",):
        rows = database.query(select("depth", table, *of_topic, tail=deepest), values)
        if rows:
            return int(rows[0][0])
    raise _unknown(database, category, symbol, kind, depth)


def _unknown(database: Database, category: str, symbol: str, kind: str, depth: int | None) -> TopicError:
    recorded = {
        (str(found), str(of_kind), int(of_depth))
        for table in ("book_snapshot", "bbo")
        for found, of_kind, of_depth in database.query(
            select("DISTINCT symbol, toString(kind), depth", table, "category = {category:String}"),
            {"category": category},
        )
    }
    names = sorted({name for name, _, _ in recorded})
    if symbol not in names:
        problem = f"no book of symbol {symbol!r} was recorded in {category}"
        similar = nearest(symbol, names) or names[:3]
        return TopicError(problem, symbol, similar, "" if similar else "record it with `tapehead record`")
    offered = sorted(
        {
            str(of_depth) if of_kind == "plain" else of_kind
            for name, of_kind, of_depth in recorded
            if name == symbol and of_kind != "rpi_only"
        },
        key=lambda one: (not one.isdigit(), one.zfill(5)),
    )
    asked = kind if kind != "plain" or depth is None else f"depth {depth}"
    return TopicError(f"no book of {asked} of {symbol} was recorded in {category}", depth or kind, offered)


def _outside(database: Database, topic: Topic, marks: Sequence[_Mark], at: Moment) -> UsageError:
    """Say from when to when there is a book."""
    table = "bbo" if topic.depth == 1 else "book_snapshot"
    first = "ORDER BY toStartOfMinute(recv), position LIMIT 1"
    ranges = []
    for mark in marks:
        rows = database.query(
            select("toUnixTimestamp64Nano(recv)", table, OURS, tail=first),
            {**topic._asdict(), "recorder": mark.recorder, "position": mark.position},
        )
        if rows:
            ranges.append(f"{iso(rows[0][0])} to {iso(mark.last_ns)}")
    return UsageError(
        f"{topic.name} of {topic.category} at {at} is outside what is loaded",
        f"it is there from {', and '.join(ranges)}" if ranges else "nothing of it is committed yet",
    )
