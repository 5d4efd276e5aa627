"""Which symbols are wanted: rules, what the venue lists and what is traded in; symbols and topics out.

Nothing here asks or remembers anything: the same rules and the same reading give the same selection.
"""

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from engine.bybit import topics
from engine.bybit.instruments import Instrument
from engine.bybit.turnover import RANKED
from engine.errors import ConfigError, TopicError, nearest

__all__ = [
    "STATUSES",
    "Difference",
    "Rule",
    "check_listed",
    "coin_groups",
    "difference",
    "has_data",
    "is_one_of",
    "is_pattern",
    "matches",
    "select",
    "topic_groups",
]

STATUSES: Final = ("PreLaunch", "Trading", "Delivering", "Settling")
TOP_MAX: Final = 10_000
COMPANION: Final = 1  # the depth whose repeats prove that a symbol is alive

_PATTERN: Final = re.compile(r"[A-Z0-9._/*?\[\]!-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is wanted of one category.

    ``symbols`` are names, and patterns of ``*``, ``?`` and ``[...]``. A name is wanted as such. Besides,
    everything is wanted that matches a pattern (any symbol, where only filters or ``top`` are given) and each
    filter: base, quote and settle coin, status. ``top``: of these only so many, by turnover. ``exclude``
    (names, patterns) takes out again. ``streams`` are the arguments of `engine.bybit.topics.symbol_topics`;
    ``depths`` replaces its ``book`` for the symbols it names; ``companion`` adds the book of depth 1
    to deeper ones, where the category has it. ``by_coin`` are kinds that come by coin, whatever the symbols:
    insurance, adlAlert.

    Raises UsageError for what cannot be.
    """

    category: str
    symbols: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    quote: tuple[str, ...] = ()
    settle: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    top: int = 0
    exclude: tuple[str, ...] = ()
    depths: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    streams: Mapping[str, Any] = field(default_factory=dict)
    companion: bool = False
    by_coin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        topics.check_category(self.category)
        for name in ("symbols", "exclude", "depths"):
            for symbol in getattr(self, name):
                _check_name(name, symbol)
        for status in self.status:
            if status not in STATUSES:
                similar = nearest(status, STATUSES) or STATUSES
                raise ConfigError("status", status, "there is no such status", "use " + " or ".join(similar))
        if not 0 <= self.top <= TOP_MAX:
            raise ConfigError("top", self.top, f"must be 1 to {TOP_MAX}", "leave it out for all")
        if self.top and self.category not in RANKED:
            rule = f"{self.category} has no list of turnovers"
            raise ConfigError("top", self.top, rule, "name symbols or patterns")
        if not (self.names or self.patterns):
            raise ConfigError("symbols", [], "nothing is selected", 'name symbols, or ["*"] for all')
        for symbol in self.names:
            if is_one_of(symbol, self.exclude):
                raise ConfigError("exclude", list(self.exclude), f"symbols names {symbol}", "decide on one")

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols that are wanted by name."""
        return tuple(symbol for symbol in self.symbols if not is_pattern(symbol))

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the other symbols have to match; empty where there are no others."""
        given = tuple(symbol for symbol in self.symbols if is_pattern(symbol))
        is_filtered = self.base or self.quote or self.settle or self.status or self.top
        return given or (("*",) if is_filtered else ())


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be subscribed, in groups that stay together, and what unsubscribed."""

    added: tuple[tuple[str, ...], ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def is_pattern(symbol: str) -> bool:
    """Whether this is no name but a pattern of names."""
    return any(character in symbol for character in "*?[")


def is_one_of(symbol: str, patterns: Iterable[str]) -> bool:
    """Whether a symbol is among names and patterns."""
    return any(
        fnmatch.fnmatchcase(symbol, pattern) if is_pattern(pattern) else symbol == pattern
        for pattern in patterns
    )


def has_data(instrument: Instrument) -> bool:
    """Whether the venue sends anything: a pre-listing has none before its continuous trading."""
    is_waiting = instrument.status == "PreLaunch" and instrument.phase != "ContinuousTrading"
    return instrument.is_listed and not is_waiting


def matches(rule: Rule, one: Instrument) -> bool:
    """Whether an instrument passes the patterns, exclusions and coins of a rule, whatever its status."""
    coins = ((rule.base, one.base_coin), (rule.quote, one.quote_coin), (rule.settle, one.settle_coin))
    is_taken = is_one_of(one.symbol, rule.patterns) and not is_one_of(one.symbol, rule.exclude)
    return is_taken and all(not wanted or coin in wanted for wanted, coin in coins)


def select(
    rule: Rule,
    instruments: Mapping[str, Instrument],
    turnover: Mapping[str, Decimal] | None = None,
    present: Collection[str] = (),
) -> list[str]:
    """Return the symbols wanted: those named first, then the others by turnover or by name.

    ``turnover`` is needed for ``top``. A symbol that is ``present`` leaves the top only when its rank is
    beyond twice the number, so that one at the border does not come and go.
    """
    names = [name for name in rule.names if name in instruments and has_data(instruments[name])]
    others = sorted(
        symbol
        for symbol, one in instruments.items()
        if symbol not in rule.names and matches(rule, one) and _has_status(rule, one)
    )
    if rule.top:
        ranks = turnover or {}
        others.sort(key=lambda symbol: -ranks.get(symbol, Decimal(0)))
        staying = [symbol for symbol in others[rule.top : 2 * rule.top] if symbol in present]
        others = others[: rule.top] + staying
    return names + others


def check_listed(rule: Rule, instruments: Mapping[str, Instrument]) -> None:
    """Raise TopicError for a name that is not listed, and a pattern or a filter that nothing passes."""
    listed = [symbol for symbol, one in instruments.items() if one.is_listed]
    for symbol in (*rule.names, *(name for name in rule.depths if not is_pattern(name))):
        if symbol not in instruments:
            problem = (
                f"symbol was {symbol!r}, which is not among the {len(listed)} that {rule.category} lists"
            )
            raise TopicError(problem, symbol, nearest(symbol, listed), _remedy(rule, symbol, listed))
        if not instruments[symbol].is_listed:
            problem = f"symbol was {symbol!r}, which {rule.category} has closed"
            raise TopicError(problem, symbol, remedy="take it out")
    for pattern in (*rule.patterns, *(name for name in rule.depths if is_pattern(name))):
        if not any(is_one_of(symbol, (pattern,)) for symbol in listed):
            problem = f"{pattern!r} matches none of the {len(listed)} symbols that {rule.category} lists"
            raise TopicError(problem, pattern, remedy=_remedy(rule, pattern, listed))
    if not any(one.is_listed and _is_candidate(rule, one) for one in instruments.values()):
        given = ", ".join(
            f"{name} {list(values)}"
            for name in ("base", "quote", "settle", "status", "exclude")
            if (values := getattr(rule, name))
        )
        problem = f"none of the {len(listed)} symbols that {rule.category} lists is left by {given}"
        raise TopicError(problem, given, remedy="see `tapehead symbols`")


def topic_groups(rule: Rule, symbols: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the topics of symbols, one group a symbol, none twice. Raises TopicError."""
    seen: set[str] = set()
    groups: list[tuple[str, ...]] = []
    for symbol in symbols:
        streams = {**rule.streams, "book": _books(rule, symbol)}
        for group in topics.symbol_topics(rule.category, [symbol], **streams):
            if fresh := tuple(topic for topic in group if topic not in seen):
                seen.update(fresh)
                groups.append(fresh)
    return groups


def coin_groups(rule: Rule) -> list[tuple[str, ...]]:
    """Return the topics that come by coin, one group a coin. Raises TopicError."""
    for kind in rule.by_coin:
        topics.kind_in_category(rule.category, kind)
    keys = [(kind, key) for kind in rule.by_coin for key in topics.KEYS[kind, rule.category]]
    return [(topics.build(rule.category, kind, key),) for kind, key in keys]


def difference(wanted: Iterable[tuple[str, ...]], subscribed: Collection[str]) -> Difference:
    """Return what leads from the topics that are subscribed to those that are wanted."""
    groups = [tuple(group) for group in wanted]
    kept = {topic for group in groups for topic in group}
    added: list[tuple[str, ...]] = []
    known = set(subscribed)
    for group in groups:
        fresh = tuple(topic for topic in dict.fromkeys(group) if topic not in known)
        known.update(fresh)
        if fresh:
            added.append(fresh)
    return Difference(tuple(added), tuple(topic for topic in subscribed if topic not in kept))


def _check_name(field_name: str, symbol: str) -> None:
    if not is_pattern(symbol):
        topics.check_symbol(symbol)
    elif not _PATTERN.fullmatch(symbol):
        rule = "a pattern has at most 64 of A-Z 0-9 . _ / - and * ? [ ] !"
        upper = symbol.upper()
        remedy = f"use {upper}" if _PATTERN.fullmatch(upper) else ""
        raise ConfigError(field_name, symbol[:64], rule, remedy)


def _has_status(rule: Rule, one: Instrument) -> bool:
    return one.status in rule.status if rule.status else has_data(one)


def _is_candidate(rule: Rule, one: Instrument) -> bool:
    return one.symbol in rule.names or (matches(rule, one) and _has_status(rule, one))


def _books(rule: Rule, symbol: str) -> tuple[int | str, ...]:
    given = tuple(rule.streams.get("book", ()))
    matching = (depths for name, depths in rule.depths.items() if is_one_of(symbol, (name,)))
    books = rule.depths[symbol] if symbol in rule.depths else next(matching, given)
    has_companion = rule.companion and COMPANION in topics.depths(rule.category)
    return (*books, COMPANION) if books and has_companion else books


def _remedy(rule: Rule, symbol: str, listed: list[str]) -> str:
    plain = symbol.translate({ord(character): None for character in "*?[]!"})
    similar = nearest(symbol, listed) or tuple(sorted(one for one in listed if plain and plain in one)[:3])
    return "use " + " or ".join(similar) if similar else f"see `tapehead symbols --category {rule.category}`"
