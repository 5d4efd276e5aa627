"""A loader that is started again anywhere goes on from a state, and loads the very same."""

import errno
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from ext.block import Block
from ext.journal import RecordKind
from recorder.loading.batches import DECODER_VERSION
from recorder.loading.decoding import Decoding, nearest_playback
from recorder.loading.loader import Loader
from recorder.loading.state import State, load, save, state_path, states
from recorder.playback import Playback
from recorder.spool.reader import SpoolReader
from recorder.spool.sealing import seal_of
from recorder.spool.seals import Gone, Reason, add_gone
from recorder.spool.segments import segment_path, segments
from tests.support.calls import Transcript
from tests.support.committed import Committed
from tests.support.market import S, SpoolMaker, book_frame, make_market

BATCH_RECORDS = 40
SYMBOLS = ("AAAUSDT", "BBBUSDT")


def make_spool(folder: Path, messages: int = 300) -> None:
    """Two runs over several segments, a second leg, a loss, a jump, descriptions of an instrument."""
    maker = SpoolMaker(folder)
    make_market(maker, messages, SYMBOLS)
    describe(maker, "0.1")
    second = {"connection": 2, "category": "linear", "leg": 1}
    maker.record(RecordKind.CONNECTED, {**second, "url": "x"})
    maker.record(RecordKind.REQUESTED, {**second, "op": "desire", "topics": maker.topics})
    maker.frame(book_frame("AAAUSDT", "delta", 9_000, [("10.1", "4")]))
    maker.frame(b"{")
    maker.disconnect("eof", "gone")
    maker.close()
    again = SpoolMaker(folder, start_ns=maker.now_ns + 60 * S, wanted=maker.topics[:-1])
    make_market(again, messages, SYMBOLS)
    describe(again, "0.1")
    describe(again, "0.2")
    again.close()


