"""Books and trades of one symbol and day, in the order of one recorder, for the formats of backtests.

What a reader of such a file has to know of a gap is in the stream itself: the book is cleared where a gap
opens, and begins anew with the venue's next snapshot, or with the whole book where it went on without one. So
does each day: its file stands alone.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from recorder.export.levels import Levels, book_levels, top_levels
from recorder.export.source import Page, Part, Source, quoted

__all__ = ["Gap", "Market", "Start", "Stream", "markets"]

_EXCH_NS: Final = "toUnixTimestamp64Milli(if(toUnixTimestamp64Milli(cts) > 0, cts, ts)) * 1000000"
_LOCAL_NS: Final = "toUnixTimestamp64Nano(recv)"
_SOURCE_RANK: Final = {"live": 1, "backfill": 2, "import": 3}


@dataclass(frozen=True, slots=True)
class Market:
    """Book and trades of a symbol on a day, by one recorder; ``depth`` is 0 where there is no book.

    An archive holds a book or trades: to that of a book, `beside` is that of the trades.
    """

    category: str
    symbol: str
    recorder: str
    day: int
    depth: int
    book: tuple[Part, ...]
    trades: Part | None
    beside: "Market | None" = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The book's parts and the trades', those of its recorder."""
        return (*self.book, *([self.trades] if self.trades else []))

    @property
    def traded(self) -> "Market":
        """The market that has the trades."""
        return self.beside or self

    def state(self) -> list[Any]:
        """Return what a file of it follows from, for the manifest."""
        own = [self.recorder, self.depth, *([part.rows, part.last_position] for part in self.parts)]
        return own if self.beside is None else [*own, *self.beside.state()]

    def sources(self) -> list[str]:
        """Return whether rows were live, backfilled, imported."""
        return sorted({source for part in self.parts for source in part.sources})


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap of a book: the record that opened it, and its times in ns; ``end_ns`` is 0 while it is open."""

    position: int
    start_ns: int
    end_ns: int
    cause: str


def markets(source: Source, day: int) -> list[Market]:
    """Return the markets of a day: of each symbol one recorder, and its deepest book or the one asked for.

    Of what was imported the book and the trades, which are archives of their own.
    """
    books = _books(source, day)
    trades = {(part.category, part.symbol, part.recorder): part for part in source.parts("trade", day)}
    by_symbol: dict[tuple[str, str], set[str]] = {}
    for category, symbol, recorder in (*books, *trades):
        by_symbol.setdefault((category, symbol), set()).add(recorder)
    missing = _gap_seconds(source, day) if any(len(names) > 1 for names in by_symbol.values()) else {}
    found = []
    for (category, symbol), names in sorted(by_symbol.items()):
        candidates = [
            _market(day, name, books.get((category, symbol, name)), trades.get((category, symbol, name)))
            for name in sorted(names)
        ]
        best = min(candidates, key=lambda market: _preference(market, missing))
        found.append(replace(best, beside=_beside(best, candidates)))
    return found


def _beside(book: Market, candidates: list[Market]) -> Market | None:
    """Return the archive with the trades of an archive of a book: that with the most."""
    if book.trades is not None or book.sources() != ["import"]:
        return None
    others = [(one.trades.rows, one.recorder, one) for one in candidates if one.trades is not None]
    imported = [other for other in others if other[2].sources() == ["import"]]
    return max(imported)[2] if imported else None


def _market(
    day: int, recorder: str, book: tuple[int, tuple[Part, ...]] | None, trades: Part | None
) -> Market:
    depth, parts = book or (0, ())
    part = (*parts, trades)[0]
    if part is None:
        raise ValueError("a market has a book or trades")
    return Market(part.category, part.symbol, recorder, day, depth, parts, trades)


def _preference(market: Market, missing: dict[tuple[str, str, str], float]) -> tuple[int, bool, float, str]:
    rank = min(_SOURCE_RANK[source] for source in market.sources())
    seconds = missing.get((market.recorder, market.category, market.symbol), 0.0)
    return rank, market.depth == 0, seconds, market.recorder  # archives have books or trades, never both


def _books(source: Source, day: int) -> dict[tuple[str, str, str], tuple[int, tuple[Part, ...]]]:
    """Return the depth and parts of each recorder's book of each symbol."""
    found: dict[tuple[str, str, str], dict[int, list[Part]]] = {}
    for table, condition in (
        ("book_delta", "kind = 'plain'"),
        ("book_snapshot", "kind = 'plain' AND origin = 'venue'"),
        ("bbo", "kind = 'plain' AND depth = 1"),
    ):
        sql = f"""
            SELECT toString(recorder) AS recorder, toString(category) AS category, toString(symbol) AS symbol,
                depth, count() AS rows, max(position) AS last_position,
                groupUniqArray(toString(source)) AS sources
            FROM {table}
            WHERE {source.within(day)} AND {source.chosen(table)} AND {condition}
            GROUP BY recorder, category, symbol, depth"""  # noqa: S608  # every value in it is quoted
        for row in source.rows(sql):
            depth, sources = row.pop("depth"), tuple(sorted(row.pop("sources")))
            part = Part(table, **row, day=day, sources=sources)
            depths = found.setdefault((part.category, part.symbol, part.recorder), {})
            depths.setdefault(depth, []).append(part)
    deepest = {key: max(depths) for key, depths in found.items()}
    return {key: (depth, tuple(found[key][depth])) for key, depth in deepest.items()}


