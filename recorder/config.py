"""What to record and where: one model, filled from the command line or from a TOML file."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from engine.bybit import endpoints
from engine.config import feed_options
from engine.errors import ConfigError, nearest
from engine.selection import Rule, coin_groups, is_one_of, topic_groups
from recorder.config_problems import first_problem
from recorder.database.url import address
from recorder.spool.segments import SEGMENT_BYTES
from recorder.units import seconds, size_bytes

__all__ = ["DatabaseOptions", "Market", "RecordConfig", "SpoolOptions", "checked"]

LEGS_MAX: Final = 2
SHARDS_MAX: Final = 16
RETENTION_S: Final = 7 * 86_400.0
QUOTA_SEGMENTS_MIN: Final = 4  # one written, one prepared, one to be loaded, one being compressed
REFRESH_S: Final = 3600.0
REFRESH_S_MIN: Final = 1.0
REFRESH_S_MAX: Final = 86_400.0


def _text_of_number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number_of_text(value: object) -> object:
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 9
    return int(value) if isinstance(value, str) and is_number else value


Interval = Annotated[str, BeforeValidator(_text_of_number)]
Depths = tuple[Annotated[StrictInt | StrictStr, BeforeValidator(_number_of_text)], ...]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Market(_Model):
    """Which symbols of one category, and what to record of each.

    ``symbols`` to ``exclude`` select, as `engine.selection.Rule` says. ``depths`` are the books of symbols
    that differ. ``companion`` adds the book of depth 1 to deeper ones, where the category has it: it is how
    a dead book is told from a quiet one. ``auto_listings``: what is listed later and matches joins. ``legs``
    are the connections that carry each topic; a ``hot`` symbol has one of its own.
    """

    category: str = "linear"
    symbols: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    quote: tuple[str, ...] = ()
    settle: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    top: StrictInt = 0
    exclude: tuple[str, ...] = ()
    auto_listings: StrictBool = True
    book: Depths = (50,)
    depths: dict[str, Depths] = {}
    companion: StrictBool = True
    trades: StrictBool = True
    tickers: StrictBool = False
    kline: tuple[Interval, ...] = ()
    liquidations: StrictBool = False
    price_limits: StrictBool = False
    insurance: StrictBool = False
    adl: StrictBool = False
    legs: StrictInt = Field(default=1, ge=1, le=LEGS_MAX)
    hot: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _exists(self) -> "Market":
        rule = self.rule
        for depths in (self.book, *self.depths.values()):
            streams = {**rule.streams, "book": depths}
            topic_groups(replace(rule, depths={}, streams=streams), rule.names or ("ANY",))
        coin_groups(rule)
        for symbol in self.hot:
            if symbol in self.symbols or rule.patterns:
                continue
            raise ConfigError("hot", list(self.hot), f"symbols does not name {symbol}", "add it there")
        return self

    @property
    def rule(self) -> Rule:
        """What is selected, and the streams of each symbol. Raises UsageError for what cannot be."""
        return Rule(
            category=self.category,
            symbols=self.symbols,
            base=self.base,
            quote=self.quote,
            settle=self.settle,
            status=self.status,
            top=self.top,
            exclude=self.exclude,
            depths=self.depths,
            companion=self.companion,
            streams={
                "book": self.book,
                "trades": self.trades,
                "ticker": self.tickers,
                "kline": self.kline,
                "liquidations": self.liquidations,
                "price_limits": self.price_limits,
            },
            by_coin=("insurance",) * self.insurance + ("adlAlert",) * self.adl,
        )

    def may_select(self, symbol: str) -> bool:
        """Whether ``symbol`` is named, or matches a pattern and is not excluded."""
        rule = self.rule
        is_taken = is_one_of(symbol, rule.patterns) and not is_one_of(symbol, rule.exclude)
        return symbol in rule.names or is_taken

    def without(self, symbols: Collection[str]) -> "Market | None":
        """Return the market less these symbols; None where it selects nothing else."""
        rule = self.rule
        left = tuple(symbol for symbol in self.symbols if symbol not in symbols)
        if not (rule.patterns or left):
            return None
        exclude = self.exclude
        if rule.patterns:
            exclude += tuple(symbol for symbol in symbols if symbol not in exclude)
        hot = tuple(symbol for symbol in self.hot if symbol not in symbols)
        depths = {name: depths for name, depths in self.depths.items() if name not in symbols}
        return self.model_copy(update={"symbols": left, "exclude": exclude, "hot": hot, "depths": depths})

    def topics(self) -> list[str]:
        """Return the topics of the symbols that are named, each once, and those by coin."""
        rule = self.rule
        return [topic for group in topic_groups(rule, rule.names) + coin_groups(rule) for topic in group]


class SpoolOptions(_Model):
    """What is kept of what was recorded: docs/recorder.md, quota and retention.

    ``quota`` is bytes of all spools, 0 for none; each shard has its part. ``on_quota`` says what happens when
    it is used up by segments that are not loaded. ``retention`` is how long loaded ones are kept, seconds.
    """

    quota: StrictInt = Field(default=0, ge=0)
    on_quota: Literal["refuse", "drop_oldest"] = "refuse"
    retention: float = Field(default=RETENTION_S, ge=0)
    compress: StrictBool = True

    @field_validator("quota", mode="before")
    @classmethod
    def _bytes(cls, value: object) -> object:
        return size_bytes("quota", value) if isinstance(value, str) else value

    @field_validator("retention", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        return seconds("retention", value) if isinstance(value, str) else value

    def quota_of_each(self, shards: int) -> int:
        """Return the bytes that each of so many spools may have, 0 for any number."""
        return self.quota // shards

    def refused_beyond(self, shards: int) -> int:
        """Return the bytes beyond which a writer prepares no further segment, 0 for never."""
        return self.quota_of_each(shards) if self.on_quota == "refuse" else 0


class DatabaseOptions(_Model):
    """Where the rows go: to the server of an http(s) ``url``, or "" for the database in the folder itself."""

    url: str = ""

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        if url:
            address(url)
        return url


class RecordConfig(_Model):
    """All that ``tapehead record`` needs to know; handed as JSON to the processes it starts.

    ``data`` is the folder of the recording. ``recorder`` names it in every row. ``url`` and ``rest_url``
    replace the base URLs of the environment, ``second_url`` is that of second legs. ``feed`` holds options of
    `engine.config.FeedOptions`. ``refresh_s`` is how often the instruments are read again. ``shards`` is over
    how many capture processes the symbols are spread. ``system_status`` adds the venue's notices of
    maintenance. ``spool`` is how much is kept, ``database`` where rows go. The keys of a `Market` may stand
    here in place of ``market``.
    """

    data: Path = Path("data")
    recorder: str = Field(default="tapehead", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    environment: str = "mainnet"
    region: str = ""
    url: str | None = None
    second_url: str | None = None
    rest_url: str | None = None
    market: tuple[Market, ...] = Field(min_length=1)
    refresh_s: float = Field(default=REFRESH_S, ge=REFRESH_S_MIN, le=REFRESH_S_MAX)
    shards: StrictInt = Field(default=1, ge=1, le=SHARDS_MAX)
    system_status: StrictBool = False
    feed: dict[str, bool | int | float] = {}
    spool: SpoolOptions = SpoolOptions()
    database: DatabaseOptions = DatabaseOptions()

    @model_validator(mode="before")
    @classmethod
    def _one_market(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        market = {name: value for name, value in values.items() if name in Market.model_fields}
        _refuse_unknown(values, (*cls.model_fields, *Market.model_fields))
        if not market:
            if "market" not in values:
                raise ConfigError("symbols", [], "nothing is selected", 'add symbols = ["BTCUSDT"], or top')
            return values
        if "market" in values:
            name, value = next(iter(market.items()))
            rule = "a file with [[market]] says in each what it records"
            raise ConfigError(name, value, rule, "move it below one of them")
        rest = {name: value for name, value in values.items() if name not in market}
        return rest | {"market": [market]}

    @field_validator("refresh_s", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        return seconds("refresh_s", value) if isinstance(value, str) else value

    @field_validator("feed", mode="before")
    @classmethod
    def _with_units(cls, options: object) -> object:
        if not isinstance(options, dict):
            return options
        return {name: _without_unit(str(name), value) for name, value in options.items()}

    @field_validator("feed")
    @classmethod
    def _known_options(cls, options: dict[str, bool | int | float]) -> dict[str, bool | int | float]:
        feed_options(**options)
        return options

    @model_validator(mode="after")
    def _has_room(self) -> "RecordConfig":
        least = QUOTA_SEGMENTS_MIN * SEGMENT_BYTES * self.shards
        if 0 < self.spool.quota < least:
            rule = f"{self.shards} spools need room for {QUOTA_SEGMENTS_MIN} segments each"
            raise ConfigError("quota", self.spool.quota, rule, f"use {least} or more, or 0 for none")
        return self

    @model_validator(mode="after")
    def _reachable(self) -> "RecordConfig":
        endpoints.public_base(self.environment, region=self.region, url=self.url)
        if self.second_url is not None:
            endpoints.public_base(self.environment, region=self.region, url=self.second_url)
            if all(market.legs == 1 for market in self.market):
                rule = "it is the address of second legs, and no market has legs = 2"
                raise ConfigError("second_url", self.second_url, rule, "add legs = 2")
        endpoints.rest_base(self.environment, region=self.region, url=self.rest_url)
        return self


def checked(**values: Any) -> RecordConfig:
    """Return the configuration of these values. Raises UsageError for the first that cannot be."""
    try:
        return RecordConfig(**values)
    except ValidationError as error:
        raise first_problem(RecordConfig, error) from None


def _refuse_unknown(values: dict[str, Any], known: Collection[str]) -> None:
    for name, value in values.items():
        if name not in known:
            similar = nearest(name, known) or tuple(known)
            raise ConfigError(name, value, "there is no such key", "use " + " or ".join(similar))


def _without_unit(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return size_bytes(name, value) if "bytes" in name else seconds(name, value)
