"""What the keeper deleted, as a loader tells it: an event, or a gap of each topic that was desired."""

from pathlib import Path

from ext.journal import Record
from recorder.folder import DataFolder
from recorder.playback import Playback
from recorder.spool.seals import read_gone
from tests.support.kept import SEGMENT_BYTES, keeper, mark_loaded, read_items, settle
from tests.support.market import SpoolMaker, make_market
from tests.unit.test_playback import Heard

TOPICS = sorted(f"{kind}.AAAUSDT" for kind in ("orderbook.50", "publicTrade", "tickers", "kline.1"))


def recorded(folder: Path) -> list[int]:
    maker = SpoolMaker(folder, segment_bytes=SEGMENT_BYTES)
    make_market(maker, 1500, ["AAAUSDT"])
    maker.close()
    return [item.position for item in read_items(folder) if isinstance(item, Record)]


def heard(folder: Path) -> tuple[Heard, Playback]:
    listener = Heard()
    playback = Playback(folder, listener)
    while playback.run(100):
        pass
    playback.close()
    return listener, playback


def test_dropped_segments_are_a_gap_of_each_topic_desired_then(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    positions = recorded(folder)
    settle(keeper(folder, quota_bytes=4 * SEGMENT_BYTES, on_quota="drop_oldest", compress=False))
    (gone,) = read_gone(folder)
    listener, playback = heard(folder)
    told = [gap for gap in listener.gaps if gap.cause == "own_drop"]
    assert sorted(gap.topic for gap in told if gap.is_closed) == TOPICS
    assert {(gap.id, gap.fault, gap.start_ns) for gap in told} == {
        (gone.first_position, "ours", gone.first_recv_ns)
    }
    assert {gap.end_ns for gap in told if gap.is_closed} == {gone.last_recv_ns}
    assert "were dropped, for the quota had no room" in told[0].detail
    assert not {"expired", "spool_damaged"} & set(listener.kinds())
    assert playback.position == positions[-1]
    assert playback.records == len([one for one in positions if one > gone.last_position])


def test_expired_segments_are_an_event_and_no_gap(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    recorded(folder)
    mark_loaded(folder, 2)
    settle(keeper(folder, quota_bytes=4 * SEGMENT_BYTES, compress=False))
    (gone,) = read_gone(folder)
    listener, _ = heard(folder)
    (event,) = [event for event in listener.events if event.kind == "expired"]
    assert (event.position, event.recv_ns) == (gone.first_position, gone.last_recv_ns)
    assert not [gap for gap in listener.gaps if gap.cause == "own_drop"]


def test_compressed_segments_are_played_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    positions = recorded(folder)
    before, _ = heard(folder)
    settle(keeper(folder))
    after, playback = heard(folder)
    assert (after.gaps, after.kinds()) == (before.gaps, before.kinds())
    assert playback.records == len(positions)
    assert DataFolder(tmp_path).recorder() == "r1"
