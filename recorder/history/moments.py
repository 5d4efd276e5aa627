"""Moments as people give them: ISO 8601 with a zone, ns since 1970, or the position of a record."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.clock import NS_PER_S
from engine.errors import ConfigError

__all__ = ["POSITION_BITS", "Moment", "iso", "parse_moment"]

POSITION_BITS: Final = 32  # of the record within its segment

# Integers outside are seconds, ms or us by mistake: 1973 to 2255 is meant.
_NS_MIN: Final = 10**17
_NS_MAX: Final = 9 * 10**18
_RULE: Final = "a time is ISO 8601 with its zone, ns since 1970, or segment:record"
_REMEDY: Final = "use 2026-01-31T12:00:00Z, 1769860800000000000 or 12:3456, for example"
_ISO: Final = re.compile(
    r"(?P<start>\d{4}-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?)"
    r"(?:[.,](?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in ns since 1970, or, where `position` is not 0, the moment after that record."""

    ns: int = 0
    position: int = 0

    def __str__(self) -> str:
        if self.position:
            return f"{self.position >> POSITION_BITS}:{self.position & (1 << POSITION_BITS) - 1}"
        return iso(self.ns)


def parse_moment(option: str, text: str) -> Moment:
    """Read a moment.

    Args:
        option: its name, for the error.
        text: as given.

    Raises:
        ConfigError: it is none, or a time without a zone.
    """
    if text.isascii() and text.isdigit():
        ns = int(text)
        if not _NS_MIN <= ns <= _NS_MAX:
            raise ConfigError(option, text, "a number is ns since 1970, of 18 or 19 digits", _REMEDY)
        return Moment(ns=ns)
    segment, colon, record = text.partition(":")
    if colon and segment.isdigit() and record.isdigit() and text.isascii():
        position = int(segment) << POSITION_BITS | int(record)
        if not position or int(record) >> POSITION_BITS or int(segment) >> POSITION_BITS:
            raise ConfigError(option, text, "segment and record are below 2^32 and not both 0", _REMEDY)
        return Moment(position=position)
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ConfigError(option, text, _RULE, _REMEDY)
    if match["zone"] is None:
        raise ConfigError(option, text, "it names no zone", f"write {text}Z for UTC, or its +hh:mm")
    zone = "+00:00" if match["zone"].upper() == "Z" else match["zone"]
    try:
        time = datetime.fromisoformat(match["start"].upper() + _clock(match["start"]) + zone)
    except ValueError as error:
        raise ConfigError(option, text, f"{error}", _REMEDY) from None
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (since.days * 86_400 + since.seconds) * NS_PER_S + int((match["fraction"] or "").ljust(9, "0"))
    if not _NS_MIN <= ns <= _NS_MAX:
        raise ConfigError(option, text, "it is outside 1973 to 2255", _REMEDY)
    return Moment(ns=ns)


def _clock(start: str) -> str:
    """Return what is missing from a date, or a date and hour, to a time."""
    return {10: "T00:00:00", 13: ":00:00", 16: ":00"}.get(len(start), "")


def iso(ns: int) -> str:
    """Return ns since 1970 as ISO 8601, to the digit that is not 0."""
    seconds, rest = divmod(ns, NS_PER_S)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
