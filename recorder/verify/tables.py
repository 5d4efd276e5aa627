"""The rows that a database has, counted and added up as `Census` does; which are not as they must be."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from recorder.database.clickhouse import Database
from recorder.verify.census import MASK, SCALE, Key, Rows
from recorder.verify.selection import DAY_NS, Selection, day_name

__all__ = ["CHECKED", "Found", "Range", "differences", "found_rows", "key_name", "place"]

NAMED_MAX: Final = 5  # positions of one kind that a problem names


class Range(NamedTuple):
    """Positions of a recorder, both ends included."""

    recorder: str
    low: int
    high: int


class Found(NamedTuple):
    """Rows of one key, how many of them are there twice, and the sum of their positions and numbers."""

    rows: int
    repeated: int
    total: int


class _Table(NamedTuple):
    """SQL of what tells a row's symbol, detail, time and identity, and of its numbers as `Census` has them.

    `explained`: the rows that the spool alone explains.
    """

    symbol: str
    detail: str
    identity: str
    numbers: str
    explained: str = "1"
    time: str = "recv"


def _scaled(columns: str, scale: str) -> str:
    """SQL of the sum of integer columns with a scale, in units of 10^-18."""
    return " + ".join(
        f"toInt256({column}) * toInt256(intExp10({SCALE} - {scale}))" for column in columns.split()
    )


def _decimal(columns: str) -> str:
    """SQL of the sum of Decimal columns, in units of 10^-18; NULL is 0."""
    return " + ".join(
        f"toInt256(toDecimal256(ifNull({column}, 0), {SCALE}) * toDecimal256('1e{SCALE}', 0))"
        for column in columns.split()
    )


def _levels(side: str) -> str:
    """SQL of the sum of the prices and sizes of one side of a row's levels."""
    prices, sizes = (f"arraySum(x->toInt256(x),{side}_{what})" for what in ("prices", "sizes"))
    return f"{_scaled(prices, 'price_scale')} + {_scaled(sizes, 'size_scale')}"


_BEST: Final = (
    f"update_id + {_scaled('bid_price ask_price', 'price_scale')}"
    f" + {_scaled('bid_size ask_size', 'size_scale')}"
)
_BOOK: Final = "if(kind = 'plain', toString(depth), toString(kind))"
_GAP: Final = "id + toInt256(toUnixTimestamp64Nano(start)) + ifNull(toUnixTimestamp64Nano(end), 0)"
_BOTH: Final = f"update_id + {_levels('bid')} + {_levels('ask')}"
_TRADE: Final = (
    f"toUnixTimestamp64Milli(time) + {_scaled('price', 'price_scale')} + {_scaled('size', 'size_scale')}"
)

CHECKED: Final = {
    "book_delta": _Table("symbol", _BOOK, "(position, update_id)", _BOTH),
    "book_snapshot": _Table(
        "symbol", _BOOK, "(position, update_id)", f"{_BOTH} + checksum", "origin = 'venue'"
    ),
    "bbo": _Table("symbol", _BOOK, "(position, update_id)", _BEST),
    "trade": _Table("symbol", "''", "(position, item)", _TRADE),
    "ticker": _Table("symbol", "''", "position", _decimal("last_price volume_24h turnover_24h")),
    "kline": _Table(
        "symbol", "interval", "(position, item)", _decimal("open high low close volume turnover")
    ),
    "liquidation": _Table("symbol", "''", "(position, item)", _decimal("price size")),
    "notice": _Table("symbol", "topic", "(position, item)", "0"),
    "gap": _Table("topic", "cause", "(position, id, isNull(end))", _GAP, time="start"),
    "event": _Table("topic", "kind", "(position, detail)", "0", "kind != 'row_refused'"),
    "instrument": _Table("symbol", "''", "(position, symbol)", "0", time="valid_from"),
}

_WITHIN: Final = "recorder = {recorder:String} AND position BETWEEN {low:UInt64} AND {high:UInt64}"


def found_rows(database: Database, within: Range, selection: Selection) -> dict[Key, Found]:
    """Return what is there of a range of positions."""
    found: dict[Key, Found] = {}
    for name, table in CHECKED.items():
        rows = database.query(
            f"SELECT category, {table.symbol}, {table.detail}, {_day(table)}, count(),"  # noqa: S608  # names of ours
            f" count() - uniqExact({table.identity}), sum(toInt256(position) + {table.numbers}) FROM {name}"
            f" WHERE {_WITHIN} AND {table.explained} AND {_selected(table, selection)} GROUP BY 1, 2, 3, 4",
            within._asdict(),
        )
        for category, symbol, detail, day, count, repeated, total in rows:
            key = (name, str(category), str(symbol), str(detail), int(day))
            found[key] = Found(int(count), int(repeated), int(total))
    return found


def differences(database: Database, within: Range, key: Key, expected: Rows) -> str:
    """Return which rows of a key are missing, there twice, not expected, or of other numbers."""
    there = Counter(_each(database, within, key))
    wanted = Counter(zip(expected.positions, expected.sums, strict=True))
    missing, surplus = wanted - there, there - wanted
    positions = {position for position, _ in missing}, {position for position, _ in surplus}
    other = positions[0] & positions[1]
    known = {position for position, _ in wanted}
    said = [
        _named("of other numbers", other),
        _named("missing", positions[0] - other),
        _named("there twice", (positions[1] - other) & known),
        _named("not in the spool", (positions[1] - other) - known),
    ]
    return "; ".join(text for text in said if text)


def place(position: int) -> str:
    """Return a position as people write it: segment:record."""
    return f"{position >> 32}:{position & 0xFFFFFFFF}"


def _each(database: Database, within: Range, key: Key) -> Iterator[tuple[int, int]]:
    name, category, symbol, detail, day = key
    table = CHECKED[name]
    values: dict[str, Any] = {**within._asdict(), "category": category, "symbol": symbol, "detail": detail}
    rows = database.query(
        f"SELECT position, toString(toInt256({table.numbers})) FROM {name} WHERE {_WITHIN}"  # noqa: S608  # names of ours
        f" AND {table.explained} AND category = {{category:String}} AND {table.symbol} = {{symbol:String}}"
        f" AND {table.detail} = {{detail:String}} AND {_day(table)} = {{day:Int64}}",
        values | {"day": day},
    )
    return ((int(position), int(numbers) & MASK) for position, numbers in rows)


def _named(what: str, positions: set[int]) -> str:
    if not positions:
        return ""
    named = ", ".join(place(position) for position in sorted(positions)[:NAMED_MAX])
    return f"{what}: {named}" + (
        f" and {len(positions) - NAMED_MAX} more" if len(positions) > NAMED_MAX else ""
    )


def _day(table: _Table) -> str:
    return f"intDiv(toUnixTimestamp64Nano({table.time}), {DAY_NS})"


def _selected(table: _Table, selection: Selection) -> str:
    symbol = (
        f"arrayElement(splitByChar('.', {table.symbol}), -1)" if table.symbol == "topic" else table.symbol
    )
    return selection.where(symbol, table.time)


def key_name(key: Key) -> str:
    """Return a key as a problem names it."""
    table, category, symbol, detail, day = key
    return " ".join(part for part in (table, category, symbol, detail, day_name(day)) if part)
