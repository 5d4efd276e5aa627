"""The keeper: what it seals, compresses and deletes, and in which order."""

import hashlib
from pathlib import Path

import pytest
import zstandard

from engine.clock import ManualClock
from ext.journal import Record, RecordKind
from recorder.config import SpoolOptions, checked
from recorder.folder import DataFolder
from recorder.spool.durable import put
from recorder.spool.keeper import Keeper, _Keepers
from recorder.spool.reader import SpoolReader
from recorder.spool.seals import Gone, Reason, read_gone, read_seal, seal_path
from recorder.spool.segments import SpoolError, compressed_path, segment_path, segments, spool_bytes
from recorder.spool.writer import Spool
from tests.support.kept import (
    SEGMENT_BYTES,
    keeper,
    make_spool,
    mark_loaded,
    read_frames,
    read_items,
    settle,
)
from tests.support.room import Room
from tests.support.spools import START_NS, Ticks, append_frame, read_segment

DAY_S = 86_400


def test_all_segments_but_the_last_are_sealed_and_compressed(tmp_path: Path) -> None:
    written = make_spool(tmp_path)
    raw = {segment.number: segment.path.read_bytes() for segment in segments(tmp_path)}
    one = keeper(tmp_path)
    settle(one)
    found = segments(tmp_path)
    assert len(found) > 3
    assert [segment.is_compressed for segment in found] == [True] * (len(found) - 1) + [False]
    assert read_frames(tmp_path) == written
    for segment in found[:-1]:
        seal = read_seal(tmp_path, segment.number)
        assert seal is not None
        items = read_segment(raw[segment.number], segment.number)
        assert (seal.first_position, seal.last_position) == (items[0].position, items[-1].position)
        assert (seal.records, seal.frames) == (
            len(items),
            sum(isinstance(item, Record) and item.kind == RecordKind.FRAME for item in items),
        )
        assert (seal.bytes, seal.sha256) == (
            len(raw[segment.number]),
            hashlib.sha256(raw[segment.number]).hexdigest(),
        )
        assert seal.compressed_bytes == segment.bytes < seal.bytes
        assert zstandard.ZstdDecompressor().decompress(segment.path.read_bytes()) == raw[segment.number]
    assert seal_path(tmp_path, found[-1].number).exists() is False
    assert one.counters["sealed"] == one.counters["compressed"] == len(found) - 1
    assert not list(tmp_path.glob("*.new"))


def test_without_compression_segments_are_sealed_only(tmp_path: Path) -> None:
    make_spool(tmp_path)
    settle(keeper(tmp_path, compress=False))
    assert not list(tmp_path.glob("*.zst"))
    assert len(list(tmp_path.glob("*.seal"))) == len(segments(tmp_path)) - 1


def test_a_segment_that_changed_after_it_was_sealed_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_spool(tmp_path)
    settle(keeper(tmp_path, compress=False))
    path = segment_path(tmp_path, 2)
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    one = keeper(tmp_path)
    settle(one)
    assert path.read_bytes() == raw
    assert not compressed_path(tmp_path, 2).exists()
    assert compressed_path(tmp_path, 3).exists()
    assert one.counters["unsound"] == 1
    assert "is not what was sealed" in caplog.text


def test_a_compressed_file_that_is_not_good_is_made_again(tmp_path: Path) -> None:
    written = make_spool(tmp_path)
    settle(keeper(tmp_path, compress=False))
    compressed_path(tmp_path, 1).write_bytes(b"half a frame")
    one = keeper(tmp_path)
    settle(one)
    assert not segment_path(tmp_path, 1).exists()
    assert read_frames(tmp_path) == written


def test_loaded_segments_go_after_their_time_and_are_told(tmp_path: Path) -> None:
    written = make_spool(tmp_path)
    clock = ManualClock(START_NS)
    one = keeper(tmp_path, clock=clock, retention=DAY_S)
    mark_loaded(tmp_path, 2)
    settle(one)
    assert one.counters["expired"] == 0
    clock.advance(DAY_S + 1)
    settle(one)
    assert one.counters["expired"] == 2
    assert segments(tmp_path)[0].number == 3
    (gone,) = read_gone(tmp_path)
    assert (gone.reason, gone.first_segment, gone.last_segment) == (Reason.EXPIRED, 1, 2)
    told, *items = read_items(tmp_path)
    assert told == gone
    kept = {item.position for item in items if isinstance(item, Record) and item.kind == RecordKind.FRAME}
    assert kept == {position for position in written if position >> 32 > 2}
    assert not seal_path(tmp_path, 1).exists()


