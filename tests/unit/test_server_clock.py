"""The venue's clock: never ahead of it, sure only as far as a round trip allows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.bybit.server_clock import FRESH_S, ServerClock
from engine.clock import NS_PER_S

MS = 1_000_000


def test_nothing_is_known_before_an_answer() -> None:
    clock = ServerClock()
    assert clock.now_ms(0) is None
    assert clock.timestamp_ms(0) is None
    assert math.isinf(clock.uncertainty_ms(0))


def test_the_best_sample_counts() -> None:
    clock = ServerClock()
    clock.note(0, 400 * MS, 5_000 * MS)
    clock.note(500 * MS, 510 * MS, 5_305 * MS)
    clock.note(600 * MS, 900 * MS, 5_400 * MS)
    assert clock.uncertainty_ms(1_000 * MS) == 5
    assert clock.now_ms(1_000 * MS) == 5_800
    assert clock.timestamp_ms(1_000 * MS) == 5_795


def test_an_old_sample_is_believed_no_more() -> None:
    clock = ServerClock()
    clock.note(0, 10 * MS, 5_000 * MS)
    assert clock.now_ms(round(FRESH_S * NS_PER_S)) is not None
    assert clock.now_ms(round((FRESH_S + 1) * NS_PER_S)) is None


def test_a_wrong_timestamp_makes_it_forget() -> None:
    clock = ServerClock()
    clock.note(0, 10 * MS, 5_000 * MS)
    clock.forget()
    assert clock.timestamp_ms(20 * MS) is None


def test_offsets_reckon_the_same_until_the_sample_is_old() -> None:
    clock = ServerClock()
    assert clock.offsets(0) is None
    clock.note(0, 400 * MS, 5_000 * MS)
    offsets = clock.offsets(400 * MS)
    assert offsets is not None
    stamp_ns, offset_ns, until_ns = offsets
    for at in (400 * MS, 7_000 * MS, until_ns):
        assert (at + stamp_ns) // MS == clock.timestamp_ms(at)
        assert (at + offset_ns) // MS == clock.now_ms(at)
    assert clock.timestamp_ms(until_ns + 1) is None
    clock.forget()
    clock.note(0, 2_000 * MS, 5_000 * MS)
    assert clock.offsets(2_000 * MS) is None


def test_a_round_trip_of_two_seconds_gives_no_timestamp() -> None:
    clock = ServerClock()
    clock.note(0, 2_000 * MS, 5_000 * MS)
    assert clock.now_ms(2_000 * MS) == 6_000
    assert clock.timestamp_ms(2_000 * MS) is None


@given(
    offset_ms=st.integers(-(10**9), 10**9),
    trips=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), min_size=1, max_size=12),
    later_ms=st.integers(0, 60_000),
)
def test_a_timestamp_is_never_ahead_of_the_venue(
    offset_ms: int, trips: list[tuple[int, int]], later_ms: int
) -> None:
    clock, now = ServerClock(), 10**6
    for there_ms, back_ms in trips:
        clock.note(now * MS, (now + there_ms + back_ms) * MS, (now + there_ms + offset_ms) * MS)
        now += there_ms + back_ms
    now += later_ms
    stamp, believed = clock.timestamp_ms(now * MS), clock.now_ms(now * MS)
    assert believed is not None
    assert abs(believed - (now + offset_ms)) <= clock.uncertainty_ms(now * MS) + 1
    if stamp is not None:
        assert stamp <= now + offset_ms
        assert stamp >= now + offset_ms - 2 * clock.uncertainty_ms(now * MS) - 1
