"""The database made again from the spool, and what a spool cannot give any more."""

import shutil
from pathlib import Path

import pytest

from engine.clock import ManualClock
from recorder import cli
from recorder.database.clickhouse import Database
from recorder.errors import ExitCode
from recorder.loading import batches, decoding
from recorder.loading.loader import Loader
from recorder.loading.state import load as load_state
from recorder.loading.state import states
from recorder.queries.server import open_for_reading
from recorder.spool.seals import read_gone
from recorder.sql import TABLES
from tests.support.databases import embedded
from tests.support.kept import keeper, settle
from tests.support.market import START_NS, S, SpoolMaker, make_market
from tests.support.recordings import ROOT, recording, simulation, tapehead, until

DAY_S = 86_400


def _sums(database: Database, condition: str = "1") -> dict[str, tuple[object, ...]]:
    """Rows and a checksum of all their columns, by table."""
    return {
        table: database.query(
            f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {table} WHERE {condition}"
        )[0]
        for table in TABLES
        if table != "load_batch"
    }


def _record(folder: Path, messages: int, start_ns: int = START_NS) -> None:
    maker = SpoolMaker(folder / "spool", start_ns=start_ns)
    make_market(maker, messages)
    maker.close()


def _load(*options: str) -> int:
    return cli.main(["load", *options])


def test_a_database_that_was_removed_is_made_again(tmp_path: Path) -> None:
    _record(tmp_path, 400)
    assert _load("--data", str(tmp_path)) == ExitCode.OK
    settle(keeper(tmp_path / "spool"))
    _record(tmp_path, 300, START_NS + 3_600 * S)
    assert _load("--data", str(tmp_path)) == ExitCode.OK
    with embedded(tmp_path / "clickhouse") as database:
        before = _sums(database)
    assert before["book_delta"][0] == 700
    shutil.rmtree(tmp_path / "clickhouse")
    assert _load("--data", str(tmp_path)) == ExitCode.OK
    with embedded(tmp_path / "clickhouse") as database:
        assert _sums(database) == before


@pytest.fixture
def expired(tmp_path: Path) -> Path:
    """A recording whose first segments have expired; the database has them."""
    folder = tmp_path / "data"
    _record(folder, 2_000)
    with embedded(folder / "clickhouse") as database:
        loader = Loader(folder / "spool", database, "r1", folder, batch_records=250)
        loader.recover()
        loader.drain()
        loader.close()
    settle(keeper(folder / "spool"))
    size = sum(path.stat().st_size for path in (folder / "spool").iterdir())
    settle(keeper(folder / "spool", quota_bytes=size))  # which wants room for one segment more
    (gone,) = read_gone(folder / "spool")
    assert gone.last_segment > 5
    return folder


