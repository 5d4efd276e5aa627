"""A configuration from a TOML file; what is wrong with it is named with its line."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from engine.errors import ConfigError, UsageError
from recorder.config import RecordConfig
from recorder.config_problems import first_problem, location_of

__all__ = ["CONFIG_BYTES_MAX", "load"]

CONFIG_BYTES_MAX: Final = 1 << 20


def load(path: Path, **replaced: Any) -> RecordConfig:
    """Return the configuration of a TOML file; ``replaced`` keys win over the file's.

    Raises UsageError: the message begins with the file and, where it is known, the line.
    """
    text = _read(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("config", str(path), f"this is no TOML: {error}", "mend that line") from None
    except RecursionError:
        raise ConfigError("config", str(path), "it is nested too deep", "write it flat") from None
    try:
        return RecordConfig(**{**values, **replaced})
    except ValidationError as error:
        line = line_of(text, location_of(error))
        problem = first_problem(RecordConfig, error)
        where = f"{path}, line {line}" if line else f"{path}"
        raise UsageError(f"{where}: {problem.problem}", problem.remedy) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
        if len(data) > CONFIG_BYTES_MAX:
            raise ConfigError("config", str(path), f"a configuration has at most {CONFIG_BYTES_MAX} bytes")
        return data.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError("config", str(path), "there is no such file", "check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            "config", str(path), f"TOML is UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError("config", str(path), f"it cannot be read: {reason}", "give a TOML file") from None


_TABLE = re.compile(r"\s*(\[\[?)\s*([\w.\"'*?-]+)\s*\]\]?")
_KEY = re.compile(r"\s*[\"']?([\w*?-]+)[\"']?\s*=")


def line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Return the line of a key, or of the table it is missing in; 0 if neither is in the text.

    tomllib keeps no positions. What a file says without ``[[market]]`` is its one market.
    """
    if location[:2] == ("market", 0) and not re.search(r"(?m)^\s*\[\[\s*market\s*\]\]", text):
        location = location[2:]
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    best, best_depth = 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _table(header[1], header[2], counts)
            path = table
        elif key := _KEY.match(line):
            path = (*table, key[1])
        else:
            continue
        if len(path) > best_depth and location[: len(path)] == path:
            best, best_depth = number, len(path)
    return best


def _table(bracket: str, name: str, counts: dict[str, int]) -> tuple[int | str, ...]:
    first, *rest = (part.strip("\"'") for part in name.split("."))
    if bracket == "[[":
        counts[first] = counts.get(first, -1) + 1
    return (first, counts[first], *rest) if first in counts else (first, *rest)
