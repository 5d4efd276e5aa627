"""Bytes of a spool that are not what was written: what is read is exact, and the rest is reported."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from ext.journal import Record
from ext.segment import Damage
from recorder.spool import compressed, sealing
from recorder.spool.recovery import recover
from recorder.spool.segments import segment_path, segments
from recorder.spool.writer import Spool
from tests.support.kept import SEGMENT_BYTES, keeper, make_spool, read_items, settle
from tests.support.spools import START_NS, Ticks, append_frame, read_segment

FLIPS = 60
LAST_RECORDS = 4
FRAME_BYTES = 8 << 10


@dataclass(frozen=True)
class Written:
    """A segment as it was written: its bytes, and the records with where each ends."""

    raw: bytes
    ends: list[int]
    positions: list[int]
    payloads: list[bytes]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    with Spool(folder, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        for index in range(12):
            append_frame(spool.journal, b"%d" % index * (index * 3), START_NS + index)
    raw = segment_path(folder, 1).read_bytes()
    ends, positions, payloads, at = [], [], [], 0
    for item in read_segment(raw):
        assert isinstance(item, Record)
        at += (40 + len(item.payload) + 7) // 8 * 8
        ends.append(at)
        positions.append(item.position)
        payloads.append(item.payload)
    assert at == len(raw)
    return Written(raw, ends, positions, payloads)


def offsets(written: Written) -> Iterator[int]:
    yield from range(written.ends[-LAST_RECORDS - 1], len(written.raw))


@pytest.mark.parametrize("tail", ["cut", "zeros", "garbage"])
def test_a_torn_tail_at_every_byte_is_cut_and_recording_goes_on(
    written: Written, tail: str, tmp_path: Path, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda fd: None)  # it is read back by this process
    for offset in offsets(written):
        folder = tmp_path / str(offset)
        folder.mkdir()
        rest = len(written.raw) - offset
        ending = {"cut": b"", "zeros": bytes(rest), "garbage": random.randbytes(rest)}[tail]
        raw = written.raw[:offset] + ending
        segment_path(folder, 1).write_bytes(raw)
        whole = [raw[:end] == written.raw[:end] for end in written.ends]
        count = sum(whole)
        assert whole == [True] * count + [False] * (len(whole) - count)
        recovered = recover(folder, "here")
        assert (recovered.position, recovered.damage) == (written.positions[count - 1], ()), offset
        read = [item.payload for item in read_items(folder) if isinstance(item, Record)]
        assert read == written.payloads[:count], offset
        assert segment_path(folder, 1).read_bytes() == written.raw[: written.ends[count - 1]]
        shutil.rmtree(folder)


def test_recording_goes_on_after_any_torn_tail(written: Written, tmp_path: Path, random: Random) -> None:
    for offset in random.sample(list(offsets(written)), 10):
        folder = tmp_path / str(offset)
        folder.mkdir()
        segment_path(folder, 1).write_bytes(written.raw[:offset].ljust(SEGMENT_BYTES, b"\0"))
        with Spool(folder, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
            position = append_frame(spool.journal, b"again")
        items = read_items(folder)
        assert not [item for item in items if isinstance(item, Damage)]
        assert position == 2 << 32 | 2
        assert position in [item.position for item in items]


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_flipped_bit_takes_what_it_hit_and_nothing_else(
    tmp_path: Path, is_compressed: bool, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (compressed, sealing):
        monkeypatch.setattr(module, "FRAME_BYTES", FRAME_BYTES)
    folder = tmp_path / "spool"
    payloads = make_spool(folder)
    settle(keeper(folder, compress=is_compressed))
    ends = {position: end for segment in segments(folder) for position, end in _ends(segment).items()}
    for _ in range(FLIPS):
        segment = random.choice(segments(folder)[:-1])
        raw = bytearray(segment.path.read_bytes())
        before = bytes(raw)
        at = random.randrange(len(raw))
        raw[at] ^= 1 << random.randrange(8)
        segment.path.write_bytes(raw)
        items = read_items(folder)
        read = {item.position: item.payload for item in items if isinstance(item, Record)}
        assert all(read[position] == payloads[position] for position in read if position in payloads)
        missing = set(ends) - set(read)
        if is_compressed:
            assert len(missing) <= FRAME_BYTES // 600 + 2  # a frame of them, and what crosses its ends
        else:
            assert len(missing) == 1
            (lost,) = missing
            assert ends[lost][0] <= at < ends[lost][1]
        assert missing, "a flipped bit was not noticed"
        assert {position >> 32 for position in missing} == {segment.number}
        told = [item for item in items if isinstance(item, Damage)]
        assert sum(damage.records for damage in told) == len(missing), "what is lost is not what is told"
        segment.path.write_bytes(before)
    assert not [item for item in read_items(folder) if isinstance(item, Damage)]


def _ends(segment: sealing.Segment) -> dict[int, tuple[int, int]]:
    """Where each record of a segment lies."""
    reader = sealing.open_segment(segment, final=True)
    found, start = {}, 0
    for item in reader:
        found[item.position] = (start, reader.offset)
        start = reader.offset
    reader.close()
    return found


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_segment_that_is_missing_is_told_and_recording_goes_on(tmp_path: Path, number: int) -> None:
    make_spool(tmp_path, 380)
    every = {item.position for item in read_items(tmp_path)}
    segment_path(tmp_path, number).unlink()
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        position = append_frame(spool.journal, b"again")
    assert position >> 32 == 6 - (number == 5)
    items = read_items(tmp_path)
    read = {item.position for item in items if isinstance(item, Record)}
    assert every - read == {one for one in every if one >> 32 == number and one not in read}
    told = [item for item in items if isinstance(item, Damage)]
    if number == 5:  # the last one: nothing else in the spool knows of it
        assert told == []
        return
    assert [(damage.records, damage.next_position >> 32) for damage in told] == [(-1, number)]


def test_zeros_in_the_middle_of_a_segment(tmp_path: Path, random: Random) -> None:
    make_spool(tmp_path)
    path = segment_path(tmp_path, 2)
    raw = path.read_bytes()
    every = [item.position for item in read_items(tmp_path)]
    for _ in range(10):
        at, length = random.randrange(len(raw)), random.choice((1, 512, 4096, 20_000))
        path.write_bytes((raw[:at] + bytes(length) + raw[at + length :])[: len(raw)])
        items = read_items(tmp_path)
        read = [item.position for item in items if isinstance(item, Record)]
        lost = sum(item.records for item in items if isinstance(item, Damage))
        assert len(read) + lost == len(every)
        assert set(read) <= set(every)
