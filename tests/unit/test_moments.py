"""Moments as they are written."""

import pytest

from engine.errors import ConfigError
from recorder.history.moments import Moment, iso, parse_moment


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1790000000123456789", 1_790_000_000_123_456_789),
        ("2026-09-21T14:13:20Z", 1_790_000_000_000_000_000),
        ("2026-09-21t14:13:20.123456789z", 1_790_000_000_123_456_789),
        ("2026-09-21 16:13:20.5+02:00", 1_790_000_000_500_000_000),
        ("2026-09-21T08:13-0600", 1_789_999_980_000_000_000),
        ("2026-09-21T14Z", 1_789_999_200_000_000_000),
        ("2026-09-21Z", 1_789_948_800_000_000_000),
    ],
)
def test_times(text: str, ns: int) -> None:
    assert parse_moment("--at", text) == Moment(ns=ns)
    assert parse_moment("--at", iso(ns)) == Moment(ns=ns)


def test_positions() -> None:
    moment = parse_moment("--at", "3:17")
    assert moment == Moment(position=(3 << 32) + 17)
    assert str(moment) == "3:17"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a time is ISO 8601"),
        ("yesterday", "a time is ISO 8601"),
        ("2026-09-21T14:13:20", "it names no zone: write 2026-09-21T14:13:20Z"),
        ("2026-09-21", "it names no zone"),
        ("2026-13-21Z", "month must be in 1..12"),
        ("2026-09-21T25:00Z", "hour must be in 0..23"),
        ("1790000000", "ns since 1970, of 18 or 19 digits"),
        ("1790000000000", "ns since 1970, of 18 or 19 digits"),
        ("0:0", "not both 0"),
        ("1:4294967296", "below 2"),
        ("0001-01-01Z", "outside 1973"),
        ("\u0661:2", "a time is ISO 8601"),
    ],
)
def test_what_is_no_moment(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_moment("--at", text)
