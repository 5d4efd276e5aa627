"""Scaled integers to decimal text, the way the venue spells them."""


def decimal_text(mantissa: int, decimals: int, *, trim: bool = False) -> str:
    """Return mantissa / 10**decimals with all its decimals, or with trailing zeros cut when `trim`."""
    sign = "-" if mantissa < 0 else ""
    digits = str(abs(mantissa)).zfill(decimals + 1)
    if not decimals:
        return sign + digits
    whole, fraction = digits[:-decimals], digits[-decimals:]
    if trim:
        fraction = fraction.rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def rescaled(mantissa: int, decimals: int, wanted: int) -> int:
    """Return the mantissa at `wanted` decimals, rounded down where digits are lost."""
    if wanted >= decimals:
        return mantissa * int(10 ** (wanted - decimals))
    return mantissa // int(10 ** (decimals - wanted))
