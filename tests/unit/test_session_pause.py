"""A session of a process that did not run: it reads before it judges, but not for ever."""

from tests.unit.test_session import BOOK, LEVEL1, TRADES, subscribed


def test_a_process_that_was_stopped_reads_before_it_judges() -> None:
    bench = subscribed(BOOK)
    bench.is_silent = True
    bench.wait(20)
    assert bench.pings == 1
    bench.session.add([TRADES, LEVEL1], bench.clock.now())
    bench.tick()
    (request,) = bench.take()
    bench.clock.advance(30)
    bench.tick()
    assert bench.session.reconnect_cause is None
    bench.session.heard(bench.clock.now().mono_ns)
    bench.ack(request)
    counters = bench.session.counters
    assert (counters["late_answers"], bench.take()) == (0, [])


def test_a_connection_that_died_while_the_process_was_stopped_is_replaced() -> None:
    bench = subscribed(BOOK)
    bench.is_silent = True
    bench.wait(20)
    bench.clock.advance(30)
    bench.tick()
    bench.wait(1.9)
    assert bench.session.reconnect_cause is None
    bench.wait(0.2)
    assert bench.session.reconnect_cause == "pong_timeout"


def test_who_is_always_late_still_notices_a_dead_connection() -> None:
    bench = subscribed(BOOK)
    bench.is_silent = True
    bench.wait(20)
    begun_ns = bench.clock.now().mono_ns
    while bench.session.reconnect_cause is None and bench.clock.now().mono_ns < begun_ns + 60 * 10**9:
        due_ns = bench.session.deadline_ns
        assert due_ns is not None
        bench.clock.advance_to(due_ns + 5 * 10**8)
        bench.tick()
    assert bench.session.reconnect_cause == "pong_timeout"


def test_a_pause_with_nothing_due_does_not_use_up_the_next_one() -> None:
    bench = subscribed(BOOK)
    bench.wait(20)
    bench.clock.advance(30)
    bench.session.heard(bench.clock.now().mono_ns)
    bench.clock.advance(0.001)
    bench.hear({"success": True, "ret_msg": "pong", "op": "ping"})
    assert bench.pings == 2
    bench.clock.advance(30)
    bench.tick()
    assert bench.session.reconnect_cause is None
