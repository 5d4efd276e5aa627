"""Decimal numbers, in and out."""

from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from simulator.exchange.errors import PARAMETER, RefusedError

ZERO = Decimal(0)
MONEY = Decimal("0.00000001")
DIGITS_MAX = 30


def number(value: Any, name: str) -> Decimal:
    """Return the number of a request's field; raise RefusedError where it is none."""
    try:
        found = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or len(found.as_tuple().digits) > DIGITS_MAX:
        raise RefusedError(PARAMETER, f"params error: {name} invalid {value!r}")
    return found


def text(value: Decimal) -> str:
    """Return a number without exponent and without trailing zeros."""
    plain = f"{value:f}"
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain) if value else "0"


def money(value: Decimal) -> Decimal:
    """Return an amount at eight decimals, digits beyond cut."""
    return value.quantize(MONEY, ROUND_DOWN)