def describe(maker: SpoolMaker, tick: str) -> None:
    entry = {"symbol": "AAAUSDT", "status": "Trading", "priceFilter": {"tickSize": tick}, "lotSizeFilter": {}}
    body = orjson.dumps({"result": {"category": "linear", "list": [entry]}}).decode()
    path = "/v5/market/instruments-info"
    maker.record(RecordKind.REST, {"path": path, "query": "", "category": "linear", "body": body})


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool that nobody has loaded."""
    folder = tmp_path_factory.mktemp("made") / "spool"
    make_spool(folder)
    assert len(segments(folder)) >= 6
    return folder


@pytest.fixture
def copy(spool: Path, tmp_path: Path) -> Callable[[], Path]:
    """Give a copy of the spool."""
    made: list[Path] = []

    def copied() -> Path:
        target = tmp_path / f"copy{len(made)}" / "spool"
        target.mkdir(parents=True)
        for path in spool.iterdir():
            if path.is_file():
                (target / path.name).write_bytes(path.read_bytes())
        made.append(target)
        return target

    return copied


def opened(folder: Path, database: Committed) -> Loader:
    standing_in: Any = database
    loader = Loader(folder, standing_in, "r1", folder.parent, batch_records=BATCH_RECORDS)
    loader.recover()
    return loader


def load_all(folder: Path, database: Committed) -> Loader:
    loader = opened(folder, database)
    loader.drain()
    loader.close()
    return loader


def load_batches(folder: Path, database: Committed, count: int) -> Loader:
    """Load so many batches and no more."""
    loader = opened(folder, database)
    wanted = len(database.marks) + count
    while len(database.marks) < wanted and (loader.step(drain=True) or loader.playback.at_seam):
        loader.inserter.wait()
    loader.close()
    return loader


def test_started_again_at_every_batch_it_makes_the_same_blocks_and_tokens(copy: Callable[[], Path]) -> None:
    whole, parted = Committed(), Committed()
    folders = copy(), copy()
    load_all(folders[0], whole)
    while len(parted.marks) < len(whole.marks):
        load_batches(folders[1], parted, 1)
    load_all(folders[1], parted)
    assert parted.inserts == whole.inserts
    assert states(folders[0]) == states(folders[1])
    for segment in states(folders[0]):
        assert state_path(folders[1], segment).read_bytes() == state_path(folders[0], segment).read_bytes()


def records_by_segment(folder: Path) -> Counter[int]:
    found: Counter[int] = Counter()
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            found[item.position >> 32] += 1
    return found


def test_a_start_reads_a_segment_and_a_batch_at_most_again(copy: Callable[[], Path]) -> None:
    folder, database = copy(), Committed()
    records = records_by_segment(folder)
    reread = [0]
    while database.last < max(records) << 32:
        reread.append(load_batches(folder, database, 1).reread_records)
    assert 0 < max(reread) <= max(records.values()) + BATCH_RECORDS
    assert max(reread) < records.total() // 3


def test_segments_that_are_gone_are_not_needed(copy: Callable[[], Path]) -> None:
    """Those before the state are loaded; the one that the state is of was read to its end."""
    whole, parted = Committed(), Committed()
    load_all(copy(), whole)
    folder = copy()
    while len(states(folder)) < 2 or parted.last >> 32 == states(folder)[-1]:
        load_batches(folder, parted, 1)
    for segment in range(1, states(folder)[-1] + 1):
        segment_path(folder, segment).unlink()
    load_all(folder, parted)
    assert parted.inserts == whole.inserts


@pytest.mark.parametrize(
    "harm", ["cut", "garbage", "another recorder", "another decoder", "no state's values"]
)
def test_a_state_that_cannot_be_used_is_done_without(
    copy: Callable[[], Path], harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parted = Committed(), Committed()
    load_all(copy(), whole)
    folder = copy()
    while len(states(folder)) < 2:
        load_batches(folder, parted, 1)
    latest = states(folder)[-1]
    path, state = state_path(folder, latest), load(folder, latest)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "garbage":
        path.write_bytes(b"garbage")
    elif harm == "another recorder":
        save(folder, replace(state, recorder="r2"))
    elif harm == "another decoder":
        save(folder, replace(state, decoder_version="1"))
    else:
        save(
            folder, State.of("r1", latest, state.position, 0, DECODER_VERSION, {"playback": (), "columns": 7})
        )
    with caplog.at_level(logging.WARNING):
        load_all(folder, parted)
    assert parted.inserts == whole.inserts
    assert bool(caplog.records) == (harm != "another decoder")


def test_a_state_of_another_decoder_is_used_where_nothing_else_is_left(
    copy: Callable[[], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade of a spool whose first segments have expired: no snapshot may come for days."""
    whole, parted = Committed(), Committed()
    load_all(copy(), whole)
    folder = copy()
    while len(states(folder)) < 2 or parted.last >> 32 == states(folder)[-1]:
        load_batches(folder, parted, 1)
    for segment in states(folder):
        save(folder, replace(load(folder, segment), decoder_version="1"))
    for segment in segments(folder)[: states(folder)[-1]]:
        seal = seal_of(segment, "r1")
        add_gone(folder, "r1", Gone.of(seal, Reason.EXPIRED), seal.previous)
        segment.path.unlink()
    load_all(folder, parted)
    assert parted.inserts == whole.inserts
    assert "what version 1 of the decoder knew after segment" in caplog.text


def test_states_beyond_the_mark_are_removed_and_made_again(copy: Callable[[], Path]) -> None:
    folder, first, second = copy(), Committed(), Committed()
    load_all(folder, first)
    made = {segment: state_path(folder, segment).read_bytes() for segment in states(folder)}
    load_batches(folder, second, 2)
    assert states(folder) == []
    load_all(folder, second)
    assert second.inserts == first.inserts
    assert {segment: state_path(folder, segment).read_bytes() for segment in states(folder)} == made


def test_no_state_is_there_before_all_of_it_is_committed(copy: Callable[[], Path]) -> None:
    class Watched(Committed):
        def insert(self, table: str, block: bytes | Block, token: str) -> None:
            if states(folder):
                asked.append(table)
                assert load(folder, states(folder)[-1]).position <= self.last
            super().insert(table, block, token)

    asked: list[str] = []
    folder, database = copy(), Watched()
    load_all(folder, database)
    assert asked
    assert database.last > 6 << 32
    assert len(states(folder)) == 2


