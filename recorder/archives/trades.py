"""What both kinds of trade files share: a header that names the columns, and the frame a row becomes."""

import csv
from collections.abc import Sequence
from typing import Final

from recorder.archives.lines import BadLineError

__all__ = ["Columns", "header_of", "trade_frame"]

_SIDES: Final = {"Buy": "Buy", "Sell": "Sell", "buy": "Buy", "sell": "Sell"}
_FLAGS: Final = {"": "false", "0": "false", "false": "false", "1": "true", "true": "true"}
_DIRECTIONS: Final = frozenset(("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"))


def header_of(line: bytes) -> list[str]:
    """Return the names of the columns of a first line."""
    return [name.strip() for name in line.decode(errors="replace").split(",")]


class Columns:
    """Where each column is; unknown ones are passed over."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = list(header)
        self._line = ",".join(header).encode()
        self._at = {name: index for index, name in enumerate(header)}

    def missing(self, needed: Sequence[str]) -> list[str]:
        """Return which of the columns that are needed are not there."""
        return [name for name in needed if name not in self._at]

    def index(self, name: str) -> int:
        """Return where a column is; -1 where it is not."""
        return self._at.get(name, -1)

    def split(self, line: bytes) -> list[str] | None:
        """Return the fields of a row; None where it is empty or the header. Raises BadLineError."""
        if not line or line == self._line:
            return None
        try:
            text = line.decode("ascii")
        except UnicodeDecodeError:
            raise BadLineError("bytes that are no ASCII") from None
        fields = next(csv.reader([text])) if '"' in text else text.split(",")
        if len(fields) != len(self._header):
            if header_of(line) == self._header:
                return None
            raise BadLineError(f"{len(fields)} fields, expected {len(self._header)}")
        return fields


def side_of(text: str) -> str:
    """Return the taker's side as the websocket spells it. Raises BadLineError."""
    side = _SIDES.get(text)
    if side is None:
        raise BadLineError(f"side was {text[:40]!r}, expected Buy or Sell")
    return side


def flag_of(field: str, text: str) -> str:
    """Return a truth value as JSON. Raises BadLineError."""
    flag = _FLAGS.get(text.strip().lower())
    if flag is None:
        raise BadLineError(f"{field} was {text[:40]!r}, expected 0 or 1")
    return flag


def direction_of(text: str) -> str:
    """Return a tick direction; "" for one that is unknown."""
    return text if text in _DIRECTIONS else ""


def trade_frame(
    symbol: str, time_ms: int, side: str, size: str, price: str, trade_id: str, direction: str, rpi: str
) -> bytes:
    """Return the frame in which the websocket would have brought one trade; numbers keep their decimals."""
    return (
        f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{time_ms},"data":[{{"T":{time_ms},'
        f'"s":"{symbol}","S":"{side}","v":"{size}","p":"{price}","L":"{direction}","i":"{trade_id}",'
        f'"BT":false,"RPI":{rpi}}}]}}'
    ).encode()
