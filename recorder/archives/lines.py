"""What a line of an archive becomes, and the numbers and times in it."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple, Protocol

__all__ = [
    "ArchiveFormat",
    "BadLineError",
    "BookMessage",
    "Line",
    "Occurrences",
    "Trade",
    "checked_symbol",
    "plain_number",
    "time_ns",
]

NS_PER_S: Final = 1_000_000_000
TIME_MIN_S: Final = 1_483_228_800  # 2017-01-01, before the venue
TIME_MAX_S: Final = 4_102_444_800  # 2100-01-01
DIGITS_MAX: Final = 18

_PLAIN: Final = re.compile(r"\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_SYMBOL: Final = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


class BadLineError(ValueError):
    """A line is not what its format says; the text says which field."""


class Trade(NamedTuple):
    """What tells a trade from others: its id, or, where that means nothing outside its file, all of the rest.

    `occurrence` counts trades of which all of the rest is equal, from 1.
    """

    symbol: str
    trade_id: str
    time_ms: int
    side: str
    price: str
    size: str
    occurrence: int


class BookMessage(NamedTuple):
    """Of what book a line is, and, of a snapshot, its update id and sequence; 0 and 0 of a delta.

    `has_cts`: whether the file said when the matching engine made it; else `ts` stands for it in the frame.
    """

    topic: str
    depth: int
    update_id: int
    seq: int
    has_cts: bool


class Line(NamedTuple):
    """A line as a frame of the venue: a message of a book, or a trade."""

    recv_ns: int
    symbol: str
    frame: bytes
    trade: Trade | None = None
    book: BookMessage | None = None


class ArchiveFormat(Protocol):
    """How lines are read; one object a pass over a file."""

    name: str
    has_trade_ids: bool

    def read(self, line: bytes) -> Line | None:
        """Return what a line says; None where it says nothing (a header). Raises BadLineError."""
        ...


class Occurrences:
    """Counts equal trades. They come close together, so that only the latest are remembered."""

    REMEMBERED_MAX: Final = 100_000

    def __init__(self) -> None:
        self._recent: dict[object, int] = {}
        self._older: dict[object, int] = {}

    def count(self, key: object) -> int:
        """Return how often this key has come now, from 1."""
        number = self._recent.get(key) or self._older.get(key, 0)
        self._recent[key] = number + 1
        if len(self._recent) >= self.REMEMBERED_MAX:
            self._older, self._recent = self._recent, {}
        return number + 1


def plain_number(field: str, text: str) -> str:
    """Return a number without exponent, in the decimals it was sent with. Raises BadLineError."""
    if _PLAIN.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise BadLineError(f"{field} was {text[:40]!r}, expected a number")
    try:
        plain = f"{Decimal(text):f}"
    except InvalidOperation:
        plain = ""
    if not _PLAIN.fullmatch(plain):
        raise BadLineError(f"{field} was {text[:40]!r}; {DIGITS_MAX} digits are the limit")
    return plain


def checked_symbol(text: str) -> str:
    """Return the name of an instrument. Raises BadLineError."""
    if not _SYMBOL.fullmatch(text):
        raise BadLineError(f"symbol was {text[:40]!r}, expected letters, digits, - and _")
    return text


def time_ns(field: str, text: str, unit_ns: int) -> int:
    """Return a time in ns since 1970; ``unit_ns`` is what the number counts. Raises BadLineError."""
    whole, _, fraction = plain_number(field, text).partition(".")
    ns = int(whole) * unit_ns
    if fraction:
        ns += int(fraction) * unit_ns // 10 ** len(fraction)
    if not TIME_MIN_S * NS_PER_S <= ns < TIME_MAX_S * NS_PER_S:
        raise BadLineError(f"{field} was {text[:40]!r}, which is not of this century's markets")
    return ns