def test_what_is_not_loaded_stays_whatever_its_age(tmp_path: Path) -> None:
    written = make_spool(tmp_path)
    clock = ManualClock(START_NS)
    clock.advance(1000 * DAY_S)
    settle(keeper(tmp_path, clock=clock, retention=0))
    assert read_frames(tmp_path) == written


def test_loaded_ones_go_first_when_the_quota_presses(tmp_path: Path) -> None:
    make_spool(tmp_path)
    settle(keeper(tmp_path, compress=False))
    mark_loaded(tmp_path, 2)
    before = spool_bytes(tmp_path)
    one = keeper(tmp_path, compress=False, quota_bytes=before)
    settle(one)
    assert (one.counters["expired"], one.counters["dropped"]) == (2, 0)
    assert spool_bytes(tmp_path) + SEGMENT_BYTES <= before


@pytest.mark.parametrize("on_quota", ["refuse", "drop_oldest"])
def test_unloaded_ones_go_only_if_that_was_wished_and_never_without_a_row(
    tmp_path: Path, on_quota: str
) -> None:
    written = make_spool(tmp_path)
    settle(keeper(tmp_path, compress=False))
    one = keeper(tmp_path, compress=False, quota_bytes=4 * SEGMENT_BYTES, on_quota=on_quota)
    settle(one)
    if on_quota == "refuse":
        assert read_frames(tmp_path) == written
        return
    assert one.counters["dropped"] > 1
    told = read_items(tmp_path)[0]
    assert isinstance(told, Gone)
    assert told.reason is Reason.DROPPED
    assert told.topics == {"linear": ["orderbook.50.BTCUSDT"]}
    frames = {position for position in written if position > told.last_position}
    items = read_items(tmp_path)[1:]
    assert all(isinstance(item, Record) for item in items)
    assert {item.position for item in items if isinstance(item, Record) and item.kind == 2} == frames


def test_the_last_segment_stays_whatever_the_quota(tmp_path: Path) -> None:
    make_spool(tmp_path)
    mark_loaded(tmp_path, 99)
    settle(keeper(tmp_path, quota_bytes=1))
    assert len(segments(tmp_path)) == 1


def test_a_reader_is_told_of_what_went_while_it_read(tmp_path: Path) -> None:
    make_spool(tmp_path)
    reader = SpoolReader(tmp_path)
    items = []
    while not items or items[-1].position < (2 << 32 | 5):
        item = reader.poll()
        assert isinstance(item, Record)
        items.append(item)
    position = items[-1].position
    settle(keeper(tmp_path, quota_bytes=3 * SEGMENT_BYTES, on_quota="drop_oldest", compress=False))
    first = segments(tmp_path)[0].number
    assert first > 3
    rest = []
    while (more := reader.poll()) is not None:
        rest.append(more)
    # The file that it had open it read to its end.
    (told,) = (item for item in rest if isinstance(item, Gone))
    assert told.first_position == rest[rest.index(told) - 1].position + 1 > 2 << 32 | 50
    assert all(isinstance(item, Record) for item in rest if item is not told)
    # One that begins in the midst of what went is told of the rest.
    told, *after = read_items(tmp_path, position)
    assert isinstance(told, Gone)
    assert (told.first_position, told.last_position >> 32) == (position + 1, first - 1)
    assert isinstance(after[0], Record)
    assert after[0].position == first << 32 | 1


def test_a_writer_goes_on_in_a_spool_of_which_all_is_gone(tmp_path: Path) -> None:
    make_spool(tmp_path)
    mark_loaded(tmp_path, 99)
    settle(keeper(tmp_path, quota_bytes=1))
    last = segments(tmp_path)[0]
    last.path.unlink()
    (tmp_path / "00000099.state").unlink()
    (gone,) = read_gone(tmp_path)
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        assert spool.recovered.next_segment == gone.last_segment + 1
        assert spool.recovered.position == gone.last_position