def _gap_seconds(source: Source, day: int) -> dict[tuple[str, str, str], float]:
    sql = (
        "SELECT toString(recorder) AS recorder, toString(category) AS category, symbol,"  # noqa: S608  # quoted
        " sum(seconds) AS seconds"
        f" FROM gap_days WHERE day = toDate({day}) GROUP BY recorder, category, symbol"
    )
    return {(row["recorder"], row["category"], row["symbol"]): row["seconds"] for row in source.rows(sql)}


class Stream:
    """One market in pages: level changes of its book, and its trades as a table."""

    def __init__(self, source: Source, market: Market) -> None:
        self.market = market
        self._source = source
        self._parts = {part.table: part for part in market.parts}
        self.pages = list(
            source.pages([(part, self.condition(part.table), _exchange(part.table)) for part in market.parts])
        )
        self.gaps = self._gaps() if market.book else []
        self.starts = self._starts() if market.depth > 1 else []

    def condition(self, table: str) -> str:
        """Return the condition that a row of a table is of this stream."""
        if table == "trade":
            return "1"
        condition = f"kind = 'plain' AND depth = {self.market.depth}"
        return condition + " AND origin = 'venue'" if table == "book_snapshot" else condition

    def levels(self, page: Page) -> Levels:
        """Return the level changes of a page."""
        parts = [
            Levels.cleared(self._clear_position(gap), gap.start_ns)
            for gap in self.gaps
            if page.first <= self._clear_position(gap) <= page.last
        ]
        parts += [self._start(start) for start in self.starts if page.first <= start.position <= page.last]
        if self.market.depth > 1:
            parts.append(book_levels(self._source.table(self._rows(page))))
        elif self.market.depth:
            parts.append(self._top_levels(page))
        return Levels.joined(parts)

    def trades(self, page: Page) -> pa.Table:
        """Return the trades of a page: position, local_ns, exch_ns, trade_id, is_buy, and the integers."""
        part = self.market.trades
        columns = (
            f"position, {_LOCAL_NS} AS local_ns, toUnixTimestamp64Milli(time) * 1000000 AS exch_ns, trade_id,"
            " side = 'Buy' AS is_buy, price, size, price_scale, size_scale"
        )
        where = "0" if part is None else f"{self._source.of(part)} AND {_between(page)}"
        return self._source.table(f"SELECT {columns} FROM trade WHERE {where} ORDER BY position, item")  # noqa: S608  # quoted

    def started(self) -> str:
        """Return the condition that a row is not already in a whole book that stands in its place."""
        positions = ", ".join(str(start.position) for start in self.starts)
        return f"position NOT IN ({positions})" if positions else "1"

    def book_after(self, position: int, columns: str = "toString(side) AS side, price, size") -> str:
        """Return a query of the whole book after a record, bids first, the best of each side first."""
        market = self.market
        of = ", ".join(
            f"{name} = {quoted(getattr(market, name))}" for name in ("recorder", "category", "symbol")
        )
        book = f"book_at({of}, kind = 'plain', depth = {market.depth}, position = {position})"
        return f"SELECT {columns} FROM {book} ORDER BY side = 'ask', if(side = 'bid', -price, price)"  # noqa: S608

    def _clear_position(self, gap: Gap) -> int:
        """Return where a gap is in the pages: what opened it may be a record between two of them."""
        for page in self.pages:
            if gap.position <= page.last:
                return max(gap.position, page.first)
        return self.pages[-1].last

    def _gaps(self) -> list[Gap]:
        market = self.market
        start_ns, end_ns = self._source.bounds(market.day)
        sql = f"""
            SELECT opened_position, toUnixTimestamp64Nano(start) AS start_ns,
                ifNull(toUnixTimestamp64Nano(end), 0) AS end_ns, toString(cause) AS cause
            FROM gaps
            WHERE recorder = {quoted(market.recorder)} AND category = {quoted(market.category)}
                AND topic = {quoted(f"orderbook.{market.depth}.{market.symbol}")}
                AND toUnixTimestamp64Nano(start) >= {start_ns} AND toUnixTimestamp64Nano(start) < {end_ns}
                AND {self._source.committed("opened_position")}
            ORDER BY opened_position"""  # noqa: S608  # every value in it is quoted
        return [Gap(*row.values()) for row in self._source.rows(sql)]

    def _starts(self) -> "list[Start]":
        """Return where the whole book is needed: where the stream begins or goes on with a mere change."""
        found = []
        begins = [0, *(gap.position for gap in self.gaps)]
        for begin, end in zip(begins, [*begins[1:], 1 << 63], strict=True):
            first = self._first_row(begin)
            if first is not None and first["position"] < end and not first["is_snapshot"]:
                first.pop("is_snapshot")
                found.append(Start(**first))
        return list({start.position: start for start in found}.values())

    def _first_row(self, position: int) -> dict[str, Any] | None:
        rows = " UNION ALL ".join(
            f"(SELECT position, {_LOCAL_NS} AS local_ns, {_EXCH_NS} AS exch_ns, update_id,"  # noqa: S608  # quoted
            f" toUnixTimestamp64Milli(ts) AS ts_ms, {_flag(part)} AS is_snapshot FROM {part.table}"
            f" WHERE {self._source.of(part)} AND {self.condition(part.table)} AND position >= {position}"
            " ORDER BY position, update_id LIMIT 1)"
            for part in self.market.book
        )
        found = self._source.rows(f"SELECT * FROM ({rows}) ORDER BY position, update_id LIMIT 1")  # noqa: S608
        return found[0] if found else None

    def _start(self, start: "Start") -> Levels:
        book = self._source.table(self.book_after(start.position)).to_pydict()
        price_scale, size_scale = (_scale(book[name]) for name in ("price", "size"))
        count = len(book["side"])
        levels = Levels.filled(count + 1, start.position, start.local_ns, start.exch_ns, start.update_id)
        levels.side[1:] = [1 if side == "bid" else -1 for side in book["side"]]
        levels.price[1:] = [int(price.scaleb(price_scale)) for price in book["price"]]
        levels.size[1:] = [int(size.scaleb(size_scale)) for size in book["size"]]
        levels.price_scale[:] = price_scale
        levels.size_scale[:] = size_scale
        levels.is_snapshot[:] = True
        return levels

    def _rows(self, page: Page) -> str:
        columns = (
            f"position, {_LOCAL_NS} AS local_ns, {_EXCH_NS} AS exch_ns, update_id, price_scale, size_scale,"
            " bid_prices, bid_sizes, ask_prices, ask_sizes"
        )
        rows = " UNION ALL ".join(
            f"SELECT {columns}, {_flag(part)} AS is_snapshot FROM {part.table}"  # noqa: S608  # quoted
            f" WHERE {self._source.of(part)} AND {self.condition(part.table)} AND {_between(page)}"
            for part in self.market.book
        )
        return f"SELECT * FROM ({rows}) WHERE {self.started()} ORDER BY position, update_id"  # noqa: S608

    def _top_levels(self, page: Page) -> Levels:
        """Return the changes that make each best bid and ask the only levels of their side."""
        (part,) = self.market.book
        where = f"{self._source.of(part)} AND {self.condition(part.table)}"
        columns = (
            f"position, {_LOCAL_NS} AS local_ns, {_EXCH_NS} AS exch_ns, update_id, price_scale, size_scale,"
            " bid_price, bid_size, ask_price, ask_size"
        )
        rows = self._source.table(
            f"SELECT {columns} FROM bbo WHERE {where} AND {_between(page)} ORDER BY position, update_id"  # noqa: S608
        )
        return top_levels(rows)


@dataclass(frozen=True, slots=True)
class Start:
    """A whole book in place of the change that the record at ``position`` brought."""

    position: int
    local_ns: int
    exch_ns: int
    ts_ms: int
    update_id: int


def _flag(part: Part) -> str:
    return "true" if part.table == "book_snapshot" else "false"


def _exchange(table: str) -> str:
    return "toUnixTimestamp64Milli(time) * 1000000" if table == "trade" else _EXCH_NS


def _between(page: Page) -> str:
    return f"position BETWEEN {page.first} AND {page.last}"


def _scale(values: list[Decimal]) -> int:
    return max((-int(value.normalize().as_tuple().exponent) for value in values), default=0)
