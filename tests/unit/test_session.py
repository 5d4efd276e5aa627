"""Every answer the venue is known to give, every deadline, and what a session makes of it."""

import json
from itertools import pairwise

import pytest

from engine.errors import TopicError, UsageError
from ext.journal import RecordKind
from tests.support.sessions import Bench

BOOK = "orderbook.50.BTCUSDT"
TRADES = "publicTrade.BTCUSDT"
LEVEL1 = "orderbook.1.BTCUSDT"


def subscribed(*topics: str, category: str = "linear", **options: float) -> Bench:
    """A connected session whose topics are confirmed and in step."""
    bench = Bench(category, *topics, **options)
    bench.connect()
    for request in bench.take():
        bench.ack(request)
    for topic in topics:
        bench.sync(topic)
    return bench


def test_wanting_is_decided_before_any_socket() -> None:
    bench = Bench("linear", BOOK)
    assert bench.decisions == [
        (
            RecordKind.REQUESTED,
            {"connection": 7, "category": "linear", "leg": 0, "op": "desire", "topics": [BOOK]},
        )
    ]
    assert bench.take() == []


def test_wanting_twice_is_wanting_once() -> None:
    bench = Bench("linear", BOOK)
    bench.session.add([BOOK], bench.clock.now())
    bench.tick()
    assert len(bench.decisions) == 1


def test_an_impossible_topic_is_refused_and_nothing_of_the_call_is_kept() -> None:
    bench = Bench("linear")
    with pytest.raises(TopicError, match="use 1000"):
        bench.session.add([BOOK, "orderbook.500.BTCUSDT"], bench.clock.now())
    assert bench.session.states() == {}


def test_one_request_with_an_id_for_all_topics_of_linear() -> None:
    bench = Bench("linear", BOOK, TRADES)
    bench.connect()
    assert bench.take() == [{"req_id": "7-1", "op": "subscribe", "args": [BOOK, TRADES]}]
    assert bench.state(BOOK) == "subscribing"


def test_spot_requests_have_ten_arguments_at_most() -> None:
    topics = [f"publicTrade.COIN{number}USDT" for number in range(23)]
    bench = Bench("spot", *topics)
    bench.connect()
    requests = bench.take()
    assert [len(request["args"]) for request in requests] == [10, 10, 3]
    assert len({request["req_id"] for request in requests}) == 3


def test_requests_are_bounded_in_bytes() -> None:
    topics = [f"orderbook.1000.{'LONG' * 9}{number:03}" for number in range(300)]
    bench = Bench("linear", *topics)
    bench.connect()
    requests = bench.take()
    assert sum(len(request["args"]) for request in requests) == 300
    assert all(sum(len(topic) + 3 for topic in request["args"]) <= 4000 for request in requests)


def test_an_ack_confirms_and_the_snapshot_completes() -> None:
    bench = Bench("linear", BOOK, TRADES)
    bench.connect()
    bench.ack(bench.take()[0])
    assert (bench.state(BOOK), bench.state(TRADES)) == ("awaiting snapshot", "confirmed")
    bench.sync(BOOK)
    assert bench.state(BOOK) == "confirmed"
    confirmed = {"connection": 7, "category": "linear", "leg": 0, "op": "subscribe", "topics": [BOOK, TRADES]}
    assert bench.decided(RecordKind.CONFIRMED) == [confirmed]


def test_a_snapshot_before_the_ack_counts() -> None:
    bench = Bench("linear", BOOK)
    bench.connect()
    bench.sync(BOOK)
    bench.ack(bench.take()[0])
    bench.wait(60)
    assert bench.state(BOOK) == "confirmed"
    assert bench.decided(RecordKind.STALLED) == []


def test_spot_acks_carry_no_request_id_and_answer_the_oldest_request() -> None:
    topics = [f"publicTrade.COIN{number}USDT" for number in range(11)]
    bench = Bench("spot", *topics)
    bench.connect()
    bench.hear({"success": True, "ret_msg": "subscribe", "conn_id": "c", "op": "subscribe"})
    states = [bench.state(topic) for topic in topics]
    assert states == ["confirmed"] * 10 + ["subscribing"]