def test_a_quota_refuses_as_a_full_disk_does_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.spool.writer.SYNC_INTERVAL_MS", 2)
    monkeypatch.setattr("recorder.spool.writer.SPACE_RETRY_MS", 4)
    quota_bytes = 4 * SEGMENT_BYTES
    with (
        Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES, quota_bytes=quota_bytes) as spool,
        Room() as room,
    ):
        index = 0
        while append_frame(spool.journal, b"x" * 1000, START_NS + index):
            index += 1
        assert spool.failure is not None
        assert "the quota of 262144 bytes has no room" in str(spool.failure)
        assert spool_bytes(tmp_path) <= quota_bytes + 100
        mark_loaded(tmp_path, 1)
        settle(keeper(tmp_path, quota_bytes=quota_bytes, compress=False))
        room.wait(spool)
        assert append_frame(spool.journal, b"again", START_NS + index)
        (loss,) = spool.take_losses()
        assert loss["detail"].startswith("1 records refused: the quota of")
    records = [item for item in read_items(tmp_path) if isinstance(item, Record)]
    lost = [record for record in records if record.kind == RecordKind.LOST]
    assert len(lost) == 2


def test_a_seal_or_a_list_of_what_is_gone_of_another_format_is_an_error(tmp_path: Path) -> None:
    make_spool(tmp_path)
    put(seal_path(tmp_path, 1), b'{"format": 2}')
    with pytest.raises(SpoolError, match="is of format 2; this version reads format 1"):
        read_seal(tmp_path, 1)
    put(seal_path(tmp_path, 1), b"{}")
    with pytest.raises(SpoolError, match=r"00000001\.seal cannot be read"):
        read_seal(tmp_path, 1)
    one = keeper(tmp_path)
    settle(one)
    assert one.counters["unsound"] == 1
    put(tmp_path / "expired.json", b"not json")
    with pytest.raises(SpoolError, match="put it back from a backup"):
        read_gone(tmp_path)


def test_what_was_not_finished_is_removed_at_the_start(tmp_path: Path) -> None:
    make_spool(tmp_path)
    for name in ("00000001.seal.new", "00000001.tape.zst.new", "expired.json.new", "00000001.state.new"):
        (tmp_path / name).write_bytes(b"half")
    keeper(tmp_path)
    assert [path.name for path in tmp_path.glob("*.new")] == ["00000001.state.new"]


def test_a_damaged_seal_does_not_keep_what_is_old(tmp_path: Path) -> None:
    make_spool(tmp_path)
    settle(keeper(tmp_path))
    seal_path(tmp_path, 1).write_bytes(b"{")
    mark_loaded(tmp_path, 2)
    clock = ManualClock(START_NS)
    clock.advance(DAY_S + 1)
    one = keeper(tmp_path, clock=clock, retention=DAY_S)
    settle(one)
    assert (one.counters["unsound"], one.counters["expired"]) == (1, 2)
    assert not seal_path(tmp_path, 1).exists()
    assert segments(tmp_path)[0].number == 3


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
def test_nothing_goes_on_the_word_of_states_that_are_not_held_against_the_database(
    tmp_path: Path, policy: str
) -> None:
    written = make_spool(tmp_path)
    mark_loaded(tmp_path, 2)
    clock = ManualClock(START_NS)
    clock.advance(DAY_S + 1)
    is_certain = False
    one = Keeper(
        tmp_path,
        SpoolOptions(retention=DAY_S, on_quota=policy),  # type: ignore[arg-type]  # one of the two
        quota_bytes=4 * SEGMENT_BYTES,
        room_bytes=SEGMENT_BYTES,
        clock=clock,
        is_certain=lambda: is_certain,
    )
    settle(one)
    assert read_frames(tmp_path) == written
    is_certain = True
    settle(one)
    assert one.counters["expired"] == 2


@pytest.mark.parametrize("obstacle", ["the loader said nothing yet", "another database", "loaded anew"])
def test_what_makes_states_uncertain(tmp_path: Path, obstacle: str) -> None:
    data = DataFolder(tmp_path)
    written = make_spool(data.spool)
    mark_loaded(data.spool, 2)
    kept = _Keepers(checked(data=tmp_path, symbols=["BTCUSDT"], spool={"retention": 0}))
    if obstacle != "the loader said nothing yet":
        data.write_status("loader", {"state": "waiting"})
    if obstacle == "another database":
        data.set_server("https://db.example")
    if obstacle == "loaded anew":
        data.wish.touch()
    while kept.step():
        assert kept.status()["expired"] == 0
    assert read_frames(data.spool) == written
    data.write_status("loader", {"state": "loading"})
    data.set_server("")
    data.wish.unlink(missing_ok=True)
    while kept.step():
        pass
    assert kept.status()["expired"] == 2
    kept.close()
