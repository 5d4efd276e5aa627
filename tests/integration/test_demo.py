"""The demonstration, and what the README shows on top of it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder import cli
from recorder.config_file import load
from recorder.database.clickhouse import Database, open_embedded
from recorder.errors import ExitCode
from tests.support.recordings import ROOT, read_line, simulation, tapehead

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECONDS = 3
RATE = 1_000


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    data = tmp_path_factory.mktemp("demo") / "recording"
    options = ("--seconds", str(SECONDS), "--rate", str(RATE), "--data", str(data), "--json")
    done = tapehead("demo", *options, timeout_s=100)
    assert done.returncode == ExitCode.OK, done.stderr
    (line,) = done.stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


@pytest.fixture(scope="module")
def database(demonstration: dict[str, Any]) -> Iterator[Database]:
    with open_embedded(Path(demonstration["data"]) / "clickhouse") as opened:
        yield opened


def test_every_frame_is_captured_and_loaded_and_every_book_equal(demonstration: dict[str, Any]) -> None:
    report = demonstration
    assert report["ok"]
    assert report["frames_sent"] == report["frames_captured"] == report["frames_loaded"]
    assert report["data_frames"] >= SECONDS * RATE
    assert report["gaps"] == report["rows"]["gap"] == 0
    assert (report["books"], report["different_books"]) == (14, [])
    for table in (
        "book_delta",
        "book_snapshot",
        "bbo",
        "trade",
        "ticker",
        "kline",
        "instrument",
        "load_batch",
    ):
        assert report["rows"][table] > 0, table


def readme_commands() -> list[list[str]]:
    """The `tapehead` commands of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("tapehead ")]


@pytest.mark.parametrize("statement", [words[1] for words in readme_commands() if words[0] == "sql"])
def test_the_statements_of_the_readme_run(statement: str, database: Database) -> None:
    rows = database.query(statement)
    assert rows or "FROM gaps" in statement


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_the_commands_of_the_readme_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([words[0], "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    for word in words[1:]:
        assert not word.startswith("--") or word in text, word


def test_the_configuration_of_the_readme_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    file = tmp_path / "record.toml"
    file.write_text(text)
    assert len(load(file).market) == 2


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    code, *_ = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert 'environment="mainnet"' in code
    with simulation("--symbols", "linear:BTCUSDT,linear:ETHUSDT", "--rate", "50") as venue:
        script = tmp_path / "quotes.py"
        # A shell that starts the tests in the background has its children ignore Ctrl-C.
        heard = "import signal\n\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        script.write_text(heard + code.replace('environment="mainnet"', f'url="{venue.ws}"'))
        command = [sys.executable, "-u", str(script)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # found whether it is installed or not
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                first = read_line(process)
                assert re.fullmatch(r"(BTC|ETH)USDT [0-9.]+ [0-9.]+\n", first), first
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
                assert process.returncode == 0
            finally:
                process.kill()
