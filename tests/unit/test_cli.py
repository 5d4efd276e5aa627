"""The `tapehead` command: every bad input gets one message, an exit code and, if asked for, JSON."""

import errno
import json
from pathlib import Path

import pytest

from recorder import cli
from recorder.commands.demo import MARK
from recorder.errors import ExitCode, from_os_error
from recorder.folder import DataFolder
from recorder.spool.lock import FolderLock

VERBS = ("demo", "record", "simulate", "sql", "verify", "gaps", "book", "spool", "report", "version")


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command that must fail; return its exit code and message, which must be one line."""
    code = cli.main([*arguments, "--json"])
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    error = json.loads(line)
    assert error["exit_code"] == code
    message = error["error"]["message"]
    assert err == f"tapehead: {message}\n"
    assert "Traceback" not in err
    return code, message


def test_help_names_every_verb_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)
    assert all(f"{code:d} " in text for code in ExitCode)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "simulate"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == ExitCode.OK
    assert f"tapehead {verb}" in capsys.readouterr().out


def test_version_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version", "--json"]) == ExitCode.OK
    versions = json.loads(capsys.readouterr().out)
    assert {"tapehead", "python", "chdb", "picows"} <= versions.keys()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["record"], ("SYMBOLS", "BTCUSDT")),
        (["record", "BTCUSDT", "--book", "500"], ("depth was 500", "1, 50, 200, 1000", "use 1000")),
        (["record", "BTCUSDT", "--category", "option", "--book", "50"], ("depth was 50", "25, 100")),
        (["record", "BTCUSDT", "--category", "linea"], ("category was 'linea'", "linear")),
        (["record", "BTCUSDT", "--kline", "2"], ("interval was 2", "1", "3")),
        (["record", "btcusdt"], ("symbol was 'btcusdt'", "BTCUSDT")),
        (["record", "BTCUSDT", "--environment", "tesnet"], ("'tesnet'", "testnet")),
        (["record", "BTCUSDT", "--url", "ws://example.com"], ("not encrypted", "wss://")),
        (["record", "BTCUSDT", "--seconds", "soon"], ("--seconds", "number")),
        (["record", "BTCUSDT", "--bok", "50"], ("--bok", "--book")),
        (["sql", "SELECT 1", "--format", "CSV"], ("--format was 'CSV'", "leave one of them out")),
        (["recrod"], ("recrod",)),
    ],
)
def test_bad_use_names_the_value_and_what_is_valid(
    arguments: list[str], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = failure(capsys, *arguments)
    assert code == ExitCode.USAGE
    assert all(text in message for text in expected), message


def test_options_beside_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "record.toml"
    file.write_text('[[market]]\nsymbols = ["BTCUSDT"]\n')
    code, message = failure(capsys, "record", "ETHUSDT", "--config", str(file))
    assert code == ExitCode.USAGE
    assert "ETHUSDT" in message
    assert "put it into the file" in message


@pytest.mark.parametrize("arguments", [["sql", "SELECT 1", "--data"], ["verify"], ["gaps"]])
def test_a_folder_without_a_recording(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = failure(capsys, *arguments, str(tmp_path / "none"))
    assert code == ExitCode.USAGE
    assert "holds no recording" in message
    assert "tapehead demo" in message
    assert not (tmp_path / "none").exists()


def test_demo_leaves_other_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, message = failure(capsys, "demo", "--data", str(tmp_path))
    assert code == ExitCode.USAGE
    assert str(tmp_path) in message
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_demo_does_not_replace_one_that_still_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / MARK).touch()
    lock = FolderLock(tmp_path)
    code, message = failure(capsys, "demo", "--data", str(tmp_path))
    lock.release()
    assert code == ExitCode.ENVIRONMENT
    assert f"{tmp_path} is in use by" in message
    assert (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EADDRINUSE, "another port"),
        (errno.EROFS, "writable"),
        (errno.EACCES, "permissions"),
        (errno.ENOENT, "removed"),
        (errno.ENAMETOOLONG, "shorter"),
    ],
)
def test_what_the_machine_refuses_is_said_plainly(
    number: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(folder: DataFolder) -> DataFolder:
        raise OSError(number, "refused", str(folder.path))

    monkeypatch.setattr(DataFolder, "existing", refuse)
    code, message = failure(capsys, "verify", str(tmp_path))
    assert code == ExitCode.ENVIRONMENT
    assert expected in message
    assert str(tmp_path) in message


def test_a_full_disk_is_named_even_where_the_error_does_not() -> None:
    known = from_os_error(OSError(errno.ENOSPC, "no space"), Path("data"))
    assert str(known) == "data: No space left on device: make room, or choose another folder with --data"
    assert from_os_error(OSError(errno.EBADF, "bad descriptor")) is None


def test_our_own_fault_is_said_to_be_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: DataFolder) -> DataFolder:
        raise LookupError("lost")

    monkeypatch.setattr(DataFolder, "existing", fail)
    code, message = failure(capsys, "verify", str(tmp_path))
    assert code == ExitCode.INTERNAL
    assert "LookupError: lost" in message
    assert "TAPEHEAD_DEBUG=1" in message


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAPEHEAD_DEBUG", "1")
    assert cli.main(["verify", str(tmp_path)]) == ExitCode.USAGE
    assert "Traceback" in capsys.readouterr().err
