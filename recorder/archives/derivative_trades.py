"""Trades of perpetuals and futures: CSV with seconds, the symbol and the id that the websocket had."""

import re
from operator import itemgetter
from typing import Final

from recorder.archives.lines import BadLineError, Line, Trade, checked_symbol, plain_number, time_ns
from recorder.archives.trades import Columns, direction_of, flag_of, side_of, trade_frame

__all__ = ["DerivativeTradesFormat"]

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NEEDED: Final = ("timestamp", "symbol", "side", "size", "price", "trdMatchID")

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


class DerivativeTradesFormat:
    """Reads lines of `SYMBOLYYYY-MM-DD.csv`.

    Args:
        columns: of its header.
        rename: {symbol in the file: symbol to import it under}.
    """

    name = "trades"
    has_trade_ids = True

    def __init__(self, columns: Columns, rename: dict[str, str]) -> None:
        self._columns = columns
        self._rename = rename
        self._needed = itemgetter(*(columns.index(name) for name in NEEDED))
        self._direction = columns.index("tickDirection")
        self._rpi = columns.index("RPI")

    @staticmethod
    def is_header(names: list[str]) -> bool:
        """Return whether these columns are of this format, even if some are missing."""
        return "trdMatchID" in names or {"timestamp", "symbol", "side", "size"} <= set(names)

    def read(self, line: bytes) -> Line | None:
        """Return the frame of a trade, None for the header. Raises BadLineError."""
        fields = self._columns.split(line)
        if fields is None:
            return None
        seconds, symbol, side, size, price, trade_id = self._needed(fields)
        recv_ns = time_ns("timestamp", seconds, NS_PER_S)
        symbol = self._rename.get(symbol) or checked_symbol(symbol)
        side = side_of(side)
        size = plain_number("size", size)
        price = plain_number("price", price)
        if not _ID.fullmatch(trade_id):
            raise BadLineError(f"trdMatchID was {trade_id[:40]!r}, expected an id")
        direction = direction_of(fields[self._direction]) if self._direction >= 0 else ""
        rpi = flag_of("RPI", fields[self._rpi]) if self._rpi >= 0 else "false"
        time_ms = recv_ns // NS_PER_MS
        frame = trade_frame(symbol, time_ms, side, size, price, trade_id, direction, rpi)
        trade = Trade(symbol, trade_id, time_ms, side, price, size, 1)
        return Line(recv_ns, symbol, frame, trade)
