"""The pace of the generated market, at a clock of the test's."""

import pytest

from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import listings
from simulator.pacing import LATE_NS_MAX, MAX_STEP_NS, Pacer
from simulator.source import IDLE
from simulator.switches import Switches
from tests.support.simulated import START_NS, Outlet

S = 1_000_000_000


def test_messages_are_spread_evenly() -> None:
    pacer = Pacer(4.0, 10 * S)
    due = []
    for _ in range(5):
        due.append(pacer.time_ns)
        assert pacer.wait_ns(pacer.time_ns - 7) == 7
        assert pacer.wait_ns(pacer.time_ns) == 0
        pacer.spend(1)
    assert due == [10 * S, 10 * S + S // 4, 10 * S + S // 2, 10 * S + 3 * S // 4, 11 * S]


def test_the_pace_does_not_drift() -> None:
    pacer = Pacer(3.0, 0)
    pacer.spend(3_000_000)
    assert pacer.time_ns == 1_000_000 * S


def test_lost_time_is_made_up_unless_it_is_too_much() -> None:
    pacer = Pacer(10.0, 0)
    assert pacer.wait_ns(LATE_NS_MAX) == 0
    assert pacer.time_ns == 0
    assert pacer.wait_ns(LATE_NS_MAX + 1) == 0
    assert pacer.time_ns == LATE_NS_MAX + 1


def test_as_fast_as_possible_never_waits_and_market_time_goes_on() -> None:
    pacer = Pacer(None, 0)
    pacer.spend(10)
    assert pacer.wait_ns(0) == 0
    assert pacer.time_ns == 10 * MAX_STEP_NS


def test_time_never_goes_back_after_a_pause() -> None:
    pacer = Pacer(1.0, 10 * S)
    pacer.spend(5)
    pacer.resume(12 * S)
    assert pacer.time_ns == 15 * S
    pacer.resume(60 * S)
    assert pacer.time_ns == 60 * S


@pytest.mark.parametrize("topics", [["orderbook.50.AUSDT"], ["orderbook.50.AUSDT", "orderbook.1000.BUSDT"]])
def test_the_rate_counts_book_messages_of_all_symbols_together(topics: list[str]) -> None:
    hub, outlet, now_ns = Hub(None), Outlet(), START_NS
    source = Generated(listings("linear:AUSDT,linear:BUSDT"), hub, Switches(), lambda: START_NS, rate=50.0)
    hub.join(outlet)
    assert source.play(now_ns) == IDLE
    for topic in topics:
        hub.subscribe(outlet, hub.stream("linear", topic), source.opening("linear", topic))
    hub.flush()
    begun = len(outlet.payloads)
    while now_ns < START_NS + 4 * S:
        wait_s = source.play(now_ns)
        hub.flush()
        assert wait_s is not None
        now_ns += int(wait_s * S)
    assert 198 <= len(outlet.payloads) - begun <= 202


def test_nothing_moves_while_nobody_watches() -> None:
    hub, outlet = Hub(None), Outlet()
    now_ns = [START_NS]
    source = Generated(listings("linear:AUSDT"), hub, Switches(), lambda: now_ns[0], rate=10.0)
    stream = hub.stream("linear", "orderbook.50.AUSDT")
    hub.join(outlet)
    hub.subscribe(outlet, stream, source.opening("linear", "orderbook.50.AUSDT"))
    source.play(now_ns[0])
    hub.unsubscribe(outlet, stream)
    u = stream.u
    now_ns[0] += 3_600 * S
    assert source.play(now_ns[0]) == IDLE
    assert stream.u == u
    hub.subscribe(outlet, stream, source.opening("linear", "orderbook.50.AUSDT"))
    hub.flush()
    assert outlet.messages()[-1]["ts"] == now_ns[0] // 1_000_000
