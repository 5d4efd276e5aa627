"""Spot trades: CSV with milliseconds, no symbol, and ids that mean nothing outside their file."""

from operator import itemgetter
from typing import Final

from recorder.archives.lines import Line, Occurrences, Trade, plain_number, time_ns
from recorder.archives.trades import Columns, flag_of, side_of, trade_frame

__all__ = ["SpotTradesFormat"]

NS_PER_MS: Final = 1_000_000
NEEDED: Final = ("id", "timestamp", "price", "volume", "side")


class SpotTradesFormat:
    """Reads lines of `SYMBOL_YYYY-MM-DD.csv` and `SYMBOL-YYYY-MM.csv`.

    A trade is known by its time, side, price, size and how many like it came before: the same in the file of
    its day and in that of its month. That is its ``trade_id`` too.

    Args:
        columns: of its header.
        symbol: of the file, which its rows do not say.
    """

    name = "spot trades"
    has_trade_ids = False

    def __init__(self, columns: Columns, symbol: str) -> None:
        self._columns = columns
        self._symbol = symbol
        self._needed = itemgetter(*(columns.index(name) for name in NEEDED[1:]))
        self._rpi = columns.index("rpi")
        self._occurrences = Occurrences()

    @staticmethod
    def is_header(names: list[str]) -> bool:
        """Return whether these columns are of this format, even if some are missing."""
        return "volume" in names and "side" in names

    def read(self, line: bytes) -> Line | None:
        """Return the frame of a trade, None for the header. Raises BadLineError."""
        fields = self._columns.split(line)
        if fields is None:
            return None
        milliseconds, price, size, side = self._needed(fields)
        recv_ns = time_ns("timestamp", milliseconds, NS_PER_MS)
        side = side_of(side)
        size = plain_number("volume", size)
        price = plain_number("price", price)
        rpi = flag_of("rpi", fields[self._rpi]) if self._rpi >= 0 else "false"
        time_ms = recv_ns // NS_PER_MS
        key = (time_ms, side, _shortest(price), _shortest(size))
        occurrence = self._occurrences.count(key)
        trade_id = f"{time_ms}-{side[0]}-{key[2]}-{key[3]}-{occurrence}"
        frame = trade_frame(self._symbol, time_ms, side, size, price, trade_id, "", rpi)
        return Line(recv_ns, self._symbol, frame, Trade(self._symbol, trade_id, *key, occurrence))


def _shortest(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
