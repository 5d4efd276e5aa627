"""The audit log's payloads: what was asked and answered, and nothing that is secret."""

from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from engine.orders import audit
from engine.orders.account import Account
from engine.orders.events import OrderEvent
from engine.orders.guards import Refused, Rule
from ext.journal import Journal, Record, RecordKind
from tests.support.order_rows import SENT_MS, intent, order_row
from tests.support.spools import START_NS, Segments

FIELDS = {"symbol": "BTCUSDT", "side": "Buy", "qty": Decimal("0.010"), "reduceOnly": False, "positionIdx": 0}


def test_a_request_and_its_answer() -> None:
    request = audit.request("ws", "order.create", "r-1", "linear", [FIELDS])
    assert orjson.loads(audit.encoded(request)) == {
        "record": "request",
        "via": "ws",
        "op": "order.create",
        "request_id": "r-1",
        "category": "linear",
        "orders": [{**FIELDS, "qty": "0.010"}],
    }
    answer = audit.answer("ws", "order.create", "r-1", None, "timeout" * 100, [(0, "OK", "o1", "bot1-1-1")])
    assert answer["orders"] == [{"code": 0, "message": "OK", "orderId": "o1", "orderLinkId": "bot1-1-1"}]
    assert (answer["code"], len(answer["message"])) == (None, audit.MESSAGE_CHARS_MAX)


def test_what_is_no_field_of_an_order_is_left_out() -> None:
    secret = {"X-BAPI-SIGN": "s3cret", "X-BAPI-API-KEY": "s3cret", "apiKey": "s3cret", "sign": ["s3cret"]}
    request = audit.request("rest", "order/create", "", "linear", [{**FIELDS, **secret}])
    assert b"s3cret" not in audit.encoded(request)
    assert request["orders"][0]["X-BAPI-SIGN"] == audit.LEFT_OUT


def test_a_refusal_and_a_change() -> None:
    why = Refused(Rule.MIN_QTY, "qty", "0.0005", "is below minOrderQty 0.001 of linear BTCUSDT")
    refused = audit.refused("order.create", why, "linear", [FIELDS])
    assert (refused["rule"], refused["field"], refused["value"]) == ("MIN_QTY", "qty", "0.0005")
    account = Account()
    account.sending(intent(), SENT_MS, 0)
    (event,) = account.take_order(order_row("PartiallyFilled", filled="0.5"), asked_ms=SENT_MS)
    assert isinstance(event, OrderEvent)
    assert orjson.loads(audit.encoded(audit.order(event))) == {
        "record": "order",
        "category": "linear",
        "symbol": "BTCUSDT",
        "link_id": "bot1-1-1",
        "order_id": "o1",
        "before": "PENDING",
        "state": "LIVE",
        "cause": "row",
        "status": "PartiallyFilled",
        "qty": "1",
        "filled_qty": "0.5",
        "is_reconciled": True,
    }


def test_a_record_is_bounded() -> None:
    assert len(audit.request("ws", "x", "r", "linear", [FIELDS] * 99)["orders"]) == audit.ORDERS_MAX


def test_a_log_that_fails_holds_up_nothing_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def full(payload: bytes) -> None:
        raise OSError(len(payload))

    trail = audit.Trail(full)
    for _ in range(2):
        trail.put(audit.rest, "sent", "/v5/order/cancel-all", b"{}")
    assert trail.failures == 2
    assert caplog.text.count("a record of the audit log is lost") == 1


def test_what_rest_says_of_the_key_is_left_out() -> None:
    assert audit.rest("received", "/v5/user/query-api", b'{"apiKey":"k3y"}')["body"] == audit.LEFT_OUT
    assert audit.rest("sent", "/v5/order/cancel-all", b"x" * 9_999)["body"] == "x" * audit.BODY_CHARS_MAX


def test_records_of_a_journal(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    journal = Journal(segments, START_NS, 1)
    trail = audit.Trail(audit.journalled(journal, RecordKind.NOTED + 1, lambda: (START_NS, 2), connection=3))
    trail.rest("sent", "/v5/order/cancel-all", b"{}")
    journal.commit()
    *_, record = segments.records()
    assert isinstance(record, Record)
    assert (record.kind, record.connection, record.recv_ns) == (RecordKind.NOTED + 1, 3, START_NS)
    assert orjson.loads(record.payload)["path"] == "/v5/order/cancel-all"
    journal.close()
    segments.close()
