"""What the path of an archive file says: hints only, what is in the file is believed first."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["Hints", "category_of", "hints", "is_archive_name", "period_of"]

NS_PER_S: Final = 1_000_000_000
DAY_S: Final = 86_400
MONTH_CHARACTERS: Final = len("2024-12")

_SYMBOL: Final = r"(?P<symbol>[A-Z0-9-]+?)"
_DAY: Final = r"(?P<period>\d{4}-\d\d-\d\d)"
_NAMES: Final = (
    re.compile(rf"{_DAY}_{_SYMBOL}_ob(?P<depth>\d+)\.data(?:\.zip)?"),
    re.compile(rf"{_SYMBOL}_{_DAY}\.csv(?:\.gz)?"),
    re.compile(rf"{_SYMBOL}-(?P<period>\d{{4}}-\d\d)\.csv(?:\.gz)?"),
    re.compile(rf"{_SYMBOL}{_DAY}\.csv(?:\.gz)?"),
)
_FOLDER_SYMBOL: Final = re.compile(r"[A-Z0-9-]{5,32}")
_INVERSE: Final = re.compile(r"[A-Z0-9]+USD(?:[FGHJKMNQUVXZ]\d\d)?")
_CATEGORIES: Final = ("spot", "linear", "inverse")
_SUFFIXES: Final = (".zip", ".csv.gz", ".csv", ".data", ".data.gz")


@dataclass(frozen=True, slots=True)
class Hints:
    """What a path says, "" and 0 where it says nothing; `period` is a UTC day or month.

    `folder_symbol`: the folder a file lies in, as the venue's server has it: a renamed instrument has its
    present name there, and its old one in the file's name.
    """

    symbol: str = ""
    period: str = ""
    depth: int = 0
    category: str = ""
    folder_symbol: str = ""


def hints(path: Path) -> Hints:
    """Return what the path of a file says of what is in it."""
    found: dict[str, str] = {}
    for pattern in _NAMES:
        match = pattern.fullmatch(path.name)
        if match is not None:
            found = match.groupdict()
            break
    folders = path.absolute().parent.parts[-2:]
    return Hints(
        symbol=found.get("symbol", ""),
        period=found.get("period", ""),
        depth=int(found.get("depth", "0")),
        category=next((name for name in reversed(folders) if name in _CATEGORIES), ""),
        folder_symbol=folders[-1] if folders and _FOLDER_SYMBOL.fullmatch(folders[-1]) else "",
    )


def category_of(symbol: str) -> str:
    """Return the category of a derivative by how the venue spells its symbol: inverse is settled in coin."""
    return "inverse" if _INVERSE.fullmatch(symbol) else "linear"


def period_of(period: str) -> tuple[int, int]:
    """Return the first ns of a UTC day or month, and the one after it; all times for what is none."""
    try:
        first = datetime.strptime(period, "%Y-%m-%d" if len(period) > MONTH_CHARACTERS else "%Y-%m")
    except ValueError:
        return 0, 1 << 63
    days = 1 if len(period) > MONTH_CHARACTERS else monthrange(first.year, first.month)[1]
    first_s = int(first.replace(tzinfo=UTC).timestamp())
    return first_s * NS_PER_S, (first_s + days * DAY_S) * NS_PER_S


def is_archive_name(name: str) -> bool:
    """Return whether a file in a folder is to be imported, by how its name ends."""
    return name.lower().endswith(_SUFFIXES)
