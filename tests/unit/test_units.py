"""Times and sizes with their units."""

import pytest

from engine.errors import ConfigError
from recorder.units import seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200ms", 0.2), ("1s", 1), ("1.5 s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("5us", 5e-6)],
)
def test_seconds(text: str, expected: float) -> None:
    assert seconds("refresh_s", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("20GiB", 20 << 30), ("1.5 KiB", 1536), ("7B", 7), ("3MB", 3_000_000)]
)
def test_sizes(text: str, expected: int) -> None:
    assert size_bytes("quota_bytes", text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1e3s", "5 min", "5S", "1GiB", "٣s", "9" * 30 + "s"])
def test_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="refresh_s was"):
        seconds("refresh_s", text)


@pytest.mark.parametrize("text", ["", "5", "0.5B", "5s", "5gib", "1 TiBi"])
def test_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match="quota_bytes was"):
        size_bytes("quota_bytes", text)