def test_option_answers_name_their_topics() -> None:
    good, bad = "orderbook.25.BTC-25DEC26-90000-C", "orderbook.25.BAD"
    bench = Bench("option", good, bad)
    bench.connect()
    data = {"failTopics": [bad], "successTopics": [good]}
    bench.hear({"success": True, "conn_id": "c", "data": data, "type": "COMMAND_RESP"})
    assert (bench.state(good), bench.state(bad)) == ("awaiting snapshot", "parked")
    assert bench.decided(RecordKind.REJECTED)[0]["topics"] == [bad]


def test_one_bad_topic_costs_only_itself() -> None:
    bad = "orderbook.50.NOSUCH"
    bench = Bench("linear", BOOK, bad, TRADES)
    bench.connect()
    reason = f"error:handler not found,topic:{bad}"
    bench.ack(bench.take()[0], reason)
    rejected = bench.decided(RecordKind.REJECTED)
    assert [(decision["topics"], decision["reason"]) for decision in rejected] == [([bad], reason)]
    assert [request["args"] for request in bench.take()] == [[BOOK, TRADES]]
    assert bench.state(bad) == "parked"


def test_invalid_symbol_names_a_symbol() -> None:
    bench = Bench("spot", "orderbook.50.NOSUCH", "publicTrade.NOSUCH", TRADES)
    bench.connect()
    bench.ack(bench.take()[0], "Invalid symbol :[NOSUCH]")
    assert bench.decided(RecordKind.REJECTED)[0]["topics"] == ["orderbook.50.NOSUCH", "publicTrade.NOSUCH"]
    assert [request["args"] for request in bench.take()] == [[TRADES]]


@pytest.mark.parametrize(
    "reason", ["Params Error", "error:invalid op", "Failed to decode incoming data: x", "?"]
)
def test_an_error_that_blames_nobody_is_bisected(reason: str) -> None:
    bad = "publicTrade.NOSUCH"
    good = [f"publicTrade.COIN{number}USDT" for number in range(7)]
    bench = Bench("linear", *good[:3], bad, *good[3:])
    bench.connect()
    rounds = 0
    while requests := bench.take():
        rounds += 1
        for request in requests:
            bench.ack(request, reason if bad in request["args"] else "")
    assert rounds == 4
    assert {bench.state(topic) for topic in good} == {"confirmed"}
    assert bench.state(bad) == "parked"


def test_too_many_arguments_are_halved_and_nobody_is_blamed() -> None:
    bench = Bench("spot", *[f"publicTrade.COIN{number}USDT" for number in range(10)])
    bench.connect()
    bench.take()
    bench.hear({"success": False, "ret_msg": "args size >10", "conn_id": "c", "op": "subscribe"})
    assert [len(request["args"]) for request in bench.take()] == [5, 5]
    assert bench.decided(RecordKind.REJECTED) == []


def test_one_argument_that_is_too_many_waits_before_it_is_tried_again() -> None:
    bench = Bench("spot", TRADES, rejected_retry_s=60)
    bench.connect()
    bench.ack(bench.take()[0], "args size >10")
    assert bench.take() == []
    assert bench.state(TRADES) == "parked"


def test_an_error_without_an_id_belongs_to_the_request_whose_topic_it_names() -> None:
    good, bad = "publicTrade.GOODUSDT", "publicTrade.NOSUCH"
    bench = Bench("spot", good)
    bench.connect()
    bench.session.add([bad], bench.clock.now())
    bench.tick()
    reason = f"error:handler not found,topic:{bad}"
    bench.hear({"success": False, "ret_msg": reason, "conn_id": "c", "op": "subscribe"})
    assert (bench.state(good), bench.state(bad)) == ("subscribing", "parked")


