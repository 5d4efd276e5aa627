"""What capture notices of itself: a clock that was set, a process that stood still, losses of the spool."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from engine.clock import ManualClock
from engine.feed import Feed
from engine.subscriptions import TopicState
from ext.journal import Record, RecordKind
from ext.listener import Event, Gap, Listener
from recorder.config import checked
from recorder.recording.capture import Capture
from recorder.spool.reader import SpoolReader
from recorder.spool.writer import Spool

TOPIC = "orderbook.50.BTCUSDT"


class Heard(Listener):
    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.events: list[Event] = []

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def on_event(self, event: Event) -> None:
        self.events.append(event)


class Resynced(Feed):
    """A feed of one topic that does not run, and counts how often it is to begin anew."""

    resyncs = 0

    @property
    def topics(self) -> dict[str, dict[str, TopicState]]:
        return {"linear": {TOPIC: TopicState.CONFIRMED}}

    def resync(self) -> None:
        self.resyncs += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def capture(tmp_path: Path, clock: ManualClock, heard: Heard) -> Iterator[Capture]:
    """A capture with a spool and a feed, neither of them at work."""
    config = checked(data=tmp_path, market=[{"symbols": ["BTCUSDT"]}])
    one = Capture(config, heard, clock)
    with Spool(one.folder.spool, "tapehead", now=clock.now) as spool:
        one.spool = spool
        one.feed = Resynced(heard)
        one.feed.add_topics("linear", [[TOPIC]])
        yield one


def records(capture: Capture, kind: RecordKind) -> list[dict[str, object]]:
    assert capture.spool is not None
    capture.spool.heartbeat()
    with SpoolReader(capture.folder.spool) as reader:
        found = list(iter(reader.poll, None))
    return [orjson.loads(one.payload) for one in found if isinstance(one, Record) and one.kind == kind]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_was_set_is_told_once(
    capture: Capture, clock: ManualClock, heard: Heard, hours: int
) -> None:
    for _ in range(3):
        clock.advance(1)
        capture._check_clock()
    clock.step_wall(hours * 3600)
    for _ in range(3):
        clock.advance(1)
        capture._check_clock()
    assert records(capture, RecordKind.CLOCK) == [{"step_ns": hours * 3600 * 10**9}]
    assert [(event.kind, event.detail) for event in heard.events] == [
        ("clock_stepped", f"by {hours * 3600:+d}.000 s")
    ]


def test_a_process_that_stood_still_is_told_with_the_time_it_did(
    capture: Capture, clock: ManualClock, heard: Heard
) -> None:
    assert capture.feed is not None
    beaten_ns = clock.now().mono_ns
    clock.advance(1.2)  # a heartbeat that is a little late
    beaten_ns = capture._check_pause(capture.feed, beaten_ns)
    assert heard.gaps == []
    before = clock.now()
    clock.advance(30)
    assert capture._check_pause(capture.feed, beaten_ns) == clock.now().mono_ns
    (loss,) = records(capture, RecordKind.LOST)
    assert (loss["start_ns"], loss["end_ns"]) == (before.wall_ns, clock.now().wall_ns)
    assert [(gap.topic, gap.cause, gap.is_closed) for gap in heard.gaps] == [
        (TOPIC, "not_running", False),
        (TOPIC, "not_running", True),
    ]


def test_after_a_loss_of_the_spool_all_begins_anew(capture: Capture, heard: Heard) -> None:
    assert capture.spool is not None
    assert isinstance(capture.feed, Resynced)
    capture.feed.dispatcher("linear").desired([TOPIC], 1_000)
    capture._obey_losses(capture.spool, capture.feed)
    assert capture.feed.resyncs == 0
    capture.spool.lost(2_000, 3_000, 5)
    capture._obey_losses(capture.spool, capture.feed)
    assert capture.feed.resyncs == 1
    assert [(gap.topic, gap.cause, gap.start_ns) for gap in heard.gaps] == [(TOPIC, "own_drop", 2_000)]
