"""`tapehead export`: its answers, its errors, and a recording that goes on meanwhile."""

import json
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from recorder import cli
from recorder.errors import ExitCode
from recorder.export import folder as export_files
from recorder.export.request import FORMATS, Request
from recorder.export.run import export
from recorder.queries.server import QueryServer
from tests.support.archives import book_lines, day_ms, write_books
from tests.support.databases import embedded
from tests.support.exports import files, load, record_market


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    record_market(data / "spool", 20)
    with embedded(data / "clickhouse") as database:
        load(database, data / "spool", data)
    return data


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = cli.main(["export", *map(str, arguments), "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, answer


def test_the_command(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    place = ("--data", recording, "--out", out)
    code, answer = run(capsys, "csv", *place, "--symbols", "AAAUSDT,BBBUSDT")
    assert code == ExitCode.OK
    assert answer["files"]["written"] == len(files(out)) - 1
    assert answer["gaps"]["disconnect"]["gaps"] == 8
    code, answer = run(capsys, "csv", *place, "--symbols", "BBBUSDT", "--symbols", "AAAUSDT")
    assert (code, answer["files"]["written"]) == (ExitCode.OK, 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("cvs",), ("format was 'cvs'", "use csv")),
        (("csv", "--from", "soon"), ("--from was 'soon'",)),
        (("csv", "--from", "2033-01-01T00:00Z"), ("what is loaded is from 2026-09-21",)),
        (("csv", "--symbols", "AAAUSD"), ("use AAAUSDT",)),
        (("csv", "--data", "none"), ("holds no recording",)),
    ],
)
def test_bad_use(
    arguments: tuple[str, ...],
    expected: tuple[str, ...],
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = () if "--data" in arguments else ("--data", recording)
    code, answer = run(capsys, *arguments, *data, "--out", tmp_path / "out")
    assert code == ExitCode.USAGE
    assert all(text in answer["error"]["message"] for text in expected), answer
    assert not (tmp_path / "out").exists()


def test_a_full_disk(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(export_files.hashlib, "file_digest", full)
        code, answer = run(capsys, "csv", "--data", recording, "--out", out)
    assert code == ExitCode.ENVIRONMENT
    assert f"{out}: No space left on device: make room and run it again" in answer["error"]["message"]
    assert all(name.startswith(".partial/") for name in files(out))
    assert run(capsys, "csv", "--data", recording, "--out", out)[0] == ExitCode.OK


def test_a_folder_with_imports_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    first_ms = day_ms("2024-12-01")
    book = write_books(tmp_path / "linear", "AUSDT", "2024-12-01", book_lines("AUSDT", first_ms, 5))
    assert cli.main(["import", str(book), "--data", str(data)]) == ExitCode.OK
    for arguments in (
        ["book", "AUSDT", "--at", "2024-12-01T00:00:00.2Z"],
        ["export", "tardis", "--out", str(tmp_path / "out")],
        ["schema", "--diff"],
        ["sql", "SELECT count() FROM book_delta"],
    ):
        assert cli.main([*arguments, "--data", str(data)]) == ExitCode.OK, capsys.readouterr().err
    assert not (data / "spool").exists()


def test_an_export_while_recording(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the recorder's SQL, which admits only what reads."""
    with embedded(recording / "clickhouse") as database, closing(QueryServer(database, recording)) as server:
        server.start()
        for name in FORMATS:
            before, out = tmp_path / "before" / name, tmp_path / name
            export(database, Request(name, symbols=("AAAUSDT",)), before)
            place = ("--database", server.address, "--out", out)
            code, answer = run(capsys, name, *place, "--symbols", "AAAUSDT")
            assert code == ExitCode.OK, answer
            assert {path: sha256_of(out / path) for path in files(out)} == {
                path: sha256_of(before / path) for path in files(before)
            }
            assert answer["rows"] > 0


def sha256_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
