"""Decimal text to int64 mantissa and scale, and back. The only place digits are parsed; floats do not occur.

The grammar is ``-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?``. A number is ``mantissa / 10**scale`` with at most
``DIGITS_MAX`` (18) significant digits and a scale of 0 to 18, the decimals as spelled.
"""

from decimal import Context, Decimal

from cpython.unicode cimport PyUnicode_AsUTF8AndSize

POW10[:] = [10**exponent for exponent in range(19)]
ROOM10[:] = [(10**18 - 1) // 10**exponent for exponent in range(19)]

# Enough for any mantissa: the caller's own context could round.
cdef object _EXACT = Context(prec=40)
cdef int64_t _MANTISSA_MAX = 10 ** 18 - 1
cdef int _EXPONENT_MAX = 10_000

cdef tuple _REASONS = (
    "",
    "is empty",
    "is not a decimal number",
    "has more than 18 significant digits",
    "needs a scale above 18",
)


cdef int parse_text(const char* text, Py_ssize_t size, int64_t* mantissa, int* scale) noexcept nogil:
    """Parse the whole of text[0:size]; return PARSE_OK or the ParseError. Outputs are set on PARSE_OK only."""
    cdef:
        const char* at = text
        const char* end = text + size
        bint negative = False
        bint exponent_negative = False
        int64_t value = 0
        int digits = 0
        int decimals = 0
        int exponent = 0
        const char* mark

    if size <= 0:
        return PARSE_EMPTY
    if at[0] == c"-":
        negative = True
        at += 1
    mark = at
    while at < end and c"0" <= at[0] <= c"9":
        if value or at[0] != c"0":
            digits += 1
            if digits > DIGITS_MAX:
                return PARSE_DIGITS if _is_number(text, size) else PARSE_SYNTAX
            value = value * 10 + (at[0] - c"0")
        at += 1
    if at == mark:
        return PARSE_SYNTAX
    if at < end and at[0] == c".":
        at += 1
        mark = at
        while at < end and c"0" <= at[0] <= c"9":
            if value or at[0] != c"0":
                digits += 1
                if digits > DIGITS_MAX:
                    return PARSE_DIGITS if _is_number(text, size) else PARSE_SYNTAX
                value = value * 10 + (at[0] - c"0")
            decimals += 1
            at += 1
        if at == mark:
            return PARSE_SYNTAX
    if at < end and (at[0] | 0x20) == c"e":
        at += 1
        if at < end and (at[0] == c"+" or at[0] == c"-"):
            exponent_negative = at[0] == c"-"
            at += 1
        mark = at
        while at < end and c"0" <= at[0] <= c"9":
            if exponent < _EXPONENT_MAX:
                exponent = exponent * 10 + (at[0] - c"0")
            at += 1
        if at == mark:
            return PARSE_SYNTAX
        decimals += exponent if exponent_negative else -exponent
    if at != end:
        return PARSE_SYNTAX
    if decimals < 0:
        if value:
            if digits - decimals > DIGITS_MAX:
                return PARSE_DIGITS
            value *= POW10[-decimals]
        decimals = 0
    if decimals > DIGITS_MAX:
        return PARSE_SCALE
    mantissa[0] = -value if negative else value
    scale[0] = decimals
    return PARSE_OK


cdef bint _is_number(const char* text, Py_ssize_t size) noexcept nogil:
    """Whether text follows the grammar, whatever its length: tells too many digits from bad syntax."""
    cdef:
        Py_ssize_t at = 1 if text[0] == c"-" else 0
        Py_ssize_t mark = at

    while at < size and c"0" <= text[at] <= c"9":
        at += 1
    if at == mark:
        return False
    if at < size and text[at] == c".":
        mark = at = at + 1
        while at < size and c"0" <= text[at] <= c"9":
            at += 1
        if at == mark:
            return False
    if at < size and (text[at] | 0x20) == c"e":
        at += 1
        if at < size and (text[at] == c"+" or text[at] == c"-"):
            at += 1
        mark = at
        while at < size and c"0" <= text[at] <= c"9":
            at += 1
        if at == mark:
            return False
    return at == size


cdef object to_decimal(int64_t mantissa, int scale):
    cdef object number = Decimal(mantissa)
    return number.scaleb(-scale, _EXACT) if scale else number


cdef int _check_scale(str name, int scale) except -1:
    if scale < 0 or scale > DIGITS_MAX:
        raise ValueError(f"{name} must be 0 to {int(DIGITS_MAX)}, was {scale}")
    return 0


def parse_decimal(text: str | bytes) -> tuple[int, int]:
    """Parse decimal text into (mantissa, scale), the scale being the decimals as spelled.

    Raises ValueError, naming the text and the rule, for empty text, text outside the grammar, more than 18
    significant digits, or more than 18 decimals.
    """
    cdef:
        int64_t mantissa = 0
        int scale = 0
        const char* characters
        Py_ssize_t size
        int outcome

    if isinstance(text, str):
        characters = PyUnicode_AsUTF8AndSize(text, &size)
    elif isinstance(text, bytes):
        characters = <bytes>text
        size = len(<bytes>text)
    else:
        raise TypeError(f"text must be str or bytes, was {type(text).__name__}")
    outcome = parse_text(characters, size, &mantissa, &scale)
    if outcome != PARSE_OK:
        raise ValueError(
            f"{text!r} {_REASONS[outcome]}: expected digits with an optional minus sign, point and exponent, "
            f"at most {int(DIGITS_MAX)} significant digits and {int(DIGITS_MAX)} decimals"
        )
    return mantissa, scale


def format_decimal(mantissa: int, scale: int) -> str:
    """Return the plain decimal text of mantissa / 10**scale with exactly `scale` decimals."""
    _check_scale("scale", scale)
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else sign + digits


def decimal(mantissa: int, scale: int) -> Decimal:
    """Return the exact Decimal of mantissa / 10**scale, with `scale` decimals kept."""
    _check_scale("scale", scale)
    return to_decimal(mantissa, scale)


def rescale(mantissa: int, scale: int, target: int) -> int:
    """Return the mantissa at another scale.

    Raises ValueError where digits would be lost or the result exceeds 18 digits.
    """
    _check_scale("scale", scale)
    _check_scale("target", target)
    if target >= scale:
        result = mantissa * 10 ** (target - scale)
        if abs(result) > _MANTISSA_MAX:
            raise ValueError(f"mantissa {mantissa} of scale {scale} has more than 18 digits at scale {target}")
        return result
    result, rest = divmod(mantissa, 10 ** (scale - target))
    if rest:
        raise ValueError(f"mantissa {mantissa} of scale {scale} would lose digits at scale {target}")
    return result
