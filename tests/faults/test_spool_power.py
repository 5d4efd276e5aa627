"""Power failures and kills: the keeper loses nothing by them, a writer only what was not synced."""

import shutil
import threading
from pathlib import Path
from random import Random

import pytest

from engine.clock import ManualClock, mono_ns
from ext.journal import Record
from ext.segment import Damage
from recorder.spool import fsck
from recorder.spool.reader import SpoolReader
from recorder.spool.seals import Gone
from recorder.spool.segments import segments
from recorder.spool.writer import SYNC_INTERVAL_MS, Spool
from tests.support.kept import SEGMENT_BYTES, describe, keeper, make_spool, mark_loaded, read_items, settle
from tests.support.power import Disk, put_down
from tests.support.spools import START_NS, Ticks, append_frame, read_segment

CUTS = 25


class Crashes:
    """What kills and power failures left after each call of a keeper, and what the keeper did."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, random: Random) -> None:
        self.left: list[tuple[str, dict[str, bytes]]] = []
        self._random = random
        with monkeypatch.context() as patch:
            self.disk = Disk(folder, patch)
            self.disk.on_call = self._take
            self._patch = patch
            self._run(folder)

    def _run(self, folder: Path) -> None:
        raise NotImplementedError

    def _take(self, name: str) -> None:
        moment = f"after call {self.disk.calls}, {name}"
        found = [("killed", self.disk.contents())]
        found += [("power", left) for left in self.disk.failures(self._random)]
        known = [left for _, left in self.left]
        self.left += [(f"{what} {moment}", left) for what, left in found if left not in known[-20:]]


class Compressing(Crashes):
    def _run(self, folder: Path) -> None:
        settle(keeper(folder))


class Dropping(Crashes):
    def _run(self, folder: Path) -> None:
        mark_loaded(folder, 1)
        clock = ManualClock(START_NS)
        clock.advance(10)
        one = keeper(folder, quota_bytes=2 * SEGMENT_BYTES, on_quota="drop_oldest", retention=0, clock=clock)
        settle(one)
        assert one.counters["expired"] == 1
        assert one.counters["dropped"] >= 1


def check_complete(folder: Path, every: list[int], moment: str) -> None:
    """Each record is read, or told to be gone; nothing is read twice."""
    items = read_items(folder)
    read = [item.position for item in items if isinstance(item, Record)]
    assert not [item for item in items if isinstance(item, Damage)], moment
    gone = [item for item in items if isinstance(item, Gone)]
    told = [one for one in every if any(part.first_position <= one <= part.last_position for part in gone)]
    assert sorted([*read, *told]) == every, moment


@pytest.mark.parametrize("kind", [Compressing, Dropping])
def test_nothing_is_lost_whatever_call_of_the_keeper_is_the_last(
    kind: type[Crashes], tmp_path: Path, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spool"
    make_spool(folder, 220)
    every = [item.position for item in read_items(folder)]
    crashes = kind(folder, monkeypatch, random)
    assert len(crashes.left) > 40
    monkeypatch.setattr("os.fsync", lambda fd: None)  # from here on no power fails
    for number, (moment, left) in enumerate(crashes.left):
        copy = put_down(left, tmp_path / str(number))
        check_complete(copy, every, moment)
        settle(keeper(copy))
        check_complete(copy, every, f"{moment}, and when kept again")
        assert fsck.check(copy).is_sound, moment
        assert not list(copy.glob("*.new")), moment
        shutil.rmtree(copy)


def test_a_writer_loses_only_what_was_not_synced(
    tmp_path: Path, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.spool.writer.SYNC_INTERVAL_MS", 2)
    folder = tmp_path / "spool"
    folder.mkdir()
    written: dict[int, bytes] = {}
    left: list[tuple[dict[str, bytes], dict[str, bytes], int]] = []
    with monkeypatch.context() as patch:
        disk = Disk(folder, patch)
        with Spool(folder, "here", now=Ticks(), describe=describe, segment_bytes=SEGMENT_BYTES) as spool:
            index = 0
            while len(left) < CUTS * 3:
                for _ in range(random.choice((1, 5, 40))):
                    payload = random.randbytes(random.choice((3, 300, 3000)))
                    index += 1
                    written[append_frame(spool.journal, payload, START_NS + index)] = payload
                synced = disk.synced()
                left += [(one, synced, spool.journal.position) for one in disk.failures(random)]
    lost = 0
    for number, (contents, synced, last) in enumerate(random.sample(left, CUTS)):
        copy = put_down(contents, tmp_path / str(number))
        safe = {
            item.position
            for name, data in synced.items()
            if name.endswith(".tape")
            for item in read_segment(data, int(name[:8]))
            if isinstance(item, Record)
        }
        with Spool(copy, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
            again = append_frame(spool.journal, b"again")
        with SpoolReader(copy) as reader:
            items = []
            while (item := reader.poll()) is not None:
                items.append(item)
        read = {item.position: item.payload for item in items if isinstance(item, Record)}
        assert safe <= set(read), "what was synced is lost"
        assert again > last & ~0xFFFFFFFF, "a position may name two records"
        before = {position: payload for position, payload in written.items() if position <= last}
        assert all(read[position] == before[position] for position in set(read) & set(before))
        missing = [one for one in before if one not in read]
        lost += len(missing)
        told = [item for item in items if isinstance(item, Damage)]
        end = max((one for one in read if one < again & ~0xFFFFFFFF), default=0)
        for one in missing:  # reported, or after the last record there is: the gap until the start
            assert one > end or any(item.position < one < item.next_position for item in told)
        shutil.rmtree(copy)
    assert lost > 0, "no power failure took anything: this test proves nothing"
    assert len(segments(folder)) > 1


def test_what_was_written_is_on_the_disk_after_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_ns = []
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch)
        with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
            synced = threading.Event()
            disk.on_call = lambda name: synced.set() if name == "fdatasync" else None
            for index in range(5):
                # Just after a sync: the longest that a frame may have to wait.
                payload = b"frame %d" % index
                append_frame(spool.journal, payload)
                begun_ns = mono_ns()
                synced.clear()
                while payload not in disk.synced()["00000001.tape"]:
                    assert synced.wait(20), "nothing is synced"
                    synced.clear()
                waits_ns.append(mono_ns() - begun_ns)
    assert min(waits_ns) <= 1.25 * SYNC_INTERVAL_MS * 1e6, waits_ns