def test_already_subscribed_is_a_confirmation() -> None:
    bench = Bench("linear", TRADES, "tickers.BTCUSDT")
    bench.connect()
    bench.ack(bench.take()[0], f"error:already subscribed,topic:{TRADES}")
    assert bench.state(TRADES) == "confirmed"
    assert bench.decided(RecordKind.REJECTED) == []
    assert [request["args"] for request in bench.take()] == [["tickers.BTCUSDT"]]


def test_a_parked_topic_is_tried_again_alone_and_ever_more_rarely() -> None:
    bad = "orderbook.50.NOSUCH"
    bench = Bench("linear", bad, TRADES, rejected_retry_s=60)
    bench.connect()
    reason = f"error:handler not found,topic:{bad}"
    bench.ack(bench.take()[0], reason)
    bench.ack(bench.take()[0])
    for wait_s in (60, 120, 240):
        bench.wait(wait_s - 1)
        assert bench.take() == []
        bench.wait(1)
        (request,) = bench.take()
        assert request["args"] == [bad]
        bench.ack(request, reason)
    bench.wait(480)
    bench.ack(bench.take()[0])
    assert bench.state(bad) == "awaiting snapshot"


def test_a_parked_topic_stays_parked_over_a_reconnect() -> None:
    bad = "orderbook.50.NOSUCH"
    bench = Bench("linear", bad, TRADES)
    bench.connect()
    bench.ack(bench.take()[0], f"error:handler not found,topic:{bad}")
    bench.take()
    bench.disconnect()
    bench.connect()
    assert [request["args"] for request in bench.take()] == [[TRADES]]


def test_a_missing_ack_is_asked_for_again_and_then_the_connection_is_replaced() -> None:
    bench = Bench("linear", TRADES, ack_timeout_s=10)
    bench.connect()
    for _ in range(3):
        assert [request["args"] for request in bench.take()] == [[TRADES]]
        bench.wait(10)
    assert bench.session.reconnect_cause == "no_answer"


def test_data_is_as_good_as_an_ack() -> None:
    bench = Bench("linear", BOOK, ack_timeout_s=10)
    bench.connect()
    bench.sync(BOOK)
    bench.wait(11)
    assert bench.state(BOOK) == "confirmed"
    assert bench.session.reconnect_cause is None


def test_a_late_ack_of_a_request_given_up_is_counted_only() -> None:
    bench = Bench("linear", TRADES, ack_timeout_s=10)
    bench.connect()
    (first,) = bench.take()
    bench.wait(10)
    bench.ack(first)
    assert bench.state(TRADES) == "subscribing"
    assert bench.session.counters["stray_answers"] == 1
    bench.ack(bench.take()[0])
    assert bench.state(TRADES) == "confirmed"


def test_no_snapshot_means_stalled_and_resubscribed() -> None:
    bench = Bench("linear", BOOK, snapshot_timeout_s=5)
    bench.connect()
    wanted_ns = bench.clock.now().wall_ns
    bench.ack(bench.take()[0])
    bench.wait(4.9)
    assert bench.take() == []
    bench.wait(0.1)
    (stalled,) = bench.decided(RecordKind.STALLED)
    assert (stalled["topics"], stalled["start_ns"]) == ([BOOK], wanted_ns)
    (leave,) = bench.take()
    assert leave["op"] == "unsubscribe"
    bench.ack(leave)
    (back,) = bench.take()
    assert back["op"] == "subscribe"
    bench.ack(back)
    bench.sync(BOOK)
    assert bench.state(BOOK) == "confirmed"


def test_a_snapshot_that_never_comes_ends_in_a_new_connection() -> None:
    bench = Bench("linear", BOOK, ping_interval_s=20)
    bench.connect()
    cycles = 0
    while bench.session.reconnect_cause is None:
        for request in bench.take():
            cycles += request["op"] == "subscribe"
            bench.ack(request)
        bench.wait(1)
    assert bench.session.reconnect_cause == "no_snapshot"
    assert cycles == 5
    assert bench.session.deadline_ns is None