def test_a_loss_is_said_before_it_comes_about(expired: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _load("--data", str(expired)) == ExitCode.OK
    (gone,) = read_gone(expired / "spool")
    with embedded(expired / "clickhouse") as database:
        begins = min(number for number in states(expired / "spool") if number >= gone.last_segment)
        after = f"position >= {begins + 1 << 32}"
        before = _sums(database, after)
    away = (expired / "clickhouse").rename(expired / "clickhouse.old")
    files = sorted((expired / "spool").iterdir())
    assert _load("--data", str(expired)) == ExitCode.USAGE
    message = capsys.readouterr().err
    assert f"segments 1 to {gone.last_segment} of {expired / 'spool'} (2026-09-21T" in message
    assert "their rows cannot be made again" in message
    assert "--yes" in message
    assert not (expired / "clickhouse").exists()
    assert sorted((expired / "spool").iterdir()) == files
    away.rename(expired / "clickhouse")
    assert _load("--data", str(expired)) == ExitCode.OK
    shutil.rmtree(expired / "clickhouse")
    assert _load("--data", str(expired), "--yes") == ExitCode.OK
    with embedded(expired / "clickhouse") as database:
        again = _sums(database, after)
        # Each book is written whole where it begins: nothing of before is there to start from.
        assert (before.pop("book_snapshot")[0], again.pop("book_snapshot")[0]) == (0, 2)
        assert again == before
        assert before["book_delta"][0] > 100
        topics = database.query("SELECT topic, cause, toUnixTimestamp64Nano(start) FROM gaps ORDER BY topic")
        assert len(topics) == 8
        assert {(cause, start_ns) for _, cause, start_ns in topics} == {("own_drop", gone.first_recv_ns)}
        assert database.query("SELECT count() FROM events WHERE kind = 'expired'") == [(1,)]
    capsys.readouterr()
    assert cli.main(["verify", str(expired), "--json"]) == ExitCode.OK
    assert '"levels": 4, "is_right": true' in capsys.readouterr().out
    assert _load("--data", str(expired)) == ExitCode.OK


def test_the_start_of_a_load_with_a_loss_may_be_cut(expired: Path) -> None:
    """A loader that ended before its first batch: the next one does the same."""
    shutil.rmtree(expired / "clickhouse")
    for _ in range(2):
        with embedded(expired / "clickhouse") as database:
            loader = Loader(expired / "spool", database, "r1", expired)
            loader.recover()
            loader.close()
    assert _load("--data", str(expired), "--yes") == ExitCode.OK
    with embedded(expired / "clickhouse") as database:
        assert database.query("SELECT count() > 0 FROM book_delta") == [(1,)]
        assert database.query("SELECT count() FROM gaps") == [(8,)]


def test_nothing_that_waits_is_taken_for_loaded(expired: Path) -> None:
    """The keeper deletes nothing while a new database is still to get it."""
    shutil.rmtree(expired / "clickhouse")
    with embedded(expired / "clickhouse") as database:
        loader = Loader(expired / "spool", database, "r1", expired)
        loader.recover()
        begins = loader.playback.position >> 32
        loader.close()
    settle(keeper(expired / "spool", clock=ManualClock(START_NS + 30 * DAY_S * S), retention="1d"))
    (gone,) = read_gone(expired / "spool")
    assert gone.last_segment == begins


def test_states_of_another_decoder_after_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new version reads from the first record what the old one knew, and goes on at the mark."""
    with monkeypatch.context() as old:
        for module in (batches, decoding):
            old.setattr(module, "DECODER_VERSION", "0")
        _record(tmp_path, 400)
        assert _load("--data", str(tmp_path)) == ExitCode.OK
    assert list((tmp_path / "spool").glob("*.state"))
    _record(tmp_path, 300, START_NS + 3_600 * S)
    assert _load("--data", str(tmp_path)) == ExitCode.OK
    with embedded(tmp_path / "clickhouse") as database:
        after = _sums(database)
        versions = database.query("SELECT DISTINCT decoder_version FROM load_batch ORDER BY 1")
        assert versions == [("0",), (batches.DECODER_VERSION,)]
    shutil.rmtree(tmp_path / "clickhouse")
    assert _load("--data", str(tmp_path)) == ExitCode.OK
    with embedded(tmp_path / "clickhouse") as database:
        assert _sums(database) == after


def test_a_takeover_by_another_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new loader does not go on from what the old version knew: it reads again, inserts nothing twice."""
    data = tmp_path / "data"
    (tmp_path / "sitecustomize.py").write_text(
        "import recorder.loading.batches as b; b.DECODER_VERSION = '0'"
    )
    options = ("BTCUSDT", "--tickers")
    with simulation("--symbols", "linear:BTCUSDT", "--rate", "400", "--seed", "9") as venue:
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
        with recording(venue, data, *options) as first:
            until(lambda: first.frames() > 300, "the first segment")
            first.stop()
        with recording(venue, data, *options) as old:
            until(lambda: old.frames() > 300, "the second segment")
            until(lambda: states(data / "spool") == [1], "the state after the first segment")
            assert load_state(data / "spool", 1).decoder_version == "0"
            monkeypatch.delenv("PYTHONPATH")
            with recording(venue, data, "--takeover") as new:
                old.process.communicate(timeout=60)
                assert old.process.returncode == 0
                until(
                    lambda: load_state(data / "spool", 1).decoder_version != "0",
                    "the first segment read again",
                )
                new.stop()
    with open_for_reading(data) as database:
        versions = database.query("SELECT DISTINCT decoder_version FROM load_batch ORDER BY 1")
        assert versions == [("0",), (batches.DECODER_VERSION,)]
        causes = database.query("SELECT DISTINCT cause FROM gaps")
        assert causes == [("not_running",)]  # between the first and the second start, alone
    verified = tapehead("verify", str(data), "--json")
    assert verified.returncode == ExitCode.OK, verified.stdout
