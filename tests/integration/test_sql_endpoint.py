"""SQL over HTTP while recording, as clients send it, and what must not get through."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError as DriverDatabaseError

from recorder.clickhouse import Database
from recorder.query import CONCURRENT_MAX, QueryServer, read_address
from tests.support.databases import embedded


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
    ],
)
def test_nothing_reaches_outside(
    server: QueryServer, tmp_path: Path, sql: str, parameters: dict[str, str]
) -> None:
    secret, target = tmp_path / "secret.csv", tmp_path / "target.csv"
    secret.write_text("hidden\n")
    status, text, _ = ask(server, sql.format(secret=secret, target=target), **parameters)
    assert status >= 400
    assert "hidden" not in text
    assert not target.exists()
    assert ask(server, "SELECT 1")[1] == "1\n"


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
