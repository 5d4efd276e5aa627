"""Coverage: every second of every topic is recorded or in the ledger, and what is not is found."""

from pathlib import Path

import pytest

from ext.journal import RecordKind
from recorder import ledger
from recorder.coverage import SETTLE_NS_MAX, Coverage, coverage
from recorder.intervals import intersect, subtract, union
from tests.support.market import START_NS, SpoolMaker, book_frame, trade_frame
from tests.support.market import S as SECOND

BOOK, TRADES = ("linear", "orderbook.50.AAAUSDT"), ("linear", "publicTrade.AAAUSDT")
LEVELS = ([("10.1", "1")], [("10.3", "1")])
HOUR_NS = 3600 * SECOND


@pytest.fixture
def maker(tmp_path: Path) -> SpoolMaker:
    return SpoolMaker(tmp_path / "spool")


def begin(maker: SpoolMaker, update_id: int = 100) -> None:
    """Subscribe, and get a snapshot and a trade; the book goes on by `go_on`."""
    maker.connect(BOOK[1], TRADES[1])
    maker.frame(book_frame("AAAUSDT", "snapshot", update_id, *LEVELS))
    maker.frame(trade_frame("AAAUSDT", [("t", "Buy", "10.3", "1")]))


def measured(maker: SpoolMaker) -> Coverage:
    maker.close()
    return coverage(maker.spool.folder)


def missing_s(found: Coverage) -> dict[tuple[str, str], list[float]]:
    """How long each uncovered interval is, in whole seconds."""
    return {
        topic: [round((end - start) / SECOND) for start, end in intervals]
        for topic, intervals in found.uncovered.items()
        if intervals
    }


def test_a_plain_recording_is_covered(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(60)
    found = measured(maker)
    assert found.is_complete
    assert set(found.wanted) == {BOOK, TRADES}
    assert [round((end - start) / SECOND) for start, end in found.recorded[BOOK]] == [60]
    assert found.ledger[BOOK] == []
    assert found.to_dict()["topics"][0]["recorded_s"] == pytest.approx(60, abs=0.1)


def test_time_without_any_record_is_found(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    maker.now_ns += 30 * SECOND
    maker.beat(5)
    found = measured(maker)
    assert missing_s(found) == {BOOK: [30 + 1], TRADES: [30 + 1]}
    assert not found.is_complete


def test_a_process_that_stood_still_says_so(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    before_ns = maker.wall_ns
    maker.now_ns += 30 * SECOND
    maker.record(
        RecordKind.LOST, ledger.missed(before_ns, maker.wall_ns, "not_running", "the process stood still")
    )
    maker.beat(5)
    found = measured(maker)
    assert found.is_complete
    assert found.ledger[BOOK] == found.ledger[TRADES] == [(before_ns, before_ns + 30 * SECOND)]


def test_a_cut_connection_is_in_the_ledger_until_data_comes_again(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    maker.disconnect("lost")
    maker.beat(7)
    begin(maker)
    maker.beat(5)
    found = measured(maker)
    assert found.is_complete
    assert [round((end - start) / SECOND) for start, end in found.ledger[BOOK]] == [12]


def test_the_recorder_not_running_is_in_the_ledger(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    maker.close()
    again = SpoolMaker(maker.spool.folder, start_ns=maker.now_ns + 600 * SECOND)
    begin(again, 7000)
    again.beat(5)
    found = measured(again)
    assert found.is_complete
    assert [round((end - start) / SECOND) for start, end in found.ledger[TRADES]] == [600]


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("is_down", [False, True], ids=["connected", "disconnected"])
def test_a_wall_clock_that_is_set_covers_nothing_and_uncovers_nothing(
    maker: SpoolMaker, hours: int, is_down: bool
) -> None:
    begin(maker)
    maker.beat(5)
    if is_down:
        maker.disconnect("lost")
    maker.wall_ahead_ns = hours * HOUR_NS
    maker.beat(1)
    maker.record(RecordKind.CLOCK, {"step_ns": maker.wall_ahead_ns})
    maker.beat(5)
    if is_down:
        begin(maker)
    maker.beat(5)
    maker.disconnect("lost")
    maker.beat(5)
    found = measured(maker)
    assert found.is_complete
    assert all(start >= START_NS and end < START_NS + 100 * SECOND for start, end in found.ledger[BOOK])
    assert sum(end - start for start, end in found.ledger[BOOK]) < 30 * SECOND


def test_a_start_under_a_clock_that_was_set_back(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    maker.close()
    again = SpoolMaker(maker.spool.folder, start_ns=maker.now_ns + 60 * SECOND)
    again.wall_ahead_ns = -HOUR_NS
    begin(again, 7000)
    again.beat(5)
    assert measured(again).is_complete


def test_what_is_not_wanted_any_more_needs_no_cover(maker: SpoolMaker) -> None:
    begin(maker)
    maker.beat(5)
    common = {"connection": 1, "category": "linear", "leg": 0, "op": "remove"}
    maker.record(RecordKind.REQUESTED, {**common, "topics": [TRADES[1]]})
    maker.beat(20)
    found = measured(maker)
    assert found.is_complete
    assert [round((end - start) / SECOND) for start, end in found.wanted[TRADES]] == [5]
    assert [round((end - start) / SECOND) for start, end in found.wanted[BOOK]] == [25]


def test_a_wish_that_is_not_fulfilled_soon_is_missing(maker: SpoolMaker) -> None:
    maker.connect(BOOK[1], TRADES[1])
    maker.beat(20)
    found = measured(maker)
    assert 20 * SECOND > SETTLE_NS_MAX
    assert missing_s(found) == {BOOK: [20]}


@pytest.mark.parametrize(
    ("one", "other", "both", "less"),
    [
        ([(0, 10)], [(2, 3), (5, 20)], [(2, 3), (5, 10)], [(0, 2), (3, 5)]),
        ([(0, 10)], [], [], [(0, 10)]),
        ([], [(0, 10)], [], []),
        ([(5, 6), (8, 9)], [(0, 100)], [(5, 6), (8, 9)], []),
        ([(0, 4), (6, 9)], [(4, 6)], [], [(0, 4), (6, 9)]),
    ],
)
def test_intervals(
    one: list[tuple[int, int]],
    other: list[tuple[int, int]],
    both: list[tuple[int, int]],
    less: list[tuple[int, int]],
) -> None:
    assert intersect(one, other) == intersect(other, one) == both
    assert subtract(one, other) == less
    assert union([*reversed(one), *one]) == one
