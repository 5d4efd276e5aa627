"""Which topics exist: one table, from which topics are built, parsed and refused.

A topic is ``kind.parameter.key`` or ``kind.key``; the key is a symbol, except for option trades, which come
by base coin, and for the kinds in KEYS. The same symbol exists in several categories, so a
topic means something only together with its category.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.errors import TopicError, nearest

__all__ = [
    "CATEGORIES",
    "INTERVALS",
    "KEYS",
    "KINDS",
    "STATUS",
    "Topic",
    "build",
    "check_category",
    "check_symbol",
    "depths",
    "parse",
    "symbol_topics",
    "with_companion",
]

CATEGORIES: Final = ("spot", "linear", "inverse", "option", "spread")
STATUS: Final = "status"  # a category without a market: the path of system.status
INTERVALS: Final = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")

# Kind -> category -> its parameters (depths, intervals); an empty tuple: the kind exists and takes none.
KINDS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "orderbook": {
        "spot": ("1", "50", "200", "1000", "rpi", "full"),
        "linear": ("1", "50", "200", "1000", "rpi"),
        "inverse": ("1", "50", "200", "1000", "rpi"),
        "option": ("25", "100"),
        "spread": ("25",),
    },
    "publicTrade": {"spot": (), "linear": (), "inverse": (), "option": (), "spread": ()},
    "tickers": {"spot": (), "linear": (), "inverse": (), "option": (), "spread": ()},
    "kline": {"spot": INTERVALS, "linear": INTERVALS, "inverse": INTERVALS},
    "allLiquidation": {"linear": (), "inverse": ()},
    "priceLimit": {"spot": (), "linear": (), "inverse": ()},
    "insurance": {"linear": (), "inverse": ()},
    "adlAlert": {"linear": (), "inverse": ()},
    "system": {STATUS: ()},
}

# Kinds whose key is no symbol: (kind, category) -> the keys there are.
KEYS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("insurance", "linear"): ("USDT", "USDC"),
    ("insurance", "inverse"): ("inverse",),
    ("adlAlert", "linear"): ("USDT", "USDC"),
    ("adlAlert", "inverse"): ("inverse",),
    ("system", STATUS): ("status",),
}

# What older documents name -> what took its place.
REPLACED_KINDS: Final = {
    "liquidation": "allLiquidation",
    "trade": "publicTrade",
    "instrument_info": "tickers",
    "candle": "kline",
    "klineV2": "kline",
    "orderBookL2_25": "orderbook.50",
    "orderBook_200": "orderbook.200",
}
RETIRED_KINDS: Final = ("lt", "tickers_lt", "kline_lt")  # of leveraged tokens
REPLACED_PARAMETERS: Final = {("orderbook", "500"): "1000"}

_SYMBOL: Final = re.compile(r"(?!.*\.\.)[A-Z0-9][A-Z0-9._/-]{0,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Topic:
    """The parts of a topic; ``parameter`` is a depth or an interval, or empty."""

    kind: str
    parameter: str
    key: str

    def __str__(self) -> str:
        return ".".join(part for part in (self.kind, self.parameter, self.key) if part)

    @property
    def starts_with_snapshot(self) -> bool:
        """Whether the venue sends a snapshot first, without which the rest means nothing."""
        return self.kind in ("orderbook", "tickers") and not self.begins_with_rest

    @property
    def is_whole_each_time(self) -> bool:
        """Whether each of its messages is a snapshot, and repeated when nothing changes."""
        return self.kind == "orderbook" and self.parameter == "1"

    @property
    def begins_with_rest(self) -> bool:
        """Whether its book begins with an answer of REST, as only deltas are sent."""
        return self.kind == "orderbook" and self.parameter == "full"


def check_category(category: str) -> None:
    """Raise TopicError unless the category exists."""
    if category not in CATEGORIES and category != STATUS:
        suggestions = nearest(category, CATEGORIES) or CATEGORIES
        raise TopicError(f"category was {category!r}, which does not exist", category, suggestions)


def check_symbol(symbol: str) -> None:
    """Raise TopicError unless ``symbol`` has the form of one; whether it is listed, only the venue knows."""
    if _SYMBOL.fullmatch(symbol):
        return
    upper = symbol.upper()
    suggestions = (upper,) if _SYMBOL.fullmatch(upper) else ()
    rule = "1 to 41 of A-Z 0-9 . _ / -, beginning with a letter or digit"
    raise TopicError(f"symbol was {symbol[:64]!r}, expected {rule}", symbol, suggestions)


def depths(category: str) -> tuple[int, ...]:
    """Return the plain depths of order books that a category has."""
    check_category(category)
    return tuple(int(depth) for depth in KINDS["orderbook"].get(category, ()) if depth.isdecimal())


def with_companion(category: str, book: int | str | Iterable[int | str] | None) -> tuple[int | str, ...]:
    """Return the depths of ``book`` and 1, by which deeper ones are judged, where the category has it."""
    given = tuple(int(depth) if depth.isdecimal() else depth for depth in map(str, _as_tuple(book)))
    has_companion = given and 1 in depths(category)
    return tuple(dict.fromkeys((*given, 1))) if has_companion else given


def build(category: str, kind: str, key: str, parameter: object = "") -> str:
    """Return a topic that exists in the category. Raises TopicError naming the nearest that does."""
    check_category(category)
    kind_in_category(category, kind)
    _check_parameter(category, kind, str(parameter))
    _check_key(category, kind, key)
    return str(Topic(kind, str(parameter), key))


def parse(category: str, topic: str) -> Topic:
    """Take a topic apart, having checked that it exists in the category. Raises TopicError."""
    check_category(category)
    kind, _, rest = topic.partition(".")
    by_category = kind_in_category(category, kind)
    parameter = ""
    if by_category:
        parameter, _, rest = rest.partition(".")
    _check_parameter(category, kind, parameter)
    _check_key(category, kind, rest)
    return Topic(kind, parameter, rest)


def kind_in_category(category: str, kind: str) -> tuple[str, ...]:
    """Return the parameters that a kind takes in a category. Raises TopicError if it is not there."""
    if kind in REPLACED_KINDS:
        raise TopicError(f"topic kind {kind!r} was replaced", kind, (REPLACED_KINDS[kind],))
    if kind in RETIRED_KINDS:
        problem = f"topic kind {kind!r} went with the leveraged tokens"
        raise TopicError(problem, kind, remedy="ask for tickers and kline of the market itself")
    if kind not in KINDS:
        raise TopicError(
            f"topic kind was {kind!r}, which does not exist", kind, nearest(kind, KINDS) or tuple(KINDS)
        )
    by_category = KINDS[kind]
    if category not in by_category:
        where = ", ".join(by_category)
        raise TopicError(f"{category} has no {kind}", kind, remedy=f"{kind} exists in {where}")
    return by_category[category]


def symbol_topics(
    category: str,
    symbols: Iterable[str],
    *,
    book: int | str | Iterable[int | str] | None = 50,
    trades: bool = False,
    ticker: bool = False,
    kline: str | int | Iterable[str | int] = (),
    liquidations: bool = False,
    price_limits: bool = False,
) -> list[tuple[str, ...]]:
    """Return the topics wanted of each symbol, one tuple a symbol, none twice. Raises TopicError.

    ``book`` is one depth (a number, "rpi", "full"), several, or None; ``kline`` one interval
    or several. Option trades come by base coin, so they stand with the first symbol of that coin.
    """
    check_category(category)
    wanted: list[tuple[str, object]] = [("orderbook", depth) for depth in _as_tuple(book)]
    wanted += [("publicTrade", "")] * trades + [("tickers", "")] * ticker
    wanted += [("kline", interval) for interval in _as_tuple(kline)]
    wanted += [("allLiquidation", "")] * liquidations + [("priceLimit", "")] * price_limits
    if not wanted:
        raise TopicError(
            "nothing was asked for",
            category,
            remedy="give book=, trades=, ticker=, kline=, liquidations= or price_limits=",
        )
    if isinstance(symbols, str):
        raise TopicError(f"symbols was the text {symbols!r}", symbols, remedy=f"give a list: [{symbols!r}]")
    seen: set[str] = set()
    groups: list[tuple[str, ...]] = []
    for symbol in symbols:
        topics = [
            build(category, kind, _key(category, kind, symbol), parameter) for kind, parameter in wanted
        ]
        group = tuple(topic for topic in dict.fromkeys(topics) if topic not in seen)
        seen.update(group)
        if group:
            groups.append(group)
    return groups


def _key(category: str, kind: str, symbol: str) -> str:
    return symbol.partition("-")[0] if category == "option" and kind == "publicTrade" else symbol


def _as_tuple(values: object) -> tuple[object, ...]:
    if values is None:
        return ()
    if isinstance(values, str | int):
        return (values,)
    if isinstance(values, Iterable):
        return tuple(values)
    raise TopicError(f"expected one value or several, was {values!r}", values)


def _check_key(category: str, kind: str, key: str) -> None:
    allowed = KEYS.get((kind, category))
    if allowed is None:
        check_symbol(key)
    elif key not in allowed:
        problem = f"key of {kind} was {key[:64]!r}; {category} has {', '.join(allowed)}"
        raise TopicError(problem, key, nearest(key, allowed) or allowed)


def _check_parameter(category: str, kind: str, parameter: str) -> None:
    allowed = KINDS[kind][category]
    if parameter in allowed or (not allowed and not parameter):
        return
    name = "depth" if kind == "orderbook" else "interval"
    replacement = REPLACED_PARAMETERS.get((kind, parameter))
    suggestions = (replacement,) if replacement in allowed else _neighbours(parameter, allowed)
    problem = f"{name} was {parameter}; {category} has {', '.join(allowed)}"
    raise TopicError(problem, parameter, suggestions)


def _neighbours(parameter: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the numbers next below and above, or whatever looks alike."""
    if not parameter.isdecimal():
        return nearest(parameter, allowed) or allowed
    numbers = [number for number in allowed if number.isdecimal()]
    below = [number for number in numbers if int(number) < int(parameter)][-1:]
    above = [number for number in numbers if int(number) > int(parameter)][:1]
    return tuple(below + above)
