"""Decimal text against the slow parser: every text, every number."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ext.fixed import decimal, format_decimal, parse_decimal, rescale
from tests.support import oracle_fixed
from tests.support.frames import respell

mantissas = st.integers(1 - 10**18, 10**18 - 1)
scales = st.integers(0, 18)
near_numbers = st.text("0123456789.-+eE _", max_size=24)
grammatical = st.from_regex(r"-?[0-9]{1,22}(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


def outcome(parse: object, text: str | bytes) -> tuple[int, int] | None:
    assert callable(parse)
    try:
        mantissa, scale = parse(text)
    except ValueError:
        return None
    return mantissa, scale


@given(near_numbers | grammatical | st.text(max_size=6))
def test_every_text_is_parsed_or_refused_as_by_the_slow_parser(text: str) -> None:
    expected = outcome(oracle_fixed.parse, text)
    assert outcome(parse_decimal, text) == expected
    assert outcome(parse_decimal, text.encode("utf-8", "surrogatepass")) == expected


@given(mantissas, scales)
@example(0, 0)
@example(1 - 10**18, 18)
def test_round_trip(mantissa: int, scale: int) -> None:
    text = format_decimal(mantissa, scale)
    assert text == oracle_fixed.spell(mantissa, scale)
    assert parse_decimal(text) == (mantissa, scale)
    number = decimal(mantissa, scale)
    assert f"{number:f}" == text
    assert number == Decimal(text)


@given(st.integers(-(10**6), 10**6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_every_spelling_has_the_same_value(mantissa: int, scale: int, random: object) -> None:
    text = respell(random, mantissa, scale)  # type: ignore[arg-type]  # hypothesis hands out a Random
    assert decimal(*parse_decimal(text)) == Decimal(mantissa).scaleb(-scale)


@given(mantissas, scales, scales)
def test_rescale_is_exact_or_refused(mantissa: int, scale: int, target: int) -> None:
    exact = Decimal(mantissa).scaleb(target - scale)
    if exact == exact.to_integral_value() and abs(exact) < 10**18:
        assert rescale(mantissa, scale, target) == exact
    else:
        with pytest.raises(ValueError, match=r"."):
            rescale(mantissa, scale, target)
