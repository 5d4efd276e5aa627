"""A day without the database: everything waits in the spool, and is loaded when it is back."""

from pathlib import Path

from recorder.loading.inserter import RETRY_MAX_S
from recorder.loading.loader import Loader
from recorder.verify import verify
from tests.support.market import S, SpoolMaker, book_frame, trade_frame
from tests.support.servers import Acting, Pauses, clickhouse
from tests.support.sinks import open_fresh

DAY_S = 86_400
EVERY_S = 20
SYMBOL = "AAAUSDT"
SPOOL_BYTES_MAX = 16 << 20


def sparse_day(folder: Path) -> int:
    """A day of one symbol; returns how many frames."""
    maker = SpoolMaker(folder / "spool", segment_bytes=1 << 20)
    maker.connect(f"orderbook.50.{SYMBOL}", f"publicTrade.{SYMBOL}")
    maker.frame(book_frame(SYMBOL, "snapshot", 1, [("10.1", "1")], [("10.3", "1")]))
    count = DAY_S // EVERY_S
    for number in range(count):
        maker.now_ns += (EVERY_S - 1) * S
        maker.beat(1)
        maker.frame(book_frame(SYMBOL, "delta", number + 2, [("10.1", f"{number + 1}")]))
        maker.frame(trade_frame(SYMBOL, [(f"t{number}", "Buy", "10.3", "1")]))
    maker.close()
    return 1 + 2 * count


def test_a_day_without_the_database_loses_nothing(tmp_path: Path) -> None:
    frames = sparse_day(tmp_path)
    spool_bytes = sum(path.stat().st_size for path in (tmp_path / "spool").iterdir())
    assert spool_bytes < SPOOL_BYTES_MAX
    away = int(DAY_S / RETRY_MAX_S) + 8  # pauses that make a day, the first ones being shorter
    with clickhouse(tmp_path / "server") as server:
        database = open_fresh(server, "day")
        failing = Acting(database, {3: lambda: server.listen(on=False)})
        day = Pauses({away: lambda: server.listen(on=True)}, most=away)
        loader = Loader(tmp_path / "spool", failing, "r1", tmp_path, stop=day)  # type: ignore[arg-type]  # stands in
        loader.recover()
        loader.drain()
        loader.close()
        assert sum(day.taken) >= DAY_S
        assert loader.playback.frames == frames
        assert loader.inserter.failing == ""
        report = verify(tmp_path / "spool", database, "r1")
        assert report.problems == []
        assert (report.frames, report.open_gaps) == (frames, [])
        assert database.query("SELECT count() FROM gaps") == [(0,)]
