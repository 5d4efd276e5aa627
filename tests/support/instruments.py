"""Instruments as the venue lists them, made to order."""

from typing import Any

from engine.bybit.instruments import Instrument, parse

__all__ = ["instrument", "listing", "raw_instrument"]


def raw_instrument(category: str, symbol: str, /, **fields: Any) -> dict[str, Any]:
    """Return one element of an instruments-info list; ``fields`` replace its own."""
    base, quote = coins_of(symbol)
    raw: dict[str, Any] = {
        "symbol": symbol,
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": quote,
        "launchTime": "1584230400000",
        "deliveryTime": "0",
    }
    if category == "spread":
        raw |= {
            "tickSize": "0.5",
            "lotSize": "0.01",
            "minSize": "0.01",
            "maxSize": "100",
            "settleCoin": quote,
        }
    else:
        step = "basePrecision" if category == "spot" else "qtyStep"
        raw["priceFilter"] = {"tickSize": "0.10", "minPrice": "0.10", "maxPrice": "1999999.80"}
        raw["lotSizeFilter"] = {step: "0.001", "minOrderQty": "0.001", "maxOrderQty": "1500.000"}
    if category in ("linear", "inverse"):
        kind = "Futures" if "-" in symbol else "Perpetual"
        raw |= {"contractType": category.capitalize() + kind}
        raw |= {"settleCoin": quote if category == "linear" else base}
    return raw | fields


def coins_of(symbol: str) -> tuple[str, str]:
    """Return base and quote coin of a symbol of the usual spellings."""
    name = symbol.partition("-")[0]
    for quote in ("USDT", "USDC", "PERP", "USD", "BTC", "EUR"):
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote), "USDC" if quote == "PERP" else quote
    return name, "USDT"


def instrument(category: str, symbol: str, /, **fields: Any) -> Instrument:
    """Return one instrument."""
    return parse(category, raw_instrument(category, symbol, **fields))


def listing(category: str, *symbols: str, **fields: Any) -> dict[str, Instrument]:
    """Return instruments by symbol, all with the same ``fields``."""
    return {symbol: instrument(category, symbol, **fields) for symbol in symbols}
