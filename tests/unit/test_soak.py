"""What a soak makes of its samples."""

import os
from collections.abc import Callable

import pytest

from tests.soak import samples
from tests.soak.samples import Samples

MIB = 1 << 20


def _sampled(monkeypatch: pytest.MonkeyPatch, rss: Callable[[int], float]) -> Samples:
    """An hour of samples, one each 30 s."""
    taken = Samples()
    for number in range(120):
        found = {"rss_bytes": rss(number), "descriptors": 20, "threads": 7}
        monkeypatch.setattr(samples, "_look", lambda pid, found=found: found)
        taken.take(number * 30.0, {"capture": 1})
    return taken


@pytest.mark.parametrize(
    ("rss", "grows"),
    [
        (lambda number: 400 * MIB, False),
        (lambda number: min(number, 25) * 16 * MIB, False),  # warms up
        (lambda number: (400 + number % 7 * 20) * MIB, False),  # comes and goes
        (lambda number: (400 + number * 1.5) * MIB, True),
        (lambda number: (400 if number < 90 else 600) * MIB, True),
    ],
)
def test_growth_after_warming_up(
    rss: Callable[[int], float], grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = _sampled(monkeypatch, rss).growing(warm_up_s=900)
    assert [line.split(" grew ")[0] for line in growing] == (["capture: rss_bytes"] if grows else [])


def test_slope_is_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = _sampled(monkeypatch, lambda number: number * MIB).judged(warm_up_s=900)
    assert judged["capture"]["rss_bytes"]["slope_a_minute"] == pytest.approx(2 * MIB)


def test_processes_are_looked_at_as_they_are() -> None:
    taken = Samples()
    taken.take(0.0, {"this": os.getpid(), "gone": 2**22 + 1})
    assert set(taken.judged(0.0)) == {"this"}
    assert taken.judged(0.0)["this"]["rss_bytes"]["most"] > MIB
    assert taken.judged(0.0)["this"]["threads"]["last"] >= 1
