"""What the venue lists: the fields of an instrument that the engine uses, for every category in one form."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.errors import AnswerError

__all__ = ["Instrument", "parse"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listed instrument. ``price_scale`` and ``size_scale`` are the decimals of its tick and its step.

    ``status`` is PreLaunch, Trading, Delivering or Closed. Sizes are base coin, on inverse USD.
    ``delivery_ms`` is the delivery or delisting time, 0 where there is none. ``raw`` is the venue's own
    object.
    """

    category: str
    symbol: str
    base_coin: str
    quote_coin: str
    status: str
    price_tick: str
    size_step: str
    price_scale: int
    size_scale: int
    launch_ms: int
    delivery_ms: int
    raw: Mapping[str, Any]


def parse(category: str, raw: Mapping[str, Any]) -> Instrument:
    """Read one element of an instruments-info list. Raises AnswerError naming the symbol."""
    try:
        if category == "spread":
            price_tick, size_step = raw["tickSize"], raw["lotSize"]
        else:
            # Spot has no qtyStep: its step is the precision of the base coin.
            step = "basePrecision" if category == "spot" else "qtyStep"
            price_tick, size_step = raw["priceFilter"]["tickSize"], raw["lotSizeFilter"][step]
        return Instrument(
            category=category,
            symbol=raw["symbol"],
            base_coin=raw["baseCoin"],
            quote_coin=raw["quoteCoin"],
            status=raw["status"],
            price_tick=price_tick,
            size_step=size_step,
            price_scale=_decimals(price_tick),
            size_scale=_decimals(size_step),
            launch_ms=int(raw.get("launchTime") or 0),
            delivery_ms=int(raw.get("deliveryTime") or 0),
            raw=raw,
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        symbol = raw.get("symbol", "?") if isinstance(raw, Mapping) else "?"
        raise AnswerError("instruments-info", f"{category} {symbol}: {error!r}") from error


def _decimals(step: str) -> int:
    exponent = Decimal(step).normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"a step must be a finite number, was {step!r}")
    return max(0, -exponent)
