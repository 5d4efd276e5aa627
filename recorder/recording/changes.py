"""What a recording that runs may be asked to change, and what becomes of its configuration by that."""

from typing import Any

from engine.errors import UsageError
from recorder.config import Market, RecordConfig, checked

__all__ = ["added", "market", "only", "removal", "removed"]


def only(asked: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what was asked, less ``do``. Raises UsageError for a key that is not among ``names``."""
    for name in asked:
        if name not in ("do", *names):
            problem = f"{asked['do']!r} was asked with {name!r}, which it does not know"
            raise UsageError(problem, f"use {', '.join(names)}" if names else "ask it without")
    return {name: asked[name] for name in names if name in asked}


def market(asked: dict[str, Any]) -> Market:
    """Return the market that is to be added. Raises UsageError for what cannot be."""
    given = only(asked, "market").get("market")
    if not isinstance(given, dict):
        raise UsageError("nothing was named to be added", 'give "market", as in the configuration file')
    return checked(market=[given]).market[0]


def added(config: RecordConfig, market: Market) -> RecordConfig:
    """Return the configuration with one more market."""
    return config.model_copy(update={"market": (*config.market, market)})


def removal(asked: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return category and symbols that are to be removed. Raises UsageError where they are not given."""
    given = only(asked, "category", "symbols")
    category, symbols = given.get("category", "linear"), given.get("symbols")
    if not isinstance(category, str) or not isinstance(symbols, list) or not symbols:
        raise UsageError("nothing was named to be removed", 'give "category" and a list "symbols"')
    return category, tuple(str(symbol) for symbol in symbols)


def removed(config: RecordConfig, category: str, symbols: tuple[str, ...]) -> RecordConfig:
    """Return the configuration without these symbols. Raises UsageError for one that it does not select."""
    markets = [one for one in config.market if one.category == category]
    for symbol in symbols:
        if not any(one.may_select(symbol) for one in markets):
            problem = f"{symbol} of {category} is not recorded"
            raise UsageError(problem, "`tapehead record` names what is, in its status")
    left = [one.without(symbols) if one.category == category else one for one in config.market]
    market = tuple(one for one in left if one is not None)
    if not market:
        raise UsageError("nothing would be left to record", "end the recording instead")
    return config.model_copy(update={"market": market})
