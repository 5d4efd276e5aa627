"""Rows and books that a run of the spool expects, against those of the database."""

from typing import Final

from ext.book import OrderBook
from recorder.database.clickhouse import Database
from recorder.verify.books import book_at
from recorder.verify.census import Census, Key, Rows, detail_of
from recorder.verify.problems import Problem
from recorder.verify.report import BookCheck, RowCheck
from recorder.verify.selection import Selection, symbol_of
from recorder.verify.tables import Found, Range, differences, found_rows, key_name

__all__ = ["Comparison", "check_books", "check_marks"]

NONE: Final = Found(0, 0, 0)


class Comparison:
    """Holds rows against each other, stretch by stretch of positions, and adds up how many there were."""

    def __init__(self, database: Database, recorder: str, selection: Selection) -> None:
        self.problems: list[Problem] = []
        self._database = database
        self._recorder = recorder
        self._selection = selection
        self._sums: dict[tuple[str, str, str, str], RowCheck] = {}

    def compare(self, low: int, high: int, expected: dict[Key, Rows]) -> None:
        """Compare the rows of positions, both ends included, and name those that are not right."""
        if high < low:
            return
        within = Range(self._recorder, low, high)
        found = found_rows(self._database, within, self._selection)
        for key in sorted({*expected, *found}):
            wanted, there = expected.get(key) or Rows(), found.get(key, NONE)
            is_equal = wanted.total == there.total
            self._count(key, len(wanted.positions), there, is_equal=is_equal)
            if not is_equal or there.repeated or len(wanted.positions) != there.rows:
                self._name(within, key, wanted, there)

    def checks(self) -> list[RowCheck]:
        """Return the sums over all that was compared."""
        return [self._sums[key] for key in sorted(self._sums)]

    def _count(self, key: Key, expected: int, there: Found, *, is_equal: bool) -> None:
        of = key[:4]
        before = self._sums.get(of, RowCheck(*of, 0, 0, 0, is_equal=True))
        self._sums[of] = RowCheck(
            *of,
            before.expected + expected,
            before.found + there.rows,
            before.repeated + there.repeated,
            before.is_equal and is_equal,
        )

    def _name(self, within: Range, key: Key, wanted: Rows, there: Found) -> None:
        which = differences(self._database, within, key, wanted)
        text = (
            f"{key_name(key)}: {len(wanted.positions)} rows expected, {there.rows} found,"
            f" {there.repeated} of them repeated: {which}"
        )
        self.problems.append(Problem(text, key[4], key[1], symbol_of(key[2])))


def check_marks(
    database: Database, recorder: str, after: int, until: int, records: int
) -> tuple[RowCheck, list[Problem]]:
    """The records that the commit marks say were loaded, each range following on the one before."""
    ((found, overlaps),) = database.query(
        "SELECT sum(records), countIf(first_position <= before) FROM (SELECT records, first_position,"
        " lagInFrame(last_position) OVER"
        " (ORDER BY first_position ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before"
        " FROM load_batch WHERE recorder = {recorder:String} AND last_position > {low:UInt64}"
        " AND last_position <= {high:UInt64})",
        Range(recorder, after, until)._asdict(),
    )
    check = RowCheck("load_batch", "", "", "records", records, int(found), int(overlaps), is_equal=True)
    if check.is_right:
        return check, []
    text = (
        f"load_batch: the commit marks say {check.found} records, the spool has {records};"
        f" {check.repeated} marks overlap"
    )
    return check, [Problem(text)]


def check_books(
    database: Database, recorder: str, position: int, census: Census
) -> tuple[list[BookCheck], list[Problem]]:
    """Each book as the tables have it at a position, against the one that the run of the spool left."""
    checks = [
        _check_book(database, recorder, position, book)
        for book, update_id in census.books.values()
        if book.update_id == update_id
    ]
    problems = [
        Problem(
            f"book {check.category} {check.symbol} {detail_of(check.kind, check.depth)}: rebuilt"
            " from the table it is another one at the commit mark",
            -1,
            check.category,
            check.symbol,
        )
        for check in checks
        if not check.is_right
    ]
    return checks, problems


def _check_book(database: Database, recorder: str, position: int, book: OrderBook) -> BookCheck:
    bids, asks = book_at(database, recorder, book.category, book.symbol, book.depth, position, book.kind)
    is_right = (bids, asks) == (book.bids(), book.asks())
    return BookCheck(
        book.category,
        book.symbol,
        book.kind,
        book.depth,
        book.state.name,
        sum(book.level_counts()),
        is_right,
    )
