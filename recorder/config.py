"""What to record and where: one model, filled from the command line or from a TOML file."""

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from engine.bybit import endpoints, topics
from engine.config import feed_options
from engine.errors import ConfigError, TapeheadError, UsageError, nearest

__all__ = ["Market", "RecordConfig", "checked", "load"]

CONFIG_BYTES_MAX: Final = 1 << 20


def _text_of_number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Interval = Annotated[str, BeforeValidator(_text_of_number)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Market(_Model):
    """Symbols of one category and what to record of each."""

    category: str = "linear"
    symbols: tuple[str, ...] = Field(min_length=1)
    book: tuple[int, ...] = (50,)
    trades: bool = True
    tickers: bool = False
    kline: tuple[Interval, ...] = ()
    liquidations: bool = False

    @model_validator(mode="after")
    def _exists(self) -> "Market":
        self.topics()
        return self

    def topics(self) -> list[str]:
        """Return the topics, each once. Raises TopicError, naming the nearest that exists."""
        groups = topics.symbol_topics(
            self.category,
            self.symbols,
            book=self.book,
            trades=self.trades,
            ticker=self.tickers,
            kline=self.kline,
            liquidations=self.liquidations,
        )
        return [topic for group in groups for topic in group]


class RecordConfig(_Model):
    """All that ``tapehead record`` needs to know; handed as JSON to the processes it starts.

    ``data`` is the folder of the recording. ``recorder`` names it in every row. ``url`` and ``rest_url``
    replace the base URLs of the environment. ``feed`` holds options of `engine.config.FeedOptions`.
    """

    data: Path = Path("data")
    recorder: str = Field(default="tapehead", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    environment: str = "mainnet"
    region: str = ""
    url: str | None = None
    rest_url: str | None = None
    market: tuple[Market, ...] = Field(min_length=1)
    feed: dict[str, int | float] = {}

    @field_validator("feed")
    @classmethod
    def _known_options(cls, options: dict[str, int | float]) -> dict[str, int | float]:
        feed_options(**options)
        return options

    @model_validator(mode="after")
    def _reachable(self) -> "RecordConfig":
        endpoints.public_base(self.environment, region=self.region, url=self.url)
        endpoints.rest_base(self.environment, region=self.region, url=self.rest_url)
        return self


def checked(**values: Any) -> RecordConfig:
    """Return the configuration of these values. Raises UsageError for the first that cannot be."""
    try:
        return RecordConfig(**values)
    except ValidationError as error:
        raise _first_problem(error) from None


def load(path: Path, **replaced: Any) -> RecordConfig:
    """Return the configuration of a TOML file; ``replaced`` keys win over the file's.

    Raises UsageError: the message begins with the file and, where it is known, the line.
    """
    text = _read(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("config", str(path), f"this is no TOML: {error}", "mend that line") from None
    try:
        return RecordConfig(**{**values, **replaced})
    except ValidationError as error:
        location = _first(error)["loc"]
        line = _line_of(text, location)
        problem = _first_problem(error)
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


def _first(error: ValidationError) -> ErrorDetails:
    """A key that does not exist comes first: it may be why another one is missing."""
    found = error.errors()
    return next((details for details in found if details["type"] == "extra_forbidden"), found[0])


def _first_problem(error: ValidationError) -> TapeheadError:
    details = _first(error)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, TapeheadError):
        return cause
    field = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        known = _keys(details["loc"][:-1])
        similar = nearest(str(details["loc"][-1]), known) or tuple(known)
        return ConfigError(field, details["input"], "there is no such key", "use " + " or ".join(similar))
    if details["type"] == "missing":
        return ConfigError(field, None, "it must be given", f"add {details['loc'][-1]}")
    if details["type"] in ("tuple_type", "too_short"):
        return ConfigError(field, details["input"], "a list with something in it is wanted", "write [...]")
    return ConfigError(field, details["input"], _lower_first(details["msg"]))


def _keys(location: Iterable[int | str]) -> list[str]:
    return list((Market if "market" in location else RecordConfig).model_fields)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


_TABLE = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?")
_KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Return the line of a key, or of its table; 0 if it is not in the text (tomllib keeps no positions)."""
    table: tuple[int | str, ...] = ()
    tables: dict[str, int] = {}
    best, best_depth = 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            name = header[1]
            count = tables[name] = tables.get(name, -1) + 1
            table = (name, count) if line.lstrip().startswith("[[") else (name,)
            path: tuple[int | str, ...] = table
        elif key := _KEY.match(line):
            path = (*table, key[1])
        else:
            continue
        if len(path) > best_depth and location[: len(path)] == path:
            best, best_depth = number, len(path)
    return best