def test_a_topic_that_no_connection_cures_interrupts_the_others_ever_more_rarely() -> None:
    silent = "orderbook.50.PRELAUNCHUSDT"
    bench = Bench("linear", BOOK, silent, resync_delay_max_s=10)
    bench.connect()
    lived_s = [0]
    while sum(lived_s) < 2000:
        for request in bench.take():
            bench.ack(request)
        if bench.state(BOOK) == "awaiting snapshot":
            bench.sync(BOOK)
        bench.wait(1)
        lived_s[-1] += 1
        if bench.session.reconnect_cause is not None:
            assert bench.session.reconnect_cause == "no_snapshot"
            bench.disconnect("no_snapshot")
            bench.connect()
            lived_s.append(0)
    complete_s = lived_s[:-1]
    assert len(complete_s) >= 4
    assert all(after >= 1.5 * before for before, after in pairwise(complete_s[1:])), lived_s


def test_a_request_that_is_never_answered_ends_connections_ever_more_rarely() -> None:
    bench = Bench("linear", TRADES, ack_timeout_s=10)
    failures = []
    for _ in range(4):
        bench.connect()
        asked = 0
        while bench.session.reconnect_cause is None:
            asked += len(bench.take())
            bench.wait(10)
        failures.append(asked)
        bench.disconnect("no_answer")
    assert failures == [3, 3, 6, 12]


def test_resync_is_unsubscribe_ack_subscribe() -> None:
    bench = subscribed(BOOK, TRADES)
    bench.desync(BOOK)
    (leave,) = bench.take()
    assert (leave["op"], leave["args"]) == ("unsubscribe", [BOOK])
    bench.wait(1)
    assert bench.take() == []
    bench.ack(leave)
    (back,) = bench.take()
    assert (back["op"], back["args"]) == ("subscribe", [BOOK])
    bench.ack(back)
    bench.sync(BOOK)
    assert bench.state(BOOK) == "confirmed"
    assert bench.state(TRADES) == "confirmed"


def test_several_desyncs_at_once_share_a_request() -> None:
    other = "orderbook.50.ETHUSDT"
    bench = subscribed(BOOK, other)
    bench.session.desync(BOOK, bench.clock.now())
    bench.session.desync(other, bench.clock.now())
    bench.tick()
    assert [request["args"] for request in bench.take()] == [[BOOK, other]]


def test_resyncs_in_a_row_wait_longer_and_longer_up_to_the_cap() -> None:
    bench = subscribed(BOOK, resync_delay_max_s=4)
    waits_s = []
    for _ in range(6):
        broken_ns = bench.clock.now().mono_ns
        bench.desync(BOOK)
        while not bench.requests:
            bench.wait(0.5)
        waits_s.append((bench.clock.now().mono_ns - broken_ns) / 1e9)
        bench.ack(bench.take()[0])
        bench.ack(bench.take()[0])
        bench.sync(BOOK)
    assert waits_s == [0, 1, 2, 4, 4, 4]


def test_a_book_long_in_step_is_resynchronised_at_once_again() -> None:
    bench = subscribed(BOOK)
    for _ in range(3):
        bench.wait(61)
        bench.desync(BOOK)
        bench.ack(bench.take()[0])
        bench.ack(bench.take()[0])
        bench.sync(BOOK)


def test_a_snapshot_that_comes_by_itself_saves_the_resync() -> None:
    bench = subscribed(BOOK)
    bench.desync(BOOK)
    bench.ack(bench.take()[0])
    bench.ack(bench.take()[0])
    bench.sync(BOOK)
    bench.desync(BOOK)
    assert bench.state(BOOK) == "leaving"
    bench.sync(BOOK)
    assert bench.state(BOOK) == "confirmed"
    bench.wait(5)
    assert bench.take() == []


def test_level_1_waits_for_its_next_snapshot() -> None:
    bench = subscribed(LEVEL1)
    bench.desync(LEVEL1)
    bench.wait(3)
    assert (bench.state(LEVEL1), bench.take()) == ("awaiting snapshot", [])
    bench.sync(LEVEL1)
    bench.wait(60)
    assert (bench.state(LEVEL1), bench.take()) == ("confirmed", [])
    assert bench.decided(RecordKind.STALLED) == []


