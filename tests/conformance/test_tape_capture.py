"""A real capture as a recording: each run is the same, also from the middle, and ends in the right books."""

from pathlib import Path

import orjson
import pytest

from ext.book import OrderBook
from recorder.tape.tape import Tape
from tests.conformance.test_capture import SYMBOLS, linear_frames, venue_text
from tests.support.captures import capture
from tests.support.digests import Digest
from tests.support.market import SpoolMaker


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    received = [(recv_ns, frame) for recv_ns, frame in linear_frames() if b'"topic"' in frame]
    maker = SpoolMaker(folder / "spool", start_ns=received[0][0] - 1, segment_bytes=1 << 17)
    maker.connect(*sorted({orjson.loads(frame)["topic"] for _, frame in received}))
    for recv_ns, frame in received:
        maker.frame(frame, max(0, recv_ns - maker.now_ns))
    maker.close()
    return folder


def played(tape: Tape) -> Digest:
    heard = Digest()
    tape.run(heard)
    return heard


def test_two_runs_are_equal_and_so_is_each_part(data: Path) -> None:
    whole = played(Tape(data))
    assert played(Tape(data)).hexdigest == whole.hexdigest
    assert len(whole.lines) > 1000
    middle = [key[1] for key in whole.checksums][len(whole.checksums) // 2]
    recv_ns = next(int(line.split()[8]) for line in whole.of("book") if int(line.split()[9]) == middle)
    tail = played(Tape(data, start=recv_ns)).lines
    assert tail == whole.lines[-len(tail) :]


def test_the_books_end_as_the_venue_had_them(data: Path) -> None:
    books = {one.symbol: one for one in Tape(data, topics=["orderbook.200.*"]) if isinstance(one, OrderBook)}
    for symbol in SYMBOLS:
        final = capture(f"linear.orderbook.200.{symbol}.final_book.txt").read_text()
        assert venue_text(books[symbol]) == final
