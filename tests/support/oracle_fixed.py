"""Decimal text, the slow way: a regular expression and Python's integers."""

import re
from decimal import Decimal

DIGITS_MAX = 18
SCALE_MAX = 18

NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")

# A mantissa and its scale: the value is mantissa / 10**scale.
Number = tuple[int, int]


def parse(text: str) -> Number:
    """Return mantissa and scale of `text`; ValueError for anything but a number of at most 18 digits."""
    match = NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a decimal number")
    sign, whole, fraction, exponent = match.groups(default="")
    digits = int(whole + fraction)
    scale = len(fraction) - int(exponent or "0")
    if scale < 0:
        # Zero stays zero whatever its exponent; spelling out 10**exponent could take for ever.
        too_long = digits != 0 and len(str(digits)) - scale > DIGITS_MAX
        digits = digits if digits == 0 or too_long else digits * 10**-scale
        scale = 0
    else:
        too_long = len(str(digits)) > DIGITS_MAX
    if too_long:
        raise ValueError(f"{text!r} has more than {DIGITS_MAX} digits")
    if scale > SCALE_MAX:
        raise ValueError(f"{text!r} has more than {SCALE_MAX} decimals")
    return (-digits if sign else digits), scale


def value(number: Number) -> Decimal:
    mantissa, scale = number
    return Decimal(mantissa).scaleb(-scale)


def spell(mantissa: int, scale: int) -> str:
    """Plain digits with exactly `scale` decimals."""
    sign = "-" if mantissa < 0 else ""
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else sign + digits


def spell_shortest(number: Decimal) -> str:
    """Plain digits without a fraction's trailing zeros, as the canonical book text wants them."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def fits(number: Number, scale: int) -> bool:
    """Whether `number` has at most 18 digits when it is written with `scale` decimals."""
    return abs(number[0]) * 10 ** (scale - number[1]) < 10**DIGITS_MAX