def test_level_1_whose_next_snapshot_stays_away_is_subscribed_anew() -> None:
    bench = subscribed(LEVEL1, snapshot_timeout_s=5)
    bench.desync(LEVEL1)
    bench.wait(4)
    bench.desync(LEVEL1)
    bench.wait(1)
    assert [request["op"] for request in bench.take()] == ["unsubscribe"]
    assert bench.decided(RecordKind.STALLED)[0]["topics"] == [LEVEL1]


def test_a_topic_removed_while_its_request_is_unanswered_is_left_until_the_venue_says_so() -> None:
    bench = subscribed(BOOK, ack_timeout_s=3)
    bench.session.add([TRADES], bench.clock.now())
    bench.tick()
    bench.session.remove([TRADES], bench.clock.now())
    bench.tick()
    assert [request["op"] for request in bench.take()] == ["subscribe"]
    for _ in range(2):
        bench.wait(3)
        (request,) = bench.take()
        assert (request["op"], request["args"]) == ("unsubscribe", [TRADES])
    bench.ack(request)
    bench.wait(60)
    assert bench.take() == []


def test_a_snapshot_amid_the_unsubscribe_is_not_trusted() -> None:
    bench = subscribed(BOOK)
    bench.desync(BOOK)
    bench.sync(BOOK)
    bench.ack(bench.take()[0])
    assert bench.decided(RecordKind.STALLED)[0]["topics"] == [BOOK]
    bench.ack(bench.take()[0])
    assert bench.state(BOOK) == "awaiting snapshot"


def test_an_unsubscribe_without_ack_goes_on_to_subscribe() -> None:
    bench = subscribed(BOOK, ack_timeout_s=3)
    bench.desync(BOOK)
    bench.take()
    bench.wait(3)
    assert [request["op"] for request in bench.take()] == ["subscribe"]


def test_pings_go_out_as_json_and_pongs_of_every_shape_are_known() -> None:
    pongs = [
        {"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"},
        {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "", "op": "ping"},
        {"args": ["1790000000000"], "op": "pong"},
        {"req_id": "hb1", "op": "pong", "args": ["1790000000000"], "conn_id": "c"},
        {"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1790000000000"], "connId": "c"},
    ]
    bench = subscribed(TRADES, ping_interval_s=20)
    for count, pong in enumerate(pongs, 1):
        bench.wait(20)
        assert bench.pings == count
        bench.hear(pong)
    bench.wait(19)
    assert bench.session.counters["pongs"] == len(pongs)
    assert bench.session.reconnect_cause is None


def test_silence_after_a_ping_is_death() -> None:
    bench = subscribed(TRADES, ping_interval_s=20, pong_timeout_s=10)
    bench.is_silent = True
    bench.wait(29.9)
    assert bench.session.reconnect_cause is None
    bench.wait(0.1)
    assert bench.session.reconnect_cause == "pong_timeout"


def test_any_frame_after_a_ping_is_life() -> None:
    bench = subscribed(TRADES, ping_interval_s=20, pong_timeout_s=10)
    bench.is_silent = True
    bench.wait(25)
    bench.session.heard(bench.clock.now().mono_ns)
    bench.wait(10)
    assert bench.session.reconnect_cause is None
    assert bench.session.counters["missed_pongs"] == 1


def test_reconnecting_subscribes_everything_again() -> None:
    bench = subscribed(BOOK, TRADES)
    bench.disconnect("pong_timeout")
    assert bench.decided(RecordKind.DISCONNECTED)[0]["cause"] == "pong_timeout"
    bench.connect()
    assert [request["args"] for request in bench.take()] == [[BOOK, TRADES]]
    assert len(bench.decided(RecordKind.CONNECTED)) == 2


