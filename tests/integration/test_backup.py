"""Backups: taken whatever goes on meanwhile, and what goes on from one has every row once."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import UsageError
from recorder import cli
from recorder.backup import backup as backups
from recorder.backup import database as backup_database
from recorder.backup.backup import BACKUP_LOCK, Backup, back_up
from recorder.backup.files import MANIFEST_FILE, Stage, read_manifest
from recorder.database.clickhouse import Database
from recorder.errors import ExitCode, MachineError
from recorder.folder import DataFolder
from recorder.loading.loader import Loader
from recorder.spool.lock import FolderInUseError, FolderLock
from recorder.spool.segments import segments
from recorder.verify import verify
from tests.support.databases import embedded
from tests.support.kept import keeper, settle
from tests.support.market import START_NS, S, SpoolMaker, make_market, trade_frame
from tests.support.recordings import recording, simulation, tapehead, until

DAY_S = 86_400


def _more(maker: SpoolMaker, count: int, name: str) -> None:
    for number in range(count):
        maker.frame(trade_frame("AAAUSDT", [(f"{name}{number}", "Buy", "10.3", "1")]))


def _loader(data: Path, database: Database) -> Loader:
    loader = Loader(data / "spool", database, "r1", data, batch_records=250)
    loader.recover()
    return loader


def _load(data: Path) -> None:
    with embedded(data / "clickhouse") as database:
        loader = _loader(data, database)
        loader.drain()
        loader.close()


def _restore(backup: Backup, to: Path) -> Path:
    shutil.copytree(backup.folder, to, symlinks=True)
    return to


def _goes_on(data: Path) -> None:
    """Load what is there, record more, load that: all as the spool says."""
    _load(data)
    maker = SpoolMaker(data / "spool", start_ns=START_NS + 3_600 * S)
    make_market(maker, 60)
    maker.close()
    with embedded(data / "clickhouse") as database:
        loader = _loader(data, database)
        loader.drain()
        loader.close()
        assert verify(data / "spool", database, "r1").problems == []


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST_FILE and not path.is_symlink()
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of several segments, sealed, compressed and loaded."""
    folder = tmp_path_factory.mktemp("recorded")
    maker = SpoolMaker(folder / "spool")
    make_market(maker, 600)
    maker.close()
    _load(folder)
    settle(keeper(folder / "spool"))
    return folder


@pytest.fixture
def data(recorded: Path, tmp_path: Path) -> Path:
    """Such a recording, of this test alone."""
    return shutil.copytree(recorded, tmp_path / "data", symlinks=True)


def test_what_was_at_rest_is_whole_and_goes_on(data: Path, tmp_path: Path) -> None:
    made = back_up(DataFolder(data), tmp_path / "to")
    assert (made.is_linked, made.is_recorded, made.has_database) == (True, False, True)
    assert read_manifest(made.folder) == _hashes(made.folder)
    assert made.files == len(_hashes(made.folder))
    restored = _restore(made, tmp_path / "restored")
    with embedded(restored / "clickhouse") as database:
        assert verify(restored / "spool", database, "r1").problems == []
    _goes_on(restored)
    assert read_manifest(made.folder) == _hashes(made.folder)


