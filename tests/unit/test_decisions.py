"""A decision obeyed live and one read back from its record must do the same to a dispatcher."""

import orjson
import pytest

from engine.decisions import obey
from ext.dispatch import Dispatcher
from ext.journal import RecordKind
from ext.listener import Event, Gap, Listener
from tests.support.sessions import Bench
from tests.support.special import book_answer
from tests.support.venue import delta, snapshot

BOOK = "orderbook.50.BTCUSDT"
TRADES = "publicTrade.BTCUSDT"


class Log(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_gap(self, gap: Gap) -> None:
        self.lines.append(f"{gap.topic} {gap.cause} {gap.fault} {gap.start_ns} {gap.end_ns} {gap.detail}")

    def on_event(self, event: Event) -> None:
        self.lines.append(f"{event.kind} {event.topic} {event.detail}")


def test_records_replay_to_the_same_gaps_and_events() -> None:
    bench = Bench("linear", BOOK, TRADES, snapshot_timeout_s=1)
    bench.connect()
    bad_reason = f"error:handler not found,topic:{TRADES}"
    bench.ack(bench.take()[0], bad_reason)
    bench.ack(bench.take()[0])
    bench.wait(1)
    bench.disconnect("pong_timeout")
    live, replayed = Log(), Log()
    one, other = Dispatcher("linear", live), Dispatcher("linear", replayed)
    for number, (kind, payload) in enumerate(bench.decisions, 1):
        obey(one, kind, payload, 1000 + number, number)
        obey(other, kind, orjson.loads(orjson.dumps(payload)), 1000 + number, number)
    kinds = {kind for kind, _ in bench.decisions}
    assert kinds >= {RecordKind.CONNECTED, RecordKind.REJECTED, RecordKind.STALLED, RecordKind.DISCONNECTED}
    assert live.lines == replayed.lines
    wanted_ns = bench.decided(RecordKind.REJECTED)[0]["start_ns"]
    assert f"{TRADES} rejected caller {wanted_ns} 0 {bad_reason}" in live.lines
    assert f"{BOOK} stalled venue {wanted_ns} 0 no snapshot in 1 s" in live.lines
    assert "disconnected  pong_timeout" in live.lines


@pytest.mark.parametrize("topics", [[BOOK], None])
def test_a_loss_makes_books_stale(topics: list[str] | None) -> None:
    log = Log()
    dispatcher = Dispatcher("linear", log)
    dispatcher.feed(snapshot(BOOK, 100).encode(), 1)
    payload = {"topics": topics, "start_ns": 5, "cause": "not_running", "fault": "ours", "detail": ""}
    obey(dispatcher, RecordKind.LOST, payload, 9)
    dispatcher.feed(delta(BOOK, 101).encode(), 10)
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state.name == "STALE"
    assert log.lines == [f"{BOOK} not_running ours 5 0 "]


def test_a_loss_of_another_category_is_none_of_ours() -> None:
    log = Log()
    dispatcher = Dispatcher("linear", log)
    dispatcher.feed(snapshot(BOOK, 100).encode(), 1)
    payload = {"category": "spot", "topics": [BOOK], "start_ns": 5, "cause": "own_drop", "fault": "ours"}
    obey(dispatcher, RecordKind.LOST, payload | {"detail": ""}, 9)
    assert log.lines == []


@pytest.mark.parametrize(
    "kind", [RecordKind.HEARTBEAT, RecordKind.STOPPED, RecordKind.CLOCK, RecordKind.REST]
)
def test_kinds_without_meaning_for_a_dispatcher_do_nothing(kind: RecordKind) -> None:
    log = Log()
    obey(Dispatcher("linear", log), kind, {}, 1)
    assert log.lines == []


@pytest.mark.parametrize(("category", "lines"), [("linear", ["listed  NEWUSDT"]), ("spot", [])])
def test_a_note_is_an_event_of_its_category(category: str, lines: list[str]) -> None:
    log = Log()
    payload = {"category": category, "kind": "listed", "topic": "", "detail": "NEWUSDT"}
    obey(Dispatcher("linear", log), RecordKind.NOTED, payload, 1)
    assert log.lines == lines


@pytest.mark.parametrize(("category", "causes"), [("linear", ["audit"]), ("spot", [])])
def test_an_audit_and_its_answer_reach_the_dispatcher(category: str, causes: list[str]) -> None:
    log = Log()
    dispatcher = Dispatcher("linear", log)
    dispatcher.feed(snapshot(BOOK, 100).encode(), 1)
    about = {"connection": 1, "category": "linear", "leg": 0}
    obey(dispatcher, RecordKind.REQUESTED, {**about, "op": "audit", "topics": [BOOK]}, 2, 2)
    answer = {
        "path": "/v5/market/orderbook",
        "query": {},
        "category": category,
        "use": "audit",
        "topic": BOOK,
    }
    body = book_answer(100, [("100.1", "9")], []).decode()
    obey(dispatcher, RecordKind.REST, {**answer, "body": body}, 3, 3)
    assert [line.split()[1] for line in log.lines] == causes
    obey(dispatcher, RecordKind.REST, {**answer, "use": "instruments", "topic": "", "body": "{}"}, 4, 4)
