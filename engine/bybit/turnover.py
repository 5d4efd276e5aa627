"""What was traded of each symbol in 24 hours, in one unit a category, so that symbols can be ranked."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from engine.bybit.instruments import Instrument, Reading, number
from engine.errors import ConfigError

__all__ = ["RANKED", "TickerSource", "read_tickers", "turnovers"]

RANKED: Final = ("spot", "linear", "inverse", "option")  # a spread's ticker comes one symbol at a time
DOLLAR: Final = "USDT"


class TickerSource(Protocol):
    """Whoever can ask the venue: `engine.bybit.rest.RestClient`."""

    async def ticker_list(self, category: str, *, base_coin: str = "") -> list[Mapping[str, Any]]:
        """Return the tickers of all symbols, for options of one base coin."""


def turnovers(
    category: str, tickers: Iterable[Mapping[str, Any]], instruments: Mapping[str, Instrument]
) -> dict[str, Decimal]:
    """Return the turnover of each symbol by its REST ticker; 0 where the ticker does not tell.

    Inverse contracts are worth a dollar each: their volume is the turnover. On spot the turnover is in the
    quote coin, and is brought to USDT by that coin's own price; without one it counts as 0.
    """
    if category not in RANKED:
        raise ConfigError("top", category, f"{category} cannot be ranked", f"use it with {', '.join(RANKED)}")
    rows = {str(row.get("symbol")): row for row in tickers}
    name = "volume24h" if category == "inverse" else "turnover24h"
    found = {symbol: _number(rows.get(symbol, {}).get(name)) for symbol in instruments}
    if category == "spot":
        rates = {
            coin: _dollars(coin, rows)
            for coin in {instrument.quote_coin for instrument in instruments.values()}
        }
        found = {symbol: found[symbol] * rates[one.quote_coin] for symbol, one in instruments.items()}
    return found


async def read_tickers(source: TickerSource, reading: Reading) -> list[Mapping[str, Any]]:
    """Return the tickers of all symbols of a category; options have them by base coin. Raises PeerError."""
    if reading.category != "option":
        return await source.ticker_list(reading.category)
    coins = sorted({one.base_coin for one in reading.instruments.values()})
    return [row for coin in coins for row in await source.ticker_list("option", base_coin=coin)]


def _dollars(coin: str, rows: Mapping[str, Mapping[str, Any]]) -> Decimal:
    if coin == DOLLAR:
        return Decimal(1)
    if price := _number(rows.get(coin + DOLLAR, {}).get("lastPrice")):
        return price
    if price := _number(rows.get(DOLLAR + coin, {}).get("lastPrice")):
        return 1 / price
    return Decimal(0)


def _number(value: object) -> Decimal:
    text = number(value)
    return max(Decimal(0), Decimal(text)) if text else Decimal(0)
