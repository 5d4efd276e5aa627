"""Books: JSON lines, each a frame of the websocket as it was sent."""

import re
from typing import Final

import orjson

from recorder.archives.lines import BadLineError, BookMessage, Line, checked_symbol, time_ns

__all__ = ["OrderBookFormat"]

NS_PER_MS: Final = 1_000_000

_TS: Final = re.compile(rb'"ts"\s*:\s*(\d{1,18})\b')
_TOPIC: Final = re.compile(rb'"topic"\s*:\s*"orderbook\.(\d{1,4})\.([^"\\]{1,64})"')
_SNAPSHOT: Final = re.compile(rb'"type"\s*:\s*"snapshot"')
_OWN_SYMBOL: Final = re.compile(rb'"s"\s*:\s*"[^"\\]{1,64}"')


class OrderBookFormat:
    """Reads lines of `YYYY-MM-DD_SYMBOL_obN.data`.

    Args:
        rename: {symbol in the file: symbol to import it under}.
    """

    name = "orderbook"
    has_trade_ids = False

    def __init__(self, rename: dict[str, str]) -> None:
        self._rename = rename

    @staticmethod
    def is_header(line: bytes) -> bool:
        """Return whether a file that begins with this line is of this format."""
        return line.startswith(b"{") and _TOPIC.search(line) is not None

    def read(self, line: bytes) -> Line:
        """Return the frame, unchanged but for a rename or a `cts` that is not there. Raises BadLineError."""
        topic, ts = _TOPIC.search(line), _TS.search(line)
        if topic is None or ts is None:
            raise BadLineError(f"no frame of a book: {line[:60].decode(errors='replace')!r}")
        symbol = checked_symbol(topic[2].decode(errors="replace"))
        recv_ns = time_ns("ts", ts[1].decode(), NS_PER_MS)
        renamed = self._rename.get(symbol)
        if renamed is not None:
            line = _TOPIC.sub(rb'"topic":"orderbook.\1.' + renamed.encode() + b'"', line, count=1)
            line = _OWN_SYMBOL.sub(b'"s":"' + renamed.encode() + b'"', line, count=1)
        symbol = renamed or symbol
        depth = int(topic[1])
        update_id, seq = _ids(line) if _SNAPSHOT.search(line) else (0, 0)
        has_cts = b'"cts"' in line
        if not has_cts:  # what is asked by it must not be of 1970
            line = line.rstrip().removesuffix(b"}") + b',"cts":' + ts[1] + b"}"
        return Line(
            recv_ns,
            symbol,
            line,
            None,
            BookMessage(f"orderbook.{depth}.{symbol}", depth, update_id, seq, has_cts),
        )


def _ids(line: bytes) -> tuple[int, int]:
    """Return update id and sequence of a snapshot; what is none, the dispatcher will judge."""
    try:
        data = orjson.loads(line)["data"]
        return int(data["u"]), int(data.get("seq", 0))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return -1, -1
