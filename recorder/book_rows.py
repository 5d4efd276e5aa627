"""The rows that make a book: the last whole one within a limit and the deltas since, by the primary key."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine.clock import NS_PER_S
from recorder.clickhouse import Database

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
    def condition(self) -> str:
        """What holds for those rows."""
        cts = "" if self.cts_ms is None else " AND cts <= fromUnixTimestamp64Milli({cts_ms:Int64}, 'UTC')"
        return f"{OURS} AND {_UNTIL}{cts}"

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
    """Return the last whole book within a limit and the deltas since, in their order."""
    values = limit.values(topic, recorder)
    if topic.depth == 1:
        return _rows(database, select(_BEST, "bbo", limit.condition, tail=_LAST), values)
    bases = _rows(database, select(_LEVELS, "book_snapshot", limit.condition, tail=_LAST), values)
    if not bases:
        return []
    base = bases[0]
    since_base = values | {
        "since_minute_s": _minute_s(base.recv_ns),
        "base": base.position,
        "base_update_id": base.update_id,
    }
    since = f"{_SINCE} AND {_FROM_BASE} > {_BASE}"
    deltas = _rows(
        database, select(_LEVELS, "book_delta", limit.condition, since, tail=_IN_ORDER), since_base
    )
    last = deltas[-1] if deltas else base
    if last.update_id - base.update_id == len(deltas):
        return [base, *deltas]
    # Update ids that are not each the next, or a clock that was set back: only positions tell.
    return by_position(database, topic, recorder, (last.position, last.update_id))


def by_position(database: Database, topic: Topic, recorder: str, last: tuple[int, int]) -> list[Row]:
    """Return the last whole book up to a message, (position, update id), and the deltas from it to there.

    Whatever the clocks said: the positions alone decide.
    """
    values = {**topic._asdict(), "recorder": recorder, "position": last[0], "update_id": last[1]}
    until = f"{OURS} AND (position, update_id) <= ({{position:UInt64}}, {{update_id:UInt64}})"
    table = "bbo" if topic.depth == 1 else "book_snapshot"
    # The key finds one that is near, and the positions from there on are few.
    near = database.query(select("position", table, until, tail=_LAST), values)
    if not near:
        return []
    values["since"] = near[0][0]
    [((base, base_update_id),)] = database.query(
        select("max((position, update_id))", table, until, "position >= {since:UInt64}"), values
    )
    values |= {"base": base, "base_update_id": base_update_id}
    is_base = f"{_FROM_BASE} = {_BASE}"
    if topic.depth == 1:
        return _rows(database, select(_BEST, table, until, is_base, tail="LIMIT 1"), values)
    bases = select(_LEVELS, table, until, is_base, tail="LIMIT 1")
    deltas = select(_LEVELS, "book_delta", until, f"{_FROM_BASE} > {_BASE}", tail=_IN_ORDER)
    return [*_rows(database, bases, values), *_rows(database, deltas, values)]


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