def test_batches_that_come_while_it_is_taken(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two tables more is recorded, loaded and merged."""
    maker = SpoolMaker(data / "spool", start_ns=START_NS + 100 * S)
    maker.connect("publicTrade.AAAUSDT")
    pin = backup_database._pin_table
    pinned = []
    with embedded(data / "clickhouse") as database:
        loader = _loader(data, database)

        def pin_and_go_on(folder: Path, stage: Stage) -> None:
            pin(folder, stage)
            pinned.append(folder)
            _more(maker, 90, f"meanwhile{len(pinned)}-")
            loader.drain()
            database.command("OPTIMIZE TABLE trade FINAL")

        monkeypatch.setattr(backup_database, "_pin_table", pin_and_go_on)
        with FolderLock(data):
            made = back_up(DataFolder(data), tmp_path / "to")
        loader.close()
    maker.close()
    assert made.is_recorded
    assert len(pinned) > 10
    _goes_on(_restore(made, tmp_path / "restored"))


def test_parts_that_are_merged_while_they_are_linked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was listed is gone when its turn comes; the one that took its place is there."""
    link = Stage.link
    merged = []

    def merge_before(stage: Stage, path: Path) -> None:
        part = path.parent
        if not merged and "store" in path.parts and part.name == "202609_2_2_0":
            merged.append(part)
            part.rename(part.with_name("delete_tmp_" + part.name))
        link(stage, path)

    assert list((data / "clickhouse").rglob("202609_2_2_0"))
    monkeypatch.setattr(Stage, "link", merge_before)
    made = back_up(DataFolder(data), tmp_path / "to")
    (gone,) = merged
    assert not (made.folder / gone.relative_to(data)).exists()


def test_segments_that_expire_while_they_are_linked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(START_NS + 30 * DAY_S * S)
    link = Stage.link
    expired = []

    def expire_before(stage: Stage, path: Path) -> None:
        if not expired and path.name.endswith(".tape.zst"):
            expired.append(path)
            settle(keeper(data / "spool", clock=clock, retention="1d"))
        link(stage, path)

    monkeypatch.setattr(Stage, "link", expire_before)
    made = back_up(DataFolder(data), tmp_path / "to")
    assert expired
    assert not expired[0].exists()
    assert not (made.folder / expired[0].relative_to(data)).exists()
    assert tapehead("spool", "fsck", str(made.folder)).returncode == ExitCode.OK
    assert tapehead("spool", "fsck", str(data)).returncode == ExitCode.OK


def test_newer_segments_of_what_is_left_of_the_spool(data: Path, tmp_path: Path) -> None:
    """A restored recording goes on with the spool that the lost one had after the backup."""
    made = back_up(DataFolder(data), tmp_path / "to")
    last = segments(made.folder / "spool")[-1]
    maker = SpoolMaker(data / "spool", start_ns=START_NS + 100 * S)
    make_market(maker, 300)
    maker.close()
    restored = _restore(made, tmp_path / "restored")
    for segment in segments(data / "spool"):
        if segment.number >= last.number:
            shutil.copy2(segment.path, restored / "spool")
    _load(restored)
    with embedded(restored / "clickhouse") as database:
        assert verify(data / "spool", database, "r1").problems == []
    _goes_on(restored)


@pytest.mark.parametrize("is_linked", [True, False])
def test_the_second_one_is_cheap(
    data: Path, tmp_path: Path, is_linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_linked:
        monkeypatch.setattr(backups, "can_link", lambda path, folder: False)
    first = back_up(DataFolder(data), tmp_path / "to", keep=2)
    second = back_up(DataFolder(data), tmp_path / "to", keep=2)
    third = back_up(DataFolder(data), tmp_path / "to", keep=2)
    assert first.is_linked == is_linked
    assert first.new_bytes == first.bytes
    assert third.new_bytes < first.bytes / 2
    assert sorted((tmp_path / "to").iterdir()) == [second.folder, third.folder]
    assert not (data / "backup.partial").exists()
    assert read_manifest(third.folder) == _hashes(third.folder)
    one = next(third.folder.rglob("data.bin"))
    mine = data / one.relative_to(third.folder)
    assert (one.stat().st_ino == mine.stat().st_ino) == is_linked
    assert one.samefile(second.folder / one.relative_to(third.folder))
    _goes_on(_restore(third, tmp_path / "restored"))


def test_a_target_that_cannot_be_is_left_alone(data: Path, tmp_path: Path) -> None:
    place = DataFolder(data)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"holds letter\.txt, which are no backups: choose an empty"):
        back_up(place, foreign)
    assert [path.name for path in foreign.iterdir()] == ["letter.txt"]
    with pytest.raises(UsageError, match="is in the recording's own folder"):
        back_up(place, data / "backups")
    with pytest.raises(UsageError, match="is no folder"):
        back_up(place, foreign / "letter.txt")
    back_up(place, tmp_path / "to")
    other = tmp_path / "other"
    maker = SpoolMaker(other / "spool", "r2")
    make_market(maker, 10)
    maker.close()
    with pytest.raises(UsageError, match=rf"is a backup of {data} \(r1\): choose a folder of its own"):
        back_up(DataFolder(other), tmp_path / "to")


def test_what_forbids_a_backup(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = DataFolder(data)
    to = tmp_path / "to"
    place.wish.write_text("{}")
    with pytest.raises(MachineError, match="are being loaded anew: wait"):
        back_up(place, to)
    place.wish.unlink()
    with FolderLock(data, BACKUP_LOCK), pytest.raises(FolderInUseError):
        back_up(place, to)
    monkeypatch.setattr(backups, "can_link", lambda path, folder: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000))
    with pytest.raises(MachineError, match=r"has 1000 bytes free, and \d+ are to be copied: make room"):
        back_up(place, to)
    assert list(to.iterdir()) == []
    assert not (data / "backup.partial").exists()


def test_what_an_interrupted_one_left_is_removed(data: Path, tmp_path: Path) -> None:
    left = tmp_path / "to" / "20260101T000000000Z.partial"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    made = back_up(DataFolder(data), tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == [made.folder]


def test_a_spool_whose_database_is_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker = SpoolMaker(tmp_path / "data" / "spool")
    make_market(maker, 10)
    maker.close()
    arguments = ["backup", "--data", str(tmp_path / "data"), "--to", str(tmp_path / "to"), "--json"]
    assert cli.main(arguments) == ExitCode.OK
    told = capsys.readouterr()
    said: dict[str, Any] = json.loads(told.out)
    assert not said["has_database"]
    assert "is no embedded one" in told.err
    assert (Path(said["folder"]) / "spool" / "00000001.tape").exists()


def test_a_recording_that_runs(tmp_path: Path) -> None:
    data, to = tmp_path / "data", tmp_path / "to"
    with (
        simulation("--symbols", "linear:BTCUSDT", "--rate", "400", "--seed", "7") as venue,
        recording(venue, data, "BTCUSDT", "--trades") as running,
    ):
        until(lambda: running.folder.read_status("loader").get("batches", 0) > 1, "batches are loaded")
        told = tapehead("backup", "--data", str(data), "--to", str(to), "--json")
        assert told.returncode == ExitCode.OK, told.stderr
        made = json.loads(told.stdout)
        assert made["is_recorded"]
        running.stop()
    shutil.copytree(made["folder"], tmp_path / "restored", symlinks=True)
    assert tapehead("load", "--data", str(tmp_path / "restored")).returncode == ExitCode.OK
    verified = tapehead("verify", str(tmp_path / "restored"), "--json")
    assert verified.returncode == ExitCode.OK, verified.stdout
    assert json.loads(verified.stdout)["frames"] > 0
