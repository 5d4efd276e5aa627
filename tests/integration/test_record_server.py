"""`tapehead record` into a server: named in an option or a file, away at the start, refusing for good."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.errors import ExitCode
from tests.support.recordings import TIMEOUT_S, Simulation, recording, simulation, tapehead, until
from tests.support.servers import ClickHouse, clickhouse

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def venue() -> Iterator[Simulation]:
    with simulation("--symbols", f"linear:{SYMBOL}", "--rate", "200") as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_server_that_is_away_at_the_start_keeps_nothing_from_the_spool(
    venue: Simulation, server: ClickHouse, tmp_path: Path
) -> None:
    server.listen(on=False)
    data = tmp_path / "data"
    with recording(venue, data, SYMBOL, "--database", server.url) as one:
        until(lambda: one.frames() > 100, "frames without a database")
        until(lambda: one.folder.read_status("loader").get("state") == "waiting", "the loader waits")
        status = one.folder.read_status("loader")
        assert "connecting to" in status["database_error"]
        server.listen(on=True)
        until(lambda: one.folder.read_status("loader").get("position", 0) > 0, "something is loaded")
        result = one.stop()
    assert result["restarts"] == {"capture": 0, "loader": 0, "keeper": 0}
    assert result["loaded_position"] >= result["position"]
    assert not (data / "clickhouse").exists()
    verified = tapehead("verify", str(data), "--json")
    assert verified.returncode == ExitCode.OK, verified.stdout + verified.stderr
    asked = tapehead("sql", "SELECT sum(frames) FROM load_batch", "--data", str(data), "--json")
    assert json.loads(asked.stdout)["rows"] == [[result["frames"]]]


def test_it_ends_in_time_while_the_server_is_away_and_loads_later(
    venue: Simulation, server: ClickHouse, tmp_path: Path
) -> None:
    server.listen(on=False)
    config = tmp_path / "tapehead.toml"
    config.write_text(
        f'symbols = ["{SYMBOL}"]\nrecorder = "later"\n[database]\nurl = "{server.url}"\n', encoding="utf-8"
    )
    data = tmp_path / "data"
    with recording(venue, data, "--config", str(config)) as one:
        until(lambda: one.frames() > 100, "frames without a database")
        one.process.send_signal(signal.SIGTERM)
        out, _ = one.process.communicate(timeout=TIMEOUT_S)
    assert one.process.returncode == ExitCode.ENVIRONMENT
    assert "the rest is loaded when you record into this folder again" in out
    server.listen(on=True)
    loaded = tapehead("load", "--data", str(data), "--database", server.url, "--json")
    assert loaded.returncode == ExitCode.OK, loaded.stderr
    assert json.loads(loaded.stdout)["recorders"][0]["rows"]["book_delta"] > 0


def test_a_server_that_refuses_us_is_an_error_at_once(
    venue: Simulation, server: ClickHouse, tmp_path: Path
) -> None:
    server.fault("code", times=-1, value=516, inserts_only=False)
    try:
        where = ("--url", venue.ws, "--rest-url", venue.rest, "--data", str(tmp_path / "data"))
        done = tapehead("record", SYMBOL, *where, "--database", server.url, "--json")
    finally:
        server.heal()
    assert done.returncode == ExitCode.ENVIRONMENT, done.stdout
    assert "Code: 516" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_url_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "tapehead.toml"
    config.write_text(
        f'symbols = ["{SYMBOL}"]\n[database]\nurl = "https://db.example/path"\n', encoding="utf-8"
    )
    done = tapehead("record", "--config", str(config), "--json")
    assert done.returncode == ExitCode.USAGE
    message = json.loads(done.stdout)["error"]["message"]
    assert "line 3" in message
    assert "it is scheme, host and port" in message
