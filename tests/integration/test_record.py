"""`tapehead record` as its user meets it: what it refuses, what it survives, what can be asked meanwhile."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.errors import ExitCode
from tests.support.recordings import (
    Recording,
    Simulation,
    recording,
    simulation,
    tapehead,
    until,
    wait_gone,
)

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def venue() -> Iterator[Simulation]:
    with simulation("--symbols", f"linear:{SYMBOL},linear:ETHUSDT", "--rate", "200") as running:
        yield running


@pytest.fixture
def running(venue: Simulation, tmp_path: Path) -> Iterator[Recording]:
    with recording(venue, tmp_path / "data", SYMBOL) as one:
        until(lambda: one.frames() > 0 and bool(one.folder.read_status("loader")), "the first frames")
        yield one


def refused(*arguments: str) -> tuple[int, str]:
    """Run a command that must fail with one message and no traceback."""
    done = tapehead(*arguments, "--json")
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, error["error"]["message"]


def record(venue: Simulation, data: Path, *symbols: str) -> tuple[int, str]:
    return refused("record", *symbols, "--url", venue.ws, "--rest-url", venue.rest, "--data", str(data))


def test_an_unknown_symbol_is_answered_with_the_nearest(venue: Simulation, tmp_path: Path) -> None:
    code, message = record(venue, tmp_path, "BTCUSD")
    assert code == ExitCode.USAGE
    assert "symbol was 'BTCUSD'" in message
    assert "use BTCUSDT" in message
    assert not (tmp_path / "spool").exists()


def test_without_a_network_it_says_so_and_names_the_demo(tmp_path: Path) -> None:
    where = ("--url", "ws://127.0.0.1:1", "--rest-url", "http://127.0.0.1:1", "--data", str(tmp_path))
    code, message = refused("record", SYMBOL, *where)
    assert code == ExitCode.ENVIRONMENT
    assert "cannot connect to http://127.0.0.1:1 (refused)" in message
    assert "tapehead demo" in message


def test_without_instruments_it_records_all_the_same(venue: Simulation, tmp_path: Path) -> None:
    where = ("--url", venue.ws, "--rest-url", "http://127.0.0.1:1", "--data", str(tmp_path))
    done = tapehead("record", SYMBOL, *where, "--seconds", "3", "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "instruments are unknown" in done.stderr
    assert json.loads(done.stdout)["frames"] > 0


def test_a_folder_in_use_is_refused_naming_its_owner(venue: Simulation, running: Recording) -> None:
    code, message = record(venue, running.folder.path, SYMBOL)
    assert code == ExitCode.ENVIRONMENT
    assert str(running.process.pid) in message
    assert str(running.folder.path) in message


def test_it_answers_sql_while_recording_and_after(running: Recording) -> None:
    data = str(running.folder.path)
    count = ("sql", "SELECT count() FROM quotes", "--data", data, "--json")

    def rows() -> int:
        done = tapehead(*count)
        return int(json.loads(done.stdout)["rows"][0][0]) if done.returncode == 0 else 0

    until(lambda: rows() > 0, "rows while recording")
    refusal = tapehead("sql", "DROP TABLE bbo", "--data", data, "--json")
    assert refusal.returncode == ExitCode.USAGE
    assert "DROP" in json.loads(refusal.stdout)["error"]["message"]
    answer = running.stop()
    assert answer["frames"] > 0
    assert answer["loaded_position"] >= answer["position"] > 0
    assert rows() > 0
    assert (
        tapehead("sql", "SELECT 1 AS one", "--format", "CSVWithNames", "--data", data).stdout == '"one"\n1\n'
    )
    assert json.loads(tapehead("gaps", data, "--json").stdout) == {"gaps": []}
    report = json.loads(tapehead("verify", data, "--json").stdout)
    assert report["is_right"]
    books = sorted((book["depth"], book["is_right"]) for book in report["books"])
    assert books == [(1, True), (50, True)]
    assert report["frames"] == answer["frames"]


def test_a_dead_loader_is_started_again_and_loads_all(running: Recording) -> None:
    killed = running.folder.read_status("loader")["pid"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: running.folder.read_status("loader")["pid"] != killed, "another loader")
    answer = running.stop()
    assert answer["restarts"] == {"capture": 0, "loader": 1, "keeper": 0}
    report = json.loads(tapehead("verify", str(running.folder.path), "--json").stdout)
    assert report["problems"] == []
    assert report["frames"] == answer["frames"]


def test_children_die_with_their_supervisor(running: Recording) -> None:
    children = [running.folder.read_status(name)["pid"] for name in ("capture", "loader")]
    running.process.kill()
    for child in children:
        wait_gone(child)
