"""The rows that make a book: the last whole one within a limit and the deltas since, by the primary key."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, NamedTuple

from engine.clock import NS_PER_S
from recorder.database.clickhouse import Database

__all__ = [
    "OURS",
    "Levels",
    "Limit",
    "Row",
    "Topic",
    "by_position",
    "chain",
    "levels",
    "select",
]

MINUTE_S: Final = 60

Level = tuple[Decimal, Decimal]
Levels = tuple[Level, ...]


class Topic(NamedTuple):
    """A book as the tables tell it apart."""

    category: str
    symbol: str
    kind: str
    depth: int

    @property
    def name(self) -> str:
        """As the venue calls it."""
        return f"orderbook.{self.depth if self.kind == 'plain' else self.kind}.{self.symbol}"

    @property
    def tables(self) -> tuple[str, ...]:
        """Where its messages have their rows."""
        return ("bbo",) if self.depth == 1 else ("book_delta", "book_snapshot")


class Row(NamedTuple):
    """A delta or a whole book, as it is in the table."""

    position: int
    update_id: int
    seq: int
    recv_ns: int
    ts_ms: int
    cts_ms: int
    source: str
    price_scale: int
    size_scale: int
    bid_prices: Sequence[int]
    bid_sizes: Sequence[int]
    ask_prices: Sequence[int]
    ask_sizes: Sequence[int]


_MESSAGE: Final = (
    "position, update_id, seq, toUnixTimestamp64Nano(recv), toUnixTimestamp64Milli(ts),"
    " toUnixTimestamp64Milli(cts), toString(source), price_scale, size_scale"
)
_LEVELS: Final = f"{_MESSAGE}, bid_prices, bid_sizes, ask_prices, ask_sizes"
_BEST: Final = f"{_MESSAGE}, [bid_price], [bid_size], [ask_price], [ask_size]"
_KEY: Final = (
    "category = {category:String} AND symbol = {symbol:String} AND kind = {kind:String}"
    " AND depth = {depth:UInt16}"
)
OURS: Final = f"{_KEY} AND recorder = {{recorder:String}} AND position <= {{position:UInt64}}"
# Times as the primary key has them, so that it is used.
_UNTIL: Final = (
    "toStartOfMinute(recv) <= toDateTime({until_minute_s:UInt32}, 'UTC')"
    " AND recv <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')"
)
_SINCE: Final = "toStartOfMinute(recv) >= toDateTime({since_minute_s:UInt32}, 'UTC')"
_FROM_BASE: Final = "position >= {base:UInt64} AND (position, update_id)"
_BASE: Final = "({base:UInt64}, {base_update_id:UInt64})"
_IN_ORDER: Final = "ORDER BY position, update_id"
_LAST: Final = "ORDER BY toStartOfMinute(recv) DESC, position DESC, update_id DESC LIMIT 1"


class Limit(NamedTuple):
    """Which messages count: those at or before all of these."""

    position: int
    recv_ns: int
    cts_ms: int | None

    @property
    def received(self) -> str:
        """What holds for rows that had been received."""
        return f"{OURS} AND {_UNTIL}"

    @property
    def condition(self) -> str:
        """What holds for rows that count."""
        cts = "" if self.cts_ms is None else " AND cts <= fromUnixTimestamp64Milli({cts_ms:Int64}, 'UTC')"
        return self.received + cts

    def values(self, topic: Topic, recorder: str) -> dict[str, Any]:
        """The parameters of `condition`."""
        times = {"until_ns": self.recv_ns, "until_minute_s": _minute_s(self.recv_ns), "cts_ms": self.cts_ms}
        return {**topic._asdict(), "recorder": recorder, "position": self.position, **times}


def _minute_s(ns: int) -> int:
    """Return the minute of a time, as the primary key has it."""
    return max(0, ns // NS_PER_S // MINUTE_S * MINUTE_S)


def select(columns: str, table: str, *conditions: str, tail: str = "") -> str:
    """Return the statement; all that is not fixed text goes in as its parameters."""
    return " ".join(("SELECT", columns, "FROM", table, "WHERE", " AND ".join(conditions), tail))


def chain(database: Database, topic: Topic, recorder: str, limit: Limit) -> list[Row]:
    """Return the last whole book within a limit and the deltas since, in their order.

    Deltas that follow with a later cts than that of the limit may be among them, at the end.
    """
    values = limit.values(topic, recorder)
    if topic.depth == 1:
        return _rows(database, select(_BEST, "bbo", limit.condition, tail=_LAST), values)
    bases = _rows(database, select(_LEVELS, "book_snapshot", limit.condition, tail=_LAST), values)
    if not bases:
        return []
    values["since_minute_s"] = _minute_s(bases[0].recv_ns)
    rows = [*bases, *_deltas(database, topic, f"{limit.received} AND {_SINCE}", values, bases[0])]
    if is_whole(rows):
        return rows
    # Update ids that are not each the next, or a clock that was set back: only positions tell.
    last = next(row for row in reversed(rows) if limit.cts_ms is None or row.cts_ms <= limit.cts_ms)
    return by_position(database, topic, recorder, (last.position, last.update_id))


def is_whole(rows: Sequence[Row]) -> bool:
    """Whether the update ids of a book and its deltas are each the next: then none is missing between."""
    return all(row.update_id + 1 == following.update_id for row, following in pairwise(rows))


def by_position(database: Database, topic: Topic, recorder: str, last: tuple[int, int]) -> list[Row]:
    """Return the last whole book up to a message, (position, update id), and the deltas from it to there.

    Whatever the clocks said: the positions alone decide.
    """
    values = {**topic._asdict(), "recorder": recorder, "position": last[0], "update_id": last[1]}
    until = f"{OURS} AND (position, update_id) <= ({{position:UInt64}}, {{update_id:UInt64}})"
    table, columns = ("bbo", _BEST) if topic.depth == 1 else ("book_snapshot", _LEVELS)
    # The key finds one that is near, whole, and the positions from there on are few.
    bases = _rows(database, select(columns, table, until, tail=_LAST), values)
    if not bases:
        return []
    values["since"] = bases[0].position
    [(last_base,)] = database.query(
        select("max((position, update_id))", table, until, "position >= {since:UInt64}"), values
    )
    if last_base != (bases[0].position, bases[0].update_id):  # the clock was set back
        values |= {"base": last_base[0], "base_update_id": last_base[1]}
        is_base = f"{_FROM_BASE} = {_BASE}"
        bases = _rows(database, select(columns, table, until, is_base, tail="LIMIT 1"), values)
    return [*bases, *_deltas(database, topic, until, values, bases[0])]


def _deltas(database: Database, topic: Topic, condition: str, values: dict[str, Any], base: Row) -> list[Row]:
    """Return the deltas after a whole book for which the condition holds, in their order."""
    if topic.depth == 1:  # each message is the whole book
        return []
    since_base = values | {"base": base.position, "base_update_id": base.update_id}
    sql = select(_LEVELS, "book_delta", condition, f"{_FROM_BASE} > {_BASE}", tail=_IN_ORDER)
    return _rows(database, sql, since_base)


def _rows(database: Database, sql: str, values: dict[str, Any]) -> list[Row]:
    return [Row(*row) for row in database.query(sql, values)]


def levels(rows: Sequence[Row]) -> tuple[Levels, Levels]:
    """Apply deltas to the whole book before them; returns bids and asks, best first."""
    if not rows:
        return (), ()
    price_scale = max(row.price_scale for row in rows)
    size_scale = max(row.size_scale for row in rows)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for row in rows:
        to_price, to_size = 10 ** (price_scale - row.price_scale), 10 ** (size_scale - row.size_scale)
        for side, prices, sizes in (
            (bids, row.bid_prices, row.bid_sizes),
            (asks, row.ask_prices, row.ask_sizes),
        ):
            if to_price == to_size == 1:
                side.update(zip(prices, sizes, strict=True))
            else:
                side.update(_scaled(prices, sizes, to_price, to_size))
    return (
        _decimals(sorted(bids.items(), reverse=True), price_scale, size_scale),
        _decimals(sorted(asks.items()), price_scale, size_scale),
    )


def _scaled(
    prices: Sequence[int], sizes: Sequence[int], to_price: int, to_size: int
) -> Iterator[tuple[int, int]]:
    for price, size in zip(prices, sizes, strict=True):
        yield price * to_price, size * to_size


def _decimals(mantissas: Iterable[tuple[int, int]], price_scale: int, size_scale: int) -> Levels:
    return tuple(
        (Decimal(f"{price}E-{price_scale}"), Decimal(f"{size}E-{size_scale}"))
        for price, size in mantissas
        if size
    )
