"""What is to be exported: a range of time, symbols, a depth, and the texts that say so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.errors import ConfigError

__all__ = ["DAY_NS", "FORMATS", "Request", "day_text", "iso_text", "parse_time"]

FORMATS: Final = ("parquet", "csv", "hftbacktest", "nautilus", "tardis")
DAY_NS: Final = 86_400_000_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """One export as it was asked for. Times are ns since 1970, ``[start_ns, end_ns)``, None where not given.

    ``symbols`` and ``categories`` are all where empty; ``depth`` is None for the default of the format.
    """

    format: str
    start_ns: int | None = None
    end_ns: int | None = None
    symbols: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    depth: int | None = None
    recorder: str = ""

    def identity(self) -> dict[str, Any]:
        """Return what makes two exports the same one, as the manifest has it."""
        return {
            "format": self.format,
            "from": None if self.start_ns is None else iso_text(self.start_ns),
            "to": None if self.end_ns is None else iso_text(self.end_ns),
            "symbols": sorted(self.symbols),
            "categories": sorted(self.categories),
            "depth": self.depth,
            "recorder": self.recorder,
        }


def parse_time(option: str, text: str) -> int | None:
    """Return a time in ns since 1970: ISO 8601 (UTC unless it says), or the ns themselves; None for "".

    Raises ConfigError.
    """
    if not text:
        return None
    if text.isdecimal() and len(text) > len("20260131"):
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        remedy = "use 2026-01-31, 2026-01-31T12:00:00Z or nanoseconds since 1970"
        raise ConfigError(option, text, "a time is ISO 8601", remedy) from None
    since = (time.replace(tzinfo=UTC) if time.tzinfo is None else time) - _EPOCH
    return (since // timedelta(microseconds=1)) * 1000


def iso_text(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the ns where it has them."""
    text = (_EPOCH + timedelta(microseconds=time_ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{time_ns % 1_000_000_000:09}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def day_text(day: int) -> str:
    """Return the date of a day counted since 1970."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")
