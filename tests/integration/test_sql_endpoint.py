"""SQL over HTTP while recording, as clients send it, and what must not get through."""

import gzip
import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError as DriverDatabaseError

from ext.native import Table
from recorder.database.clickhouse import Database, DatabaseError
from recorder.queries import server as query
from recorder.queries.server import CONCURRENT_MAX, LIMITS, QueryServer, read_address
from recorder.spool.lock import FolderLock
from tests.support.databases import embedded
from tests.support.recordings import until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sql")


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[Database]:
    with embedded(folder / "clickhouse") as opened:
        yield opened


@pytest.fixture(scope="module")
def server(folder: Path, database: Database) -> Iterator[QueryServer]:
    running = QueryServer(database, folder).start()
    yield running
    running.close()


def ask(
    server: QueryServer, sql: str = "", *, body: str | None = None, host: str = "", **parameters: str
) -> tuple[int, str, dict[str, str]]:
    port = int(server.address.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        query = urlencode({**({"query": sql} if sql else {}), **parameters})
        headers = {"Host": host} if host else {}
        connection.request("POST" if body is not None else "GET", f"/?{query}", body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


def test_answers_as_clickhouse_does(server: QueryServer, folder: Path) -> None:
    assert read_address(folder) == server.address
    assert ask(server)[:2] == (200, "Ok.\n")
    assert ask(server, "SELECT 1")[:2] == (200, "1\n")
    assert ask(server, body="SELECT 'it''s', 2 FORMAT CSV;")[1] == '"it\'s",2\n'
    assert ask(server, "SELECT {x:Int32} + 1", param_x="41")[1] == "42\n"
    assert ask(server, "SELECT {x:String}", param_x="a%\\tb")[1] == "a%\\tb\n"
    status, text, headers = ask(server, "SELECT 1 AS a", default_format="JSONEachRow", database="tapehead")
    assert (status, text, headers["X-ClickHouse-Format"]) == (200, '{"a":1}\n', "JSONEachRow")
    assert ask(server, "EXISTS TABLE bbo")[1] == "1\n"


def test_clickhouse_connect_works(server: QueryServer) -> None:
    client = clickhouse_connect.get_client(dsn=server.address)
    try:
        assert client.query("SELECT {name:String} AS name", parameters={"name": "a'b\\c"}).result_rows == [
            ("a'b\\c",)
        ]
        assert client.query("SELECT * FROM bbo").column_names[:3] == ("recorder", "category", "symbol")
        with pytest.raises(DriverDatabaseError, match="statement began with 'DROP'"):
            client.command("DROP TABLE bbo")
    finally:
        client.close()


def test_errors_carry_the_code_of_clickhouse(server: QueryServer) -> None:
    status, text, headers = ask(server, "SELECT * FROM nowhere")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "60")
    assert text.startswith("Code: 60. DB::Exception: ")
    assert ask(server, "SELECT 1", database="other")[0] == 404
    assert ask(server, "SELECT 1", default_format="JSON; DROP")[0] == 400


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT throwIf(number = 2000000) FROM numbers(3000000)",
        "SELECT number FROM numbers(30000000)",  # more rows than are answered
    ],
)
def test_what_a_failed_query_had_written_is_in_no_later_answer(server: QueryServer, sql: str) -> None:
    for default_format in ("TabSeparated", "Native"):
        assert ask(server, sql, default_format=default_format)[0] >= 400
        for _ in range(CONCURRENT_MAX):  # each connection in its turn
            assert ask(server, "SELECT 42")[:2] == (200, "42\n")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM file('{secret}', 'LineAsString')", {}),
        ("SELECT file('{secret}')", {}),
        ("SELECT * APPLY file FROM (SELECT '{secret}')", {}),
        ("SELECT * FROM default.`{secret}`", {}),
        ("SELECT * FROM '{secret}'", {}),
        ("SELECT * FROM `{secret}`", {}),
        ("SELECT 1 SETTINGS readonly = 0", {}),
        ("SELECT 1", {"readonly": "0", "max_memory_usage": "0"}),
        ("SELECT 1 INTO OUTFILE '{target}'", {}),
        ("SELECT 1 /**/INTO/**/OUTFILE '{target}'", {}),
        ("INSERT INTO FUNCTION file('{target}') SELECT 1", {}),
        ("SELECT 1; SELECT 1 INTO OUTFILE '{target}'", {}),
        ("SYSTEM SHUTDOWN", {}),
        ("KILL QUERY WHERE 1", {}),
        ("SET readonly = 0", {}),
        ("SELECT * FROM merge('default', '.*')", {}),
        ("SELECT * FROM executable('cat', 'TSV', 'x String', (SELECT 1))", {}),
        ("SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')", {}),
        ("SELECT * FROM python(database)", {}),
        ("SELECT 1. INTO OUTFILE '{target}'", {}),
        ("SELECT * FROM file('{secret}', 'LineAsString') WHERE 1. SETTINGS readonly = 0", {}),
        ("SELECT * FROM {{d:Identifier}}.{{t:Identifier}}", {"param_d": "default", "param_t": "{secret}"}),
        ("SELECT {{d:Identifier}}", {"param_d": "1 INTO OUTFILE '{target}'"}),
        ("SELECT * FROM format('Values', 'x String', '(file(''{secret}''))')", {}),
        ("SELECT arrayMap(file, ['{secret}'])", {}),
        ("SELECT hasColumnInTable('default', '{secret}', 'hidden')", {}),
        ("SELECT joinGet('default.{secret}', 'hidden', 1)", {}),
        ("SELECT dictGetString('default.{secret}', 'hidden', 1)", {}),
        ("DESCRIBE TABLE file('{secret}')", {}),
        ("EXPLAIN SELECT * FROM file('{secret}')", {}),
        ("SELECT count() FROM system.stack_trace", {}),
        ("SELECT * FROM `system`.`user_query_log`", {}),
        ("SELECT 1", {"default_format": "CSV SETTINGS readonly = 0"}),
        ("SELECT 1", {"default_format": "Template", "format_template_row": "{secret}"}),
        ("SELECT 1", {"decompress": "1"}),
        ("SELECT 1 /*", {"body": "*/ INTO OUTFILE '{target}'"}),
    ],
)
def test_nothing_reaches_outside(
    server: QueryServer, tmp_path: Path, sql: str, parameters: dict[str, str]
) -> None:
    secret, target = tmp_path / "secret.csv", tmp_path / "target.csv"
    secret.write_text("hidden\n")
    given = {name: value.format(secret=secret, target=target) for name, value in parameters.items()}
    status, text, _ = ask(server, sql.format(secret=secret, target=target), **given)
    assert status >= 400
    assert "hidden\n" not in text
    assert not target.exists()
    assert ask(server, "SELECT 1")[1] == "1\n"


