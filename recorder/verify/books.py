"""Books rebuilt from the tables alone, held against every whole book that is recorded, and its checksum."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from engine.bybit.rules import CONTINUITY
from ext.book import OrderBook
from recorder.database.clickhouse import Database
from recorder.tape.rows import Row, levels, select, topic_of
from recorder.verify.problems import Problem
from recorder.verify.quality import Chains, Topic, is_book
from recorder.verify.selection import DAY_NS, Selection, day_name
from recorder.verify.tables import Range, place

__all__ = ["TableBooks", "book_at"]

WINDOW_POSITIONS: Final = 20_000
WITHIN: Final = "position BETWEEN {low:UInt64} AND {high:UInt64}"
COLUMNS: Final = (
    *("category", "symbol", "toString(kind) AS kind", "depth", "position", "update_id"),
    *("toUnixTimestamp64Nano(recv) AS recv_ns", "price_scale", "size_scale"),
    *("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"),
)
WHOLE: Final = (*COLUMNS, "toString(origin) AS origin", "checksum")
SCALE: Final = 18  # of what is rebuilt: the most that a row has
SIDES: Final = ("bid", "ask")

Levels = list[tuple[Decimal, Decimal]]
Key = tuple[str, str, str, int]


class TableBooks:
    """Rebuilds the books of one recorder, window by window; for one thread.

    Attributes:
        snapshots: whole books that were compared, by day, category and symbol.
        problems: what was not equal, and update ids that do not follow on without a gap that says so.
        chains: the time in which books were confirmed.
    """

    def __init__(self, database: Database, recorder: str, selection: Selection) -> None:
        self._database = database
        self._recorder = recorder
        self._selection = selection
        self.snapshots = 0
        self.problems: list[Problem] = []
        self.chains = Chains()
        self._books: dict[Key, _Rebuilt] = {}
        self._chained: dict[Topic, int] = {}  # the position of the last message
        self._gaps = self._gap_positions()

    def run(self, low: int, high: int) -> Iterator[int]:
        """Go through a range of positions, both included; yields the position up to which it is done."""
        for first, last in self._batches(low, high):
            for start in range(first, last + 1, WINDOW_POSITIONS):
                end = min(start + WINDOW_POSITIONS - 1, last)
                self._window(start, end)
                yield end

    def _batches(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The stretches of positions in which there are rows: a segment each."""
        rows = self._database.query(
            "SELECT intDiv(last_position, 4294967296) AS number, min(first_position), max(last_position)"
            " FROM load_batch WHERE recorder = {recorder:String} AND last_position >= {low:UInt64}"
            " AND first_position <= {high:UInt64} GROUP BY number ORDER BY number",
            Range(self._recorder, low, high)._asdict(),
        )
        for number, first, last in rows:
            # A batch has records of one segment, though it begins right after the one before.
            yield max(int(first), low, int(number) << 32), min(int(last), high)

    def _window(self, low: int, high: int) -> None:
        where = f"{WITHIN} AND {self._selection.where('symbol', 'recv')}"
        values = {"recorder": self._recorder, "low": low, "high": high}
        rows = select(self._database, "book_snapshot", where, values, columns=WHOLE)
        rows += select(self._database, "book_delta", where, values, columns=COLUMNS)
        # One of ours comes after the delta that it has the position of, one of the venue's stands alone.
        rows.sort(key=lambda row: (row["position"], row["update_id"], "origin" in row))
        for row in rows:
            self._take(row)

    def _take(self, row: Row) -> None:
        key = (row["category"], row["symbol"], row["kind"], row["depth"])
        topic = (row["category"], topic_of("book_delta", row))
        book = self._books.get(key)
        if "origin" not in row:
            if book is None:
                return  # it is known from its first whole one on
            self._follow(book, topic, row)
            book.apply(row)
        else:
            whole = _Rebuilt(row)
            self._compare(book, whole, row)
            if book is None or row["origin"] == "venue":
                self._books[key] = whole
        if row["kind"] != "rpi_only" and is_book(topic[1]):
            if self._has_gap(topic, self._chained.get(topic, 0), row["position"]):
                self.chains.broken(topic)
            self._chained[topic] = row["position"]
            self.chains.message(topic, row["recv_ns"])

    def _follow(self, book: "_Rebuilt", topic: Topic, row: Row) -> None:
        """A delta whose update id is not the next one, and no row of the ledger between: a hole."""
        before = (book.position, book.update_id)
        book.position, book.update_id = row["position"], row["update_id"]
        is_strict = row["kind"] == "plain" and CONTINUITY.get(topic[0], {}).get(row["depth"]) == "strict"
        if not is_strict or row["update_id"] == before[1] + 1:
            return
        if not self._has_gap(topic, before[0], row["position"]):
            self._say(
                row,
                f"update {row['update_id']} at {place(row['position'])} follows on {before[1]} at"
                f" {place(before[0])}, and no gap says why",
            )

    def _compare(self, book: "_Rebuilt | None", whole: "_Rebuilt", row: Row) -> None:
        self.snapshots += 1
        if whole.checksum() != row["checksum"]:
            self._say(row, f"the levels of the whole book at {place(row['position'])} have another checksum")
        if row["origin"] == "own" and book is not None and book.levels() != whole.levels():
            self._say(
                row,
                f"rebuilt from the table it is another one than was recorded at {place(row['position'])}",
            )
            book.replace(whole)

    def _say(self, row: Row, text: str) -> None:
        detail = str(row["depth"]) if row["kind"] == "plain" else row["kind"]
        day = row["recv_ns"] // DAY_NS
        name = f"book {row['category']} {row['symbol']} {detail} {day_name(day)}"
        self.problems.append(Problem(f"{name}: {text}", day, row["category"], row["symbol"]))

    def _has_gap(self, topic: Topic, after: int, position: int) -> bool:
        """Whether the ledger has a row of a topic after a position, up to another."""
        known = self._gaps.get(topic, [])
        return bisect_right(known, after) < bisect_right(known, position)

    def _gap_positions(self) -> dict[Topic, list[int]]:
        rows = self._database.query(
            "SELECT category, topic, position FROM gap WHERE recorder = {recorder:String}"
            " AND topic LIKE 'orderbook.%' ORDER BY position",
            {"recorder": self._recorder},
        )
        found: dict[Topic, list[int]] = defaultdict(list)
        for category, topic, position in rows:
            found[str(category), str(topic)].append(int(position))
        return found


