"""Checking and repairing a spool, and the verbs of `tapehead spool`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.clock import ManualClock
from ext.journal import Record
from recorder import cli
from recorder.errors import ExitCode
from recorder.spool import fsck, sealing
from recorder.spool.fsck import Fault
from recorder.spool.lock import FolderInUseError, FolderLock
from recorder.spool.seals import seal_path
from recorder.spool.segments import SpoolError, compressed_path, open_segment, segment_path, segments
from recorder.spool.writer import Spool
from tests.support.kept import SEGMENT_BYTES, keeper, make_spool, mark_loaded, read_items, settle
from tests.support.spools import START_NS, Ticks


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_spool(tmp_path / "spool", 380)
    return tmp_path


@pytest.fixture
def spool(data: Path) -> Path:
    return data / "spool"


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def positions(folder: Path) -> list[int]:
    return [item.position for item in read_items(folder) if isinstance(item, Record)]


def test_a_sound_spool(spool: Path) -> None:
    settle(keeper(spool))
    before = contents(spool)
    report = fsck.check(spool)
    assert (report.is_sound, report.recorder, report.segments) == (True, "here", len(segments(spool)))
    assert report.records == len(read_items(spool))
    assert contents(spool) == before


def test_a_spool_that_is_written_to_is_sound(tmp_path: Path) -> None:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES):
        assert fsck.check(tmp_path).is_sound


def test_what_was_deleted_on_purpose_is_no_problem(spool: Path) -> None:
    mark_loaded(spool, 2)
    clock = ManualClock(START_NS)
    clock.advance(10)
    settle(keeper(spool, retention=0, clock=clock))
    report = fsck.check(spool)
    assert report.is_sound
    assert [(gone.first_segment, gone.last_segment) for gone in report.gone] == [(1, 2)]


DAMAGES: dict[str, tuple[Callable[[Path], object], list[tuple[Fault, int]]]] = {
    "raw": (lambda spool: flip(segment_path(spool, 5), 5000), [(Fault.DAMAGE, 5)]),
    "compressed": (
        lambda spool: flip(compressed_path(spool, 2), 5000),
        [(Fault.MISSING, 2), (Fault.CHANGED, 2)],
    ),
    "first": (lambda spool: compressed_path(spool, 1).unlink(), [(Fault.MISSING, 1)]),
    "middle": (lambda spool: compressed_path(spool, 2).unlink(), [(Fault.MISSING, 2)]),
    "last": (
        lambda spool: [segment_path(spool, 5).unlink(), mark_loaded(spool, 5)],
        [(Fault.MISSING, 5)],
    ),
    "seal": (lambda spool: seal_path(spool, 3).write_bytes(b"{}"), [(Fault.SEAL, 3)]),
    "no seal": (lambda spool: seal_path(spool, 3).unlink(), [(Fault.SEAL, 3)]),
    "list": (lambda spool: (spool / "expired.json").write_bytes(b"?"), [(Fault.SEAL, 0), (Fault.MISSING, 1)]),
    "stranger": (lambda spool: (spool / "letter.txt").write_bytes(b"dear"), [(Fault.FOREIGN, 0)]),
}


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_what_is_wrong_is_named(spool: Path, name: str) -> None:
    settle(keeper(spool))
    assert len(segments(spool)) == 5
    damage, expected = DAMAGES[name]
    damage(spool)
    if name == "list":
        compressed_path(spool, 1).unlink()
        expected = expected[:1]
    report = fsck.check(spool)
    assert [(problem.fault, problem.segment) for problem in report.problems] == expected


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_repair_keeps_every_record_and_the_original(spool: Path, number: int, compress: bool) -> None:
    settle(keeper(spool, compress=compress))
    segment = segments(spool)[number - 1]
    flip(segment.path, segment.bytes // 2)
    damaged = segment.path.read_bytes()
    before = positions(spool)
    (done,) = fsck.repair(spool)
    assert done.segment == number
    assert done.kept is not None
    assert done.kept.read_bytes() == damaged
    assert positions(spool) == before
    settle(keeper(spool, compress=compress))
    assert positions(spool) == before
    faults = [problem.fault for problem in fsck.check(spool).problems]
    assert set(faults) <= {Fault.DAMAGE, Fault.MISSING}
    assert fsck.repair(spool) == []
    Spool(spool, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES).close()


def test_repair_removes_a_seal_that_cannot_be_read_and_the_keeper_makes_it_anew(spool: Path) -> None:
    settle(keeper(spool))
    seal_path(spool, 3).write_bytes(b"{}")
    (done,) = fsck.repair(spool)
    assert (done.segment, done.kept) == (3, None)
    settle(keeper(spool))
    assert fsck.check(spool).is_sound


def test_nothing_is_repaired_while_it_is_recorded_or_kept(spool: Path) -> None:
    flip(segment_path(spool, 2), 5000)
    for name in ("lock", "keeper.lock"):
        with FolderLock(spool, name), pytest.raises(FolderInUseError, match="is in use by process "):
            fsck.repair(spool)
    assert not list(spool.glob("*.damaged"))


def test_a_segment_without_a_record_gives_way(spool: Path) -> None:
    path = segment_path(spool, 2)
    path.write_bytes(b"\x55" * 5000)
    (done,) = fsck.repair(spool)
    assert (done.segment, done.records) == (2, 0)
    assert not path.exists()
    assert path.with_name(path.name + ".damaged").exists()


def test_a_repaired_segment_is_what_its_reader_says(spool: Path) -> None:
    flip(segment_path(spool, 2), 5000)
    fsck.repair(spool)
    segment = segments(spool)[1]
    seal = sealing.seal_of(segment, "")
    assert [(start, end) for start, end, _ in seal.damage] == [(seal.damage[0][0],) * 2]
    reader = open_segment(segment, final=True)
    assert sum(isinstance(item, Record) for item in reader) == seal.records


# the verbs


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, object]]]:
    code = cli.main(["spool", *map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ls_lists_segments_and_what_is_gone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = data / "spool"
    mark_loaded(spool, 2)
    settle(keeper(spool, quota_bytes=5 * SEGMENT_BYTES, compress=False))
    settle(keeper(spool))
    code, (answer,) = run(capsys, "ls", data)
    assert code == ExitCode.OK
    (listed,) = answer["spools"]
    assert [(row["segment"], row["state"]) for row in listed["segments"]] == [
        (1, "expired"),
        (2, "compressed"),
        (3, "compressed"),
        (4, "compressed"),
        (5, "open"),
    ]
    assert [row.get("is_loaded") for row in listed["segments"]] == [None, True, False, False, False]
    assert cli.main(["spool", "ls", str(spool)]) == ExitCode.OK
    assert "compressed" in capsys.readouterr().out


def test_cat_prints_each_record(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settle(keeper(data / "spool"))
    code, lines = run(capsys, "cat", data)
    assert (code, lines.pop()) == (ExitCode.OK, {"printed": len(lines)})
    assert [line["position"] for line in lines] == positions(data / "spool")
    assert lines[0]["kind"] == "SEGMENT"
    assert lines[0]["payload"]["recorder"] == "here"
    assert "payload_base64" in lines[1]
    code, lines = run(capsys, "cat", data, "--segment", 2, "--limit", 3)
    assert [line["at"] for line in lines[:-1]] == ["2:1", "2:2", "2:3"]


def test_cat_of_a_range_of_time(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bounds = ("--start", START_NS + 200, "--end", START_NS + 300, "--kind", "frame")
    code, lines = run(capsys, "cat", data, *bounds)
    assert code == ExitCode.OK
    assert [line["recv_ns"] - START_NS for line in lines[:-1]] == list(range(200, 300))
    code, lines = run(capsys, "cat", data, "--start", "2:5", "--end", "2:8")
    assert [line["at"] for line in lines[:-1]] == ["2:5", "2:6", "2:7"]


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code, (answer,) = run(capsys, *arguments)
    error = answer["error"]
    assert isinstance(error, dict)
    return code, error["message"]


def test_errors_name_what_there_is(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, message = failure(capsys, "cat", data, "--start", "2031-01-01T00:00:00Z")
    assert code == ExitCode.USAGE
    assert "it holds 2026-09-21T" in message
    code, message = failure(capsys, "cat", data, "--segment", 77)
    assert (code, "holds segments 1 to 5" in message) == (ExitCode.USAGE, True)
    code, message = failure(capsys, "cat", data, "--kind", "freme")
    assert (code, "HEARTBEAT" in message) == (ExitCode.USAGE, True)
    other = tmp_path / "other"
    other.mkdir()
    for verb in ("ls", "cat", "fsck", "repair", "drain"):
        code, message = failure(capsys, verb, other)
        assert (code, "holds no recording" in message) == (ExitCode.USAGE, True)
    (other / "spool").mkdir()
    (other / "spool" / "letter.txt").write_text("dear")
    for verb in ("ls", "fsck", "repair"):
        code, message = failure(capsys, verb, other)
        assert (code, "is no spool, it holds letter.txt" in message) == (ExitCode.USAGE, True)


def test_a_newer_format_is_refused_by_every_verb(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for segment in segments(data / "spool"):
        raw = segment.path.read_bytes()
        segment.path.write_bytes(raw.replace(b"TAP1", b"TAP2"))
    before = contents(data / "spool")
    for verb in ("ls", "fsck", "repair"):
        code, message = failure(capsys, verb, data)
        assert code == ExitCode.USAGE
        assert "is of format 2; this version reads format 1" in message
    assert contents(data / "spool") == before
    with pytest.raises(SpoolError):
        fsck.check(data / "spool")


def test_fsck_and_repair_of_the_command_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = data / "spool"
    assert run(capsys, "fsck", data)[0] == ExitCode.OK
    flip(segment_path(spool, 2), 5000)
    code, (answer,) = run(capsys, "fsck", data)
    assert (code, answer["is_sound"]) == (ExitCode.CHECK_FAILED, False)
    with FolderLock(spool):
        code, message = failure(capsys, "repair", data)
    assert (code, "is in use by process " in message) == (ExitCode.ENVIRONMENT, True)
    code, (answer,) = run(capsys, "repair", data)
    assert (code, answer["spools"][0]["repaired"][0]["segment"]) == (ExitCode.OK, 2)
    shutil.rmtree(data)