def test_a_disk_without_room_for_a_state_is_counted_and_stops_nothing(
    copy: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, state: State) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("recorder.loading.state.save", refuse)
    folder, database = copy(), Committed()
    loader = load_all(folder, database)
    assert loader.status()["state_failures"] == len(segments(folder)) - 1
    assert states(folder) == []


def test_segments_that_are_missing_are_one_gap_however_often_it_starts(
    copy: Callable[[], Path],
) -> None:
    """The rows of what is missing between two segments are loaded once, with what came before it."""
    whole, parted = Committed(), Committed()
    folders = copy(), copy()
    for folder in folders:
        segment_path(folder, 3).unlink()
    load_all(folders[0], whole)
    while len(parted.marks) < len(whole.marks):
        load_batches(folders[1], parted, 1)
    assert parted.inserts == whole.inserts
    told = b"".join(data for table, data, _ in whole.inserts if table == "event")
    assert told.count(b"spool_damaged") == 1


# -- any record, any process


def rows_from(decoding: Decoding, size: int = 30) -> list[dict[str, bytes]]:
    """What is left of a spool, as blocks of so many records."""
    blocks = []
    while decoding.playback.run(size):
        blocks.append({table: bytes(block) for table, (_, block) in decoding.columns.take().items()})
    return blocks


def test_stopped_at_any_record_it_goes_on_the_same(copy: Callable[[], Path], random: Random) -> None:
    folder = copy()
    first = Decoding(folder, "r1")
    positions = []
    while first.playback.run(1):
        positions.append(first.playback.position)
        first.columns.clear()
    end = first.state()
    seams = [position for position in positions if position & 0xFFFFFFFF == 1]
    for position in [*seams, *random.sample(positions, 25)]:
        before = Decoding(folder, "r1")
        before.run_to(position)
        state = before.state()
        after = Decoding(folder, "r1", state)
        assert after.state() == state
        assert rows_from(after) == rows_from(before)
        assert after.state() == before.state() == end


GO_ON = """
import sys
from pathlib import Path
from recorder.loading.decoding import Decoding, nearest_playback
from recorder.spool.reader import SpoolReader
from recorder.loading.state import State, load, save

folder = Path(sys.argv[1])
decoding = Decoding(folder, "r1", load(folder, int(sys.argv[2])))
decoding.run_to(1 << 60)
print(decoding.playback.position >> 32)
save(folder, decoding.state())
"""


def test_another_process_goes_on_the_same(copy: Callable[[], Path]) -> None:
    """Nothing in a state depends on what a process chooses for itself, as the order of sets."""
    folder = copy()
    decoding = Decoding(folder, "r1")
    decoding.run_to(3 << 32)
    state = decoding.state()
    save(folder, state)
    command = [sys.executable, "-c", GO_ON, str(folder), str(state.segment)]
    last = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    decoding.run_to(1 << 60)
    assert load(folder, last) == decoding.state()


def test_a_segment_can_be_begun_with_from_a_state_long_before(copy: Callable[[], Path]) -> None:
    folder, database = copy(), Committed()
    load_all(folder, database)
    for segment in (1, 3, states(folder)[-1] + 1):
        decoding, plain = Decoding.before(folder, "r1", segment), Decoding(folder, "r1")
        plain.run_to(segment << 32)
        assert decoding.playback.position >> 32 == segment - 1
        assert rows_from(decoding) == rows_from(plain)


def test_a_playback_from_a_state_tells_the_same(copy: Callable[[], Path], random: Random) -> None:
    folder, database = copy(), Committed()
    load_all(folder, database)
    with SpoolReader(folder, states(folder)[0] + 1 << 32) as reader:
        later = [item.position for item in iter(reader.poll, None)]
    for mark in random.sample(later, 3):
        told, whole = Transcript(), Transcript()
        near = nearest_playback(folder, mark, told)
        assert near.position > 0
        plain = Playback(folder, whole)
        for playback in (near, plain):
            while playback.run(100, until=mark):
                pass
        told.lines.clear()
        whole.lines.clear()
        for playback in (near, plain):
            while playback.run(100):
                pass
        assert told.lines == whole.lines
        assert near.state() == plain.state()
