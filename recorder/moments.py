"""Moments as people give them: ISO 8601 with a zone, or ns since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

from engine.errors import ConfigError

__all__ = ["Moment", "moment_ns", "shown"]

Moment = str | int | datetime

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_S: Final = 1_000_000_000
NS_MAX: Final = (1 << 63) - 1
MICROSECOND: Final = timedelta(microseconds=1)


def moment_ns(name: str, moment: Moment) -> int:
    """Return ns since 1970 of ``2026-11-22T09:00:00Z``, of a datetime with a zone, or of such a number.

    Raises ConfigError for option ``name``.
    """
    if isinstance(moment, str):
        moment = int(moment) if moment.isascii() and moment.isdigit() else _parsed(name, moment)
    if isinstance(moment, int):
        if not 0 <= moment <= NS_MAX:
            raise ConfigError(name, moment, f"ns since 1970 are 0 to {NS_MAX}", _EXAMPLE)
        return moment
    if moment.tzinfo is None:
        raise ConfigError(name, moment.isoformat(), "a time has a zone", _EXAMPLE)
    return (moment - EPOCH) // MICROSECOND * 1000


def shown(ns: int) -> str:
    """Return a moment as ISO 8601 in UTC, with as many decimals as it needs."""
    seconds, rest = divmod(ns, NS_PER_S)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{rest:09}".rstrip("0") if rest else ""
    return f"{text}{decimals}Z"


_EXAMPLE: Final = "write 2026-11-22T09:00:00Z"


def _parsed(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(name, text, "a time is ISO 8601, or ns since 1970", _EXAMPLE) from None
