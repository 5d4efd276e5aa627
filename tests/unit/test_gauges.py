"""Lags, silences and bytes that wait are measured, and what is kept of them is bounded."""

import socket

from engine.clock import NS_PER_S
from engine.gauges import BOOKS_PER_SAMPLE_MAX, LIMITS_MS, Gauges, Lags, waiting_bytes
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Listener
from tests.support.frames import TS_MS, book_frame


def test_median_and_tail_are_upper_limits_of_what_was_seen() -> None:
    lags = Lags()
    for lag_ms in [3.0] * 98 + [700.0, 1500.0]:
        lags.add(lag_ms, NS_PER_S)
    assert lags.read() == {"count": 100, "negative": 0, "p50_ms": 5.0, "p99_ms": 1000.0, "max_ms": 1500.0}


def test_no_lag_is_no_number_of_alarm_and_a_negative_one_is_counted() -> None:
    lags = Lags()
    assert lags.read() == {"count": 0, "negative": 0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    lags.add(-40.0, NS_PER_S)
    assert lags.read()["negative"] == 1
    lags.add(10**9, NS_PER_S)
    assert lags.read()["max_ms"] == 10**9


def test_what_is_older_than_two_windows_is_forgotten() -> None:
    lags = Lags()
    lags.add(9000.0, 100 * NS_PER_S)
    lags.add(1.5, 161 * NS_PER_S)
    assert lags.read()["max_ms"] == 9000.0
    lags.add(1.5, 222 * NS_PER_S)
    assert lags.read()["max_ms"] == 1.5
    assert lags.read()["count"] == 2
    assert len(lags._now) == len(LIMITS_MS) + 1


def test_bytes_that_wait_in_the_kernel_are_seen() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert waiting_bytes(far) == 0
        near.sendall(b"x" * 1000)
        assert waiting_bytes(far) == 1000
        far.recv(400)
        assert waiting_bytes(far) == 600
    assert waiting_bytes(far) == 0


def test_connections_are_measured_and_forgotten_with_them() -> None:
    gauges = Gauges()
    gauges.connection(1, 5 * NS_PER_S, 900, 7 * NS_PER_S)
    gauges.connection(1, 7 * NS_PER_S, 100, 7 * NS_PER_S)
    gauges.connection(2, 0, 0, 7 * NS_PER_S)
    connections = gauges.read()["connections"]
    assert connections[1] == {"silence_s": 0.0, "kernel_bytes": 100, "kernel_bytes_max": 900}
    assert connections[2]["silence_s"] == 7.0
    gauges.keep([2])
    assert list(gauges.read()["connections"]) == [2]


def books(count: int, recv_ns: int) -> list[OrderBook]:
    dispatcher = Dispatcher("linear", Listener())
    for number in range(count):
        frame = book_frame("snapshot", 7, [["1", "1"]], [["2", "1"]], symbol=f"COIN{number}USDT")
        dispatcher.feed(frame, recv_ns)
    return dispatcher.books()


def test_the_time_from_the_matching_engine_is_measured_on_books_in_turn() -> None:
    gauges = Gauges()
    recv_ns = TS_MS * 1_000_000 + 30_000_000
    found = books(2 * BOOKS_PER_SAMPLE_MAX, recv_ns)
    gauges.books(found, recv_ns - 1, NS_PER_S)
    lag = gauges.read()["market_lag"]
    assert (lag["count"], lag["max_ms"]) == (BOOKS_PER_SAMPLE_MAX, 33.0)
    gauges.books(found, recv_ns - 1, NS_PER_S)
    assert gauges.read()["market_lag"]["count"] == 2 * BOOKS_PER_SAMPLE_MAX
    gauges.books(found, recv_ns, NS_PER_S)
    gauges.books([], 0, NS_PER_S)
    assert gauges.read()["market_lag"]["count"] == 2 * BOOKS_PER_SAMPLE_MAX
