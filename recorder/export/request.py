"""What is to be exported: a range of time, symbols, a depth, and the texts that say so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.errors import ConfigError
from recorder.history.moments import iso, parse_moment

__all__ = ["DAY_NS", "FORMATS", "Request", "day_text", "parse_bound"]

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
            "from": None if self.start_ns is None else iso(self.start_ns),
            "to": None if self.end_ns is None else iso(self.end_ns),
            "symbols": sorted(self.symbols),
            "categories": sorted(self.categories),
            "depth": self.depth,
            "recorder": self.recorder,
        }


def parse_bound(option: str, text: str) -> int | None:
    """Return an end of a range in ns since 1970; None for "". Raises ConfigError."""
    if not text:
        return None
    moment = parse_moment(option, text)
    if moment.position:
        raise ConfigError(
            option, text, "an export is of a range of time", "use 2026-01-31T00:00Z, for example"
        )
    return moment.ns


def day_text(day: int) -> str:
    """Return the date of a day counted since 1970."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")
