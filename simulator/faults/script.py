"""Scripts: lists of faults, as JSON or TOML, checked before anything is armed."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

import orjson

from simulator.errors import SimulatorError
from simulator.faults.content import CONTENT
from simulator.faults.elsewhere import HANDSHAKES, LINKS, MARKETS, REQUESTS, RESTS
from simulator.faults.fault import COMMON, Kind
from simulator.faults.order import ORDER
from simulator.instruments import listing

SCRIPT_ENTRIES_MAX = 10_000

KINDS: dict[str, Kind] = {**ORDER, **CONTENT, **LINKS, **REQUESTS, **HANDSHAKES, **RESTS, **MARKETS}
"""Every fault by name."""


def read_script(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a script: a JSON array of objects, or TOML with one [[faults]] an entry.

    Raises SimulatorError naming the file, the entry and what is wrong with it.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SimulatorError(f"faults file was {str(path)!r}; it cannot be read: {error}") from error
    try:
        found = tomllib.loads(text).get("faults") if path.suffix == ".toml" else orjson.loads(text)
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise SimulatorError(f"{path} is neither JSON nor, by its name, TOML: {error}") from error
    return check_script(found)


def check_script(script: Any) -> list[dict[str, Any]]:
    """Return the script, or raise SimulatorError for its first entry that cannot be armed."""
    return check_entries(script, KINDS)


def check_entries(script: Any, kinds: dict[str, Kind]) -> list[dict[str, Any]]:
    """Return a script of some kinds of faults, or raise SimulatorError for its first wrong entry."""
    if not isinstance(script, list) or not all(isinstance(entry, dict) for entry in script):
        raise SimulatorError('a script is a list of objects, as in [{"fault": "drop", "frame": 5}]')
    if len(script) > SCRIPT_ENTRIES_MAX:
        raise SimulatorError(f"the script had {len(script)} entries; it takes {SCRIPT_ENTRIES_MAX}")
    for number, entry in enumerate(script, start=1):
        _check_entry(number, entry, kinds)
    return script


def _check_entry(number: int, entry: dict[str, Any], kinds: dict[str, Kind]) -> None:
    name = entry.get("fault")
    if name not in kinds:
        near = difflib.get_close_matches(str(name), kinds, 1)
        hint = f"did you mean {near[0]!r}" if near else "see --list-faults"
        raise SimulatorError(f"entry {number}: fault was {name!r}, which is none; {hint}")
    kind = kinds[str(name)]
    allowed = {**COMMON, **kind.values}
    for key, value in entry.items():
        if key == "fault":
            continue
        if key not in allowed:
            own = f"; of its own it takes {', '.join(kind.values)}" if kind.values else ""
            raise SimulatorError(
                f"entry {number}: {name} has no {key!r}{own}, and all take {', '.join(COMMON)}"
            )
        _check_value(f"entry {number}: {key}", value, allowed[key])
    if not 0 <= entry.get("chance", 0) <= 1:
        raise SimulatorError(f"entry {number}: chance was {entry['chance']}; it is a number from 0 to 1")
    named = {**kind.defaults, **entry}
    if kind.scope == "market" and not (named.get("category") and named.get("symbol")):
        raise SimulatorError(f"entry {number}: {name} is about one market; name its category and symbol")
    if name == "listing":
        listing(f"{entry['category']}:{entry['symbol']}")


def _check_value(where: str, value: Any, example: Any) -> None:
    wanted: type | tuple[type, ...] = (int, float) if isinstance(example, float) else type(example)
    if isinstance(value, bool) or not isinstance(value, wanted):
        kind = "a text" if isinstance(example, str) else "a number"
        raise SimulatorError(f"{where} was {value!r}; it is {kind}")
    may_be_negative = where.endswith((" by_ms", " by"))
    if isinstance(value, int | float) and value < 0 and not may_be_negative:
        raise SimulatorError(f"{where} was {value}; it is 0 or more")


def describe_faults() -> str:
    """Return one line a fault: name, what it concerns, its parameters, what it does."""
    lines = []
    for name, kind in KINDS.items():
        values = " ".join(f"{key}={value}" for key, value in {**kind.defaults, **kind.values}.items())
        lines.append(f"{name} ({kind.scope}) {values + ' ' if values else ''}- {kind.does}")
    return "\n".join(lines)
