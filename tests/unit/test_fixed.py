"""Decimal text and scaled integers, by tables."""

from decimal import Decimal

import pytest

from ext.fixed import FixedLimit, decimal, format_decimal, parse_decimal, rescale
from tests.support import oracle_fixed
from tests.support.frames import NOT_NUMBERS, ODD_NUMBERS

ACCEPTED = {
    "0": (0, 0),
    "-0": (0, 0),
    "0.00": (0, 2),
    "-0.000": (0, 3),
    "100.20": (10020, 2),
    "-12.5": (-125, 1),
    "007.50": (750, 2),
    "1e-7": (1, 7),
    "1.5e1": (15, 0),
    "1.50e1": (150, 1),
    "1E5": (100000, 0),
    "1e+5": (100000, 0),
    "1e+00000000000000000000000001": (10, 0),
    "2.50e-3": (250, 5),
    "0e99999999999999999999": (0, 0),
    "1e17": (10**17, 0),
    "999999999999999999": (10**18 - 1, 0),
    "-999999999999999999": (1 - 10**18, 0),
    "0.000000000000000001": (1, 18),
    "0.999999999999999999": (10**18 - 1, 18),
    "0" * 200 + "1.5": (15, 1),
}
TOO_LONG = (
    "1000000000000000000",
    "1.000000000000000000",
    "1234567890.123456789",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551617",
    "1e18",
    "10e17",
    "1e99999999999999999999",
    "1" + "0" * 400,
)
TOO_FINE = ("0.0000000000000000001", "1e-19", "0e-19", "0.0000000000000000000", "1e-99999999999999999999")


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.items())
def test_number_is_parsed(text: str, expected: tuple[int, int]) -> None:
    assert parse_decimal(text) == expected
    assert parse_decimal(text.encode()) == expected


@pytest.mark.parametrize("text", [*NOT_NUMBERS, *TOO_LONG, *TOO_FINE])
def test_anything_else_is_refused_with_the_text_named(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_decimal(text)
    message = str(caught.value)
    assert text[:20] in message or repr(text)[1:-1][:20] in message or ascii(text)[1:-1][:20] in message
    with pytest.raises(ValueError, match=r"."):
        parse_decimal(text.encode())


@pytest.mark.parametrize(
    ("text", "rule"), [("1000000000000000000", "18"), ("0.0000000000000000001", "18"), ("", "empty")]
)
def test_the_message_names_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_decimal(text)


@pytest.mark.parametrize("text", ODD_NUMBERS)
def test_odd_numbers_equal_the_slow_parser(text: str) -> None:
    try:
        expected = oracle_fixed.parse(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            parse_decimal(text)
    else:
        assert parse_decimal(text) == expected


@pytest.mark.parametrize("text", [None, 1, 1.5, Decimal(1), ["1"]])
def test_only_text_is_parsed(text: object) -> None:
    with pytest.raises(TypeError):
        parse_decimal(text)


def test_bytes_that_are_not_ascii_are_refused() -> None:
    for text in (b"\xff", b"1\x00", b"1\xc2\xa0"):
        with pytest.raises(ValueError, match=r"."):
            parse_decimal(text)


@pytest.mark.parametrize(
    ("mantissa", "scale", "text"),
    [
        (0, 0, "0"),
        (0, 3, "0.000"),
        (5, 0, "5"),
        (-5, 2, "-0.05"),
        (12345, 2, "123.45"),
        (-100, 1, "-10.0"),
        (1, 18, "0.000000000000000001"),
        (10**18 - 1, 18, "0.999999999999999999"),
        (1 - 10**18, 0, "-999999999999999999"),
    ],
)
def test_number_is_formatted_with_exactly_its_decimals(mantissa: int, scale: int, text: str) -> None:
    assert format_decimal(mantissa, scale) == text
    number = decimal(mantissa, scale)
    assert number == Decimal(text)
    assert number.as_tuple().exponent == -scale


def test_zero_has_no_sign() -> None:
    assert str(decimal(*parse_decimal("-0.00"))) == "0.00"


@pytest.mark.parametrize("scale", [-1, 19, 1000])
def test_scale_out_of_range_is_refused(scale: int) -> None:
    for call in (lambda: format_decimal(1, scale), lambda: decimal(1, scale), lambda: rescale(1, 0, scale)):
        with pytest.raises(ValueError, match="18"):
            call()


@pytest.mark.parametrize(
    ("mantissa", "scale", "target", "expected"),
    [
        (15, 1, 3, 1500),
        (1500, 3, 1, 15),
        (0, 18, 0, 0),
        (0, 0, 18, 0),
        (-7, 2, 2, -7),
        (9, 0, 17, 9 * 10**17),
    ],
)
def test_rescale_keeps_the_value(mantissa: int, scale: int, target: int, expected: int) -> None:
    assert rescale(mantissa, scale, target) == expected


@pytest.mark.parametrize(
    ("mantissa", "scale", "target"), [(15, 1, 0), (-1, 18, 17), (1, 0, 18), (10**17, 0, 1)]
)
def test_rescale_that_would_change_the_value_is_refused(mantissa: int, scale: int, target: int) -> None:
    with pytest.raises(ValueError, match=str(abs(mantissa))):
        rescale(mantissa, scale, target)


def test_the_limit_is_public() -> None:
    assert FixedLimit.DIGITS_MAX == oracle_fixed.DIGITS_MAX
