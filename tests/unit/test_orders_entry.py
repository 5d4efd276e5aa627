"""The order-entry session: login, request ids, deadlines, batches, what a lost connection leaves open."""

from typing import Any

import orjson
import pytest

from engine.bybit.credentials import Credentials
from engine.clock import ManualClock
from engine.errors import NotSentError
from engine.orders.entry import EntrySession

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
SERVER_MS = 1_700_000_000_000


def opened(clock: ManualClock) -> EntrySession:
    session = EntrySession(Credentials("testnet", KEY, SECRET), "bot1-1", timeout_s=5)
    session.connected(clock.now(), SERVER_MS)
    return session


def ready(clock: ManualClock) -> EntrySession:
    session = opened(clock)
    session.take_sends()
    session.message({"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}, clock.now())
    return session


def create(session: EntrySession, clock: ManualClock, op: str = "order.create") -> str:
    fields: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT"}
    return session.request(op, fields, clock.now(), stamp_ms=SERVER_MS, recv_window_ms=2_000)


def answer(request_id: str, code: int = 0, **more: object) -> dict[str, object]:
    return {"reqId": request_id, "retCode": code, "retMsg": "OK", "op": "order.create", "data": {}} | more


def test_a_login_is_signed_for_the_time_of_the_venue() -> None:
    (login,) = opened(ManualClock()).take_sends()
    assert orjson.loads(login) == {
        "req_id": "login",
        "op": "auth",
        "args": [KEY, 1700000010000, "72d38b6d2dbd0daf039f6f4889885006574e960acf752c755e7d878e2b6ae410"],
    }


def test_nothing_is_sent_before_the_login_is_answered() -> None:
    clock = ManualClock()
    with pytest.raises(NotSentError, match="not connected and logged in"):
        create(opened(clock), clock)


def test_a_request_is_as_the_venue_documents_it() -> None:
    clock = ManualClock()
    session = ready(clock)
    request_id = create(session, clock)
    (sent,) = session.take_sends()
    assert orjson.loads(sent) == {
        "reqId": request_id,
        "header": {"X-BAPI-TIMESTAMP": "1700000000000", "X-BAPI-RECV-WINDOW": "2000"},
        "op": "order.create",
        "args": [{"category": "linear", "symbol": "BTCUSDT"}],
    }


def test_answers_find_their_requests_whatever_their_order() -> None:
    clock = ManualClock()
    session = ready(clock)
    first, second = create(session, clock), create(session, clock)
    header = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Reset-Timestamp": "1"}
    session.message(answer(second, data={"orderId": "2"}, header=header), clock.now())
    session.message(answer(first, 110007, retMsg="ab not enough"), clock.now())
    results = session.take_results()
    assert [(one.request_id, one.code) for one in results] == [(second, 0), (first, 110007)]
    assert results[0].data == {"orderId": "2"}
    assert results[0].limits == {"x-bapi-limit": "10", "x-bapi-limit-reset-timestamp": "1"}
    assert session.pending == 0


def test_a_failure_may_have_nothing_but_its_code() -> None:
    clock = ManualClock()
    session = ready(clock)
    session.message({"reqId": create(session, clock), "retCode": 10404}, clock.now())
    assert [(one.code, one.data, one.items) for one in session.take_results()] == [(10404, {}, ())]


def test_each_order_of_a_batch_has_its_own_result() -> None:
    clock = ManualClock()
    session = ready(clock)
    request_id = create(session, clock, "order.create-batch")
    data = {"list": [{"orderId": "1", "orderLinkId": "a"}, {"orderId": "", "orderLinkId": "b"}]}
    ext = {"list": [{"code": 0, "msg": "OK"}, {"code": 10006, "msg": "Too many visits!"}]}
    session.message(answer(request_id, data=data, retExtInfo=ext), clock.now())
    (result,) = session.take_results()
    assert [(one.code, one.order_id, one.order_link_id) for one in result.items] == [
        (0, "1", "a"),
        (10006, "", "b"),
    ]


def test_silence_ends_a_request_without_an_answer_and_a_late_one_is_counted() -> None:
    clock = ManualClock()
    session = ready(clock)
    request_id = create(session, clock)
    clock.advance(5)
    session.tick(clock.now())
    (result,) = session.take_results()
    assert (result.request_id, result.code, result.message) == (request_id, None, "timeout")
    session.message(answer(request_id), clock.now())
    assert (session.take_results(), session.late_answers) == ([], 1)


def test_a_lost_connection_leaves_its_requests_open_and_the_next_logs_in_anew() -> None:
    clock = ManualClock()
    session = ready(clock)
    request_id = create(session, clock)
    session.disconnected(clock.now())
    (result,) = session.take_results()
    assert (result.request_id, result.code, result.message) == (request_id, None, "disconnected")
    session.connected(clock.now(), SERVER_MS)
    assert [orjson.loads(sent)["op"] for sent in session.take_sends()] == ["auth"]
    assert not session.is_ready
    session.message({"retCode": 0, "op": "auth"}, clock.now())
    assert create(session, clock) != request_id


def test_a_service_that_restarts_answers_what_is_under_way() -> None:
    clock = ManualClock()
    session = ready(clock)
    first, second = create(session, clock), create(session, clock)
    session.message(answer(first, 10019), clock.now())
    with pytest.raises(NotSentError):
        create(session, clock)
    session.tick(clock.now())
    assert session.reconnect_cause is None
    session.message(answer(second), clock.now())
    session.tick(clock.now())
    assert session.reconnect_cause == "service_restart"


@pytest.mark.parametrize(
    "refusal",
    [
        {"success": False, "ret_msg": "no", "op": "auth"},
        {"retCode": 10004, "retMsg": "no", "op": "auth"},
        {"op": "auth", "success": False, "retCode": 10003, "retMsg": "no"},
    ],
)
def test_a_refused_login_ends_the_connection(refusal: dict[str, object]) -> None:
    clock = ManualClock()
    session = opened(clock)
    session.message(refusal, clock.now())
    assert session.login_error == (refusal.get("retCode", 0), "no")
    assert (session.is_ready, session.reconnect_cause) == (False, "login_refused")


def test_a_connection_that_does_not_breathe_is_replaced() -> None:
    clock = ManualClock()
    session = ready(clock)
    for _ in range(3):
        clock.advance(20)
        session.tick(clock.now())
        assert session.take_sends() == [b'{"op":"ping"}']
        session.message({"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1"]}, clock.now())
    clock.advance(20)
    session.tick(clock.now())
    clock.advance(10)
    session.tick(clock.now())
    assert session.reconnect_cause == "pong_timeout"


def test_no_answer_to_a_login_replaces_the_connection() -> None:
    clock = ManualClock()
    session = opened(clock)
    clock.advance(10)
    session.tick(clock.now())
    assert session.reconnect_cause == "login_timeout"


@pytest.mark.parametrize("message", [None, [], {}, {"op": "x"}, {"reqId": 5, "retCode": "0"}, "text"])
def test_nonsense_is_counted(message: object) -> None:
    clock = ManualClock()
    session = ready(clock)
    session.message(message, clock.now())
    assert session.strays + session.late_answers == 1