def post(server: QueryServer, body: bytes, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.address.rpartition(":")[2]), timeout=30)
    try:
        connection.request(
            "POST", "/", body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_bodies_in_other_clothes(server: QueryServer) -> None:
    assert post(server, gzip.compress(b"SELECT 7"), Content_Encoding="gzip") == (200, "7\n")
    assert post(server, gzip.compress(b"DROP TABLE bbo"), Content_Encoding="gzip")[0] == 403
    assert post(server, gzip.compress(b"SELECT " + b" " * (1 << 24)), Content_Encoding="gzip")[0] in (
        400,
        413,
    )
    # As UTF-7 this were `SELECT 1;DROP TABLE bbo`; a body is UTF-8, whatever it says.
    assert post(server, b"SELECT 1+ADs-DROP TABLE bbo", Content_Type="text/plain; charset=utf-7")[0] >= 400
    assert post(server, b"SELECT '\xff'")[0] == 400
    assert post(server, b"SELECT 8", X_ClickHouse_Format="CSV INTO OUTFILE 'x'")[0] == 400
    assert post(server, b"SELECT currentDatabase()", X_ClickHouse_Database="default") == (200, "tapehead\n")


def test_limits_are_those_of_each_query(server: QueryServer) -> None:
    names = ", ".join(f"'{name}'" for name in LIMITS)
    for _ in range(2 * CONCURRENT_MAX):
        text = ask(server, f"SELECT name, value FROM system.settings WHERE name IN ({names}, 'readonly')")[1]
        found = dict(line.split("\t") for line in text.splitlines())
        assert found == {name: str(value) for name, value in LIMITS.items()} | {"readonly": "1"}


def test_heavy_queries_end_by_their_limits(server: QueryServer) -> None:
    for sql in (
        "SELECT count() FROM numbers(100000) AS a, numbers(100000) AS b GROUP BY a.number * b.number",
        "SELECT groupArray(number) FROM numbers(1000000000)",
        "SELECT repeat('x', 1000000000)",
    ):
        assert ask(server, sql)[0] >= 400, sql
    assert ask(server, "SELECT 1")[1] == "1\n"


ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7 AND {number} = {number}"


@contextmanager
def left_behind(server: QueryServer, number: int) -> Iterator[None]:
    """Send a query without end, for as long as it is needed, and go away without an answer."""
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        path = "/?" + urlencode({"query": ENDLESS.format(number=number)})
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        yield


def running(database: Database) -> int:
    """How many of the queries without end the engine is at."""
    rows = database.query("SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%'")
    return int(rows[0][0]) - 1  # but for this one


def test_a_client_that_goes_away_ends_its_query(server: QueryServer, database: Database) -> None:
    left = server.counters["left"]
    with ExitStack() as clients:
        for number in range(CONCURRENT_MAX):
            clients.enter_context(left_behind(server, number))
        until(lambda: running(database) == CONCURRENT_MAX, "the queries run")
    until(lambda: running(database) == 0, "the queries are cancelled")
    assert server.counters["left"] == left + CONCURRENT_MAX
    for _ in range(CONCURRENT_MAX):
        assert ask(server, "SELECT 42")[:2] == (200, "42\n")


def test_inserts_go_on_beside_heavy_queries(server: QueryServer, database: Database) -> None:
    database.command("CREATE TABLE IF NOT EXISTS beside (n UInt64) ENGINE = MergeTree ORDER BY n")
    with ExitStack() as clients:
        for number in range(CONCURRENT_MAX):
            clients.enter_context(left_behind(server, number))
        until(lambda: running(database) == CONCURRENT_MAX, "the queries run")
        for number in range(20):
            block = native_block([("n", "UInt64")], {"n": number})
            database.insert("beside", block, "")
        assert running(database) == CONCURRENT_MAX
    assert database.query("SELECT count() FROM beside") == [(20,)]
    until(lambda: running(database) == 0, "the queries are cancelled")


def native_block(columns: list[tuple[str, str]], values: dict[str, Any]) -> bytes:
    """One row as a Native block."""
    table = Table("beside", columns)
    table.append(values)
    return bytes(table.take())


def test_closing_waits_for_no_query(database: Database, tmp_path: Path) -> None:
    short = QueryServer(database, tmp_path).start()
    with left_behind(short, 9):
        until(lambda: running(database) == 1, "the query runs")
        short.close()
    assert running(database) == 0


def test_recorder_that_is_stopped_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "ANSWER_TIMEOUT_S", 0.1)
    (tmp_path / "clickhouse").mkdir()
    # As of a stopped process: the kernel takes the connection, and nobody answers.
    with socket.create_server(("127.0.0.1", 0)) as silent, FolderLock(tmp_path / "clickhouse"):
        (tmp_path / query.ADDRESS_FILE).write_text(f"http://127.0.0.1:{silent.getsockname()[1]}\n")
        with pytest.raises(DatabaseError, match=r"does not answer at .* within 0.1 s .*`kill -CONT`"):
            query.open_for_reading(tmp_path)


def test_readers_cannot_write_even_where_admission_errs(database: Database) -> None:
    reader = database.reader()
    try:
        for sql in ("CREATE TABLE x (a Int8) ENGINE = Memory", "DROP TABLE bbo", "SET readonly = 0"):
            with pytest.raises(Exception, match="READONLY"):
                reader.command(sql)
    finally:
        reader.close()


def test_only_names_of_this_machine_are_answered(server: QueryServer) -> None:
    port = server.address.rpartition(":")[2]
    assert ask(server, "SELECT 1", host=f"localhost:{port}")[0] == 200
    assert ask(server, "SELECT 1", host=f"attacker.example:{port}")[0] == 403
    assert ask(server, "SELECT 1", host="attacker.example")[0] == 403


def test_taken_port_is_an_error(server: QueryServer, database: Database, tmp_path: Path) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        QueryServer(database, tmp_path, port).start()
