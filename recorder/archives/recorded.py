"""Which of an archive's messages other recorders have in the database already."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from recorder.archives.lines import Trade
from recorder.database.clickhouse import Database

__all__ = ["Recorded"]

# Between the moment of a trade and that of its frame: what live was late, or backfill filled.
EARLY_MS: Final = 60_000
LATE_MS: Final = 3_600_000

_SPAN: Final = (
    "category = {category:String} AND symbol = {symbol:String} AND recorder != {recorder:String}"
    " AND recv >= fromUnixTimestamp64Milli({first:Int64}) AND recv <= fromUnixTimestamp64Milli({last:Int64})"
)


class Recorded:
    """Asks a database what is there of others; one thread.

    Args:
        database: for this object alone.
        category: of the archive.
        recorder: whose rows do not count: the archive's own.
    """

    def __init__(self, database: Database, category: str, recorder: str) -> None:
        self._database = database
        self._category = category
        self._recorder = recorder
        self._known: dict[str, bool] = {}

    def trades(self, trades: Sequence[Trade], *, by_id: bool) -> set[Trade]:
        """Return those that are there. By id, or by all else of a trade, counted.

        Raises:
            DatabaseError: the database does not answer.
        """
        found: set[Trade] = set()
        for symbol in {trade.symbol for trade in trades}:
            if self._has(symbol):
                own = [trade for trade in trades if trade.symbol == symbol]
                found.update(self._by_id(symbol, own) if by_id else self._by_content(symbol, own))
        return found

    def book_messages(self) -> int:
        """Return how many messages of the archive's books are there of others too, by update id and sequence.

        Raises:
            DatabaseError: the database does not answer.
        """
        return sum(self._book_messages(table) for table in ("book_delta", "book_snapshot"))

    def left_out(self, trades: int) -> int:
        """Return how many of so many trades of the archive are not there as its own.

        Raises:
            DatabaseError: the database does not answer.
        """
        found = self._query(
            "SELECT count() FROM trade WHERE category = {category:String} AND recorder = {recorder:String}"
        )
        return trades - int(found[0][0])

    def _book_messages(self, table: str) -> int:
        where = "" if table == "book_delta" else " AND origin = 'venue'"
        key = "category, symbol, kind, depth, update_id, seq"
        own = f"FROM {table} WHERE recorder = {{recorder:String}} AND category = {{category:String}}{where}"
        found = self._query(
            f"SELECT uniqExact({key}) {own} AND ({key}) IN ("  # noqa: S608  # names of ours
            f"SELECT {key} FROM {table} WHERE recorder != {{recorder:String}}"
            f" AND category = {{category:String}}{where} AND symbol IN (SELECT DISTINCT symbol {own})"
            f" AND recv >= (SELECT min(recv) - INTERVAL 1 MINUTE {own})"
            f" AND recv <= (SELECT max(recv) + INTERVAL 1 HOUR {own}))"
        )
        return int(found[0][0])

    def _has(self, symbol: str) -> bool:
        """Whether anybody else has trades of it at all: most archives are of what was not recorded."""
        if symbol not in self._known:
            found = self._query(
                "SELECT 1 FROM trade WHERE category = {category:String} AND symbol = {symbol:String}"
                " AND recorder != {recorder:String} LIMIT 1",
                symbol=symbol,
            )
            self._known[symbol] = bool(found)
        return self._known[symbol]

    def _by_id(self, symbol: str, trades: list[Trade]) -> set[Trade]:
        # Ids are checked when lines are read: no quote and no backslash is in them.
        ids = ",".join(f"'{trade.trade_id}'" for trade in trades)
        rows = self._query(
            f"SELECT DISTINCT trade_id FROM trades WHERE {_SPAN} AND trade_id IN ({ids})",  # noqa: S608  # ids of safe characters
            symbol=symbol,
            **_span(trades),
        )
        there = {row[0] for row in rows}
        return {trade for trade in trades if trade.trade_id in there}

    def _by_content(self, symbol: str, trades: list[Trade]) -> set[Trade]:
        moments = ",".join(str(moment) for moment in {trade.time_ms for trade in trades})
        rows = self._query(
            "SELECT moment, side, price, size, max(copies) FROM ("  # noqa: S608  # numbers
            "SELECT recorder, toUnixTimestamp64Milli(time) AS moment, side, price, size, count() AS copies"
            f" FROM trades WHERE {_SPAN} AND moment IN ({moments}) GROUP BY ALL) GROUP BY ALL",
            symbol=symbol,
            **_span(trades),
        )
        there = {(row[0], row[1], row[2], row[3]): int(row[4]) for row in rows}
        return {
            trade
            for trade in trades
            if there.get((trade.time_ms, trade.side, Decimal(trade.price), Decimal(trade.size)), 0)
            >= trade.occurrence
        }

    def _query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._database.query(sql, {"category": self._category, "recorder": self._recorder, **values})


def _span(trades: list[Trade]) -> dict[str, int]:
    return {
        "first": min(trade.time_ms for trade in trades) - EARLY_MS,
        "last": max(trade.time_ms for trade in trades) + LATE_MS,
    }
