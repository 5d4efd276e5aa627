"""Times and sizes as people write them in a configuration: ``"200ms"``, ``"1h"``, ``"20GiB"``."""

import re
from decimal import Decimal
from typing import Final

from engine.errors import ConfigError

__all__ = ["seconds", "size_bytes"]

SECONDS: Final = {"us": "0.000001", "ms": "0.001", "s": "1", "m": "60", "h": "3600", "d": "86400"}
BYTES: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}

_VALUE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]{1,3})", re.ASCII)


def seconds(name: str, text: str) -> float:
    """Return the seconds of ``"200ms"``. Raises ConfigError for option ``name``."""
    number, unit = _parts(name, text)
    if unit not in SECONDS:
        raise _unreadable(name, text, f"a time ends in {', '.join(SECONDS)}", '"200ms"')
    return float(number * Decimal(SECONDS[unit]))


def size_bytes(name: str, text: str) -> int:
    """Return the bytes of ``"20GiB"``. Raises ConfigError for option ``name``."""
    number, unit = _parts(name, text)
    if unit not in BYTES:
        raise _unreadable(name, text, f"a size ends in {', '.join(BYTES)}", '"20GiB"')
    size = number * BYTES[unit]
    if size != int(size):
        raise _unreadable(name, text, "a size is a whole number of bytes", '"20GiB"')
    return int(size)


def _parts(name: str, text: str) -> tuple[Decimal, str]:
    found = _VALUE.fullmatch(text)
    if found is None:
        raise _unreadable(name, text, "a text is a number and its unit", '"200ms" or "20GiB"')
    return Decimal(found[1]), found[2]


def _unreadable(name: str, text: str, rule: str, example: str) -> ConfigError:
    return ConfigError(name, text[:64], rule, f"write {example}")
