"""Waits between attempts: bounded, growing, spread, and within the venue's allowance."""

import random

import pytest

from engine.backoff import Allowance, Backoff
from engine.clock import NS_PER_S


def test_waits_double_up_to_the_cap_and_start_again_after_a_reset() -> None:
    backoff = Backoff(0.5, 30, lambda: 1.0)
    assert [backoff.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_waits_stay_within_half_and_all_of_it_for_ever(seed: int) -> None:
    backoff = Backoff(0.5, 30, random.Random(seed).random)
    for attempt in range(5000):
        ceiling_s = min(30, 0.5 * 2 ** min(attempt, 50))
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s


def test_waits_of_two_clients_differ() -> None:
    one, other = Backoff(1, 30, random.Random(1).random), Backoff(1, 30, random.Random(2).random)
    assert [one.next_s() for _ in range(5)] != [other.next_s() for _ in range(5)]


def test_no_window_sees_more_connections_than_allowed() -> None:
    allowance = Allowance(limit=5, window_s=10)
    chance = random.Random(3)
    now_ns, opened = 0, []
    for _ in range(200):
        now_ns += chance.randrange(2 * NS_PER_S)
        opened.append(now_ns + round(allowance.reserve_s(now_ns) * NS_PER_S))
    assert all(
        later - earlier >= 10 * NS_PER_S - 5 for earlier, later in zip(opened, opened[5:], strict=False)
    )
    assert opened[:5] != sorted(opened[:5], reverse=True)
