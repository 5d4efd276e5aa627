"""A server that fails in every way there is: nothing lost, nothing twice, the same bytes each time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.compression import get_compressor

from ext.native import Table
from recorder.database import clickhouse as places
from recorder.database.clickhouse import Database, DatabaseError
from recorder.loading.inserter import RETRY_FIRST_S, RETRY_MAX_S
from recorder.loading.loader import Loader
from recorder.sql import columns
from recorder.verify import verify
from tests.support.databases import FragileDatabase
from tests.support.market import START_NS
from tests.support.recordings import until
from tests.support.servers import Acting, ClickHouse, Pauses, clickhouse
from tests.support.sinks import BATCH_RECORDS, Contents, contents, load, make_spool, open_fresh

FAILURES = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def expected(server: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    folder = tmp_path_factory.mktemp("undisturbed")
    make_spool(folder)
    database = open_fresh(server, "undisturbed")
    load(folder, database)
    return contents(database)


FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"kind": "hang"},
    "500": {"kind": "status", "value": 500},
    "503": {"kind": "status", "value": 503},
    "reset while it is sent": {"kind": "reset_request"},
    "reset in the answer": {"kind": "reset_response"},
    "reply lost": {"kind": "lose_reply"},
    "too many parts": {"kind": "code", "value": 252},
    "too many queries": {"kind": "code", "value": 202},
    "memory limit": {"kind": "code", "value": 241},
    "read-only": {"kind": "code", "value": 242},
    "rights lost": {"kind": "code", "value": 516},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_outlasted(
    server: ClickHouse, expected: Contents, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "hang":
        monkeypatch.setattr(places, "TIMEOUT_S", 1)
    make_spool(tmp_path)
    database = open_fresh(server, "f_" + name.replace(" ", "_").replace("-", "_"))
    server.fault(**FAULTS[name], skip=4, times=-1)
    pauses = Pauses({FAILURES: server.heal})
    loader = load(tmp_path, database, pauses)
    assert contents(database) == expected
    assert loader.inserter.counters["insert_failures"] == FAILURES
    assert loader.inserter.counters["set_aside_batches"] == 0
    assert pauses.taken == [RETRY_FIRST_S * 2**number for number in range(FAILURES)]
    assert server.counts()["tokens_with_other_bytes"] == 0


def test_connections_refused(server: ClickHouse, expected: Contents, tmp_path: Path) -> None:
    make_spool(tmp_path)
    database = open_fresh(server, "refused")
    refusing = Acting(database, {5: lambda: server.listen(on=False)})
    pauses = Pauses({12: lambda: server.listen(on=True)})
    loader = load(tmp_path, refusing, pauses)
    assert contents(database) == expected
    assert len(pauses.taken) == 12
    assert pauses.taken[-1] == RETRY_MAX_S
    assert loader.inserter.failing == ""


def test_the_server_dies_while_it_inserts(server: ClickHouse, expected: Contents, tmp_path: Path) -> None:
    make_spool(tmp_path)
    database = open_fresh(server, "dies")

    def restart() -> None:
        server.wait_dead()
        server.start()

    server.fault("die", skip=3)
    load(tmp_path, database, Pauses({1: restart}))
    assert contents(database) == expected


def test_a_server_that_is_away_at_the_start_is_waited_for(
    server: ClickHouse, expected: Contents, tmp_path: Path
) -> None:
    make_spool(tmp_path)
    database = open_fresh(server, "away")
    server.listen(on=False)
    load(tmp_path, database, Pauses({4: lambda: server.listen(on=True)}))
    assert contents(database) == expected


def test_a_loader_says_how_it_is_while_the_database_fails(server: ClickHouse, tmp_path: Path) -> None:
    make_spool(tmp_path)
    database = open_fresh(server, "telling")
    server.fault("code", value=241, times=-1)
    loader = Loader(tmp_path / "spool", database, "r1", tmp_path, batch_records=BATCH_RECORDS)
    loader.recover()
    try:
        until(lambda: not loader.step() and loader.status()["database_error"] != "", "the error is told")
        assert "MEMORY_LIMIT_EXCEEDED" in loader.status()["database_error"]
        assert loader.status()["read_position"] <= (1 << 32) + 2 * BATCH_RECORDS, (
            "more is read than two batches"
        )
        server.heal()
        loader.drain()
        assert loader.status()["database_error"] == ""
    finally:
        server.heal()
        loader.close()


def test_giving_up_is_for_those_who_want_to_end(server: ClickHouse, tmp_path: Path) -> None:
    make_spool(tmp_path)
    database = open_fresh(server, "ending")
    server.fault("code", value=241, times=-1)
    pauses = Pauses()
    pauses.set()
    with pytest.raises(DatabaseError, match="MEMORY_LIMIT_EXCEEDED"):
        load(tmp_path, database, pauses)
    server.heal()
    assert len(pauses.taken) == 2


REPLIES_LOST = 100


def lose_replies(server: ClickHouse, folder: Path, database: Database, *, tokens: bool) -> Loader:
    make_spool(folder, messages=40)
    server.fault("lose_reply", times=REPLIES_LOST, every=2)
    try:
        return load(folder, FragileDatabase(database, tokens=tokens), Pauses(), batch_records=3)
    finally:
        server.heal()


def test_replies_lost_after_the_commit_leave_each_row_once(server: ClickHouse, tmp_path: Path) -> None:
    database = open_fresh(server, "replies")
    loader = lose_replies(server, tmp_path, database, tokens=True)
    assert loader.inserter.counters["insert_failures"] == REPLIES_LOST
    assert verify(tmp_path / "spool", database, "r1").problems == []


def test_replies_lost_without_our_tokens_show_as_duplicates(server: ClickHouse, tmp_path: Path) -> None:
    """So that the test above can fail."""
    database = open_fresh(server, "replies_bare")
    lose_replies(server, tmp_path, database, tokens=False)
    report = verify(tmp_path / "spool", database, "r1")
    assert sum(check.repeated for check in report.rows) >= REPLIES_LOST / 2


def event_block(rows: int, detail_bytes: int) -> Any:
    table = Table("event", columns("event"))
    for number in range(rows):
        row: dict[str, Any] = {"recorder": "r1", "category": "", "topic": "", "position": number, "leg": 0}
        table.append({**row, "recv": START_NS, "kind": "test", "detail": "x" * detail_bytes})
    return table.take()


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_slow_line_has_a_limit_for_each_piece_and_not_for_the_block(
    server: ClickHouse, in_pieces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what the buffers of the system take, the block needs several times the limit."""
    monkeypatch.setattr(places, "CONNECT_TIMEOUT_S", 1)
    database = open_fresh(server, f"slow_{in_pieces}".lower())
    database._client.close_connections()  # a connection that was used has another limit
    server.fault("slow", value=3 << 20)
    block = event_block(100, 120_000)
    if in_pieces:
        database.insert("event", block, "slow")
        assert database.query("SELECT count(), sum(length(detail)) FROM event") == [(100, 12_000_000)]
    else:
        monkeypatch.setattr(places, "Upload", memoryview)
        with pytest.raises(DatabaseError, match="timed out"):
            database.insert("event", block, "slow")
    server.heal()


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd", None])
def test_the_server_reads_what_clients_compress(server: ClickHouse, encoding: str | None) -> None:
    database = open_fresh(server, f"compressed_{encoding}".lower())
    compressor = get_compressor(encoding)
    body = compressor.compress_block(bytes(event_block(3, 10))) + (compressor.flush() or b"")
    database._client.raw_insert("event", insert_block=body, fmt="Native", compression=encoding)
    assert database.query("SELECT count() FROM event") == [(3,)]