class _Rebuilt:
    """A book as integers with the scale of `SCALE`."""

    def __init__(self, row: Row) -> None:
        self.position: int = row["position"]
        self.update_id: int = row["update_id"]
        self._row = row
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.apply(row)

    def apply(self, row: Row) -> None:
        """Take the levels of a row; a size of 0 removes one."""
        to_price, to_size = 10 ** (SCALE - row["price_scale"]), 10 ** (SCALE - row["size_scale"])
        for name, side in zip(SIDES, self._sides, strict=True):
            for price, size in zip(row[f"{name}_prices"], row[f"{name}_sizes"], strict=True):
                if size:
                    side[price * to_price] = size * to_size
                else:
                    side.pop(price * to_price, None)

    def levels(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return both sides."""
        return self._sides

    def replace(self, other: "_Rebuilt") -> None:
        """Go on from another one."""
        self._sides = (dict(other._sides[0]), dict(other._sides[1]))

    def checksum(self) -> int:
        """Return that of the row it was made of."""
        row = self._row
        kind = "full" if row["kind"] == "full" else "plain"
        book = OrderBook(row["category"], row["symbol"], row["depth"], kind=kind)
        sides = [[(price, size) for price, size, *_ in levels([row], name)] for name in SIDES]
        book.snapshot(*sides)
        return book.checksum()


def book_at(
    database: Database,
    recorder: str,
    category: str,
    symbol: str,
    depth: int,
    position: int,
    kind: str = "plain",
) -> tuple[Levels, Levels]:
    """Bids and asks of a book after the record at a position, rebuilt by SQL, best first."""
    if depth == 1:
        return _best_at(database, recorder, category, symbol, position)
    rows = database.query(
        "SELECT side, price, size FROM book_at(recorder = {recorder:String},"
        " category = {category:String}, symbol = {symbol:String}, kind = {kind:String},"
        " depth = {depth:UInt16}, position = {position:UInt64})"
        " ORDER BY side, if(side = 'bid', -price, price)",
        {
            "recorder": recorder,
            "category": category,
            "symbol": symbol,
            "kind": kind,
            "depth": depth,
            "position": position,
        },
    )
    sides: dict[str, Levels] = {"bid": [], "ask": []}
    for side, price, size in rows:
        sides[side].append((price, size))
    return sides["bid"], sides["ask"]


def _best_at(
    database: Database, recorder: str, category: str, symbol: str, position: int
) -> tuple[Levels, Levels]:
    """The book of depth 1, which is in `bbo` alone."""
    rows = database.query(
        "SELECT bid, bid_amount, ask, ask_amount FROM quotes WHERE recorder = {recorder:String}"
        " AND category = {category:String} AND symbol = {symbol:String} AND depth = 1"
        " AND position <= {position:UInt64} ORDER BY position DESC LIMIT 1",
        {"recorder": recorder, "category": category, "symbol": symbol, "position": position},
    )
    bid, bid_amount, ask, ask_amount = rows[0] if rows else (None, None, None, None)
    return ([] if bid is None else [(bid, bid_amount)]), ([] if ask is None else [(ask, ask_amount)])