def test_failed_attempts_in_a_row_are_told_once() -> None:
    bench = Bench("linear", BOOK)
    for _ in range(5):
        bench.fail("refused")
    assert bench.noted() == ["connect_failed: refused"]
    assert bench.decided(RecordKind.DISCONNECTED) == []
    bench.connect()
    bench.disconnect()
    for _ in range(5):
        bench.fail("timeout")
    bench.connect()
    assert len(bench.decided(RecordKind.DISCONNECTED)) == 1
    assert bench.noted() == [
        "connect_failed: refused",
        "connect_failed: timeout",
        "reconnected: after 0.000 s",
    ]


def test_answers_of_an_old_connection_mean_nothing_on_the_new_one() -> None:
    bench = Bench("linear", TRADES)
    bench.connect()
    (old,) = bench.take()
    bench.disconnect()
    bench.connect()
    bench.ack(old)
    assert bench.state(TRADES) == "subscribing"


def test_a_removed_topic_is_unsubscribed_and_forgotten() -> None:
    bench = subscribed(BOOK, TRADES)
    bench.session.remove([BOOK], bench.clock.now())
    bench.tick()
    assert bench.decided(RecordKind.REQUESTED)[-2:][0]["op"] == "remove"
    (leave,) = bench.take()
    assert (leave["op"], leave["args"]) == ("unsubscribe", [BOOK])
    bench.ack(leave)
    assert bench.take() == []
    assert list(bench.session.states()) == [TRADES]
    with pytest.raises(UsageError, match="not subscribed"):
        bench.session.remove([BOOK], bench.clock.now())


def test_a_topic_removed_before_its_ack_is_unsubscribed_after_it() -> None:
    bench = Bench("linear", BOOK)
    bench.connect()
    bench.session.remove([BOOK], bench.clock.now())
    bench.ack(bench.take()[0])
    (leave,) = bench.take()
    assert leave["op"] == "unsubscribe"
    bench.ack(leave)
    assert bench.session.states() == {}
    assert bench.take() == []


def test_a_topic_wanted_again_while_it_leaves_comes_back() -> None:
    bench = subscribed(BOOK)
    bench.session.remove([BOOK], bench.clock.now())
    bench.tick()
    bench.session.add([BOOK], bench.clock.now())
    bench.ack(bench.take()[0])
    (back,) = bench.take()
    assert (back["op"], back["args"]) == ("subscribe", [BOOK])


def test_a_topic_wanted_again_is_without_data_only_since_then() -> None:
    bench = subscribed(BOOK, snapshot_timeout_s=5)
    bench.wait(3600)
    bench.session.remove([BOOK], bench.clock.now())
    bench.tick()
    again_ns = bench.clock.now().wall_ns
    bench.session.add([BOOK], bench.clock.now())
    for op in ("unsubscribe", "subscribe"):
        (request,) = bench.take()
        assert request["op"] == op
        bench.ack(request)
    assert bench.decided(RecordKind.STALLED) == []
    assert bench.state(BOOK) == "awaiting snapshot"
    bench.wait(5)
    assert [decision["start_ns"] for decision in bench.decided(RecordKind.STALLED)] == [again_ns]


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        "pong?",
        None,
        {"op": "auth", "success": True},
        {"success": "yes", "op": 5},
        {"type": "COMMAND_RESP", "data": None},
        {"type": "COMMAND_RESP", "success": True, "data": {"successTopics": "x", "failTopics": [1]}},
        {"success": True, "req_id": "nobody", "op": "subscribe"},
        {"success": False, "ret_msg": "error:handler not found,topic:nobody", "op": "unsubscribe"},
    ],
)
def test_messages_that_mean_nothing_are_counted_and_change_nothing(message: object) -> None:
    bench = subscribed(BOOK)
    bench.hear(message)
    counters = bench.session.counters
    assert counters["unknown_messages"] + counters["stray_answers"] == 1
    assert bench.state(BOOK) == "confirmed"


def test_decisions_are_stamped_and_encoded_as_json() -> None:
    bench = Bench("linear")
    now = bench.clock.now()
    bench.session.add([BOOK], now)
    (decision,) = bench.session.take_decisions()
    assert (decision.recv_ns, decision.mono_ns) == (now.wall_ns, now.mono_ns)
    assert json.loads(decision.encoded()) == decision.payload
