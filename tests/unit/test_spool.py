"""Opening, writing, recovering and refusing a spool folder."""

import os
import shutil
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from ext.journal import RecordKind
from recorder.spool.lock import FolderInUseError
from recorder.spool.recovery import Recovered
from recorder.spool.segments import Segment, SpoolError, segment_path, segments
from recorder.spool.writer import Spool
from tests.support.spools import START_NS, Ticks, append_frame, read_segment, said, slow_crc32c

SEGMENT_BYTES = 64 << 10


def open_spool(folder: Path, recorder: str = "here") -> Spool:
    return Spool(folder, recorder, now=Ticks(), segment_bytes=SEGMENT_BYTES)


def left_by_a_kill(folder: Path) -> Path:
    """A copy of a spool that is being written: what the end of its process would leave."""
    return Path(shutil.copytree(folder, folder.with_name("left")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "spool"


def test_a_clean_run_leaves_one_cut_segment_from_start_to_stopped(folder: Path) -> None:
    with open_spool(folder) as spool:
        position = append_frame(spool.journal, b"frame")
        assert spool.heartbeat() == position + 1
    (segment,) = segments(folder)
    items = read_segment(segment.path)
    assert [item.kind for item in items] == [
        RecordKind.SEGMENT,
        RecordKind.FRAME,
        RecordKind.HEARTBEAT,
        RecordKind.STOPPED,
    ]
    assert segment.bytes < 1000
    assert {entry.name for entry in folder.iterdir()} == {"lock", "00000001.tape"}
    assert said(items[0]) == {
        "format": 1,
        "recorder": "here",
        "segment": 1,
        "reason": "start",
        "previous": 0,
        "previous_recv_ns": 0,
        "connections": [],
        "topics": {},
    }


def test_closing_twice_is_closing_once(folder: Path) -> None:
    spool = open_spool(folder)
    spool.close()
    spool.close()
    assert len(read_segment(segment_path(folder, 1))) == 2


def test_every_segment_restates_what_is_open_and_names_the_record_before_it(folder: Path) -> None:
    with open_spool(folder) as spool:
        connection = {
            "connection": 3,
            "category": "linear",
            "leg": 1,
            "url": "wss://example/v5/public/linear",
        }
        spool.describe = lambda: {"connections": [connection], "topics": {"linear": ["orderbook.50.BTCUSDT"]}}
        for index in range(200):
            append_frame(spool.journal, b"x" * 1000, START_NS + index)
    found = [read_segment(segment.path, segment.number) for segment in segments(folder)]
    assert len(found) == 4
    for before, items in pairwise(found):
        first = said(items[0])
        assert (first["reason"], first["segment"]) == ("rotation", items[0].position >> 32)
        assert (first["previous"], first["previous_recv_ns"]) == (before[-1].position, before[-1].recv_ns)
        assert first["connections"] == [connection]
        assert first["topics"] == {"linear": ["orderbook.50.BTCUSDT"]}
    # Sealed: nothing but records.
    assert all(segment.bytes < SEGMENT_BYTES for segment in segments(folder))


def test_the_next_run_goes_on_in_a_new_segment_and_knows_when_the_last_one_ended(folder: Path) -> None:
    with open_spool(folder) as spool:
        append_frame(spool.journal, b"frame", START_NS + 77)
        last = (spool.journal.position + 1, START_NS + 2_000_000)
    with open_spool(folder) as spool:
        assert spool.recovered == Recovered(2, *last, 0, ())
    first = said(read_segment(segment_path(folder, 2), 2)[0])
    assert (first["reason"], first["previous"], first["previous_recv_ns"]) == ("start", *last)


def test_after_a_kill_the_torn_tail_is_cut_and_nothing_else(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_spool(folder) as spool:
        position = append_frame(spool.journal, b"the last one", START_NS + 5)
        left = left_by_a_kill(folder)
    path = segment_path(left, 1)
    records = path.read_bytes().rstrip(b"\0")
    records += bytes(-len(records) % 8)
    assert path.stat().st_size == SEGMENT_BYTES
    path.write_bytes((records + b"TAP1 torn off").ljust(SEGMENT_BYTES, b"\0"))
    with open_spool(left) as spool:
        assert spool.recovered == Recovered(spool.recovered.next_segment, position, START_NS + 5, 13, ())
    assert path.read_bytes() == records
    assert f"cut 13 bytes of a torn tail off the spool {left}" in caplog.text


def test_a_segment_number_that_had_a_file_is_not_used_again(folder: Path) -> None:
    with open_spool(folder):
        left = left_by_a_kill(folder)
    # Prepared, and perhaps begun in what a power failure took away.
    segment_path(left, 2).write_bytes(bytes(SEGMENT_BYTES))
    with open_spool(left):
        assert [segment.number for segment in segments(left) if segment.is_started] == [1, 3]
        assert not segment_path(left, 2).exists()


def test_a_last_segment_torn_in_its_first_record_gives_way_to_the_one_before(folder: Path) -> None:
    with open_spool(folder) as spool:
        position = append_frame(spool.journal, b"frame", START_NS + 5)
        left = left_by_a_kill(folder)
    segment_path(left, 2).write_bytes(b"TAP1 torn".ljust(SEGMENT_BYTES, b"\0"))
    with open_spool(left) as spool:
        assert spool.recovered == Recovered(3, position, START_NS + 5, 0, ())


def test_damage_is_left_for_readers_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_spool(folder) as spool:
        for _ in range(3):
            append_frame(spool.journal, b"frame" * 10)
    path = segment_path(folder, 1)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"frameframe", b"frameFRAME", 1))
    with open_spool(folder) as spool:
        (damage,) = spool.recovered.damage
        assert damage.records == 1
    assert "is damaged: Damage(after 1:1, before 1:3, bytes" in caplog.text
    assert path.stat().st_size == len(raw)


def test_a_folder_in_use_names_its_owner_and_the_remedy(folder: Path) -> None:
    with open_spool(folder) as spool:
        with pytest.raises(FolderInUseError) as caught:
            open_spool(folder)
        assert str(caught.value) == (
            f"{folder} is in use by process {os.getpid()} on {socket.gethostname()}: "
            "stop it, or choose another folder"
        )
        append_frame(spool.journal, b"undisturbed")
    open_spool(folder).close()


def test_the_spool_of_another_recorder_is_refused_and_not_touched(folder: Path) -> None:
    open_spool(folder).close()
    before = contents(folder)
    with pytest.raises(
        SpoolError, match="is of recorder 'here', was opened as 'there': use that name or another folder"
    ):
        open_spool(folder, "there")
    assert contents(folder) == before
    open_spool(folder).close()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b'"format":1',
            b'"format":2',
            "of format 2; this version reads format 1: use the version that wrote it",
        ),
        (b"TAP1", b"TAP2", "of format 2; this version reads format 1"),
        (b"TAP1", b"\x7fELF", "is no segment of a spool: choose another folder"),
    ],
)
def test_another_format_is_refused_and_not_touched(
    folder: Path, old: bytes, new: bytes, message: str
) -> None:
    open_spool(folder).close()
    path = segment_path(folder, 1)
    raw = bytearray(path.read_bytes().replace(old, new))
    if new.startswith(b'"'):
        size = int.from_bytes(raw[32:36], "little")
        raw[4:8] = slow_crc32c(int.from_bytes(b"TAP1", "little"), raw[8 : (40 + size + 7) // 8 * 8]).to_bytes(
            4, "little"
        )
    path.write_bytes(raw)
    before = contents(folder)
    with pytest.raises(SpoolError, match=message):
        open_spool(folder)
    assert contents(folder) == before


def test_a_folder_that_is_no_spool_is_refused_and_not_touched(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("letters", "music", "pictures", "videos"):
        (folder / name).mkdir()
    with pytest.raises(
        SpoolError, match=r"is no spool, it holds letters, music, pictures \.\.\.: choose an empty"
    ):
        open_spool(folder)
    assert not list(folder.glob("*.tape"))


def test_a_missing_or_cut_segment_file_does_not_keep_the_spool_from_opening(folder: Path) -> None:
    with open_spool(folder) as spool:
        for index in range(200):
            append_frame(spool.journal, b"x" * 1000, START_NS + index)
        last = spool.journal.position
    segment_path(folder, 2).unlink()
    segment_path(folder, 3).write_bytes(b"")
    with open_spool(folder) as spool:
        assert spool.recovered.position == last + 1
        assert [segment.number for segment in segments(folder) if segment.is_started] == [1, 4, 5]


@pytest.mark.parametrize("size", [0, (64 << 10) - 1, (1 << 30) + 1])
def test_a_segment_size_out_of_range_is_refused(folder: Path, size: int) -> None:
    with pytest.raises(ValueError, match=f"segment_bytes was {size}; use 65536 to 1073741824"):
        Spool(folder, "here", now=Ticks(), segment_bytes=size)


def test_segments_lists_what_is_there_and_what_is_only_prepared(folder: Path) -> None:
    assert segments(folder) == []
    folder.mkdir(parents=True)
    segment_path(folder, 7).write_bytes(b"TAP1....")
    segment_path(folder, 8).write_bytes(bytes(16))
    (folder / "notes.tape").write_bytes(b"?")
    assert segments(folder) == [
        Segment(7, folder / "00000007.tape", 8, True),
        Segment(8, folder / "00000008.tape", 16, False),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tape")}


def test_a_spool_that_cannot_begin_leaves_nothing_behind(folder: Path) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError("nothing to describe")

    with pytest.raises(RuntimeError, match="nothing to describe"):
        Spool(folder, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES, describe=fail)
    assert contents(folder) == {}
    open_spool(folder).close()


def test_a_description_that_fails_at_a_rotation_harms_no_segment(folder: Path) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError("nothing to describe")

    with open_spool(folder) as spool:
        good, spool.describe = spool.describe, fail
        written: list[int] = []
        with pytest.raises(RuntimeError, match="nothing to describe"):
            fill(spool, written)
        assert len(written) > 50
        spool.describe = good
        written.append(append_frame(spool.journal, b"x" * 1000))
    found = [
        item.position for segment in segments(folder) for item in read_segment(segment.path, segment.number)
    ]
    assert [position for position in found if position in written] == written
    assert written[-1] == 2 << 32 | 2


def fill(spool: Spool, written: list[int]) -> None:
    while True:
        written.append(append_frame(spool.journal, b"x" * 1000))
