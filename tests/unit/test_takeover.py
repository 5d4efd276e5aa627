"""What a capture process holds in memory until the spool is its own, and how it gets there."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from ext.journal import JournalError, Record, RecordKind
from recorder.recording.takeover import LEGS_APART, STANDBY_SEGMENT, SUCCESSOR_LEG, Former, Standby
from recorder.spool.reader import SpoolReader
from recorder.spool.writer import Spool
from tests.support.spools import append_frame, take_pending

OLD: dict[str, Any] = {"connection": 1, "category": "linear", "leg": 0, "topics": ["publicTrade.AAAUSDT"]}


class Clock:
    """A `now` that shows what it is set to."""

    def __init__(self) -> None:
        self.ns = 1_000

    def __call__(self) -> tuple[int, int]:
        return self.ns, self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def old(tmp_path: Path, clock: Clock) -> Path:
    """The spool of a recording that ended at 1,500 ns."""
    with Spool(tmp_path, "r1", now=clock) as spool:
        append_frame(spool.journal, b"old", 1_200)
        clock.ns = 1_500
    return tmp_path


def read(folder: Path) -> list[Record]:
    with SpoolReader(folder) as reader:
        items = list(iter(reader.poll, None))
    assert all(isinstance(item, Record) for item in items)
    return [item for item in items if isinstance(item, Record)]


def test_what_is_in_memory_comes_after_the_old_record_with_its_stamps(old: Path, clock: Clock) -> None:
    standby = Standby(clock, bytes_max=1 << 20)
    for recv_ns in (1_400, 1_450, 1_501, 1_600):
        position = append_frame(standby.journal, b"%d" % recv_ns, recv_ns, connection=7)
        assert position >> 32 == STANDBY_SEGMENT
    clock.ns = 1_700
    with Spool(old, "r1", now=clock, journal=standby.journal) as spool:
        assert spool.journal is standby.journal
        assert standby.pour([OLD], spool.recovered.recv_ns) == 4
        append_frame(spool.journal, b"1800", 1_800, connection=7)
    records = read(old)
    kinds = [(RecordKind(record.kind).name, record.recv_ns) for record in records]
    assert kinds == [
        ("SEGMENT", 1_000),
        ("FRAME", 1_200),
        ("STOPPED", 1_500),
        ("SEGMENT", 1_700),
        ("FRAME", 1_400),
        ("FRAME", 1_450),
        ("DISCONNECTED", 1_500),
        ("REQUESTED", 1_500),
        ("REQUESTED", 1_500),
        ("FRAME", 1_501),
        ("FRAME", 1_600),
        ("FRAME", 1_800),
        ("STOPPED", 1_700),
    ]
    first = orjson.loads(records[3].payload)
    assert (first["reason"], first["previous"]) == ("takeover", records[2].position)
    gone, left = (orjson.loads(record.payload) for record in records[6:8])
    assert (gone["connection"], gone["leg"], gone["cause"]) == (1, 0, "takeover")
    assert (left["op"], left["topics"]) == ("remove", OLD["topics"])
    announced = orjson.loads(records[8].payload)
    assert (announced["leg"], announced["op"], announced["topics"]) == (
        SUCCESSOR_LEG,
        "remove",
        OLD["topics"],
    )


def test_the_memory_is_bounded_and_says_when_it_is_full(clock: Clock) -> None:
    standby = Standby(clock, bytes_max=1 << 16)
    for _ in range(20):
        append_frame(standby.journal, b"x" * 4_000, clock.ns)
    assert standby.is_full
    assert standby.journal.refused > 0
    standby.close()


def test_a_journal_does_not_move_under_frames_that_wait(old: Path, clock: Clock) -> None:
    standby = Standby(clock, bytes_max=1 << 16)
    standby.journal.append_record(RecordKind.FRAME, b"waits", 1, clock.ns, clock.ns)
    with pytest.raises(JournalError, match="1 frames wait for dispatch"):
        Spool(old, "r1", now=clock, journal=standby.journal)
    take_pending(standby.journal)
    Spool(old, "r1", now=clock, journal=standby.journal).close()
    standby.close()


def test_legs_and_connections_of_two_recordings_are_apart() -> None:
    former = Former([OLD, {**OLD, "connection": 9, "leg": 2}], {"linear": OLD["topics"]})
    assert former.legs() == {"linear": range(2 + LEGS_APART)}
    assert former.last_connection() > 9
    later = Former([{**OLD, "connection": 65_000, "leg": 70}], {})
    assert 0 not in later.legs()["linear"]
    assert later.last_connection() < 65_000


def test_what_is_behind_is_what_was_in_step_and_is_wanted() -> None:
    former = Former([], {"linear": ["a", "b", "c"], "spot": ["d"]})
    assert former.behind({"linear": ["a"]}, {"linear": ["a", "b"], "inverse": ["e"]}) == ["b"]
    assert former.behind({"linear": ["a", "b"]}, {"linear": ["a", "b"]}) == []
