"""What a spool says beyond frames: losses of the recorder itself, a clock that was set, what is wanted."""

from pathlib import Path

import pytest

from ext.journal import RecordKind
from ext.listener import Event, Gap, Listener
from recorder import ledger
from recorder.coverage import coverage
from recorder.playback import Playback
from recorder.recording.takeover import SUCCESSOR_LEG
from tests.support.market import S, SpoolMaker, book_frame, trade_frame
from tests.support.special import trades_answer

BOOK, TRADES = "orderbook.50.AAAUSDT", "publicTrade.AAAUSDT"
LEVELS = ([("10.1", "1")], [("10.3", "1")])


class Heard(Listener):
    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.events: list[Event] = []

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def maker(tmp_path: Path) -> SpoolMaker:
    return SpoolMaker(tmp_path / "spool")


def begin(maker: SpoolMaker, *topics: str, update_id: int = 100) -> None:
    maker.connect(*topics)
    maker.frame(book_frame("AAAUSDT", "snapshot", update_id, *LEVELS))
    maker.frame(trade_frame("AAAUSDT", [("t", "Buy", "10.3", "1")]))


def played(maker: SpoolMaker) -> tuple[Heard, Playback]:
    maker.close()
    heard = Heard()
    playback = Playback(maker.spool.folder, heard)
    while playback.run(1000):
        pass
    playback.close()
    return heard, playback


def test_an_interval_that_was_missed_is_a_gap_of_each_topic_and_no_book_turns_stale(
    maker: SpoolMaker,
) -> None:
    begin(maker, BOOK, TRADES)
    maker.now_ns += 30 * S
    position = maker.record(
        RecordKind.LOST, ledger.missed(maker.now_ns - 30 * S, maker.now_ns, "not_running", "still")
    )
    maker.frame(book_frame("AAAUSDT", "delta", 101, [("10.1", "2")]))
    heard, playback = played(maker)
    assert [(gap.topic, gap.is_closed) for gap in heard.gaps] == [
        (BOOK, False),
        (BOOK, True),
        (TRADES, False),
        (TRADES, True),
    ]
    assert {(gap.id, gap.cause, gap.fault, gap.detail) for gap in heard.gaps} == {
        (position, "not_running", "ours", "still")
    }
    assert {gap.end_ns - gap.start_ns for gap in heard.gaps if gap.is_closed} == {30 * S}
    assert playback.dispatchers["linear"].counters["gaps"] == 0


def test_a_clock_that_was_set_is_an_event(maker: SpoolMaker) -> None:
    maker.record(RecordKind.CLOCK, {"step_ns": -3600 * S})
    heard, _ = played(maker)
    (event,) = [event for event in heard.events if event.kind == "clock_stepped"]
    assert event.detail == "by -3600.000 s"


def test_what_is_not_wanted_after_a_start_is_missing_until_then(maker: SpoolMaker) -> None:
    begin(maker, BOOK, TRADES)
    stopped_ns = maker.now_ns
    maker.close()
    again = SpoolMaker(maker.spool.folder, start_ns=stopped_ns + 60 * S, wanted=[BOOK])
    begin(again, BOOK, update_id=7000)
    heard, _ = played(again)
    closed = {gap.topic: gap.end_ns - gap.start_ns for gap in heard.gaps if gap.is_closed}
    assert closed[TRADES] == 60 * S
    assert closed[BOOK] > 60 * S
    assert {gap.cause for gap in heard.gaps} == {"not_running"}
    assert [event.topic for event in heard.events if event.kind == "removed"] == [TRADES]


def test_a_leg_of_an_earlier_run_keeps_no_topic_in_step(maker: SpoolMaker) -> None:
    """Of two legs one is left after the start: when that is cut nothing carries the topic."""
    begin(maker, BOOK)
    second = {"connection": 2, "category": "linear", "leg": 1}
    maker.record(RecordKind.CONNECTED, {**second, "url": "x"})
    maker.record(RecordKind.REQUESTED, {**second, "op": "desire", "topics": [BOOK]})
    maker.close()
    again = SpoolMaker(maker.spool.folder, start_ns=maker.now_ns + 60 * S, wanted=[BOOK])
    begin(again, BOOK, update_id=7000)
    again.disconnect("lost")
    heard, _ = played(again)
    assert [(gap.cause, gap.is_closed) for gap in heard.gaps if gap.topic == BOOK] == [
        ("not_running", False),
        ("not_running", True),
        ("disconnect", False),
    ]


def two_runs(maker: SpoolMaker) -> SpoolMaker:
    """A run with the book on legs 0 and 1 and a takeover announced; then another, with leg 0 alone."""
    begin(maker, BOOK)
    for leg in (1, SUCCESSOR_LEG):
        said = {"connection": 0, "category": "linear", "leg": leg, "op": "desire", "topics": [BOOK]}
        maker.record(RecordKind.REQUESTED, said)
    maker.close()
    again = SpoolMaker(maker.spool.folder, start_ns=maker.now_ns + 60 * S, wanted=[BOOK])
    begin(again, BOOK, update_id=7000)
    return again


def test_what_is_removed_by_hand_is_gone_whatever_legs_an_earlier_run_had(maker: SpoolMaker) -> None:
    again = two_runs(maker)
    common = {"connection": 1, "category": "linear", "leg": 0}
    removed = again.record(RecordKind.REQUESTED, {**common, "op": "remove", "topics": [BOOK]})
    again.disconnect("lost")
    heard, playback = played(again)
    assert BOOK not in [gap.topic for gap in playback.dispatchers["linear"].open_gaps()]
    assert {gap.cause for gap in heard.gaps if gap.topic == BOOK} == {"not_running"}
    assert [event.position for event in heard.events if event.kind == "removed"] == [removed]


def test_coverage_asks_for_nothing_that_was_removed_by_hand(maker: SpoolMaker) -> None:
    again = two_runs(maker)
    common = {"connection": 1, "category": "linear", "leg": 0}
    again.record(RecordKind.REQUESTED, {**common, "op": "remove", "topics": [BOOK]})
    again.beat(30)
    again.close()
    found = coverage(again.spool.folder)
    assert found.is_complete
    assert found.wanted["linear", BOOK][-1][1] < again.now_ns - 29 * S


def test_an_answer_of_rest_is_obeyed_as_live(maker: SpoolMaker) -> None:
    begin(maker, BOOK, TRADES)
    rest = {"category": "linear", "topic": TRADES, "leg": 0, "path": "/v5/market/recent-trade", "query": {}}
    maker.record(RecordKind.REST, {**rest, "use": "trades", "body": trades_answer([]).decode()})
    _, playback = played(maker)
    assert playback.dispatchers["linear"].counters["answers"] == 1
