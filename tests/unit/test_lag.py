"""How far a loader is behind: in bytes of records, and in seconds since what it committed last."""

from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from recorder.loading.loader import Loader
from recorder.spool.lag import unread_bytes
from recorder.spool.reader import SpoolReader
from recorder.spool.sealing import compress, seal_of
from recorder.spool.seals import seal_path, write_seal
from recorder.spool.segments import compressed_path, segments
from tests.support.committed import Committed
from tests.support.market import START_NS, SpoolMaker, make_market


@pytest.fixture
def maker(tmp_path: Path) -> SpoolMaker:
    """Some segments, the last one preallocated and being written."""
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 500)
    assert len(segments(tmp_path / "spool")) >= 4
    return maker


def test_what_was_read_and_what_was_not_are_all_of_it(maker: SpoolMaker) -> None:
    folder = maker.spool.folder
    everything = unread_bytes(folder, 1, 0)
    with SpoolReader(folder) as reader:
        assert unread_bytes(folder, *reader.place) == everything
        behind = []
        while reader.poll() is not None:
            behind.append(unread_bytes(folder, *reader.place))
    assert behind == sorted(behind, reverse=True)
    assert behind[-1] == 0
    assert everything - behind[0] < 2000
    assert everything < sum(segment.bytes for segment in segments(folder))  # the zero tail does not count
    maker.close()


def test_compressed_segments_count_as_what_they_were(maker: SpoolMaker) -> None:
    folder = maker.spool.folder
    maker.close()
    everything = unread_bytes(folder, 1, 0)
    first = segments(folder)[0]
    seal = seal_of(first, "r1")
    write_seal(folder, seal)
    assert compress(first, seal)
    first.path.unlink(missing_ok=True)
    assert unread_bytes(folder, 1, 0) == everything
    for harm in (b"{", None):
        if harm is None:
            seal_path(folder, 1).unlink()
        else:
            seal_path(folder, 1).write_bytes(harm)
        packed = compressed_path(folder, 1).stat().st_size
        assert unread_bytes(folder, 1, 0) == everything - first.bytes + packed


def test_a_folder_that_is_not_there_yet_has_nothing(tmp_path: Path) -> None:
    assert unread_bytes(tmp_path / "later", 1, 0) == 0


def test_the_lag_is_of_what_is_committed(maker: SpoolMaker) -> None:
    folder, database, clock = maker.spool.folder, Committed(), ManualClock(START_NS)
    standing_in: Any = database
    loader = Loader(folder, standing_in, "r1", folder.parent, clock=clock, batch_records=100)
    loader.recover()
    begun = loader.status()
    assert begun["lag_bytes"] == unread_bytes(folder, 1, 0)
    assert begun["lag_s"] == 0  # since when is not known before the first commit
    while len(database.marks) < 2:
        loader.step()
        loader.inserter.wait()
    clock.advance((maker.now_ns - START_NS) / 1e9)
    half = loader.status()
    assert 0 < half["lag_bytes"] < begun["lag_bytes"]
    assert 0 < half["lag_s"] < (maker.now_ns - START_NS) / 1e9
    loader.drain()
    done = loader.status()
    assert (done["lag_bytes"], done["lag_s"]) == (0, 0)
    clock.advance(60)
    assert loader.status()["lag_s"] == 0  # nothing came: nothing is missing
    loader.close()
    maker.close()
